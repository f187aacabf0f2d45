"""Video in: frames at true times from a file, a URL or a camera.

PyAV reads files and URLs, OpenCV cameras. Of a file, packets are read a little ahead of the decoder: so it is known how
long a frame stays on the screen, and only the frames wanted are decoded and converted, whatever the frame rate does.
"""

import contextlib
import hashlib
import heapq
import math
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import av
import av.error
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from jaxtyping import Shaped, UInt8

from vljepa.errors import VideoError

MAX_SIDE = 8192  # pixels; beyond it one decoded frame takes hundreds of megabytes
MAX_PIXELS = 64_000_000
CUT_OFF_S = 0.5  # a video this much shorter than its container says is reported as cut off
CAMERA_FPS = 25.0  # where neither driver nor container states a rate
TIMEOUT_S = 10  # for a URL to answer
TICK_S = 0.002  # containers round times to a millisecond: a frame this little late still counts as shown
SMALL_PIXELS = 640 * 480  # decoded by one thread: more would gain little and take the cores from the model
EXACT = Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND  # without them pictures come up to 1 % darker
REORDER = 32  # packets read ahead: more than any codec moves a frame by
PLAYABLE = {"mov,mp4": {"h264", "av1", "vp9"}, "matroska,webm": {"h264", "av1", "vp8", "vp9"}}
PLAYER_SIDE = 1280  # pixels; the longer side of a film converted for the player

