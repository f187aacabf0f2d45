"""Selective decoding: cut an embedding stream into segments, so text is decoded once per segment.

Ward clustering in which only temporal neighbours may merge (VL-JEPA, arXiv:2512.10942, section 4.6). On a
chain each merge removes one boundary, so the removal order *is* the tree: build it once, cut it at will.
"""

import math
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

# The auto cut, chosen on the sample films, films composed of validation photos and one camera session (docs/log.md)
NEGLIGIBLE_VARIANCE = 0.02  # squared distance to the mean, of unit vectors: what noise and re-encoding alone cause
PENALTY = 0.9  # nats a boundary must explain, per log(steps)
HILL = 0.5  # penalties by which the criterion may rise before merging stops
JUMP, JUMP_S = 0.55, 1.0  # a change is no drift if the means of so many seconds before and after it are so far apart,
APART = 0.7  # or those of its two segments
ROUNDING = 1e-6  # relative
WINDOW_STEPS = 4  # neighbouring embeddings share frames, so only every fourth step is independent


@dataclass(frozen=True)
class Segment:
    """Steps `[start, stop)` of a stream and the mean of their embeddings, the vector to decode."""

    start: int
    stop: int
    embedding: Float[np.ndarray, " dim"]

    @property
    def midpoint(self) -> int:
        """The step in the middle, the later one of two: 1 for [0, 3), 3 for [2, 4)."""
        return (self.start + self.stop) // 2


@dataclass(frozen=True)
class WardTree:
    """All nested segmentations of one stream, from a segment per step down to a single segment.

    `boundaries[k]` is the k-th boundary to vanish (b stands between steps b-1 and b) and `costs[k]`
    what that adds to the within-segment sum of squares, in squared embedding units.
    """

    embeddings: Float[np.ndarray, "time dim"]
    boundaries: Int[np.ndarray, " merges"]
    costs: Float[np.ndarray, " merges"]

    def cut(self, n_segments: int) -> list[Segment]:
        """`n_segments` segments in temporal order; ValueError unless 1 <= n_segments <= time."""
        time = len(self.embeddings)
        if not 1 <= n_segments <= time:
            raise ValueError(f"n_segments must be 1 to {time} for this stream, got {n_segments}")
        return segments_between(self.embeddings, [0, *sorted(self.boundaries[time - n_segments :].tolist()), time])

    def cut_by_variance(self, max_variance: float) -> list[Segment]:
        """Fewest segments in the tree whose within-segment variance is at most `max_variance`."""
        variance = np.cumsum(self.costs) / len(self.embeddings)  # monotone; the costs may reverse
        # all of the variance is enough for one segment, though its sum in another order may be a rounding above it
        n_merges = int(np.searchsorted(variance, max_variance * (1 + ROUNDING), side="right"))
        return self.cut(len(self.embeddings) - n_merges)

    def cut_by_interval(self, mean_seconds: float, rate_hz: float) -> list[Segment]:
        """Segments of `mean_seconds` on average: ten for 30 s at 3 s; one where the stream is shorter.

        ValueError unless `mean_seconds` is at least one step of the stream, 1 / `rate_hz` seconds.
        """
        if not mean_seconds * rate_hz >= 1.0:
            raise ValueError(f"mean_seconds must be at least one step, {1 / rate_hz:g} s, got {mean_seconds}")
        return self.cut(max(round(len(self.embeddings) / (mean_seconds * rate_hz)), 1))

    def cut_auto(self, rate_hz: float) -> list[Segment]:
        """As many segments as the stream itself supports: one while nothing changes but noise.

        Minimises M log(v(k) + v0) + PENALTY k log(time) over the tree's cuts into k segments, with v the variance
        within segments: the Bayesian information criterion for a mean that jumps. Being a logarithm it asks how
        much of the *remaining* variance a boundary explains, which suits a clip and a film alike; the constant v0
        makes change too small to matter explain nothing. M counts independent observations, at most one a second.
        What a camera's slow move over one scene explains is then taken back: see `_jumps`.
        """
        time = len(self.embeddings)
        observations = min(time / WINDOW_STEPS, time / rate_hz)
        within = np.concatenate([[0.0], np.cumsum(self.costs)]) / time  # v after 0, 1, ... merges
        segments = time - np.arange(time)
        penalty = PENALTY * math.log(time)
        criterion = observations * np.log(within + NEGLIGIBLE_VARIANCE) + penalty * segments
        # A film of many scenes has a second minimum, where they all count as noise about one mean: merging stops
        # at the first rise that is more than a ripple.
        hills = np.flatnonzero(criterion > np.minimum.accumulate(criterion) + HILL * penalty)
        criterion = criterion[: hills[0]] if len(hills) else criterion
        best = len(criterion) - 1 - int(criterion[::-1].argmin())  # of equals, the fewest segments
        edges = [0, *sorted(self.boundaries[best:].tolist()), time]
        return segments_between(self.embeddings, _jumps(self.embeddings, edges, rate_hz))

    @property
    def variance(self) -> float:
        """The stream's variance: mean squared distance to its mean."""
        return float(self.costs.sum()) / len(self.embeddings)

    def boundary_strength(self) -> Float[np.ndarray, " time"]:
        """How firmly a boundary stands before each step: the square root of the cost at which it vanishes.

        In embedding units, 0 for the first step. A boundary that outlives another is never weaker.
        """
        strength = np.zeros(len(self.embeddings))
        strength[self.boundaries] = np.sqrt(np.maximum.accumulate(self.costs))
        return strength


