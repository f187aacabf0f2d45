"""Online selective decoding: where does a stream change, told while it runs and never looking ahead (VL-JEPA,
arXiv:2512.10942, section 2: average the stream, decode when it moves inside a local window).

The paper names no window and no threshold. Here the *novelty* of a moment is the distance between the mean of the last
`window_s` seconds and the mean of the `window_s` before them. It rises while one scene gives way to another: a change
begins where it passes a threshold and is over once it has fallen to a share of its peak. Only then is it known where to
the stream went, so only then is the boundary told, about a second late, and placed back where the scene changed.
"""

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

# Chosen on the known films, as the settings' defaults were; `python -m docs.choose_online` tries others.
QUIET, LOUD = 0.25, 0.97  # quantiles of the recent novelty: the stream at rest, and its changes
LONGEST_S = 3.0  # a change that goes on longer, as in a pan, is told before it is over
REACH_S = 2.5  # how far back from the end of a change its beginning is looked for
LEAN_S = 0.75  # farthest that a boundary is moved from the middle of its change
RISE = 1.2  # times its lowest since the last boundary: the novelty rises again, for a new reason
SCENES_KNOWN = 16  # past segments remembered, to recognise a return
STEPS_KEPT, NOVELTIES_KEPT = 512, 4096  # bound memory and time where a stream is very fast
STEPS_A_WINDOW = 3.0  # a pause counts as at most this share of a window: a slow stream has a few steps in each


