"""Y-Encoder: a text becomes its target embedding (arXiv:2512.10942, section 3.1).

MiniLM's architecture at laptop size, EmbeddingGemma's at the paper's, both from transformers; the mean over what
is not padding; a linear head into the shared space. Joint embeddings (CLIP, SigLIP 2) bring text encoders that pool and
project by themselves.
"""

from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertConfig, BertModel

from vljepa.config import YEncoderConfig, attention


def build_y_encoder(config: YEncoderConfig, embed_dim: int) -> "YEncoder | PooledYEncoder":
    """The Y-Encoder that `config` describes, with random weights. ValueError if it is none that we know."""
    return PooledYEncoder(config) if config.architecture == "transformers" else YEncoder(config, embed_dim)


class YEncoder(nn.Module):
    """Text tokens -> embedding in the shared space."""

    def __init__(self, config: YEncoderConfig, embed_dim: int) -> None:
        super().__init__()
        self.config = config
        self.model = _bert(config) if config.architecture == "bert" else _gemma(config)
        self.projector = nn.Linear(config.hidden, embed_dim)

    def forward(
        self, text_tokens: Int[Tensor, "batch text"], text_mask: Bool[Tensor, "batch text"]
    ) -> Float[Tensor, "batch embed"]:
        """Target embeddings, not normalised. `text_mask` is true on real tokens."""
        hidden = self.model(input_ids=text_tokens, attention_mask=text_mask.long()).last_hidden_state
        weights = text_mask.unsqueeze(-1).to(hidden.dtype)
        return self.projector((hidden * weights).sum(1) / weights.sum(1))


class PooledYEncoder(nn.Module):
    """The text side of CLIP or SigLIP 2, which pools and projects as it was trained to."""

    model: Any  # one of two classes with different outputs

    def __init__(self, config: YEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.model = _joint_text_model(dict(config.model or {}))

    def forward(
        self, text_tokens: Int[Tensor, "batch text"], text_mask: Bool[Tensor, "batch text"]
    ) -> Float[Tensor, "batch embed"]:
        """Target embeddings, not normalised. `text_mask` is true on real tokens."""
        if self.model.config.model_type == "siglip_text_model":
            # it reads its answer off the last of max_tokens places, and was trained with pads that are seen
            missing = self.config.max_tokens - text_tokens.shape[1]
            pad = self.model.config.pad_token_id or 0
            tokens = F.pad(text_tokens.masked_fill(~text_mask, pad), (0, missing), value=pad)
            return self.model(input_ids=tokens).pooler_output
        return self.model(input_ids=text_tokens, attention_mask=text_mask.long()).text_embeds


def _joint_text_model(values: dict[str, Any]) -> nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, SiglipTextConfig, SiglipTextModel

    kind = values.pop("model_type")
    if kind == "clip_text_model":
        return CLIPTextModelWithProjection(CLIPTextConfig(**values, attn_implementation="sdpa"))
    if kind == "siglip_text_model":
        return SiglipTextModel(SiglipTextConfig(**values, attn_implementation="sdpa"))
    raise ValueError(f"y_encoder.model must be a clip_text_model or siglip_text_model, got {kind}")


def _bert(config: YEncoderConfig) -> nn.Module:
    return BertModel(
        BertConfig(
            vocab_size=config.vocabulary, hidden_size=config.hidden, num_hidden_layers=config.layers,
            num_attention_heads=config.heads, intermediate_size=config.mlp, max_position_embeddings=512,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, attn_implementation=attention(config.hidden)),
        add_pooling_layer=False)


def _gemma(config: YEncoderConfig) -> nn.Module:
    from transformers import Gemma3TextConfig, Gemma3TextModel  # only the paper's size needs it

    return Gemma3TextModel(Gemma3TextConfig(
        vocab_size=config.vocabulary, hidden_size=config.hidden, num_hidden_layers=config.layers,
        num_attention_heads=config.heads, num_key_value_heads=config.key_value_heads, head_dim=256,
        query_pre_attn_scalar=256, intermediate_size=config.mlp, use_bidirectional_attention=True,
        sliding_window=512, attn_implementation="sdpa", use_cache=False))
