"""The embedding stream: a video becomes one predicted embedding per time step, lazily and in bounded memory.

Step k looks at the frames shown at (k - window + 1) / rate to k / rate, so it never sees the future: what is
true of a stored film is true of a camera. Each frame is encoded once, and its tokens serve every window it is in.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from jaxtyping import Float

from vljepa.photo import fit
from vljepa.video import Frame, FrameSource, Source, VideoInfo, open_video

if TYPE_CHECKING:
    from vljepa.model import VLJEPA

BATCH = 16  # frames encoded together: larger is no faster on a CPU and delays the first result
_END = object()
T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One moment of a stream: its time in seconds and its predicted embedding at unit length."""

    time_s: float
    embedding: Float[np.ndarray, " dim"]


@dataclass(frozen=True)
class Trajectory:
    """A whole stream: `times_s[k]` = k / rate_hz, unit `embeddings`, and where they came from.

    `timing_s` holds seconds spent in "read" (waiting for frames), "encode" and "predict". `warning` tells what was
    wrong with the video, if anything.
    """

    times_s: Float[np.ndarray, " time"]
    embeddings: Float[np.ndarray, "time dim"]
    video: VideoInfo
    rate_hz: float
    query: str | None
    checkpoint: str
    timing_s: dict[str, float] = field(default_factory=dict)
    warning: str | None = None


class EmbeddingStream:
    """An opened video and what to ask of it. Iterate once, or `collect`; leaving the iteration closes the video."""

    def __init__(self, model: "VLJEPA", source: Source, query: str | None, rate_hz: float) -> None:
        if not 0.01 <= rate_hz <= 60:
            raise ValueError(f"rate_hz must be 0.01 to 60 embeddings a second, got {rate_hz}")
        self._model, self.query, self.rate_hz = model, query, rate_hz
        self._video = source if isinstance(source, FrameSource) else open_video(source)
        self.video = self._video.info
        self.warning: str | None = None
        # told of what each new step adds, for whoever keeps it: visual tokens, or frames if those are encoded as clips
        self.keep: Callable[[torch.Tensor], None] | None = None
        self.timing_s = {"read": 0.0, "encode": 0.0, "predict": 0.0}
        self._kept: torch.Tensor | None = None  # what the next windows need of the past

    def __iter__(self) -> Iterator[Step]:
        """Yield a `Step` for each frame at `rate_hz`; VideoError if nothing can be read."""
        with closing(self._video), torch.inference_mode():
            for frames in self._batches():
                embeddings = self._predict(np.stack([frame.image for frame in frames]))
                for frame, embedding in zip(frames, embeddings, strict=True):
                    yield Step(frame.time_s, embedding)
            self.warning = self._video.warning

    def collect(self, progress: Callable[[float], None] | None = None) -> Trajectory:
        """Run to the end. `progress` is told the seconds of video done; an exception it raises cancels the run."""
        times_s, embeddings = [], []
        steps = iter(self)
        try:
            for step in steps:
                times_s.append(step.time_s)
                embeddings.append(step.embedding)
                if progress is not None:
                    progress(step.time_s + 1 / self.rate_hz)
        finally:
            steps.close()  # type: ignore[attr-defined]  # a generator: closing it releases the video at once
        return Trajectory(np.array(times_s), np.array(embeddings), self._video.info, self.rate_hz, self.query,
                          self._model.name, dict(self.timing_s), self.warning)

    def _predict(self, images: np.ndarray) -> np.ndarray:
        """Embeddings of new frames, each with the frames before it: tokens are shared if the X-Encoder makes them
        frame by frame, and otherwise the frames themselves."""
        model, window = self._model, self._model.config.predictor.window_frames
        by_frame = model.x_encoder.frames_per_step == 1
        new = self._timed("encode", model.encode_frames, images) if by_frame else torch.from_numpy(images)
        if self.keep is not None:
            self.keep(new)
        seen = new if self._kept is None else torch.cat([self._kept, new])
        self._kept = seen[max(0, len(seen) - window + 1) :]
        groups = _windows(seen, len(new), window)
        if not by_frame:
            groups = [self._timed("encode", model.encode_clips, model.fill(group)) for group in groups]
        return np.concatenate([self._timed("predict", model.predict, group, self.query) for group in groups])

    def _batches(self) -> Iterator[list[Frame]]:
        """Frames in lists of `BATCH`, read by a thread of their own so that decoding overlaps with the model."""
        # a camera's frames are wanted now, not sixteen at a time
        size = BATCH if self.video.seconds else 1
        frames: queue.Queue[object] = queue.Queue(maxsize=2 * BATCH)
        stop = threading.Event()
        reader = threading.Thread(target=self._read_into, args=(frames, stop), daemon=True, name="video-reader")
        reader.start()
        batch: list[Frame] = []
        try:
            while (item := self._timed("read", frames.get)) is not _END:
                if isinstance(item, BaseException):
                    raise item
                assert isinstance(item, Frame)
                batch.append(item)
                if len(batch) == size:
                    yield batch
                    batch = []
            if batch:
                yield batch
        finally:
            stop.set()
            reader.join()

    def _read_into(self, frames: "queue.Queue[object]", stop: threading.Event) -> None:
        wanted = self._model.config.x_encoder
        side = wanted.image_size
        squashed = wanted.fit == "squash"  # then the reader does it, on few pixels
        end: object = _END
        try:
            for frame in self._video.frames(self.rate_hz, (side, side) if squashed else None):
                frame = frame if squashed else replace(frame, image=fit(frame.image, wanted))
                if not _put(frames, frame, stop):
                    return
        except BaseException as error:  # handed to the consumer, which raises it
            end = error
        _put(frames, end, stop)

    def _timed(self, stage: str, function: Callable[..., T], *args: object) -> T:
        started = time.perf_counter()
        try:
            return function(*args)
        finally:
            self.timing_s[stage] += time.perf_counter() - started


def _windows(seen: torch.Tensor, n_new: int, window: int) -> list[torch.Tensor]:
    """For each of the last `n_new` of `seen`, it and up to `window` - 1 before it, grouped by length.

    Of 4 seen, 3 new, window 3: [[0, 1]], then [[0, 1, 2], [1, 2, 3]]. Only a video's first windows are short.
    """
    ends = range(len(seen) - n_new + 1, len(seen) + 1)
    short = [seen[None, :end] for end in ends if end < window]
    full = [seen[end - window : end] for end in ends if end >= window]
    return short + ([torch.stack(full)] if full else [])


def _put(frames: "queue.Queue[object]", item: object, stop: threading.Event) -> bool:
    """Put, but give up once the consumer has gone; false then."""
    while not stop.is_set():
        try:
            frames.put(item, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False
