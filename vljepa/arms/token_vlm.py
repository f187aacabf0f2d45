"""The token arm: a causal transformer that sees visual tokens and a question and writes the answer word by word.

It reads the same frozen encoder as VL-JEPA and has twice its trainable size, as in the paper's comparison.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from vljepa.config import attention
from vljepa.text import TextTokenizer, pad
from vljepa.train.batches import Batch, Mixture
from vljepa.train.loop import Arm
from vljepa.y_decoder import END, START


@dataclass(frozen=True)
class TokenVLMConfig:
    """Sizes. `places` and `steps` count the visual tokens of a whole clip."""

    visual_dim: int
    places: int
    steps: int
    vocabulary: int
    hidden: int = 96
    layers: int = 6
    heads: int = 4
    mlp: int = 224
    max_tokens: int = 24  # words that an answer may have


class TokenVLM(nn.Module):
    """Visual tokens, then the question, then the answer, each word given all before it."""

    def __init__(self, config: TokenVLMConfig, tokenizer: TextTokenizer) -> None:
        super().__init__()
        self.config, self.tokenizer = config, tokenizer
        self.model = LlamaForCausalLM(LlamaConfig(
            vocab_size=config.vocabulary, hidden_size=config.hidden, intermediate_size=config.mlp,
            num_hidden_layers=config.layers, num_attention_heads=config.heads, tie_word_embeddings=True,
            max_position_embeddings=512, attn_implementation=attention(config.hidden), pad_token_id=None,
            bos_token_id=None, eos_token_id=None))
        nn.init.normal_(self.model.model.embed_tokens.weight, std=0.1)
        self.vis_proj = nn.Linear(config.visual_dim, config.hidden)
        self.place = nn.Parameter(torch.randn(config.places, config.hidden) * 0.1)
        self.time = nn.Parameter(torch.randn(config.steps, config.hidden) * 0.1)

    def loss(
        self, visual_tokens: Float[Tensor, "batch time tokens dim"], queries: Sequence[str] | None,
        answers: Sequence[str],
    ) -> Float[Tensor, ""]:
        """Mean cross-entropy of the answers' words and their end, in nats a token."""
        logits, wanted, real = self._logits(visual_tokens, queries, answers)
        return F.cross_entropy(logits[real].float(), wanted[real])

    @torch.inference_mode()
    def log_likelihood(
        self, visual_tokens: Float[Tensor, "batch time tokens dim"], queries: Sequence[str] | None,
        answers: Sequence[str],
    ) -> Float[Tensor, " batch"]:
        """Mean log-probability a token of each answer, its end included."""
        logits, wanted, real = self._logits(visual_tokens, queries, answers)
        each = logits.float().log_softmax(-1).gather(-1, wanted[..., None])[..., 0]
        return (each * real).sum(1) / real.sum(1)

    @torch.inference_mode()
    def write(
        self, visual_tokens: Float[Tensor, "batch time tokens dim"], query: str | Sequence[str] | None = None
    ) -> list[str]:
        """The answers, the likeliest word at each place."""
        queries = [query] * len(visual_tokens) if isinstance(query, str) else query
        ids = torch.stack(list(self.steps(visual_tokens, queries)), dim=1).tolist()
        return [self.tokenizer.decode(row[: row.index(END)] if END in row else row) for row in ids]

    @torch.inference_mode()
    def steps(
        self, visual_tokens: Float[Tensor, "batch time tokens dim"], queries: Sequence[str] | None
    ) -> Iterator[Int[Tensor, " batch"]]:
        """One token for each row at a time, with the keys and values of what came before kept; ends when all did."""
        inputs, mask = self._prefix(visual_tokens, queries)
        cache, done = None, torch.zeros(len(inputs), dtype=torch.bool)
        positions = (mask.long().cumsum(1) - 1).clamp_min(0)
        for _ in range(self.config.max_tokens):
            out = self.model(inputs_embeds=inputs, attention_mask=mask.long(), position_ids=positions,
                             cache=cache, use_cache=True)
            token, cache = out.logits[:, -1].argmax(-1), out.cache
            token = torch.where(done, END, token)
            yield token
            done |= token == END
            if done.all():
                return
            inputs = self.model.model.embed_tokens(token[:, None])
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
            positions = positions[:, -1:] + 1

    def _logits(
        self, visual_tokens: Tensor, queries: Sequence[str] | None, answers: Sequence[str]
    ) -> tuple[Tensor, Tensor, Tensor]:
        prefix, mask = self._prefix(visual_tokens, queries)
        ids = [[*row[: self.config.max_tokens - 1], END] for row in self.tokenizer.ids(answers)]
        wanted, real = pad(ids)
        words = self.model.model.embed_tokens(wanted[:, :-1]).to(prefix.dtype)
        mask = torch.cat([mask, real[:, :-1]], dim=1)
        positions = (mask.long().cumsum(1) - 1).clamp_min(0)
        out = self.model(inputs_embeds=torch.cat([prefix, words], dim=1), attention_mask=mask.long(),
                         position_ids=positions, use_cache=False)
        return out.logits[:, prefix.shape[1] - 1 :], wanted, real

    def _prefix(self, visual_tokens: Tensor, queries: Sequence[str] | None) -> tuple[Tensor, Tensor]:
        """Visual tokens, the question padded on its left side, the mark that the answer begins."""
        x = self.vis_proj(visual_tokens) + self.place + self.time[-visual_tokens.shape[1] :, None]
        x = x.flatten(1, 2)
        asked = [[START]] * len(x) if queries is None else [[*row, START] for row in self.tokenizer.ids(queries)]
        longest = max(len(row) for row in asked)
        ids = torch.tensor([[0] * (longest - len(row)) + row for row in asked])
        real = torch.tensor([[False] * (longest - len(row)) + [True] * len(row) for row in asked])
        mask = torch.cat([torch.ones(x.shape[:2], dtype=torch.bool), real], dim=1)
        return torch.cat([x, self.model.model.embed_tokens(ids).to(x.dtype)], dim=1), mask


class TokenVLMArm(Arm):
    """The token VLM on the batches of a mixture: each clip's own text is what it must write."""

    def __init__(
        self, vlm: TokenVLM, mixture: Mixture, seed: int, validation: Callable[[], dict[str, float]]
    ) -> None:
        super().__init__(validation)
        self.vlm = vlm
        self._mixture, self._seed = mixture, seed

    def loss(self, step: int) -> tuple[Tensor, dict[str, Any]]:
        """Cross-entropy on the batch of `step`; logs its source."""
        name, make = self._mixture.at(self._seed, step)
        batch = make()
        return self.vlm.loss(batch.visual_tokens.float(), batch.queries, answers_of(batch, step)), {"source": name}


def answers_of(batch: Batch, step: int) -> list[str]:
    """One text for each clip; where a batch gives two, one of them at random."""
    rng = np.random.default_rng(step)
    return [batch.texts[int(rng.choice(owners))] for owners in batch.owners.tolist()]
