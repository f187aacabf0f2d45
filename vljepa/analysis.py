"""A video's analysis: embed it, cut the stream where it changes, read one caption for each segment.

The command line and the app both go through here, so that they agree to the last segment.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np
from jaxtyping import Float

from vljepa.readout import Caption
from vljepa.segmentation import Segment, WardTree, merge_short, segments_between, smooth, ward_tree
from vljepa.stream import Trajectory
from vljepa.video import Source, VideoInfo

DECODED_AT_ONCE = 24  # sentences: bounds the memory of an hour's decoding
Method = Literal["auto", "count", "interval", "variance"]
DecodeAt = Literal["mean", "midpoint"]


@runtime_checkable
class Stream(Protocol):
    """What an analysis asks of an embedding stream."""

    video: VideoInfo

    def collect(self, progress: Callable[[float], None] | None = None) -> Trajectory: ...


@runtime_checkable
class Model(Protocol):
    """What an analysis asks of a model; `VLJEPA` is one."""

    @property
    def readouts(self) -> tuple[str, ...]: ...

    def embed(self, video: Source, query: str | None = None, rate_hz: float | None = None) -> Stream: ...

    def decode(self, embeddings: Float[np.ndarray, "n dim"], readout: str | None = None) -> list[Caption]: ...


@dataclass(frozen=True)
class CutSettings:
    """How a stream is cut, and where in a segment the embedding to decode is taken.

    `value` is nothing for "auto"; for "count" how many segments; for "interval" their mean length in seconds; for
    "variance" the share of the stream's variance that may stay inside segments, 0 to 1. `smoothing_s` is the width of
    the moving average before cutting, `min_length_s` the length below which a segment joins a neighbour.
    """

    method: str = "auto"  # a `Method`; as str, for it comes from files and forms, and a wrong one is told below
    value: float | None = None
    smoothing_s: float = 0.0
    min_length_s: float = 1.0
    decode_at: str = "mean"

    def __post_init__(self) -> None:
        for name, given, known in (("method", self.method, get_args(Method)),
                                   ("decode_at", self.decode_at, get_args(DecodeAt))):
            if given not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {given!r}")
        for name, seconds in (("smoothing_s", self.smoothing_s), ("min_length_s", self.min_length_s)):
            if not 0.0 <= seconds < math.inf:
                raise ValueError(f"{name} must be 0 seconds or more, got {seconds}")
        self._check_value()

    def _check_value(self) -> None:
        value = self.value
        if self.method == "auto":
            if value is not None:
                raise ValueError(f"the auto cut takes no value, got {value}")
        elif value is None:
            raise ValueError(f"cutting by {self.method} needs a value")
        elif self.method == "count" and not (value >= 1 and float(value).is_integer()):
            raise ValueError(f"the number of segments must be a whole number of at least 1, got {value:g}")
        elif self.method == "interval" and not 0.0 < value < math.inf:
            raise ValueError(f"the seconds per segment must be above 0, got {value:g}")
        elif self.method == "variance" and not 0.0 <= value <= 1.0:
            raise ValueError(f"the share of variance must be 0 to 1, got {value:g}")


@dataclass(frozen=True)
class CaptionedSegment:
    """Seconds `[start_s, end_s)` of a video and the sentence read from its embedding, by which read-out.

    `similarity` is the cosine of the sentence's own embedding to the one it was read from.
    """

    start_s: float
    end_s: float
    caption: str
    readout: str
    similarity: float


@dataclass(frozen=True)
class Analysis:
    """A stream, how it was cut, and what was read.

    `boundary_strength` holds for each step how firmly a boundary stands before it (see `WardTree`), `timing_s` the
    seconds spent in "read", "encode", "predict", "segment" and "decode", and in "total".
    """

    trajectory: Trajectory
    settings: CutSettings
    segments: list[CaptionedSegment]
    boundary_strength: Float[np.ndarray, " time"]
    timing_s: dict[str, float]

    @property
    def decodes(self) -> dict[str, int]:
        """How many sentences were read, and how many a sentence a second would have been."""
        return {"selective": len(self.segments), "uniform_1hz": math.ceil(self.segments[-1].end_s)}

    @property
    def warning(self) -> str | None:
        """What was wrong with the video or had to give way in the settings, in a sentence or two."""
        return " ".join(filter(None, (self.trajectory.warning, cut_warning(self.trajectory, self.settings)))) or None


def analyze(
    model: Model, video: Source, settings: CutSettings | None = None, *, query: str | None = None,
    rate_hz: float | None = None, readout: str | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> Analysis:
    """Embed, cut and caption a video. `settings` None is the auto cut; None elsewhere is the checkpoint's default.

    `progress` is told the seconds done and the seconds there are; an exception it raises cancels the analysis.
    VideoError if the video cannot be read, ValueError for impossible settings.
    """
    started = time.perf_counter()
    check_readout(model, readout)
    stream = model.embed(video, query, rate_hz)
    seconds = stream.video.seconds
    told = None if progress is None else lambda done: progress(min(done, seconds) if seconds else done, seconds)
    analysis = caption_stream(model, stream.collect(told), settings or CutSettings(), readout)
    return replace(analysis, timing_s={**analysis.timing_s, "total": time.perf_counter() - started})


def caption_stream(
    model: Model, trajectory: Trajectory, settings: CutSettings, readout: str | None = None,
    tree: WardTree | None = None,
) -> Analysis:
    """Cut a stream and read a caption for each segment, many at once; `tree` saves building it again."""
    started = time.perf_counter()
    tree = build_tree(trajectory, settings.smoothing_s) if tree is None else tree
    segments = cut(trajectory, tree, settings)
    cut_at = time.perf_counter()
    captions = _decode(model, np.stack([segment.embedding for segment in segments]), readout)
    captioned = [CaptionedSegment(start_s, end_s, caption.text, caption.readout, caption.similarity)
                 for (start_s, end_s), caption in zip(spans(trajectory, segments), captions, strict=True)]
    timing_s = {**trajectory.timing_s, "segment": cut_at - started, "decode": time.perf_counter() - cut_at}
    return Analysis(trajectory, settings, captioned, tree.boundary_strength(),
                    {**timing_s, "total": sum(timing_s.values())})


def build_tree(trajectory: Trajectory, smoothing_s: float) -> WardTree:
    """The tree that `cut` cuts: over the smoothed stream, so it changes with the smoothing and nothing else."""
    return ward_tree(smooth(trajectory.embeddings, smoothing_s, trajectory.rate_hz))


def cut(trajectory: Trajectory, tree: WardTree, settings: CutSettings) -> list[Segment]:
    """Segments as `settings` ask, each with the embedding to decode, taken from the stream before smoothing.

    A request for more segments than there are steps gives one for each step; `cut_warning` says so.
    """
    rate_hz, time_steps = trajectory.rate_hz, len(trajectory.embeddings)
    segments = _cut_tree(tree, settings, rate_hz)
    segments = merge_short(segments, math.ceil(settings.min_length_s * rate_hz - 1e-9))
    edges = [*(segment.start for segment in segments), time_steps]
    segments = segments_between(trajectory.embeddings, edges)
    if settings.decode_at == "midpoint":
        return [replace(segment, embedding=trajectory.embeddings[segment.midpoint]) for segment in segments]
    return segments


def cut_warning(trajectory: Trajectory, settings: CutSettings) -> str | None:
    """A sentence if the stream has too few steps for what `settings` ask, else None."""
    steps = len(trajectory.embeddings)
    wanted = _wanted_segments(settings, steps, trajectory.rate_hz)
    if wanted is None or wanted <= steps:
        return None
    has = "one step" if steps == 1 else f"{steps} steps"
    return f"{wanted} segments were asked for, but at {trajectory.rate_hz:g} Hz the video has only {has}."


def spans(trajectory: Trajectory, segments: list[Segment]) -> list[tuple[float, float]]:
    """Start and end of each segment in seconds: they cover the video from 0 to its end, without gap or overlap.

    Steps [4, 8) at 4 Hz are seconds 1.0 to 2.0, moved back by the stream's lag.
    """
    starts = [boundary_s(trajectory, segment.start) for segment in segments]
    return list(zip(starts, [*starts[1:], end_s(trajectory)], strict=True))


def boundary_s(trajectory: Trajectory, step: int) -> float:
    """When that which a boundary before `step` tells of happened, in seconds: half a window earlier.

    The first windows are short and trail less: at 4 Hz and 0.375 s of lag, the boundaries before steps 0, 1, 2, 3, 4
    are at 0, 0.125, 0.25, 0.375 and 0.625 s.
    """
    return step / trajectory.rate_hz - min(trajectory.lag_s, step / trajectory.rate_hz / 2)


def end_s(trajectory: Trajectory) -> float:
    """Where the analysed part of the video ends, in seconds: its own end, unless the file broke off before."""
    last, step = float(trajectory.times_s[-1]), 1.0 / trajectory.rate_hz
    seconds = trajectory.video.seconds
    # a header may promise more than decodes, or, for a camera, nothing at all
    return seconds if last < seconds <= last + 2 * step else last + step


def check_readout(model: Model, readout: str | None) -> None:
    """ValueError unless the checkpoint has that read-out: better told before a long video than after it."""
    if readout is not None and readout not in model.readouts:
        raise ValueError(f"readout must be one of {', '.join(model.readouts)} for this checkpoint, got {readout!r}")


def _decode(model: Model, embeddings: Float[np.ndarray, "n dim"], readout: str | None) -> list[Caption]:
    chunks = range(0, len(embeddings), DECODED_AT_ONCE)
    return [caption for k in chunks for caption in model.decode(embeddings[k : k + DECODED_AT_ONCE], readout)]


def _wanted_segments(settings: CutSettings, steps: int, rate_hz: float) -> int | None:
    if settings.value is None or settings.method == "variance":
        return None
    if settings.method == "count":
        return int(settings.value)
    return max(round(steps / max(settings.value * rate_hz, 1e-6)), 1)


def _cut_tree(tree: WardTree, settings: CutSettings, rate_hz: float) -> list[Segment]:
    steps = len(tree.embeddings)
    wanted = _wanted_segments(settings, steps, rate_hz)
    if wanted is not None:
        return tree.cut(min(wanted, steps))
    if settings.value is None:
        return tree.cut_auto(rate_hz)
    return tree.cut_by_variance(settings.value * tree.variance)
