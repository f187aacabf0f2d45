"""Text to token ids: right padding and a mask, as every part of the model expects them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Int
from tokenizers import Tokenizer
from torch import Tensor

from visualizations.landmark_map import STOP_WORDS

UNKNOWN = "[UNK]"


class TextTokenizer:
    """A `tokenizer.json`; pads on the right, because left padding would shift positions.

    Texts longer than `max_tokens` are cut, the closing token kept; None cuts nothing.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int | None) -> None:
        self._tokenizer, self.max_tokens = tokenizer, max_tokens
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    @classmethod
    def from_file(cls, path: Path, max_tokens: int | None) -> "TextTokenizer":
        """Read a `tokenizer.json`; the tokenizers library raises if it is damaged."""
        return cls(Tokenizer.from_file(str(path)), max_tokens)

    def save(self, path: Path) -> None:
        """Write the `tokenizer.json` that `from_file` reads."""
        self._tokenizer.save(str(path))

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, not padded."""
        encoded = [e.ids for e in self._tokenizer.encode_batch(list(texts))]
        limit = self.max_tokens
        return [i if limit is None or len(i) <= limit else [*i[: limit - 1], i[-1]] for i in encoded]

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text before any cutting."""
        return [len(e.ids) for e in self._tokenizer.encode_batch(list(texts))]

    def unknown(self, texts: Sequence[str]) -> list[bool]:
        """Whether a text holds characters that the vocabulary lacks, such as most emoji, or has only as single letters.

        Those are of other scripts: "цвет" is read as ц, в, е and т, which is no word. Without an unknown token, never.
        """
        if self._tokenizer.token_to_id(UNKNOWN) is None:
            return [False] * len(texts)
        return [any(map(_unreadable, e.tokens)) for e in self._tokenizer.encode_batch(list(texts))]

    def __call__(self, texts: Sequence[str]) -> tuple[Int[Tensor, "batch text"], Bool[Tensor, "batch text"]]:
        """Ids and mask, padded to the longest."""
        return pad(self.ids(texts))

    def content(self) -> Bool[Tensor, " tokens"]:
        """Which tokens are words with a meaning of their own: no function word, no piece of a word, no sign."""
        pieces = (self._tokenizer.id_to_token(i) or "" for i in range(self._tokenizer.get_vocab_size()))
        return torch.tensor([len(piece) > 1 and piece.isalpha() and piece not in STOP_WORDS for piece in pieces])

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids, special tokens left out."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)


def _unreadable(token: str) -> bool:
    piece = token.removeprefix("##")
    return piece == UNKNOWN or (len(piece) == 1 and piece.isalpha() and not piece.isascii())


def pad(ids: Sequence[Sequence[int]]) -> tuple[Int[Tensor, "batch text"], Bool[Tensor, "batch text"]]:
    """Stack id lists of different lengths, padded with 0 on the right; the mask is true on real tokens."""
    longest = max((len(i) for i in ids), default=0)
    padded, mask = np.zeros((len(ids), longest), dtype=np.int64), np.zeros((len(ids), longest), dtype=bool)
    for row, i in enumerate(ids):
        padded[row, : len(i)], mask[row, : len(i)] = i, True
    return torch.from_numpy(padded), torch.from_numpy(mask)
