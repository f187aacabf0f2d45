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

from vljepa.colour_names import NAMES, column_count
from vljepa.config import PredictorConfig, attention

# Llama 3.2's stretching of its rotary positions
LLAMA3_ROPE = {"factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 8192}
LOOK = 64  # dimensions that a question and what it asks for are compared in


def build_predictor(
    config: PredictorConfig, visual_dim: int, tokens_per_step: int, embed_dim: int, colour_parts: int = 0,
    part_widths: tuple[int, int] = (0, 0),
) -> "Predictor | MeanPredictor":
    """The predictor that `config` describes, with random weights. ValueError if sizes do not fit."""
    if config.architecture == "llama":
        return Predictor(config, visual_dim, tokens_per_step, embed_dim, colour_parts, part_widths)
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

    A pointer (Vinyals et al., arXiv:1506.03134): the question, in its words and as the blocks understood it, is
    compared with the features of each part, but what is read there are the named shares themselves
    (`vljepa.colour_names`). A red thing painted blue becomes "blue", with nothing to be learned anew.
    """

    word_mean: Tensor
    word_std: Tensor

    def __init__(self, hidden: int, embed_dim: int, parts: int, widths: tuple[int, int], dropout: float) -> None:
        super().__init__()
        self.parts, self.columns = parts, column_count(parts, widths)
        self._split = ((parts // 2) ** 2 * widths[0], parts**2 * widths[1], parts**2 * len(NAMES))
        self.ask = nn.Linear(2 * hidden, LOOK)
        self.deep = nn.Linear(LOOK, widths[0], bias=False)
        self.fine = nn.Linear(LOOK, widths[1], bias=False)
        self.heed = nn.Linear(hidden, 1)
        self.names = nn.Parameter(torch.randn(len(NAMES), embed_dim) * 0.02)
        self.dropout = nn.Dropout(dropout)
        # questions differ in the one word that names the thing: without these it would hardly count in their mean
        self.register_buffer("word_mean", torch.zeros(hidden))
        self.register_buffer("word_std", torch.ones(hidden))
        nn.init.zeros_(self.heed.weight)
        nn.init.constant_(self.heed.bias, -2.0)  # little is said until it is known when

    def forward(
        self, pooled: Float[Tensor, "batch hidden"], words: Float[Tensor, "batch hidden"],
        columns: Float[Tensor, "batch places columns"],
    ) -> Float[Tensor, "batch embed"]:
        """What to add to the prediction: the names' vectors, each by the evidence for it, as far as it is asked for."""
        return self.heed(pooled).float().sigmoid() * self.said(pooled, words, columns)

    def said(
        self, pooled: Float[Tensor, "batch hidden"], words: Float[Tensor, "batch hidden"],
        columns: Float[Tensor, "batch places columns"],
    ) -> Float[Tensor, "batch embed"]:
        """The names' vectors by the evidence for each, as if a colour were asked for."""
        deep, fine, shares = columns.split(self._split, dim=-1)
        words = ((words - self.word_mean) / self.word_std).to(pooled.dtype)
        question = self.ask(self.dropout(torch.cat([pooled, words], dim=-1)))
        at = self._near(fine, self.fine(question), self.parts) + self._near(deep, self.deep(question), self.parts // 2)
        at = (at / LOOK**0.5).flatten(1).softmax(-1)  # (B, places parts^2)
        shares = shares.float().square().unflatten(-1, (-1, len(NAMES))).flatten(1, 2)
        evidence = ((at.unsqueeze(1) @ shares).squeeze(1) + 0.02).log()  # (B, 11)
        evidence = evidence - evidence.mean(-1, keepdim=True)
        return evidence @ self.names.float()

    def _near(self, features: Tensor, question: Tensor, side: int) -> Float[Tensor, "batch places parts"]:
        """How near the features of each part are to the question; `side` x `side` of them spread over all parts."""
        features = self.dropout(features.unflatten(-1, (side**2, -1)))
        near = (features.flatten(1, 2) @ question.unsqueeze(-1)).float().unflatten(1, (-1, side, side)).squeeze(-1)
        times = self.parts // side
        return near.repeat_interleave(times, 2).repeat_interleave(times, 3).flatten(2)


class Predictor(nn.Module):
    """Bidirectional transformer over `[visual tokens ; query tokens]`.

    With `colour_parts`, the visual tokens' last columns are for the `ColourReader` alone: what their parts show, as
    features of `part_widths`, and under which colour names.
    """

    def __init__(
        self, config: PredictorConfig, visual_dim: int, tokens_per_step: int, embed_dim: int, colour_parts: int = 0,
        part_widths: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.config = config
        llama = LlamaModel(llama_config(config))
        self.embed_tokens, self.layers, self.norm = llama.embed_tokens, llama.layers, llama.norm
        self.rotary_emb = llama.rotary_emb
        self.out_proj = nn.Linear(config.hidden, embed_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.colours = None
        if colour_parts:
            self.colours = ColourReader(config.hidden, embed_dim, colour_parts, part_widths, config.dropout)
        self.vis_proj = nn.Linear(visual_dim - (self.colours.columns if self.colours else 0), config.hidden)
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
        understood = self.understood(visual_tokens, query_tokens, query_mask)
        predicted = self.out_proj(understood[0])
        return predicted if self.colours is None else predicted + self.colours(*understood).to(predicted.dtype)

    def understood(
        self, visual_tokens: Float[Tensor, "batch time tokens dim"], query_tokens: Int[Tensor, "batch query"] | None,
        query_mask: Bool[Tensor, "batch query"] | None,
    ) -> tuple[Float[Tensor, "batch hidden"], Float[Tensor, "batch hidden"], Float[Tensor, "batch places columns"]]:
        """What the blocks made of all that was seen and asked, pooled; the query's mean word; and the columns that
        the blocks did not see."""
        x, columns = self._visual(visual_tokens)
        mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        words = torch.zeros_like(x[:, 0])
        if query_tokens is not None:
            assert query_mask is not None, "query tokens come with their mask"
            query = self.embed_tokens(query_tokens).to(x.dtype)
            words = (query * query_mask.unsqueeze(-1)).sum(1) / query_mask.sum(1, keepdim=True)
            x = torch.cat([x, query], dim=1)
            mask = torch.cat([mask, query_mask], dim=1)
        return self.dropout(self._pooled(self._blocks(x, mask), mask.unsqueeze(-1))), words, columns

    def _pooled(self, x: Tensor, mask: Tensor) -> Tensor:
        if self.config.pool == "max":
            return x.masked_fill(~mask, -torch.inf).amax(1)
        weights = mask.to(x.dtype)
        return (x * weights).sum(1) / weights.sum(1)

    def _visual(self, visual_tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The blocks' input, and the columns of the same tokens that are the colour reader's."""
        steps = visual_tokens.shape[1]
        assert steps <= self.config.window_frames, f"a window holds {self.config.window_frames} steps, got {steps}"
        seen = visual_tokens.split((self.vis_proj.in_features, visual_tokens.shape[-1] - self.vis_proj.in_features), -1)
        x, columns = self.vis_proj(seen[0]), seen[1].flatten(1, 2)  # (B, T, P, H), (B, T P, columns)
        if self.config.learned_positions:
            # the last step is always "now", however short the window
            x = x + self.place + self.time[-steps:, None]
        x = x.flatten(1, 2)  # (B, T P, H)
        if self.training and self.config.drop_tokens:  # the same places for the whole batch: no ragged rows
            kept = round(x.shape[1] * (1 - self.config.drop_tokens))
            places = torch.randperm(x.shape[1], device=x.device)[:kept].sort().values
            x, columns = x[:, places], columns[:, places]
        return self.dropout(x), columns

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
