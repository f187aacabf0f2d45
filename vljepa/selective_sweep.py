"""Selective against uniform decoding over decode rates: the paper's figure 4 (VL-JEPA, arXiv:2512.10942, section 4.6).

At each rate the stream is cut into N segments, by Ward clustering of neighbours or by the clock, and one sentence is
read in the middle of each, from that moment's embedding or, pooled, from the segment's mean. Every annotation is
matched to the sentence nearest in time, so a sweep needs only the sentences that are nearest to something.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from vljepa.analysis import end_s, spans
from vljepa.cider import Cider
from vljepa.metrics import caption_tokens
from vljepa.readout import Caption, normalise
from vljepa.segmentation import Segment, WardTree, segments_between
from vljepa.stream import Trajectory

METHODS = ("uniform", "selective", "uniform_pool", "selective_pool")
RATES_HZ = (2.0, 1.0, 0.7, 0.5, 0.35, 0.25, 0.2, 0.14, 0.1, 0.05, 0.02, 0.01)
Decode = Callable[[Float[np.ndarray, "n dim"]], Sequence[Caption]]


@dataclass(frozen=True)
class Decodes:
    """Where one film's sentences are read: `times_s`, ascending, and the embeddings, as `decode` takes them."""

    times_s: Float[np.ndarray, " decodes"]
    embeddings: Float[np.ndarray, "decodes dim"]

    def nearest(self, times_s: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """For each moment the number of the decode nearest in time, the earlier of two."""
        after = np.searchsorted(self.times_s, times_s).clip(1, max(len(self.times_s) - 1, 1))
        if len(self.times_s) == 1:
            return np.zeros(len(times_s), dtype=int)
        return after - (times_s - self.times_s[after - 1] <= self.times_s[after] - times_s)


def decodes_at(trajectory: Trajectory, tree: WardTree, rate_hz: float, method: str) -> Decodes:
    """Where `method`, one of `METHODS`, reads its sentences at `rate_hz` a second: one at least, one a step at most.

    `tree` is the stream's. ValueError for another method, or a rate that is not above 0.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if not rate_hz > 0:
        raise ValueError(f"rate_hz must be a number of decodes a second above 0, got {rate_hz}")
    steps = len(trajectory.embeddings)
    count = min(max(round(rate_hz * end_s(trajectory)), 1), steps)
    segments = tree.cut(count) if method.startswith("selective") else _equal_segments(trajectory, count)
    middles = np.array([(start + end) / 2 for start, end in spans(trajectory, segments)])
    pooled = method.endswith("_pool")
    chosen = np.stack([s.embedding if pooled else trajectory.embeddings[s.midpoint] for s in segments])
    return Decodes(middles, chosen.astype(np.float32))


def _equal_segments(trajectory: Trajectory, count: int) -> list[Segment]:
    steps = len(trajectory.embeddings)
    edges = [round(steps * k / count) for k in range(count + 1)]
    return segments_between(trajectory.embeddings, edges)


def coverage(trajectory: Trajectory, decodes: Decodes) -> float:
    """How well the decoded embeddings stand for the stream: mean cosine of each step to the decode nearest in time.

    1 if every step is decoded. It needs no sentence and no annotation, and says nothing of whether sentences are right.
    """
    middles = (np.arange(len(trajectory.embeddings)) + 0.5) / trajectory.rate_hz  # step 4 at 4 Hz is 1 to 1.25 s
    nearest = decodes.nearest(middles - trajectory.lag_s)
    return float((normalise(trajectory.embeddings) * normalise(decodes.embeddings)[nearest]).sum(axis=1).mean())


class Reader:
    """Reads sentences, each embedding once; `decode` is a model's, `at_once` bounds its memory."""

    def __init__(self, decode: Decode, at_once: int = 24) -> None:
        self._decode, self._at_once = decode, at_once
        self._known: dict[bytes, str] = {}

    def missing(self, embeddings: Sequence[Float[np.ndarray, " dim"]]) -> list[Float[np.ndarray, " dim"]]:
        """The different ones that were not read yet."""
        return list({e.tobytes(): e for e in embeddings if e.tobytes() not in self._known}.values())

    def read(
        self, embeddings: Sequence[Float[np.ndarray, " dim"]], progress: Callable[[int, int], None] | None = None
    ) -> list[str]:
        """A sentence for each; `progress` is told how many of how many are read, and what it raises cancels."""
        missing = self.missing(embeddings)
        for start in range(0, len(missing), self._at_once):
            if progress is not None:
                progress(start, len(missing))
            chunk = missing[start : start + self._at_once]
            read = self._decode(np.stack(chunk))
            self._known |= {e.tobytes(): caption.text for e, caption in zip(chunk, read, strict=True)}
        return [self._known[e.tobytes()] for e in embeddings]


@dataclass(frozen=True)
class AnnotatedStream:
    """A film's stream and tree, the moments of its annotations and the sentences that people wrote for each."""

    trajectory: Trajectory
    tree: WardTree
    times_s: Float[np.ndarray, " annotations"]
    references: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Sweep:
    """`scores[method]` holds CIDEr for each rate and annotation, the films one after the other.

    `decodes` counts sentences over all films; `film_of` tells each annotation's film.
    """

    rates_hz: tuple[float, ...]
    scores: dict[str, Float[np.ndarray, "rates annotations"]]
    decodes: dict[str, Int[np.ndarray, " rates"]]
    film_of: Int[np.ndarray, " annotations"]


def sweep(
    films: Sequence[AnnotatedStream], decode: Decode, rates_hz: Sequence[float] = RATES_HZ,
    documents: Sequence[Sequence[str]] = (), progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """CIDEr of the sentence nearest to each annotation, for all methods and rates.

    Word rarity is counted over the annotations of all films, and over `documents`.
    """
    points = [(method, rate) for method in METHODS for rate in rates_hz]
    plans = {(method, rate): [decodes_at(f.trajectory, f.tree, rate, method) for f in films] for method, rate in points}
    wanted = [plan.embeddings[k] for point in points
              for film, plan in zip(films, plans[point], strict=True) for k in plan.nearest(film.times_s)]
    read = Reader(decode).read(wanted, progress)
    true = [[caption_tokens(text) for text in of_one] for film in films for of_one in film.references]
    rarity = Cider([*true, *([caption_tokens(text) for text in document] for document in documents)])
    each = [rarity.score(caption_tokens(text), true[k % len(true)]) for k, text in enumerate(read)]
    scores = np.reshape(each, (len(METHODS), len(rates_hz), len(true)))
    decodes = {m: np.array([sum(len(p.times_s) for p in plans[m, rate]) for rate in rates_hz]) for m in METHODS}
    return Sweep(tuple(rates_hz), dict(zip(METHODS, scores, strict=True)), decodes,
                 np.repeat(np.arange(len(films)), [len(film.times_s) for film in films]))