def ward_tree(embeddings: Float[np.ndarray, "time dim"]) -> WardTree:
    """Merge the cheapest adjacent pair until one segment is left; of equal costs, the earliest.

    O(time * (dim + log(time))). ValueError on an empty stream, or a NaN or infinity in it.
    """
    if embeddings.ndim != 2 or len(embeddings) == 0:
        raise ValueError(f"embeddings must be (time >= 1, dim), got shape {embeddings.shape}")
    time, finite = len(embeddings), np.isfinite(embeddings).all(axis=1)
    if not finite.all():
        raise ValueError(f"embedding at step {np.argmin(finite)} of {time} is not finite")
    chain = _Chain(list(embeddings.astype(np.float64)), [1] * time)
    heap = [(cost, boundary) for boundary, cost in enumerate(chain.costs) if boundary]
    heapify(heap)
    boundaries, costs = [], []
    while heap:
        cost, boundary = heappop(heap)
        if cost == chain.costs[boundary]:  # else an entry from before a neighbour grew
            boundaries.append(boundary)
            costs.append(cost)
            for changed in chain.remove(boundary):
                heappush(heap, (chain.costs[changed], changed))
    return WardTree(embeddings, np.array(boundaries, dtype=int), np.array(costs, dtype=float))


class _Chain:
    """Segments in a row, each known by its place at first; `costs[k]` is the Ward cost of the boundary before k.

    Python lists and one row at a time: a merge is too small a piece of work to pay for whole-array calls.
    """

    def __init__(self, means: list[Float[np.ndarray, " dim"]], sizes: list[int]) -> None:
        self.means, self.sizes = means, sizes
        self.before = list(range(-1, len(means) - 1))
        self.after = list(range(1, len(means) + 1))
        self.costs = [math.inf] + [self._cost(k) for k in range(1, len(means))]  # infinite: no boundary there

    def remove(self, boundary: int) -> list[int]:
        """Merge the segment at `boundary` into the one before; returns the boundaries whose cost changed."""
        left, following = self.before[boundary], self.after[boundary]
        size = self.sizes[left] + self.sizes[boundary]
        # this form leaves the mean of equal vectors exactly equal, so a still image costs exactly nothing
        self.means[left] = self.means[left] + (self.means[boundary] - self.means[left]) * (self.sizes[boundary] / size)
        self.sizes[left], self.after[left] = size, following
        self.sizes[boundary], self.costs[boundary] = 0, math.inf
        if following < len(self.means):
            self.before[following] = left
        changed = [k for k in (left, following) if 0 < k < len(self.means)]
        for k in changed:
            self.costs[k] = self._cost(k)
        return changed

    def _cost(self, boundary: int) -> float:
        """n m / (n + m) |mean_n - mean_m|^2 of the segments on its two sides."""
        left = self.before[boundary]
        gap = self.means[boundary] - self.means[left]
        n, m = self.sizes[left], self.sizes[boundary]
        return n * m / (n + m) * float(gap.dot(gap))


