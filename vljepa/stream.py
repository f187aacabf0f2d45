"""The embedding stream: a video becomes one predicted embedding per time step, lazily and in bounded memory.

Step k looks at the frames shown at (k - window + 1) / rate to k / rate, so it never sees the future: what is
true of a stored film is true of a camera. Each frame is encoded once, and its tokens serve every window it is in.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from jaxtyping import Float

from vljepa.photo import fit
from vljepa.video import Frame, FrameSource, Source, VideoInfo, open_video

if TYPE_CHECKING:
    from vljepa.model import VLJEPA

BATCH = 4  # frames encoded together: on one core, 8 take a fifth longer each (they leave the cache)
PREDICT_BATCH = 16  # windows predicted together: 4 at a time take a fifth longer each
MAX_WORKERS = 4  # batches worked on at once; with more, a clip's few batches leave the last cores idle
_END = object()
S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One moment of a stream: its time in seconds and its predicted embedding at unit length."""

    time_s: float
    embedding: Float[np.ndarray, " dim"]


@dataclass(frozen=True)
class Trajectory:
    """A whole stream: `times_s[k]` = k / rate_hz, unit `embeddings`, and where they came from.

    `timing_s` holds seconds of work in "read" (decoding the video), "encode" and "predict"; these overlap, so their
    sum may be more than the time that passed. `warning` tells what was wrong with the video, if anything. `lag_s` is
    half a window: a step sees the past alone, so a change shows that much later than it was.
    """

    times_s: Float[np.ndarray, " time"]
    embeddings: Float[np.ndarray, "time dim"]
    video: VideoInfo
    rate_hz: float
    query: str | None
    checkpoint: str
    timing_s: dict[str, float] = field(default_factory=dict)
    warning: str | None = None
    lag_s: float = 0.0


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
        self.lag_s = model.config.predictor.window_frames / 2 / rate_hz
        self.timing_s = {"read": 0.0, "encode": 0.0, "predict": 0.0}
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Step]:
        """Yield a `Step` for each frame at `rate_hz`; VideoError if nothing can be read."""
        workers = self._workers()
        with closing(self._video), pool_of_cores(workers) as pool, closing(self._batches()) as batches:
            # each stage runs ahead of the next, so that no core waits: batch 5 is encoded while 2 is predicted
            encoded = _in_order(pool, self._encode, batches, ahead=2 * workers if workers > 1 else 0)
            predicted = _in_order(pool, self._predict, self._with_past(encoded), ahead=workers - 1)
            for frames, embeddings in predicted:
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
                          self._model.name, dict(self.timing_s), self.warning,
                          self.lag_s)

    def _workers(self) -> int:
        """How many batches are worked on at once; one for a camera, whose next frame deserves all cores."""
        on_cpu = self._model.device.type == "cpu"
        return min(torch.get_num_threads(), MAX_WORKERS) if on_cpu and self.video.seconds else 1

    @property
    def _by_frame(self) -> bool:
        return self._model.x_encoder.frames_per_step == 1

    def _encode(self, frames: list[Frame]) -> tuple[list[Frame], torch.Tensor]:
        """New frames with what windows are made of: their tokens if the X-Encoder makes them frame by frame, and
        otherwise the pictures themselves."""
        images = np.stack([frame.image for frame in frames])
        if not self._by_frame:
            return frames, torch.from_numpy(images)
        return frames, self._timed("encode", self._model.encode_frames, images)

    def _with_past(
        self, encoded: Iterator[tuple[list[Frame], torch.Tensor]]
    ) -> Iterator[tuple[list[Frame], list[torch.Tensor]]]:
        """Each batch with what its windows may see: the frames before it that they reach back to.

        Nothing is computed here: a parallel operation of this thread would leave its helper threads spinning for
        milliseconds on the cores that the pool works on (measured: a fifth of an analysis).
        """
        past = self._model.config.predictor.window_frames - 1
        recent: list[torch.Tensor] = []
        waiting: list[Frame] = []
        for frames, new in encoded:
            if self.keep is not None:
                self.keep(new)
            recent.append(new)
            waiting += frames
            if len(waiting) >= self._predicted_together:
                yield waiting, recent
                recent, waiting = _last(recent, past), []
        if waiting:
            yield waiting, recent

    @property
    def _predicted_together(self) -> int:
        return PREDICT_BATCH if self.video.seconds else 1

    def _predict(self, task: tuple[list[Frame], list[torch.Tensor]]) -> tuple[list[Frame], np.ndarray]:
        (frames, recent), model = task, self._model
        groups = _windows(torch.cat(recent), len(frames), model.config.predictor.window_frames)
        if not self._by_frame:
            groups = [self._timed("encode", model.encode_clips, model.fill(group)) for group in groups]
        return frames, np.concatenate([self._timed("predict", model.predict, group, self.query) for group in groups])

    def _batches(self) -> Generator[list[Frame], None, None]:
        """Frames in lists of `BATCH`, read by a thread of their own so that decoding overlaps with the model."""
        # a camera's frames are wanted now, not sixteen at a time
        size = BATCH if self.video.seconds else 1
        frames: queue.Queue[object] = queue.Queue(maxsize=4 * BATCH)
        stop = threading.Event()
        reader = threading.Thread(target=self._read_into, args=(frames, stop), daemon=True, name="video-reader")
        reader.start()
        batch: list[Frame] = []
        try:
            while (item := frames.get()) is not _END:
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
            shown = self._video.frames(self.rate_hz, (side, side) if squashed else None)
            while (frame := self._timed("read", next, shown, None)) is not None:
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
            with self._lock:
                self.timing_s[stage] += time.perf_counter() - started


