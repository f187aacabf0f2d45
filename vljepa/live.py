"""Live sessions: frames in, embeddings, novelty, places on the map and captions out, as they happen.

One thread owns the model and serves every session: what several sessions have waiting is encoded and predicted
together. Each session has a slot for one frame, and the newest wins, so a slow machine lowers the rate and never
raises the lag. A caption is read once for each segment, shortly after its boundary.
"""

import contextlib
import logging
import math
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8

from visualizations.landmark_map import Landmarks, place_both
from vljepa.online import OnlineSegmenter, OnlineSettings
from vljepa.provenance import cores
from vljepa.readout import Caption, check_readout

KEPT_EVENTS = 18_000  # of a session: 30 minutes at 10 a second, about 25 MB at 384 dimensions; older ones are forgotten
DECODED_AT_ONCE = 2  # sentences between two rounds of frames: bounds how long the others wait
WINDOWS_AT_ONCE = 16  # frames encoded together: larger is no faster on a CPU and delays the first result
CAPTION_AFTER_S = 1.0  # of a new segment before its caption is read: it should tell of the scene, not of the change
STALE_WINDOWS = 2.0  # a frame older than so many windows is no part of what is seen now
ROWS = 1024  # embeddings in one block of memory
BLANK = 3.0  # standard deviation of a picture's values, 0 to 255: a lens cap and a grey card stay below
STAGES = ("wait", "encode", "predict", "segment", "place", "decode")
_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class LiveUpdate:
    """What one frame brought. `time_s` is the session's clock: seconds from its first frame to this one's capture.

    `latency_s` is from the capture to this record. `segment` counts from 0; `boundary_s`, on the first update of a
    segment, is when it began. `xy` and `xyz` are None where the checkpoint has no map. `blank`: the picture is all of
    one colour, as behind a lens cap.
    """

    index: int
    time_s: float
    latency_s: float
    embedding: Float[np.ndarray, " dim"]
    novelty: float
    threshold: float
    boundary_s: float | None
    segment: int
    xy: tuple[float, float] | None
    xyz: tuple[float, float, float] | None
    blank: bool = False


@dataclass(frozen=True)
class LiveCaption:
    """The caption of a segment, read once; it stands from `start_s` until the next segment begins."""

    index: int
    time_s: float
    segment: int
    start_s: float
    text: str
    readout: str
    similarity: float


LiveEvent = LiveUpdate | LiveCaption


@dataclass(frozen=True)
class Ledger:
    """What a session has cost so far.

    `uniform_1hz` is the number of captions that a decoder which reads one each second would have read; `dropped` the
    frames that a newer one replaced before the model was free; `failed` those whose embedding was no number or whose
    work raised. `stage_s` holds seconds by stage, shared work divided among its sessions; "wait" is what frames
    waited. `model_share` is the share of the worker's busy time spent in the model, and `latency_p95_s` over the
    last minutes.
    """

    seconds: float
    windows: int
    decodes: int
    uniform_1hz: int
    dropped: int
    failed: int
    stage_s: dict[str, float]
    model_share: float
    latency_p95_s: float


@runtime_checkable
class Model(Protocol):
    """What the live loop asks of a model; `VLJEPA` is one."""

    name: str
    config: Any  # a `ModelConfig`
    x_encoder: Any
    landmarks: Landmarks | None

    @property
    def readouts(self) -> tuple[str, ...]: ...

    def query_tokens(self, queries: Sequence[str | None]) -> object: ...  # refuses a bad query

    def fit(self, image: UInt8[np.ndarray, "height width 3"]) -> Shaped[np.ndarray, "side side 3"]: ...

    def encode_frames(self, frames: Shaped[np.ndarray, "batch height width 3"]) -> torch.Tensor: ...

    def encode_clips(self, clips: torch.Tensor) -> torch.Tensor: ...

    def fill(self, clips: torch.Tensor) -> torch.Tensor: ...

    def predict(self, visual_tokens: torch.Tensor, query: Sequence[str | None]) -> np.ndarray: ...

    def decode(self, embeddings: Float[np.ndarray, "n dim"], readout: str | None = None) -> list[Caption]: ...


@dataclass(frozen=True)
class _Waiting:
    """A frame on its way to the model, with the moments of its capture and of its offer, by `time.monotonic`."""

    image: UInt8[np.ndarray, "height width 3"]
    captured_s: float
    offered_s: float


@dataclass
class _Tokens:
    """One frame as the X-Encoder left it."""

    captured_s: float
    tokens: torch.Tensor