def _jumps(embeddings: Float[np.ndarray, "time dim"], edges: list[int], rate_hz: float) -> list[int]:
    """`edges` without those at which the meaning drifts: neither does it jump there, nor lie the two sides far apart.

    The faintest goes first, for it makes its neighbours' sides longer.
    """
    sums = list(np.add.reduceat(embeddings, edges[:-1], axis=0, dtype=np.float64))  # of each segment
    near = max(1, round(JUMP_S * rate_hz))

    def firmness(k: int) -> float:
        start, at, stop = edges[k : k + 3]
        before, after = embeddings[max(start, at - near) : at], embeddings[at : min(stop, at + near)]
        jump = np.linalg.norm(after.mean(0) - before.mean(0))
        apart = np.linalg.norm(sums[k + 1] / (stop - at) - sums[k] / (at - start))
        return float(max(jump / JUMP, apart / APART))

    firm = [firmness(k) for k in range(len(edges) - 2)]
    while firm and min(firm) < 1.0:
        faintest = firm.index(min(firm))
        del firm[faintest], edges[faintest + 1]
        sums[faintest] = sums[faintest] + sums.pop(faintest + 1)
        for k in range(max(0, faintest - 1), min(faintest + 1, len(firm))):
            firm[k] = firmness(k)
    return edges


def segments_between(embeddings: Float[np.ndarray, "time dim"], edges: list[int]) -> list[Segment]:
    """The segments between consecutive `edges`, which start at 0, ascend strictly and end at `time`."""
    means = np.add.reduceat(embeddings, edges[:-1], axis=0, dtype=np.float64) / np.diff(edges)[:, None]
    return [Segment(a, b, mean) for (a, b), mean in zip(pairwise(edges), means.astype(embeddings.dtype), strict=True)]


def smooth(embeddings: Float[np.ndarray, "time dim"], seconds: float, rate_hz: float) -> Float[np.ndarray, "time dim"]:
    """Moving average over the steps within +- `seconds` / 2 of each; unchanged below two steps' time.

    The window is centred, and near an end shrinks on both sides alike, so nothing shifts in time.
    """
    if not 0.0 <= seconds < math.inf:
        raise ValueError(f"the smoothing window must be 0 s or more, got {seconds}")
    time = len(embeddings)
    steps = np.arange(time)
    radius = np.minimum(int(min(seconds * rate_hz / 2, time) + 1e-9), np.minimum(steps, time - 1 - steps))
    if not radius.any():
        return embeddings
    offset = embeddings[:1]  # sums of small numbers round less, and a still image stays exactly still
    # summed up with time along memory: numpy takes four times as long across it
    sums = np.concatenate([np.zeros_like(offset, dtype=np.float64), embeddings - offset]).T.copy().cumsum(axis=1).T
    means = (sums[steps + radius + 1] - sums[steps - radius]) / (2 * radius + 1)[:, None]
    return (means + offset).astype(embeddings.dtype)


def merge_short(segments: list[Segment], min_steps: int) -> list[Segment]:
    """Merge the shortest segment into the neighbour it resembles more (Ward cost) until all have `min_steps`.

    Of equally short ones the earliest goes first. A stream shorter than `min_steps` becomes one segment.
    """
    sizes = [segment.stop - segment.start for segment in segments]
    chain = _Chain([segment.embedding.astype(np.float64) for segment in segments], sizes)
    short = [(size, k) for k, size in enumerate(sizes) if size < min_steps]
    heapify(short)
    n_segments = len(segments)
    while short and n_segments > 1:
        size, k = heappop(short)
        if size != chain.sizes[k]:  # merged meanwhile
            continue
        following = chain.after[k]
        boundary = k if following == len(segments) or chain.costs[k] <= chain.costs[following] else following
        grown = chain.before[boundary]
        chain.remove(boundary)
        n_segments -= 1
        if chain.sizes[grown] < min_steps:
            heappush(short, (chain.sizes[grown], grown))
    standing = [k for k, size in enumerate(chain.sizes) if size]
    return [Segment(segments[k].start, segments[k].start + chain.sizes[k],
                    chain.means[k].astype(segments[k].embedding.dtype)) for k in standing]