@dataclass(frozen=True)
class OnlineSettings:
    """How a stream is cut while it runs; durations in seconds, novelty and thresholds in embedding units (0 to 2).

    `window_s` is how far the stream is smoothed: what is compared are means over so long.

    `threshold` None lets the stream decide: of the way from its novelty at rest to that of its changes in the last
    `memory_s` seconds, the share `sensitivity`; a change is taken to reach `typical` at least, which is all that is
    known at the beginning. A change is over when the novelty falls to `hysteresis` times its peak. Segments last
    `min_gap_s` at least, and a segment's embedding leaves out its first `settle_s`, whose windows still show the old.

    Where in a change is the boundary? As far along as `lean` says, 0 to 1: a scene that is new begins once the old one
    is left (at 0.5 - `lean`), and one seen before is back once it looks as it did (at 0.5 + `lean`). Seen before: not
    farther from an earlier segment than `known` times the length of the change.
    """

    window_s: float = 1.0
    threshold: float | None = None
    sensitivity: float = 0.6
    typical: float = 0.8
    hysteresis: float = 0.6
    min_gap_s: float = 1.5
    memory_s: float = 60.0
    settle_s: float = 0.5
    lean: float = 0.1
    known: float = 0.4

    def __post_init__(self) -> None:
        for name in ("window_s", "memory_s"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be more than 0 seconds, got {getattr(self, name)}")
        for name in ("min_gap_s", "settle_s", "typical", "known"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        for name, most in (("sensitivity", 1.0), ("hysteresis", 1.0), ("lean", 0.5)):
            if not 0.0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be 0 to {most:g}, got {getattr(self, name)}")
        if self.threshold is not None and not 0.0 < self.threshold <= 2.0:
            raise ValueError(f"the threshold must be above 0 and at most 2, or None (automatic), got {self.threshold}")


@dataclass(frozen=True)
class OnlineStep:
    """One moment as the segmenter saw it.

    `boundary_s`, if this step ended a change, is where the change was: before `time_s`, and after the boundary before.
    """

    time_s: float
    novelty: float
    threshold: float
    boundary_s: float | None


@dataclass(frozen=True)
class _Moment:
    """A step of the stream; `clock_s` is its time with pauses shortened, by which windows are measured."""

    time_s: float
    clock_s: float
    embedding: Float[np.ndarray, " dim"]


class OnlineSegmenter:
    """Feed it steps in order of time, at any rate, even an irregular one; it tells the changes as they end."""

    def __init__(self, settings: OnlineSettings | None = None) -> None:
        self.settings = settings or OnlineSettings()
        self.start_s = 0.0  # where the current segment begins
        self._began_s = 0.0  # the same on the clock of the steps, which trails by their lag
        self._moments: deque[_Moment] = deque(maxlen=STEPS_KEPT)
        self._novelty: deque[tuple[float, float]] = deque(maxlen=NOVELTIES_KEPT)
        self._known: deque[Float[np.ndarray, " dim"]] = deque(maxlen=SCENES_KNOWN)
        self._sum: Float[np.ndarray, " dim"] | None = None  # of the current segment, what has settled of it
        self._count = 0
        self._peak = 0.0  # of the change that is going on; 0 while there is none
        self._crossed_s = 0.0
        self._trough = 0.0  # lowest novelty since the last change; any rise from 0 counts

    def set_threshold(self, threshold: float | None) -> None:
        """Hold the threshold, or None to let the stream decide again. ValueError unless above 0 and at most 2."""
        self.settings = replace(self.settings, threshold=threshold)

    def set_window(self, window_s: float) -> None:
        """Compare means of so many seconds from now on. ValueError unless above 0."""
        self.settings = replace(self.settings, window_s=window_s)

    @property
    def segment_embedding(self) -> Float[np.ndarray, " dim"]:
        """The mean of the current segment so far, at unit length. ValueError before the first step."""
        if not self._moments:
            raise ValueError("no step was pushed yet: there is no segment to take the mean of")
        total = self._sum if self._sum is not None else self._moments[-1].embedding
        return (total / max(float(np.linalg.norm(total)), 1e-12)).astype(np.float32)

    def push(self, time_s: float, embedding: Float[np.ndarray, " dim"], lag_s: float = 0.0) -> OnlineStep:
        """Take the next step. ValueError unless time rises and the embedding is finite.

        `lag_s` is how long before `time_s` the middle of the frames lay that the embedding is of: for frames at 0, 0.25
        and 0.5 s it is 0.25. A boundary is told as of then.
        """
        moment = self._moment(time_s, embedding)
        threshold = self._threshold() if self.settings.threshold is None else self.settings.threshold
        novelty = self._novelty_at(moment)
        self._novelty.append((moment.clock_s, novelty))
        boundary_s = self._boundary(moment, novelty, threshold)
        if boundary_s is not None:
            self._begin_segment(boundary_s)
            self.start_s = max(self.start_s, boundary_s - lag_s)
        elif time_s >= self._began_s + self.settings.settle_s:
            self._add(moment.embedding)
        return OnlineStep(time_s, novelty, threshold, None if boundary_s is None else self.start_s)

    def _moment(self, time_s: float, embedding: Float[np.ndarray, " dim"]) -> _Moment:
        last = self._moments[-1] if self._moments else None
        if not math.isfinite(time_s) or (last is not None and time_s <= last.time_s):
            after = "" if last is None else f" after {last.time_s:g} s"
            raise ValueError(f"steps must come in order of time, got {time_s} s{after}")
        if not np.isfinite(embedding).all():
            raise ValueError(f"the embedding at {time_s:g} s is not finite: leave such a step out")
        if last is None:
            self.start_s, self._began_s, clock_s = time_s, time_s, 0.0
        else:
            clock_s = last.clock_s + min(time_s - last.time_s, self.settings.window_s / STEPS_A_WINDOW)
        moment = _Moment(time_s, clock_s, np.asarray(embedding, dtype=np.float64))
        self._moments.append(moment)
        kept_s = max(2 * self.settings.window_s, REACH_S) + LONGEST_S
        while self._moments[0].clock_s < clock_s - kept_s:
            self._moments.popleft()
        while self._novelty and self._novelty[0][0] < clock_s - self.settings.memory_s:
            self._novelty.popleft()
        return moment

    def _novelty_at(self, now: _Moment) -> float:
        """Distance between the means of the two windows that end now and a window ago; 0 until both have begun."""
        split_s, first_s = now.clock_s - self.settings.window_s, now.clock_s - 2 * self.settings.window_s
        recent = [m.embedding for m in self._moments if m.clock_s > split_s]
        earlier = [m.embedding for m in self._moments if first_s < m.clock_s <= split_s]
        if not earlier:
            return 0.0
        return float(np.linalg.norm(np.mean(recent, axis=0) - np.mean(earlier, axis=0)))

    def _threshold(self) -> float:
        settings, values = self.settings, [novelty for _, novelty in self._novelty] or [0.0]
        quiet, loud = np.quantile(values, (QUIET, LOUD))
        return float(quiet + settings.sensitivity * (max(loud, settings.typical) - quiet))

    def _boundary(self, now: _Moment, novelty: float, threshold: float) -> float | None:
        """The boundary, if a change ends now; watches for the next change otherwise."""
        self._trough = min(self._trough, novelty)
        if not self._peak:
            is_new = novelty < threshold or novelty >= RISE * self._trough
            if novelty < threshold or not is_new or now.time_s - self._began_s < self.settings.min_gap_s:
                return None
            self._crossed_s = now.clock_s
        self._peak = max(self._peak, novelty)
        if novelty >= self.settings.hysteresis * self._peak and now.clock_s - self._crossed_s <= LONGEST_S:
            return None
        self._peak, self._trough = 0.0, novelty
        boundary_s = self._place()
        return boundary_s if boundary_s - self._began_s >= self.settings.min_gap_s else None

    def _place(self) -> float:
        """Where in the change that ends now the one scene became the other."""
        now, settings = self._moments[-1], self.settings
        since_s = max(now.time_s - REACH_S, self._began_s + settings.min_gap_s / 2)
        change = [m for m in self._moments if m.time_s >= since_s or m.clock_s >= now.clock_s - settings.window_s]
        old = [m.embedding for m in self._moments if self._began_s + settings.settle_s <= m.time_s <= change[0].time_s]
        before = np.mean(old or [change[0].embedding], axis=0)
        after = np.mean([m.embedding for m in self._moments if m.clock_s > now.clock_s - settings.window_s / 2], axis=0)
        left = [float(np.linalg.norm(m.embedding - before)) for m in change]
        ahead = [float(np.linalg.norm(m.embedding - after)) for m in change]
        way = [a / max(a + b, 1e-12) for a, b in zip(left, ahead, strict=True)]
        middle = _first_above(way, 0.5)
        share = 0.5 + settings.lean * (1 if self._seen_before(before, after) else -1)
        near = [i for i, m in enumerate(change) if abs(m.clock_s - change[middle].clock_s) <= LEAN_S]
        first = min(max(_first_above(way, share), near[0]), near[-1])
        # halfway to the step before; after a pause, which the clock shortens, close to where the stream goes on
        return change[first].time_s - (change[first].clock_s - change[first - 1].clock_s) / 2

    def _seen_before(self, before: Float[np.ndarray, " dim"], after: Float[np.ndarray, " dim"]) -> bool:
        reach = self.settings.known * float(np.linalg.norm(after - before))
        return any(float(np.linalg.norm(after - scene)) < reach for scene in self._known)

    def _begin_segment(self, start_s: float) -> None:
        self._known.append(self.segment_embedding.astype(np.float64))
        self._began_s, self._sum = start_s, None
        for moment in self._moments:
            if moment.time_s >= start_s + self.settings.settle_s:
                self._add(moment.embedding)

    def _add(self, embedding: Float[np.ndarray, " dim"]) -> None:
        self._sum = embedding.copy() if self._sum is None else self._sum + embedding


def _first_above(way: list[float], share: float) -> int:
    """The step after the last one that has come no farther than `share` of the way from the old scene to the new.

    Of [0.1, 0.4, 0.2, 0.7, 1.0] it is step 3 at 0.5, and step 1 at 0.15. At least 1, and at most the last.
    """
    short = [i for i, come in enumerate(way) if come <= share]
    return min(max(short[-1] + 1 if short else 1, 1), len(way) - 1)