class _Rows:
    """Embeddings to be kept, many to a block of memory. One by one they would come to lie between the model's large
    temporaries, and keep the memory of those from being used again."""

    def __init__(self) -> None:
        self._block, self._used = np.empty((0, 0), np.float16), 0

    def keep(self, embedding: Float[np.ndarray, " dim"]) -> Float[np.ndarray, " dim"]:
        """A copy in half precision; its block is freed with the last of its rows."""
        if self._used == len(self._block):
            self._block, self._used = np.empty((ROWS, len(embedding)), np.float16), 0
        row = self._block[self._used]
        row[:] = embedding
        self._used += 1
        return row


@dataclass
class _Stream:
    """What only the worker touches of a session."""

    query: str | None
    segmenter: OnlineSegmenter
    rows: _Rows = field(default_factory=_Rows)
    seen: deque[_Tokens] = field(default_factory=deque)
    segment: int = 0
    captioned: bool = False
    blank: bool = False
    newest_s: float = 0.0  # on the session's clock, of what was told


class LiveSession:
    """One viewer's stream. Made by `LiveModel.session`; every method may be called from any thread."""

    def __init__(self, owner: "LiveModel", settings: OnlineSettings, query: str | None, readout: str | None) -> None:
        self.token = secrets.token_urlsafe(12)
        self.readout = readout  # None: the checkpoint has none, and there will be no captions
        self.failure: str | None = None  # what went wrong with the last picture, in a sentence
        self._owner, self._settings = owner, settings
        self._stream = _Stream(query, OnlineSegmenter(settings))
        self._slot: _Waiting | None = None
        self._changed = threading.Condition()
        self._events: deque[LiveEvent] = deque(maxlen=KEPT_EVENTS)
        self._next_index = 0
        self._start_s: float | None = None
        self._newest_s = -math.inf
        self._asked_s = time.monotonic()
        self._counts = {"windows": 0, "decodes": 0, "dropped": 0, "failed": 0}
        self._stage_s = dict.fromkeys(STAGES, 0.0)
        self._latencies: deque[float] = deque(maxlen=1000)
        self._wanted_query: tuple[str | None] | None = None
        self._closed = False
        self.frame_size = (0, 0)  # (width, height) of the newest frame

    def __enter__(self) -> "LiveSession":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """True once `close` was called, here or by the model's end."""
        return self._closed

    @property
    def idle_s(self) -> float:
        """Seconds since somebody last offered a frame or asked for updates: a page that went away asks no more."""
        return time.monotonic() - self._asked_s

    @property
    def started_s(self) -> float:
        """When the session's clock stood at 0, by `time.monotonic`: its first frame's capture, or now before that."""
        return time.monotonic() if self._start_s is None else self._start_s

    @property
    def settings(self) -> OnlineSettings:
        """The settings in force."""
        return self._settings

    @property
    def query(self) -> str | None:
        """What is asked; None: for a caption."""
        return self._stream.query if self._wanted_query is None else self._wanted_query[0]

    @property
    def lag_s(self) -> float:
        """How long after the fact an embedding tells of it: half of what a window spans."""
        config = self._owner.model.config
        return float(config.predictor.window_frames / 2 / config.rate_hz)

    @property
    def checkpoint(self) -> str:
        """The name of the checkpoint that answers."""
        return self._owner.model.name

    @property
    def landmarks(self) -> Landmarks | None:
        """The map that updates are placed on."""
        return self._owner.model.landmarks

    def offer(self, image: UInt8[np.ndarray, "height width 3"], captured_s: float | None = None) -> bool:
        """Hand over an RGB frame captured at `captured_s` of `time.monotonic` (None: now); false once closed.

        It replaces a frame that still waits. A frame not newer than the last one taken is dropped. ValueError unless it
        is a picture of at least 1 x 1 pixels.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(f"a frame must be RGB of type uint8 and shape (height, width, 3), got {image.dtype} "
                             f"{image.shape}")
        now = time.monotonic()
        waiting = _Waiting(image, now if captured_s is None else captured_s, now)
        with self._changed:
            self._asked_s = now
            if self._closed:
                return False
            if waiting.captured_s <= self._newest_s:
                self._counts["dropped"] += 1
                return True
            self._newest_s, self.frame_size = waiting.captured_s, (image.shape[1], image.shape[0])
            self._counts["dropped"] += self._slot is not None
            self._slot = waiting
        self._owner._wake()
        return True

    def updates(self, since: int = -1) -> list[LiveEvent]:
        """The events with an index above `since`, oldest first: updates, and captions where they became known."""
        with self._changed:
            self._asked_s = time.monotonic()
            return self._after(since)

    def wait(self, since: int = -1, timeout_s: float = 10.0, newest_s: float = 0.0) -> list[LiveEvent]:
        """`updates`, but waits up to `timeout_s` for the first; an empty list if none came or the session closed.

        If the first is not yet about the newest frame offered, it waits up to `newest_s` more for that: who offers a
        frame at a time would otherwise hear of each frame only when the next one is on its way.
        """
        with self._changed:
            self._asked_s = time.monotonic()
            self._changed.wait_for(lambda: self._closed or self._next_index - 1 > since, timeout_s)
            if newest_s:
                self._changed.wait_for(lambda: self._closed or self._has_answered(), newest_s)
            return self._after(since)

    def set_query(self, query: str | None) -> None:
        """Ask something else from the next frame on, which begins a new segment; None asks for captions.

        ValueError for an empty or too long query.
        """
        self._owner.model.query_tokens([query])
        with self._changed:
            self._wanted_query = (query,)

    def set_threshold(self, threshold: float | None) -> None:
        """Hold the threshold, or None to let the stream decide again. ValueError unless above 0 and at most 2."""
        with self._changed:
            self._stream.segmenter.set_threshold(threshold)
            self._settings = self._stream.segmenter.settings

    def set_window(self, window_s: float) -> None:
        """Smooth the stream over so many seconds from now on. ValueError unless above 0."""
        with self._changed:
            self._stream.segmenter.set_window(window_s)
            self._settings = self._stream.segmenter.settings

    def ledger(self) -> Ledger:
        """What the session has cost so far."""
        with self._changed:
            newest = next((e.time_s for e in reversed(self._events) if isinstance(e, LiveUpdate)), None)
            stage_s, counts = dict(self._stage_s), dict(self._counts)
            latencies = list(self._latencies)
        busy = sum(seconds for stage, seconds in stage_s.items() if stage != "wait")
        in_model = stage_s["encode"] + stage_s["predict"] + stage_s["decode"]
        return Ledger(
            seconds=newest or 0.0, uniform_1hz=0 if newest is None else math.floor(newest) + 1, stage_s=stage_s,
            model_share=in_model / busy if busy else 0.0,
            latency_p95_s=float(np.quantile(latencies, 0.95)) if latencies else 0.0, **counts)

    def close(self) -> None:
        """End the session and forget its frames, embeddings and captions; harmless when done twice."""
        self._owner._forget(self)
        with self._changed:
            self._closed, self._slot = True, None
            self._events.clear()
            self._stream = _Stream(None, OnlineSegmenter(self._settings))  # the worker may still hold the old one
            self._changed.notify_all()

    # What follows is called by the worker alone.

    def _take(self) -> _Waiting | None:
        with self._changed:
            waiting, self._slot = self._slot, None
            if waiting is not None and self._wanted_query is not None:
                self._ask(self._wanted_query[0])
                self._wanted_query = None
        return waiting

    def _ask(self, query: str | None) -> None:
        """Embeddings that answer another question cannot be compared with those before: begin anew."""
        stream = self._stream
        stream.query = query
        if self._counts["windows"]:
            stream.segment += 1
            stream.captioned, stream.segmenter = False, OnlineSegmenter(self._settings)

    def _after(self, since: int) -> list[LiveEvent]:
        found: list[LiveEvent] = []
        for event in reversed(self._events):
            if event.index <= since:
                break
            found.append(event)
        return found[::-1]

    def _has_answered(self) -> bool:
        """Whether the newest frame offered has brought its update."""
        last = next((event for event in reversed(self._events) if isinstance(event, LiveUpdate)), None)
        return last is not None and self.started_s + last.time_s >= self._newest_s - 1e-6

    def _publish(self, event: Callable[[int], LiveEvent]) -> None:
        with self._changed:
            if not self._closed:
                self._events.append(event(self._next_index))
                self._next_index += 1
                self._changed.notify_all()

    def _spent(self, stage: str, seconds: float) -> None:
        self._stage_s[stage] += seconds

    def _count(self, what: str) -> None:
        with self._changed:
            self._counts[what] += 1


class LiveModel:
    """A model and the thread that owns it; a context manager.

    `threads` is how many the model may use while live: by default half of the cores, for a browser on the same machine
    needs the others more than one frame's convolutions do.
    """

    def __init__(self, model: Model, threads: int | None = None) -> None:
        self.model = model
        self._threads = max(1, cores() // 2) if threads is None else threads
        self._sessions: list[LiveSession] = []
        self._work = threading.Condition()
        self._pending = False
        self._stopping = False
        self._worker = threading.Thread(target=self._run, daemon=True, name="live-model")
        self._worker.start()

    def __enter__(self) -> "LiveModel":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def sessions(self) -> list[LiveSession]:
        """The open sessions."""
        with self._work:
            return list(self._sessions)

    def session(self, settings: OnlineSettings | None = None, query: str | None = None,
                readout: str | None = None) -> LiveSession:
        """Open a session. ValueError for an empty or too long query or a read-out that the checkpoint lacks."""
        self.model.query_tokens([query])
        if readout is not None:
            check_readout(readout, self.model.readouts)
        readout = next(iter(self.model.readouts), None) if readout is None else readout
        session = LiveSession(self, settings or OnlineSettings(), query, readout)
        with self._work:
            if self._stopping:
                raise ValueError("the live model was closed: make a new one")
            self._sessions.append(session)
        return session

    def close(self) -> None:
        """Close every session and end the thread."""
        for session in self.sessions:
            session.close()
        with self._work:
            self._stopping = True
            self._work.notify_all()
        self._worker.join()

    def _wake(self) -> None:
        with self._work:
            self._pending = True
            self._work.notify_all()

    def _forget(self, session: LiveSession) -> None:
        with self._work, contextlib.suppress(ValueError):
            self._sessions.remove(session)

    def _run(self) -> None:
        torch.set_num_threads(self._threads)
        with torch.inference_mode():
            while self._wait_for_work():
                self._serve(self.sessions)

    def _wait_for_work(self) -> bool:
        with self._work:
            self._work.wait_for(lambda: self._pending or self._stopping)
            self._pending = False
            return not self._stopping

    def _serve(self, sessions: list[LiveSession]) -> None:
        taken = [(session, frame) for session in sessions if (frame := session._take()) is not None]
        for start in range(0, len(taken), WINDOWS_AT_ONCE):
            self._guarded(self._watch, taken[start : start + WINDOWS_AT_ONCE])
        due = [session for session in sessions if self._caption_due(session)][:DECODED_AT_ONCE]
        if due:
            self._guarded(self._caption, [(session, None) for session in due])
            if any(self._caption_due(session) for session in sessions):
                self._wake()

    def _guarded(self, work: Callable[[list], None], items: list) -> None:
        """Do the work of several sessions at once; if that raises, of each alone: one must not stop the others."""
        try:
            work(items)
        except Exception as error:  # a session's own mistake must not end everybody's thread
            if len(items) > 1:
                for item in items:
                    self._guarded(work, [item])
                return
            session = items[0][0]
            _log.error("a live session failed", exc_info=error)
            session.failure = f"A picture could not be understood ({type(error).__name__}); the next one is tried."
            session._count("failed")

    def _watch(self, taken: list[tuple[LiveSession, _Waiting]]) -> None:
        """Encode new frames together, predict their windows together, and tell each session its own."""
        live = [session for session, _ in taken]
        now = time.monotonic()
        for session, frame in taken:
            session._spent("wait", now - frame.offered_s)
        tokens = self._timed("encode", live, self._encode, [frame.image for _, frame in taken])
        windows = [self._window(session._stream.seen, frame.captured_s, one)
                   for (session, frame), one in zip(taken, tokens, strict=True)]
        embeddings = self._timed("predict", live, self._predict, [tokens for tokens, _ in windows],
                                 [s._stream.query for s in live])
        for (session, frame), embedding, (_, lag_s) in zip(taken, embeddings, windows, strict=True):
            self._guarded(self._tell, [(session, frame, embedding, lag_s)])

    def _encode(self, images: list[np.ndarray]) -> torch.Tensor:
        frames = np.stack([self.model.fit(image) for image in images])
        if self.model.x_encoder.frames_per_step == 1:
            return self.model.encode_frames(frames)
        return torch.from_numpy(frames)  # encoded as whole clips, by `_predict`

    def _window(self, seen: deque[_Tokens], captured_s: float, tokens: torch.Tensor) -> tuple[torch.Tensor, float]:
        """The newest frame and those before it that lie a step of the model's rate apart, oldest first; and how many
        seconds before the newest their middle lies."""
        config = self.model.config
        step_s, size = 1 / config.rate_hz, config.predictor.window_frames
        while seen and seen[0].captured_s < captured_s - STALE_WINDOWS * size * step_s:
            seen.popleft()
        chosen, oldest_s, next_s = [tokens], captured_s, captured_s - 0.75 * step_s
        for older in reversed(seen):
            if len(chosen) == size:
                break
            if older.captured_s <= next_s:
                chosen.append(older.tokens)
                oldest_s, next_s = older.captured_s, older.captured_s - 0.75 * step_s
        seen.append(_Tokens(captured_s, tokens))
        return torch.stack(chosen[::-1]), (captured_s - oldest_s) / 2

    def _predict(self, windows: list[torch.Tensor], queries: list[str | None]) -> list[np.ndarray]:
        """One embedding for each window; windows of one length go through the model together."""
        found: list[np.ndarray] = [np.empty(0)] * len(windows)
        for size in sorted({len(window) for window in windows}):
            rows = [i for i, window in enumerate(windows) if len(window) == size]
            batch = torch.stack([windows[i] for i in rows])
            if self.model.x_encoder.frames_per_step != 1:
                batch = self.model.encode_clips(self.model.fill(batch))
            for i, embedding in zip(rows, self.model.predict(batch, [queries[i] for i in rows]), strict=True):
                found[i] = embedding
        return found

    def _tell(self, one: list[tuple[LiveSession, _Waiting, np.ndarray, float]]) -> None:
        session, frame, embedding, lag_s = one[0]
        if not np.isfinite(embedding).all():
            session._count("failed")
            return
        stream, alone = session._stream, [session]
        if session._start_s is None:
            session._start_s = frame.captured_s
        time_s = frame.captured_s - session._start_s
        step = self._timed("segment", alone, stream.segmenter.push, time_s, embedding, lag_s)
        if step.boundary_s is not None:
            stream.segment, stream.captioned = stream.segment + 1, False
        xy, xyz = self._timed("place", alone, _places, self.model.landmarks, embedding)
        stream.blank, stream.newest_s, session.failure = _is_blank(frame.image), time_s, None
        latency_s = time.monotonic() - frame.captured_s
        session._count("windows")
        session._latencies.append(latency_s)
        session._publish(lambda index: LiveUpdate(
            index, time_s, latency_s, stream.rows.keep(embedding), step.novelty, step.threshold, step.boundary_s,
            stream.segment, xy, xyz, stream.blank))

    def _caption_due(self, session: LiveSession) -> bool:
        stream = session._stream
        if stream.captioned or session.closed or session._start_s is None or session.readout is None:
            return False
        return not stream.blank and stream.newest_s - stream.segmenter.start_s >= CAPTION_AFTER_S

    def _caption(self, due: list[tuple[LiveSession, None]]) -> None:
        sessions = [session for session, _ in due]
        for session in sessions:
            session._stream.captioned = True  # also if it fails: the same would fail again at every round
        for readout in sorted({str(session.readout) for session in sessions}):
            same = [session for session in sessions if session.readout == readout]
            embeddings = np.stack([session._stream.segmenter.segment_embedding for session in same])
            captions = self._timed("decode", same, self.model.decode, embeddings, readout)
            for session, caption in zip(same, captions, strict=True):
                self._tell_caption(session, caption)

    def _tell_caption(self, session: LiveSession, caption: Caption) -> None:
        stream = session._stream
        session._count("decodes")
        session._publish(lambda index: LiveCaption(index, stream.newest_s, stream.segment, stream.segmenter.start_s,
                                                   caption.text, caption.readout, caption.similarity))

    def _timed(self, stage: str, sessions: list[LiveSession], function: Callable[..., T], *args: object) -> T:
        """Call, and book the time on the sessions it was for, in equal shares."""
        started = time.perf_counter()
        try:
            return function(*args)
        finally:
            share = (time.perf_counter() - started) / len(sessions)
            for session in sessions:
                session._spent(stage, share)


def _places(
    landmarks: Landmarks | None, embedding: Float[np.ndarray, " dim"]
) -> tuple[tuple[float, float] | None, tuple[float, float, float] | None]:
    if landmarks is None:
        return None, None
    xy, xyz = place_both(landmarks, embedding[None])
    return (float(xy[0, 0]), float(xy[0, 1])), (float(xyz[0, 0]), float(xyz[0, 1]), float(xyz[0, 2]))


def _is_blank(image: UInt8[np.ndarray, "height width 3"]) -> bool:
    return float(image[::4, ::4].std()) < BLANK  # a sixteenth of the pixels tells, in a sixteenth of the time
