"""Predictor: visual tokens and a query become the predicted embedding of the answer (arXiv:2512.10942, section 3.1).

Llama blocks from transformers with the causal mask off; the mean over what is not padding; a linear head.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from transformers import LlamaConfig, LlamaModel

from vljepa.colour_names import NAMES
from vljepa.config import PredictorConfig, attention

# Llama 3.2's stretching of its rotary positions
LLAMA3_ROPE = {"factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 8192}


def build_predictor(
    config: PredictorConfig, visual_dim: int, tokens_per_step: int, embed_dim: int, colour_parts: int = 0
) -> "Predictor | MeanPredictor":
    """The predictor that `config` describes, with random weights. ValueError if sizes do not fit."""
    if config.architecture == "llama":
        return Predictor(config, visual_dim, tokens_per_step, embed_dim, colour_parts)
    if visual_dim != embed_dim:
        raise ValueError(f"a mean predictor needs visual tokens of the shared space's {embed_dim} dimensions, got "
                         f"{visual_dim}: set x_encoder.pooled")
    return MeanPredictor(config)


class MeanPredictor(nn.Module):
    """What a joint embedding makes of a window: the mean of its frames' unit embeddings. It has no query to ask."""

    def __init__(self, config: PredictorConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self,
        visual_tokens: Float[Tensor, "batch time tokens dim"],
        query_tokens: Int[Tensor, "batch query"] | None = None,  # noqa: ARG002 - as `Predictor` is called
        query_mask: Bool[Tensor, "batch query"] | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "batch dim"]:
        """The windows' embeddings, not normalised; the query is not looked at."""
        return F.normalize(visual_tokens.float(), dim=-1).mean((1, 2)).to(visual_tokens.dtype)


class ColourReader(nn.Module):
    """Looks at one part of what is seen, and says the colour names found there.

    A pointer (Vinyals et al., arXiv:1506.03134): the blocks decide where to look, but what is read there are the named
    shares themselves (`vljepa.colour_names`). A red thing painted blue becomes "blue", with nothing to be learned anew.
    """

    def __init__(self, hidden: int, embed_dim: int, parts: int) -> None:
        super().__init__()
        self.columns = parts**2 * len(NAMES)
        self.look = nn.Linear(hidden, parts**2)
        self.heed = nn.Linear(hidden, 1)
        self.names = nn.Parameter(torch.randn(len(NAMES), embed_dim) * 0.02)
        nn.init.zeros_(self.heed.weight)
        nn.init.constant_(self.heed.bias, -2.0)  # little is said until it is known when

    def forward(
        self, states: Float[Tensor, "batch places hidden"], pooled: Float[Tensor, "batch hidden"],
        columns: Float[Tensor, "batch places columns"],
    ) -> Float[Tensor, "batch embed"]:
        """What to add to the prediction: the names' vectors, each by the evidence for it, as far as it is asked for."""
        at = self.look(states).float().flatten(1).softmax(-1)  # (B, places parts^2)
        shares = columns.float().square().unflatten(-1, (-1, len(NAMES))).flatten(1, 2)
        seen = (at.unsqueeze(1) @ shares).squeeze(1)  # (B, 11)
        evidence = (seen + 0.03).log()
        evidence = evidence - evidence.mean(-1, keepdim=True)
        return self.heed(pooled).float().sigmoid() * evidence @ self.names.float()