@contextmanager
def pool_of_cores(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that share torch's cores among them: a batch on each core is cheaper than all cores on each batch."""
    threads, ready = torch.get_num_threads(), threading.Barrier(workers + 1)

    def start() -> None:
        torch.set_num_threads(max(1, threads // workers))
        torch.get_num_threads()  # from here on this thread keeps its number, whatever others set
        with suppress(threading.BrokenBarrierError):
            ready.wait()

    pool = ThreadPoolExecutor(workers, "vljepa-stream", initializer=start)
    try:
        for _ in range(workers):
            pool.submit(int)
        ready.wait()
        torch.set_num_threads(threads)  # what threads started from now on begin with
        yield pool
    finally:
        ready.abort()  # after Ctrl-C before they all were ready, they would wait for ever
        pool.shutdown(cancel_futures=True)


def _in_order(pool: ThreadPoolExecutor, work: Callable[[S], T], items: Iterator[S], ahead: int) -> Iterator[T]:
    """`work` done on each item by the pool, up to `ahead` items before they are asked for; results in order."""
    waiting: deque[Future[T]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _windows(seen: torch.Tensor, n_new: int, window: int) -> list[torch.Tensor]:
    """For each of the last `n_new` of `seen`, it and up to `window` - 1 before it, grouped by length.

    Of 4 seen, 3 new, window 3: [[0, 1]], then [[0, 1, 2], [1, 2, 3]]. Only a video's first windows are short.
    """
    ends = range(len(seen) - n_new + 1, len(seen) + 1)
    short = [seen[None, :end] for end in ends if end < window]
    full = [seen[end - window : end] for end in ends if end >= window]
    return short + ([torch.stack(full)] if full else [])


def _last(batches: list[torch.Tensor], n: int) -> list[torch.Tensor]:
    """The fewest batches from the end that hold `n` of what they are made of, or all there are."""
    start = len(batches)
    while start > 0 and n > 0:
        start -= 1
        n -= len(batches[start])
    return batches[start:]


def _put(frames: "queue.Queue[object]", item: object, stop: threading.Event) -> bool:
    """Put, but give up once the consumer has gone; false then."""
    while not stop.is_set():
        try:
            frames.put(item, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False
