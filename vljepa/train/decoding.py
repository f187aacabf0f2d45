"""Training the Y-Decoder, on text alone: embedding -> its own sentence, with noise (arXiv:2512.10942, section 3.1).

A predicted embedding is no sentence's exact embedding: it is near the mean of the captions a photo could have. So the
decoder is given means of a photo's captions where there are several, and noise of a random size. Noise on text
embeddings bridging to images is CapDec's idea (Nukrai et al., arXiv:2211.00575).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional as F

from vljepa.model import VLJEPA
from vljepa.text import TextTokenizer, pad
from vljepa.train.loop import Arm
from vljepa.y_decoder import END, START

NOISE = 0.9  # the largest noise, as a length; predictions lie at cosines of 0.4 to 0.8 from their captions


def train_tokenizer(sentences: list[str], vocabulary: int) -> TextTokenizer:
    """A WordPiece vocabulary of the sentences' own words; ids 0, 1, 2 are pad, start and end."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary, special_tokens=["[PAD]", "[START]", "[END]", "[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(sentences, trainer)
    return TextTokenizer(tokenizer, None)


class DecoderArm(Arm):
    """The Y-Decoder, trained on groups of sentences and the embeddings that the finished Y-Encoder gives them."""

    def __init__(
        self, model: VLJEPA, groups: list[list[str]], batch_size: int, seed: int,
        validation: Callable[[], dict[str, float]], embeddings: Float[np.ndarray, "sentences dim"],
    ) -> None:
        super().__init__(validation)
        assert model.y_decoder is not None and model.decoder_tokenizer is not None
        self.y_decoder = model.y_decoder.requires_grad_(True)
        self._device, self._batch_size, self._seed = model.device, batch_size, seed
        sentences = [s for group in groups for s in group]
        limit = model.y_decoder.config.max_tokens - 2
        self._ids = [[START, *ids[:limit], END] for ids in model.decoder_tokenizer.ids(sentences)]
        sizes = np.array([len(group) for group in groups])
        self._group_of = np.repeat(np.arange(len(groups)), sizes)
        self._embeddings = torch.from_numpy(embeddings)
        totals = np.add.reduceat(embeddings, np.concatenate([[0], sizes.cumsum()[:-1]]), axis=0)
        self._means = F.normalize(torch.from_numpy(totals), dim=-1)
        # photos with several captions teach what to say of a *prediction*: show them more often
        weight = np.where(sizes[self._group_of] > 1, 3.0, 1.0)
        self._share = np.cumsum(weight / weight.sum())

    def loss(self, step: int) -> tuple[Tensor, dict[str, Any]]:
        """Cross-entropy of sentences given noisy embeddings of themselves or of their group."""
        rng = np.random.default_rng([self._seed, step])
        chosen = np.minimum(np.searchsorted(self._share, rng.random(self._batch_size)), len(self._ids) - 1)
        chosen = chosen[np.argsort([len(self._ids[i]) for i in chosen])]
        tokens, _ = pad([self._ids[i] for i in chosen])
        embeddings = self._inputs(chosen, rng).to(self._device)
        halves = np.array_split(np.arange(len(chosen)), 4)  # like lengths together
        losses = [self._part(embeddings[h], tokens[h]) * (tokens[h][:, 1:] != 0).sum() for h in halves]
        return torch.stack(losses).sum() / (tokens[:, 1:] != 0).sum(), {}

    def _part(self, embeddings: Tensor, tokens: Tensor) -> Tensor:
        longest = int((tokens != 0).sum(1).max())
        return self.y_decoder.loss(embeddings, tokens[:, :longest].to(self._device))

    def _inputs(self, chosen: np.ndarray, rng: np.random.Generator) -> Tensor:
        own, mean = self._embeddings[chosen], self._means[self._group_of[chosen]]
        use_mean = torch.from_numpy(rng.random((len(chosen), 1)) < 0.7)
        clean = torch.where(use_mean, mean, own)
        size = rng.random((len(chosen), 1)) * NOISE / np.sqrt(own.shape[1])
        noise = rng.standard_normal(own.shape) * size
        return F.normalize(clean + torch.from_numpy(noise.astype(np.float32)), dim=-1)