# a camera that is not there is told by an exception, not on stderr as well
if "OPENCV_LOG_LEVEL" not in os.environ:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video. `width` and `height` are in pixels, upright; `fps` is the mean frame rate.

    `seconds` is the picture track's length as the container says until the video has been read, then as its frames
    say. It is 0.0 while unknown: for a camera or a live stream, until it ends.
    """

    path: str
    seconds: float
    fps: float
    width: int
    height: int


@dataclass(frozen=True)
class Frame:
    """The picture shown at `time_s` seconds: RGB, upright; uint8, but float32 where `vljepa.photo.fit` antialiased."""

    time_s: float
    image: Shaped[np.ndarray, "height width 3"]


@runtime_checkable
class FrameSource(Protocol):
    """What a stream asks of an opened video: `Video` is one, and so is anything else that knows what was shown when.

    `info.seconds` is 0.0 for what is happening now; `warning` is known once `frames` has ended.
    """

    @property
    def info(self) -> VideoInfo: ...

    @property
    def warning(self) -> str | None: ...

    def frames(self, rate_hz: float, size: tuple[int, int] | None = None) -> Iterator[Frame]: ...

    def close(self) -> None: ...


Source = str | Path | int | FrameSource  # a path or URL, a camera's index, or what is opened already


@dataclass(frozen=True)
class _Label:
    """What the container says. `own_length` is false if `seconds` may be another track's (the sound's)."""

    seconds: float
    fps: float
    width: int
    height: int
    own_length: bool


@dataclass(frozen=True)
class _Span:
    """One decoded frame, shown from `start_s` to `stop_s` (None: not known yet); `image` works until the next span."""

    start_s: float
    stop_s: float | None
    image: Callable[[], UInt8[np.ndarray, "height width 3"]]


Wanted = Callable[[float, float], bool]  # of what is shown from one second to another: is it to be seen at all?


@runtime_checkable
class _Reader(Protocol):
    has_frame: bool
    size: tuple[int, int]  # (width, height), upright

    @property
    def end_of_file_s(self) -> float: ...

    def spans(self, size: tuple[int, int] | None, wanted: Wanted | None = None) -> Iterator[_Span]: ...

    def close(self) -> None: ...


class Video:
    """An opened video, read once from its beginning; a context manager. Made by `open_video`.

    `warning` is one sentence on what was wrong, or None; it is known once `frames` has ended.
    """

    def __init__(self, info: VideoInfo, label: _Label, reader: _Reader) -> None:
        self.info = info
        self.warning: str | None = None
        self._label, self._reader = label, reader
        self._started = False

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file or camera; harmless when done twice."""
        self._reader.close()

    def frames(self, rate_hz: float, size: tuple[int, int] | None = None) -> Iterator[Frame]:
        """The picture on the screen at 0, 1 / rate_hz, 2 / rate_hz, ... s until the end, squashed to `size` (w, h).

        That is the last frame whose presentation time has come. Of frames shown at 0, 0.04, 0.08, 0.5 s, a rate of
        4 Hz yields those of 0, 0.08 and 0.5 s, at times 0, 0.25 and 0.5 s. A video of one frame yields it once.
        A camera's times run from its first frame by the clock. ValueError unless rate_hz is finite and > 0 and the
        size is at least 1 x 1, or if the video was read before.
        """
        if not (math.isfinite(rate_hz) and rate_hz > 0):
            raise ValueError(f"rate_hz must be a number of frames a second above 0, got {rate_hz}")
        if size is not None and min(size) < 1:
            raise ValueError(f"size must be (width, height) of at least 1 pixel each, got {size}")
        self._start_reading()
        return self._frames(rate_hz, size)

    def arrivals(self, rate_hz: float, size: tuple[int, int] | None = None) -> Iterator[Frame]:
        """Of a camera or a live stream, frames as they arrive: at most `rate_hz` a second, squashed to `size` (w, h).

        Every frame is read and only those wanted are converted, so that the stream never lags behind. `time_s` is
        `time.monotonic` at the arrival: a live stream's own stamps are often wrong. ValueError as for `frames`.
        """
        if not (math.isfinite(rate_hz) and rate_hz > 0):
            raise ValueError(f"rate_hz must be a number of frames a second above 0, got {rate_hz}")
        self._start_reading()
        return self._arrivals(rate_hz, size)

    def _start_reading(self) -> None:
        if self._started:
            raise ValueError("a video is read once: call open_video again to read it from the beginning")
        self._started = True

    def _arrivals(self, rate_hz: float, size: tuple[int, int] | None) -> Iterator[Frame]:
        due_s = -math.inf
        for span in self._reader.spans(size):
            now_s = time.monotonic()
            if now_s >= due_s - TICK_S:
                due_s = max(due_s + 1 / rate_hz, now_s)  # the mean rate is kept, and a pause is not made up for
                yield Frame(now_s, span.image())

    def _frames(self, rate_hz: float, size: tuple[int, int] | None) -> Iterator[Frame]:
        tick_s = min(TICK_S, 0.5 / self.info.fps)
        step, n_read, end_s = 0, 0, 0.0
        held: UInt8[np.ndarray, "height width 3"] | None = None

        def wanted(start_s: float, stop_s: float) -> bool:
            # a tick to spare, or rounding could leave out a frame that is shown
            return math.ceil((start_s - 2 * tick_s) * rate_hz) / rate_hz < stop_s

        for span in self._reader.spans(size, wanted):
            while held is not None and step / rate_hz < span.start_s - tick_s:
                yield Frame(step / rate_hz, held)
                step += 1
            n_read, end_s = n_read + 1, span.stop_s or span.start_s + 1 / self.info.fps
            unseen = span.stop_s is not None and step / rate_hz >= span.stop_s - tick_s
            held = None if unseen else span.image()
        last = 1 / rate_hz if n_read == 1 else end_s
        while held is not None and step / rate_hz < last - tick_s:
            yield Frame(step / rate_hz, held)
            step += 1
        self._finish(end_s)

    def _finish(self, end_s: float) -> None:
        """Correct the length to what decoded, and warn if the container had promised more."""
        promised_s, reached_s = self._label.seconds, end_s
        if not self._label.own_length:  # then sound that outlasts the picture is no damage
            reached_s = max(end_s, self._reader.end_of_file_s)
        if reached_s < promised_s - CUT_OFF_S:
            name = Path(self.info.path).name
            self.warning = (f"{name} is cut off or damaged after {end_s:.1f} of {promised_s:.1f} s: what decodes was "
                            "used; copy or download it again for the rest.")
        self.info = replace(self.info, seconds=end_s)


