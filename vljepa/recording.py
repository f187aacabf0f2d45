"""A live session kept: exported like an analysed film, and compared with what Ward finds offline."""

from dataclasses import dataclass, replace
from itertools import groupby, pairwise

import numpy as np
from jaxtyping import Float

from vljepa.analysis import CaptionedSegment, CutSettings, build_tree, cut, spans
from vljepa.live import Ledger, LiveCaption, LiveEvent, LiveSession, LiveUpdate
from vljepa.metrics import boundary_f1
from vljepa.online import OnlineSettings
from vljepa.readout import normalise
from vljepa.stream import Trajectory
from vljepa.video import VideoInfo

TOLERANCE_S = 1.0  # within which an online and an offline boundary are the same


@dataclass(frozen=True)
class Recording:
    """What a live session saw, as `write_exports` takes it: times are seconds from the first step kept.

    `boundary_strength` holds the novelty of each step, `ledger` the whole session's, also where its beginning is
    already forgotten.
    """

    trajectory: Trajectory
    settings: OnlineSettings
    segments: list[CaptionedSegment]
    boundary_strength: Float[np.ndarray, " time"]
    timing_s: dict[str, float]
    ledger: Ledger
    warning: str | None = None

    @property
    def decodes(self) -> dict[str, int]:
        """How many sentences were read, and how many a sentence a second would have been; windows seen and dropped."""
        ledger = self.ledger
        return {"selective": ledger.decodes, "uniform_1hz": ledger.uniform_1hz, "windows": ledger.windows,
                "dropped": ledger.dropped}

    @property
    def boundaries_s(self) -> list[float]:
        """Where the segments meet."""
        return [segment.start_s for segment in self.segments[1:]]

    def resampled(self, rate_hz: float) -> Trajectory:
        """The stream at equal steps, as films have it: at each, the latest embedding that was there by then."""
        times_s = np.arange(0.0, self.trajectory.times_s[-1] + 1e-9, 1 / rate_hz)
        latest = np.searchsorted(self.trajectory.times_s, times_s + 1e-9, side="right") - 1
        return replace(self.trajectory, times_s=times_s, embeddings=self.trajectory.embeddings[latest],
                       rate_hz=rate_hz)


@dataclass(frozen=True)
class Comparison:
    """Boundaries in seconds found online and by Ward's clustering of the whole stream, and the F1 between them."""

    online_s: list[float]
    offline_s: list[float]
    f1: float


def record(session: LiveSession, title: str = "live") -> Recording:
    """What a session still holds: all of it, or its last `KEPT_EVENTS`. ValueError if that is nothing yet."""
    events, ledger = session.updates(), session.ledger()
    updates = [event for event in events if isinstance(event, LiveUpdate)]
    if not updates:
        raise ValueError("this session has seen no frame yet: start a camera or a film first")
    first_s = updates[0].time_s
    times_s = np.array([update.time_s for update in updates]) - first_s
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1.0
    width, height = session.frame_size
    video = VideoInfo(title, float(times_s[-1]) + step_s, 1 / step_s, width, height)
    embeddings = normalise(np.stack([update.embedding for update in updates]))
    timing_s = {stage: seconds for stage, seconds in ledger.stage_s.items() if stage != "wait"}
    return Recording(
        Trajectory(times_s, embeddings, video, 1 / step_s, session.query, session.checkpoint, timing_s,
                   lag_s=session.lag_s),
        session.settings, _segments(events, video.seconds), np.array([update.novelty for update in updates]),
        {**timing_s, "total": sum(timing_s.values())}, ledger,
        None if first_s == 0.0 else f"The first {first_s:.0f} s of the session are no longer kept.")


def _segments(events: list[LiveEvent], end_s: float) -> list[CaptionedSegment]:
    """The segments of what is kept, on a clock that starts with the first update kept."""
    updates = [event for event in events if isinstance(event, LiveUpdate)]
    captions = {event.segment: event for event in events if isinstance(event, LiveCaption)}
    firsts = [next(group) for _, group in groupby(updates, key=lambda update: update.segment)]
    zero_s = updates[0].time_s
    starts = [max(0.0, (u.time_s if u.boundary_s is None else u.boundary_s) - zero_s) for u in firsts]
    starts[0] = 0.0
    return [_captioned(start_s, stop_s, captions.get(update.segment))
            for start_s, stop_s, update in zip(starts, [*starts[1:], end_s], firsts, strict=True)]


def _captioned(start_s: float, end_s: float, caption: LiveCaption | None) -> CaptionedSegment:
    if caption is None:  # too short, blank, or its caption is no longer kept
        return CaptionedSegment(start_s, end_s, "", "", 0.0)
    return CaptionedSegment(start_s, end_s, caption.text, caption.readout, caption.similarity)


def compare_with_ward(recording: Recording, rate_hz: float, settings: CutSettings | None = None) -> Comparison:
    """The online boundaries beside the offline ones, which saw the whole stream (`settings` None: the auto cut)."""
    stream = recording.resampled(rate_hz)
    settings = settings or CutSettings()
    edges = spans(stream, cut(stream, build_tree(stream, settings.smoothing_s), settings))
    offline = [end for (_, end), _ in pairwise(edges)]
    return Comparison(recording.boundaries_s, offline, boundary_f1(recording.boundaries_s, offline, TOLERANCE_S))
