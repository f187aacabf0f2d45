"""Read-outs: two ways to turn an embedding into a sentence, the Y-Decoder and the caption bank.

The decoder writes a sentence of its own; the bank can only pick one of its stored sentences. A prediction is no text's
embedding, so before the decoder reads it, it is replaced by a mean of the bank's embeddings, weighted by nearness:
DeCap's projection (Li et al., arXiv:2303.03032).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors.numpy import load_file, save_file

READOUTS = ("decoder", "bank")
PROJECTION_TEMPERATURE = 0.04  # of the softmax over cosines; chosen on validation photos (docs/log.md)


@dataclass(frozen=True)
class Caption:
    """A sentence read from an embedding, by which read-out, and the cosine between the two embeddings."""

    text: str
    readout: str
    similarity: float


@dataclass(frozen=True)
class CaptionBank:
    """Our own sentences with their embeddings, unit length."""

    texts: list[str]
    embeddings: Float[np.ndarray, "sentences dim"]

    def nearest(self, embeddings: Float[np.ndarray, "batch dim"]) -> list[Caption]:
        """For each unit embedding, the stored sentence with the highest cosine."""
        similarity = _product(embeddings, self.embeddings.T)
        best = similarity.argmax(axis=1)
        return [Caption(self.texts[b], "bank", float(similarity[i, b])) for i, b in enumerate(best)]

    def project(self, embeddings: Float[np.ndarray, "batch dim"]) -> Float[np.ndarray, "batch dim"]:
        """Each unit embedding as the nearness-weighted mean of the bank's, at unit length."""
        nearness = _product(embeddings, self.embeddings.T) / PROJECTION_TEMPERATURE
        weights = np.exp(nearness - nearness.max(axis=1, keepdims=True))
        return normalise(_product(weights, self.embeddings))

    def save(self, folder: Path) -> None:
        """Write `bank.txt`, one sentence a line, and `bank.safetensors`."""
        (folder / "bank.txt").write_text("\n".join(self.texts) + "\n", encoding="utf-8")
        save_file({"embeddings": self.embeddings.astype(np.float16)}, folder / "bank.safetensors")

    @classmethod
    def load(cls, folder: Path) -> "CaptionBank":
        """Read what `save` wrote; ValueError if the two files do not fit each other."""
        texts = (folder / "bank.txt").read_text(encoding="utf-8").splitlines()
        embeddings = load_file(folder / "bank.safetensors")["embeddings"].astype(np.float32)
        if len(texts) != len(embeddings):
            raise ValueError(f"bank.txt has {len(texts)} sentences but bank.safetensors {len(embeddings)} embeddings")
        return cls(texts, normalise(embeddings))


def _product(
    a: Float[np.ndarray, "rows inner"], b: Float[np.ndarray, "inner columns"]
) -> Float[np.ndarray, "rows columns"]:
    """`a @ b` by torch: numpy's threads would wait busily on the cores that the decoder is about to work on."""
    return (torch.from_numpy(a) @ torch.from_numpy(b)).numpy()


def normalise(vectors: Float[np.ndarray, "batch dim"]) -> Float[np.ndarray, "batch dim"]:
    """Rows at unit length, float32; a zero row stays zero."""
    vectors = np.asarray(vectors, dtype=np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def check_readout(readout: str, available: Sequence[str]) -> None:
    """ValueError unless `readout` is one that this checkpoint has."""
    if readout not in available:
        raise ValueError(f"readout must be one of {', '.join(available)} for this checkpoint, got {readout!r}")