def open_video(source: str | Path | int) -> Video:
    """Open a file, a URL ("://" in it) or a camera (its index, from 0), and decode its first frame.

    Resolution is limited to MAX_SIDE and MAX_PIXELS. VideoError, one sentence with a remedy, if there is no picture
    to read; ValueError for a negative camera index.
    """
    if isinstance(source, int):
        return _open_camera(source)
    name, address, is_url = _address(source)
    label = _read_label(name, address, is_url)
    reader = _FileReader(address, label, is_url)
    if not reader.has_frame:
        reader.close()
        raise VideoError(f"{name} holds no frame that can be decoded: download it again or convert it to MP4.")
    width, height = reader.size
    return Video(VideoInfo(str(source), label.seconds, label.fps, width, height), label, reader)


def _open_camera(index: int) -> Video:
    if index < 0:
        raise ValueError(f"a camera index must be 0 or more, got {index}")
    reader = _CameraReader(index)
    if not reader.has_frame:
        reader.close()
        raise VideoError(f"Camera {index} gives no picture: plug it in, close other programs that use it, "
                         "allow access to it, or try another index.")
    width, height = reader.size
    label = _Label(0.0, reader.fps, width, height, own_length=True)
    return Video(VideoInfo(str(index), 0.0, reader.fps, width, height), label, reader)