class Predictor(nn.Module):
    """Bidirectional transformer over `[visual tokens ; query tokens]`.

    With `colour_parts`, the visual tokens' last columns are named colours, which a `ColourReader` reads directly.
    """

    def __init__(
        self, config: PredictorConfig, visual_dim: int, tokens_per_step: int, embed_dim: int, colour_parts: int = 0
    ) -> None:
        super().__init__()
        self.config = config
        llama = LlamaModel(llama_config(config))
        self.embed_tokens, self.layers, self.norm = llama.embed_tokens, llama.layers, llama.norm
        self.rotary_emb = llama.rotary_emb
        self.vis_proj = nn.Linear(visual_dim, config.hidden)
        self.out_proj = nn.Linear(config.hidden, embed_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.colours = ColourReader(config.hidden, embed_dim, colour_parts) if colour_parts else None
        self.recompute = False  # gradient checkpointing: a third more time for a fraction of the memory
        if config.learned_positions:
            self.place = nn.Parameter(torch.randn(tokens_per_step, config.hidden) * 0.02)
            self.time = nn.Parameter(torch.randn(config.window_frames, config.hidden) * 0.02)

    def forward(
        self,
        visual_tokens: Float[Tensor, "batch time tokens dim"],
        query_tokens: Int[Tensor, "batch query"] | None = None,
        query_mask: Bool[Tensor, "batch query"] | None = None,
    ) -> Float[Tensor, "batch embed"]:
        """Predicted embeddings, not normalised. `query_mask` is true on real tokens; pads stand on the right.

        AssertionError if there are more steps than `window_frames`.
        """
        x, seen = self._visual(visual_tokens)
        places = x.shape[1]
        mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        if query_tokens is not None:
            assert query_mask is not None, "query tokens come with their mask"
            x = torch.cat([x, self.embed_tokens(query_tokens).to(x.dtype)], dim=1)
            mask = torch.cat([mask, query_mask], dim=1)
        x = self._blocks(x, mask)
        if self.config.pool == "max":
            return self.out_proj(self.dropout(x.masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(1)))
        weights = mask.unsqueeze(-1).to(x.dtype)
        pooled = self.dropout((x * weights).sum(1) / weights.sum(1))
        predicted = self.out_proj(pooled)
        if self.colours is None:
            return predicted
        return predicted + self.colours(x[:, :places], pooled, seen[..., -self.colours.columns :]).to(predicted.dtype)

    def _visual(self, visual_tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The blocks' input, and the visual tokens that it is made of."""
        steps = visual_tokens.shape[1]
        assert steps <= self.config.window_frames, f"a window holds {self.config.window_frames} steps, got {steps}"
        x = self.vis_proj(visual_tokens)  # (B, T, P, H)
        if self.config.learned_positions:
            # the last step is always "now", however short the window
            x = x + self.place + self.time[-steps:, None]
        x, seen = x.flatten(1, 2), visual_tokens.flatten(1, 2)  # (B, T P, H), (B, T P, D)
        if self.training and self.config.drop_tokens:  # the same places for the whole batch: no ragged rows
            kept = round(x.shape[1] * (1 - self.config.drop_tokens))
            places = torch.randperm(x.shape[1], device=x.device)[:kept].sort().values
            x, seen = x[:, places], seen[:, places]
        return self.dropout(x), seen

    def _blocks(self, x: Tensor, mask: Tensor) -> Tensor:
        # float mask, 0 where attended: with it LlamaModel's layers are bidirectional
        bias = torch.zeros(mask.shape, dtype=x.dtype, device=x.device).masked_fill(~mask, torch.finfo(x.dtype).min)
        bias = bias[:, None, None, :].expand(-1, 1, x.shape[1], -1)
        positions = torch.arange(x.shape[1], device=x.device)[None]
        rope = self.rotary_emb(x, positions)
        for layer in self.layers:
            inputs = {"attention_mask": bias, "position_ids": positions, "position_embeddings": rope}
            if self.recompute and self.training:
                after = checkpoint(layer, x, use_reentrant=False, **inputs)
            else:
                after = layer(x, **inputs)
            x = x + self.dropout(after - x) if self.training else after
        return self.norm(x)


def llama_config(config: PredictorConfig) -> LlamaConfig:
    """The predictor's blocks as transformers describes them."""
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": config.rope_theta}
    if config.rope_scaling == "llama3":
        rope |= {"rope_type": "llama3", **LLAMA3_ROPE}
    return LlamaConfig(
        vocab_size=config.vocabulary, hidden_size=config.hidden, intermediate_size=config.mlp,
        num_hidden_layers=config.layers, num_attention_heads=config.heads,
        num_key_value_heads=config.key_value_heads, rope_parameters=rope, rms_norm_eps=config.norm_epsilon,
        max_position_embeddings=131072 if config.rope_scaling == "llama3" else 2048,
        attn_implementation=attention(config.hidden), pad_token_id=None, use_cache=False)
