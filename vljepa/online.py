"""Online selective decoding: where does a stream change, told while it runs and never looking ahead (VL-JEPA,
arXiv:2512.10942, section 2: smooth the stream, decode when it moves inside a local window).

The paper names no window and no threshold. Here the *novelty* of a moment is the distance between the means of the last
`window_s` seconds and of the `window_s` before them. A change is found when the novelty passes a threshold; where it
was is then asked of the stored steps: the split of the last two windows into two parts that explains them best.
"""

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

STREAM_STEPS = 4096  # steps remembered at most, whatever their rate: bounds the memory of a runaway clock


@dataclass(frozen=True)
class OnlineSettings:
    """How a stream is cut while it runs; durations in seconds, novelty and thresholds in embedding units (0 to 2).

    `threshold` None lets the stream's own statistics decide: the median novelty of the last `memory_s` seconds plus
    `deviations` times its spread, but at least `floor`. After a boundary the novelty must fall below `hysteresis`
    times the threshold before another is found, and boundaries are at least `min_gap_s` apart. A segment's embedding
    leaves its first `settle_s` out: windows that still see the scene before.
    """

    smoothing_s: float = 0.5
    window_s: float = 1.0
    threshold: float | None = None
    deviations: float = 0.5
    floor: float = 0.45
    hysteresis: float = 0.7
    min_gap_s: float = 1.0
    memory_s: float = 60.0
    settle_s: float = 0.5

    def __post_init__(self) -> None:
        for name in ("smoothing_s", "min_gap_s", "settle_s", "deviations", "floor"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        for name in ("window_s", "memory_s"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be more than 0 seconds, got {getattr(self, name)}")
        if not 0.0 <= self.hysteresis <= 1.0:
            raise ValueError(f"hysteresis must be 0 to 1, got {self.hysteresis}")
        if self.threshold is not None and not 0.0 < self.threshold <= 2.0:
            raise ValueError(f"the threshold must be above 0 and at most 2, or None (automatic), got {self.threshold}")


@dataclass(frozen=True)
class OnlineStep:
    """One moment as the segmenter saw it.

    `boundary_s`, if this step found a change, is where the change was: at or before `time_s`.
    """

    time_s: float
    novelty: float
    threshold: float
    boundary_s: float | None


class OnlineSegmenter:
    """Feed it steps in order of time, at any rate, even an irregular one; it tells the changes as they are found."""

    def __init__(self, settings: OnlineSettings | None = None) -> None:
        self.settings = settings or OnlineSettings()
        self.start_s = 0.0  # of the current segment
        self._steps: deque[tuple[float, Float[np.ndarray, " dim"]]] = deque(maxlen=STREAM_STEPS)
        self._novelty: deque[tuple[float, float]] = deque(maxlen=STREAM_STEPS)
        self._armed = True
        self._sum: Float[np.ndarray, " dim"] | None = None
        self._count = 0
        self._started = False

    def set_threshold(self, threshold: float | None) -> None:
        """Hold the threshold, or None to let the stream decide again. ValueError unless above 0 and at most 2."""
        self.settings = replace(self.settings, threshold=threshold)

    @property
    def segment_embedding(self) -> Float[np.ndarray, " dim"]:
        """The unit mean of the current segment so far. ValueError before the first step."""
        if self._sum is None:
            raise ValueError("no step was pushed yet: there is no segment to take the mean of")
        return (self._sum / max(float(np.linalg.norm(self._sum)), 1e-12)).astype(np.float32)

    def push(self, time_s: float, embedding: Float[np.ndarray, " dim"]) -> OnlineStep:
        """Take the next step. ValueError unless time rises and the embedding is finite."""
        self._check(time_s, embedding)
        if not self._started:
            self._started, self.start_s = True, time_s
        self._steps.append((time_s, np.asarray(embedding, dtype=np.float64)))
        self._forget(time_s)
        novelty = self._novelty_now(time_s)
        threshold = self._threshold_now()
        self._novelty.append((time_s, novelty))
        boundary_s = self._boundary(novelty, threshold)
        self._add_to_segment(time_s, boundary_s is not None)
        return OnlineStep(time_s, novelty, threshold, boundary_s)

    def _check(self, time_s: float, embedding: Float[np.ndarray, " dim"]) -> None:
        if not math.isfinite(time_s) or (self._steps and time_s <= self._steps[-1][0]):
            last = self._steps[-1][0] if self._steps else None
            raise ValueError(f"steps must come in order of time, got {time_s} s after {last} s")
        if not np.isfinite(embedding).all():
            raise ValueError(f"the embedding of {time_s:g} s is not finite: leave such a step out")

    def _forget(self, time_s: float) -> None:
        kept_s = 2 * self.settings.window_s + self.settings.smoothing_s + self.settings.settle_s
        while self._steps[0][0] < time_s - kept_s:
            self._steps.popleft()
        while self._novelty and self._novelty[0][0] < time_s - self.settings.memory_s:
            self._novelty.popleft()

    def _novelty_now(self, time_s: float) -> float:
        """Distance between the means of the two windows; 0 while the earlier one is empty."""
        split_s, first_s = time_s - self.settings.window_s, time_s - 2 * self.settings.window_s
        recent = [e for t, e in self._steps if t > split_s]
        earlier = [e for t, e in self._steps if first_s < t <= split_s]
        if not earlier:
            return 0.0
        return float(np.linalg.norm(np.mean(recent, axis=0) - np.mean(earlier, axis=0)))

    def _threshold_now(self) -> float:
        if self.settings.threshold is not None:
            return self.settings.threshold
        values = np.array([n for _, n in self._novelty] or [0.0])
        middle = float(np.median(values))
        spread = 1.4826 * float(np.median(np.abs(values - middle)))
        return max(self.settings.floor, middle + self.settings.deviations * spread)

    def _boundary(self, novelty: float, threshold: float) -> float | None:
        if novelty < self.settings.hysteresis * threshold:
            self._armed = True
        if not self._armed or novelty < threshold:
            return None
        found_s = self._best_split()
        if found_s - self.start_s < self.settings.min_gap_s:
            return None
        self._armed, self.start_s = False, found_s
        return found_s

    def _best_split(self) -> float:
        """The moment that divides the stored steps into the two parts that differ most, in Ward's measure."""
        steps = [(t, e) for t, e in self._steps if t >= self.start_s]
        times, sums = [t for t, _ in steps], np.cumsum([e for _, e in steps], axis=0)
        if len(times) < 2:
            return times[-1]
        left = np.arange(1, len(times))[:, None]
        gaps = sums[:-1] / left - (sums[-1] - sums[:-1]) / (len(times) - left)
        costs = (left * (len(times) - left))[:, 0] / len(times) * (gaps**2).sum(axis=1)
        k = int(costs.argmax())
        return (times[k] + times[k + 1]) / 2

    def _add_to_segment(self, time_s: float, is_new: bool) -> None:
        if is_new or self._sum is None:
            self._sum, self._count = None, 0
            inside = [e for t, e in self._steps if t >= self.start_s + self.settings.settle_s]
            inside = inside or [self._steps[-1][1]]
            self._sum, self._count = np.sum(inside, axis=0), len(inside)
        elif time_s - self.start_s < self.settings.settle_s:  # nothing later yet: the newest alone
            self._sum, self._count = self._steps[-1][1].copy(), 0
        else:
            self._sum = self._steps[-1][1] + (self._sum if self._count else 0.0)
            self._count += 1