def _address(source: str | Path) -> tuple[str, str, bool]:
    """(name to show, what to open, whether it is a URL); VideoError unless it is a URL or a readable, filled file."""
    if "://" in str(source):
        return str(source), str(source), True
    path = Path(source)
    name = path.name or str(source)
    try:
        if path.is_dir():
            raise VideoError(f"{name or 'The path'} is a folder: give a video file inside it.")
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError:
        raise VideoError(f"{source} does not exist: check the path.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoError(f"{source} cannot be read ({reason}): check the path and its permissions.") from None
    if empty:
        raise VideoError(f"{name} is empty (0 bytes): record, copy or download it again.")
    # absolute, or FFmpeg takes the "a" of "a:b.mp4" for a protocol
    return name, str(path.absolute()), False


def _container(address: str, is_url: bool) -> "av.container.InputContainer":
    # lost packets of a stream over UDP are grey smears
    options = {"rtsp_transport": "tcp"} if address.startswith("rtsp") else {}
    return av.open(address, options=options, metadata_errors="ignore", timeout=TIMEOUT_S if is_url else None)


def _picture_track(container: "av.container.InputContainer") -> "av.VideoStream | None":
    """The first real picture track: not the cover of a song."""
    tracks = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    # "tty" renders any .txt file as a video of a terminal
    return tracks[0] if tracks and container.format.name != "tty" else None


def _read_label(name: str, address: str, is_url: bool) -> _Label:
    try:
        with _container(address, is_url) as container:
            stream = _picture_track(container)
            if stream is None:
                raise VideoError(_no_picture(name, container))
            label = _label_of(container, stream, is_url)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(_unreadable(name, address, is_url, error)) from None
    if max(label.width, label.height) > MAX_SIDE or label.width * label.height > MAX_PIXELS:
        raise VideoError(f"{name} has {label.width} x {label.height} pixels, more than the {MAX_SIDE} a side and "
                         f"{MAX_PIXELS // 10**6} million that are read: scale it down first.")
    return label


def _no_picture(name: str, container: "av.container.InputContainer") -> str:
    if container.streams.audio:
        return f"{name} holds sound but no moving picture: give a file with a video track."
    return f"{name} is not a video: give a file such as MP4, MOV, MKV, WebM or AVI."


def _unreadable(name: str, address: str, is_url: bool, error: Exception) -> str:
    if is_url:
        reason = getattr(error, "strerror", None) or str(error)
        return f"{name} cannot be opened ({reason}): check the address and the network."
    with open(address, "rb") as file:
        is_mp4 = file.read(8)[4:] == b"ftyp"
    if is_mp4:
        return f"{name} is cut off or damaged before its index, so nothing decodes: record, copy or download it again."
    return f"{name} is not a video that can be read, or it is damaged: give a file such as MP4, MOV, MKV, WebM or AVI."


def _label_of(container: "av.container.InputContainer", stream: "av.VideoStream", is_url: bool) -> _Label:
    rate = stream.average_rate or stream.guessed_rate
    fps = float(rate) if rate and 0 < rate <= 1000 else CAMERA_FPS
    seconds, own = _stated_seconds(stream), True
    if not seconds and container.duration:
        seconds, own = container.duration / av.time_base, False
    if not seconds and not is_url:
        seconds = _counted_seconds(container, stream, fps)
    return _Label(seconds, fps, stream.codec_context.width, stream.codec_context.height, own)


def _stated_seconds(stream: "av.VideoStream") -> float:
    """The track's own length: MP4 and AVI state it, Matroska has it as a tag "00:01:02.040"; 0.0 if nowhere."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    parts = stream.metadata.get("DURATION", "").split(":")
    with contextlib.suppress(ValueError):
        if len(parts) == 3:
            return int(parts[0]) * 3600 + int(parts[1]) * 60 + float(parts[2])
    return 0.0


def _counted_seconds(container: "av.container.InputContainer", stream: "av.VideoStream", fps: float) -> float:
    """The length by reading all packets: a browser's recordings and raw streams state none."""
    n_packets, times = 0, []
    with contextlib.suppress(av.error.FFmpegError):
        for packet in container.demux(stream):
            n_packets += packet.size > 0
            moment = packet.pts if packet.pts is not None else packet.dts
            if moment is not None and packet.size:
                times.append(moment)
    if len(times) < 2 or stream.time_base is None:
        return n_packets / fps
    return float((max(times) - min(times)) * stream.time_base) + 1 / fps


class _Clock:
    """Frame times from 0 s on: the container's where they rise plausibly, else one frame interval after the last."""

    def __init__(self, label: _Label) -> None:
        self._interval_s = 1 / label.fps
        # a broken stamp would otherwise fill days with one picture; a slide show's true ones pass the stated end
        self._limit_s = label.seconds + 3600 if label.seconds else math.inf
        self.first_s: float | None = None
        self.trusted = True  # every stamp has been plausible so far
        self._last_s = -self._interval_s

    def tell(self, stamp_s: float | None) -> float:
        if self.first_s is None:
            self.first_s = stamp_s or 0.0
        time_s = self._last_s if stamp_s is None else stamp_s - self.first_s
        if not self._last_s < time_s <= self._limit_s:
            time_s, self.trusted = self._last_s + self._interval_s, False
        self._last_s = time_s
        return time_s


class _CameraReader:
    """A camera's frames through cv2.VideoCapture, stamped by the clock."""

    end_of_file_s = 0.0

    def __init__(self, index: int) -> None:
        self._capture = cv2.VideoCapture(index, cv2.CAP_ANY)
        self.has_frame = self._capture.grab()
        width, height = (self._capture.get(key) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        self.size = (int(width), int(height))
        stated = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = stated if 0 < stated <= 1000 else CAMERA_FPS
        self._clock = _Clock(_Label(0.0, self.fps, *self.size, own_length=True))

    def spans(self, size: tuple[int, int] | None, wanted: Wanted | None = None) -> Iterator[_Span]:  # noqa: ARG002
        while self.has_frame:
            yield _Span(self._clock.tell(time.monotonic()), None, lambda: self._image(size))
            self.has_frame = self._capture.grab()

    def _image(self, size: tuple[int, int] | None) -> UInt8[np.ndarray, "height width 3"]:
        ok, image = self._capture.retrieve()
        if not ok:
            raise VideoError("The camera's picture cannot be read: unplug it and plug it in again.")
        # OpenCV is BGR; colours are swapped after shrinking, when there is less to swap
        return np.asarray(cv2.cvtColor(_resized(image, size), cv2.COLOR_BGR2RGB))

    def close(self) -> None:
        self._capture.release()


class _FileReader:
    """Frames of a file or a URL through PyAV. Of a file, the packets of the next `REORDER` frames are read ahead: a
    frame that is not wanted, and that no other refers to, is then not decoded at all."""

    def __init__(self, address: str, label: _Label, is_url: bool) -> None:
        self._container = _container(address, is_url)
        stream = _picture_track(self._container)
        assert stream is not None and stream.time_base is not None
        self._stream, self._base, self._clock = stream, float(stream.time_base), _Clock(label)
        if label.width * label.height <= SMALL_PIXELS:
            stream.codec_context.thread_count = 1
        else:  # several frames at once would hold a live picture back
            stream.thread_type = "AUTO" if label.seconds else "SLICE"
        self._convert = VideoReformatter()
        # AVI keeps no times of presentation; FFmpeg makes up some, in the order of decoding
        self._timeless = self._container.format.name == "avi"
        self._reach = 0 if is_url or self._timeless else REORDER
        self._times: list[tuple[float, float]] = []  # a heap of (time, duration) of frames to come, in seconds
        self._current = (-math.inf, 0.0)
        self.end_of_file_s = 0.0  # of all tracks, as far as it is read
        self._wanted: Wanted = lambda *_: True
        self._decoded = self._decode()
        self._next = next(self._decoded, None)
        self.has_frame = self._next is not None
        self.size = (label.width, label.height)
        if self._next is not None and self._next.rotation % 180:
            self.size = (label.height, label.width)

    def spans(self, size: tuple[int, int] | None, wanted: Wanted | None = None) -> Iterator[_Span]:
        """What is shown from when to when; of what is not `wanted`, some is left out."""
        self._wanted = wanted or self._wanted
        while (frame := self._next) is not None:
            stamp = frame.dts if self._timeless else frame.pts
            stamp_s = None if stamp is None else stamp * self._base
            start_s, gap_s = self._clock.tell(stamp_s), self._gap_after(stamp_s)
            stop_s = None if gap_s is None else start_s + gap_s
            yield _Span(start_s, stop_s, lambda frame=frame: self._image(frame, size))  # type: ignore[misc]
            self._next = next(self._decoded, None)

    def _decode(self) -> "Generator[av.VideoFrame, None, None]":
        decoder = self._stream.codec_context
        for packet in self._packets():
            decoder.skip_frame = "DEFAULT" if self._needed(packet) else "NONREF"
            # a damaged packet costs its own frames, not the rest of the film
            with contextlib.suppress(av.error.InvalidDataError):
                yield from packet.decode()
        with contextlib.suppress(av.error.FFmpegError):
            yield from self._stream.decode(None)

    def _packets(self) -> "Iterator[av.Packet]":
        """The picture's packets in the file's order, the times of `reach` more being known by then."""
        ahead: deque[av.Packet] = deque()
        for packet in self._demuxed():
            ahead.append(packet)
            if len(ahead) > self._reach:
                yield ahead.popleft()
        yield from ahead

    def _demuxed(self) -> "Iterator[av.Packet]":
        bases: dict[int, float] = {}  # seconds a tick, by track
        with contextlib.suppress(av.error.FFmpegError):
            for packet in self._container.demux():
                moment, index = packet.pts if packet.pts is not None else packet.dts, packet.stream_index
                if moment is not None and packet.time_base is not None and not packet.is_discard:
                    if index not in bases:
                        bases[index] = float(packet.time_base)
                    time_s, lasts_s = moment * bases[index], (packet.duration or 0) * bases[index]
                    self.end_of_file_s = max(self.end_of_file_s, time_s + lasts_s)
                    if index == self._stream.index:
                        heapq.heappush(self._times, (time_s, lasts_s))
                if index == self._stream.index and packet.size:
                    yield packet

    def _needed(self, packet: "av.Packet") -> bool:
        first_s = self._clock.first_s
        if first_s is None or not self._clock.trusted or packet.pts is None or not self._reach:
            return True
        time_s = packet.pts * self._base
        next_s = min((t for t, _ in self._times if t > time_s), default=None)
        return next_s is None or self._wanted(time_s - first_s, next_s - first_s)

    def _gap_after(self, time_s: float | None) -> float | None:
        """Seconds from the frame of `time_s` to the next one, or to its own end if it is the last; None if unknown."""
        if time_s is None or not self._reach:
            return None
        while self._times and self._times[0][0] <= time_s + 0.0005:  # libraries round in their own ways
            self._current = heapq.heappop(self._times)
        end_s = self._times[0][0] if self._times else sum(self._current)
        return end_s - time_s if end_s > time_s else None

    def _image(self, frame: "av.VideoFrame", size: tuple[int, int] | None) -> UInt8[np.ndarray, "height width 3"]:
        turned = bool(frame.rotation % 180)
        width, height = (frame.width, frame.height) if size is None else size[::-1] if turned else size
        shrinks = width <= frame.width and height <= frame.height
        how = EXACT | (Interpolation.AREA if shrinks else Interpolation.BILINEAR)
        # by planes: the same pixels as "rgb24", for which FFmpeg takes half as long again
        small = self._convert.reformat(frame, width, height, "gbrp", interpolation=how)
        return np.ascontiguousarray(np.rot90(small.to_ndarray(), frame.rotation // 90 % 4))

    def close(self) -> None:
        self._decoded.close()
        self._container.close()


def _resized(image: Any, size: tuple[int, int] | None) -> Any:
    height, width = image.shape[:2]
    if size is None or size == (width, height):
        return image
    shrinks = size[0] <= width and size[1] <= height
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def playable_copy(path: str | Path, folder: Path, progress: Callable[[float], None] | None = None) -> Path:
    """`path` itself if browsers play it, else an H.264 MP4 of it in `folder`, without sound, made once.

    `progress` is told the seconds done; an exception it raises cancels. VideoError if the video cannot be read or the
    copy cannot be written; nothing half-written is left.
    """
    name, address, is_url = _address(path)
    _read_label(name, address, is_url)
    with _container(address, is_url) as container:
        stream = _picture_track(container)
        assert stream is not None
        codec, pixels = stream.codec_context.codec.canonical_name, stream.codec_context.pix_fmt
        kinds = next((codecs for kind, codecs in PLAYABLE.items() if container.format.name.startswith(kind)), set())
    if codec in kinds and (codec != "h264" or pixels in ("yuv420p", "yuvj420p")):
        return Path(path)
    stat = os.stat(address)
    key = hashlib.sha256(f"{address}|{stat.st_size}|{stat.st_mtime_ns}".encode()).hexdigest()[:12]
    target = folder / f"{Path(path).stem}-{key}.mp4"
    if not target.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_atomically(target, lambda part: _transcode(path, part, progress))
        except OSError as error:
            raise VideoError(f"{name} cannot be converted for the player ({error.strerror or error}): "
                             f"free some disk space or check the folder {folder}.") from error
    return target


def _write_atomically(target: Path, write: Callable[[Path], None]) -> None:
    handle, part = tempfile.mkstemp(dir=target.parent, prefix=".part-", suffix=target.suffix)
    os.close(handle)
    try:
        write(Path(part))
        os.replace(part, target)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def _transcode(path: str | Path, target: Path, progress: Callable[[float], None] | None) -> None:
    """Every frame at its own time, upright, even-sided for yuv420p."""
    clock = Fraction(1, 90_000)
    with open_video(path) as video, av.open(str(target), "w", options={"movflags": "faststart"}) as out:
        shrink = min(1.0, PLAYER_SIDE / max(video.info.width, video.info.height))
        size = tuple(max(2, round(side * shrink / 2) * 2) for side in (video.info.width, video.info.height))
        stream = out.add_stream("libx264", rate=Fraction(video.info.fps).limit_denominator(1001),
                                options={"preset": "veryfast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = clock
        for span in video._reader.spans((size[0], size[1])):
            frame = av.VideoFrame.from_ndarray(span.image(), format="rgb24")
            frame.pts, frame.time_base = round(span.start_s / clock), clock
            out.mux(stream.encode(frame))
            if progress is not None:
                progress(span.start_s)
        out.mux(stream.encode(None))
