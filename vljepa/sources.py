"""Where live frames come from on the server: a camera, a network stream, or a file played in real time.

One path for all: a thread reads, and hands the newest frame to a callback with the moment of its capture. Nothing is
queued, so nothing can lag; a network stream is decoded as it comes, whether its frames are wanted or not. A stream that
was lost is opened again by itself; what cannot mend itself is told in one sentence with the remedy.
"""

import errno
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from vljepa.errors import VideoError
from vljepa.video import Video, open_video

MAX_RATE_HZ = 12.0  # frames delivered a second: a live map shows no more
BACK_OFF_S = (1.0, 2.0, 4.0, 8.0, 15.0)  # before each attempt to open a lost stream again; the last one repeats
SIZE = (448, 336)  # pixels that a frame is shrunk to fit: enough for the model and for a preview
Kind = Literal["opening", "playing", "reconnecting", "ended", "failed", "stopped"]
Deliver = Callable[[UInt8[np.ndarray, "height width 3"], float], object]


@dataclass(frozen=True)
class SourceState:
    """What a source does now, and the sentence to show."""

    kind: Kind
    message: str


class LiveSource:
    """A camera index, a URL or a file that is being played; a context manager. Starts at once, in a thread of its own.

    `deliver(image, captured_s)` is called in that thread for at most `rate_hz` frames a second: RGB, shrunk to fit
    `size` (width, height) with its shape kept; `captured_s` by `time.monotonic`. `loop` starts a file over at its end.
    `on_state` is told every change of state. After `stop` neither is called again.

    A camera or stream that cannot be opened at first has failed; one that was lost is tried again until `stop`.
    """

    def __init__(
        self, source: str | Path | int, deliver: Deliver, on_state: Callable[[SourceState], object] | None = None, *,
        rate_hz: float = MAX_RATE_HZ, size: tuple[int, int] = SIZE, loop: bool = False,
    ) -> None:
        self.source, self.loop = source, loop
        self._deliver, self._on_state, self._rate_hz, self._size = deliver, on_state, rate_hz, size
        self._stopped, self._calling = threading.Event(), threading.RLock()
        self._attempt = 0
        self._played = False
        self.state = SourceState("opening", f"Opening {self.name} ...")
        self._tell(self.state)
        threading.Thread(target=self._run, daemon=True, name="live-source").start()

    def __enter__(self) -> "LiveSource":
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def name(self) -> str:
        """What people call it: camera 0, an address without its password, a file's name."""
        if isinstance(self.source, int):
            return f"camera {self.source}"
        text = str(self.source)
        if "://" not in text:
            return Path(text).name or text
        scheme, _, rest = text.partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"

    def stop(self) -> None:
        """End it now: nothing is delivered or told after this; the device is released as soon as its driver answers."""
        with self._calling:
            self._tell(SourceState("stopped", f"{_sentence(self.name)} is stopped."))
            self._stopped.set()

    def _tell(self, state: SourceState) -> None:
        with self._calling:
            if not self._stopped.is_set():
                self.state = state
                if self._on_state is not None:
                    self._on_state(state)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with open_video(self.source) as video:
                    self._attempt, self._played = 0, True
                    self._tell(SourceState("playing", f"Watching {self.name}."))
                    is_live = video.info.seconds == 0
                    (self._play_live if is_live else self._play_film)(video)
                if not is_live:
                    if self.loop:
                        continue
                    return self._tell(SourceState("ended", video.warning or f"{_sentence(self.name)} is over."))
            except VideoError as error:
                if not (self._played and self._may_come_back()):
                    return self._tell(SourceState("failed", self._trouble(error)))
            except ValueError as error:
                return self._tell(SourceState("failed", _sentence(f"{error}.")))
            self._pause()
        return None

    def _play_live(self, video: Video) -> None:
        for frame in video.arrivals(self._rate_hz, _fitted(video.info.width, video.info.height, self._size)):
            if not self._hand_over(frame.image, frame.time_s):
                return

    def _play_film(self, video: Video) -> None:
        """Each frame when its time has come; what comes late is left out."""
        started_s = time.monotonic()
        for frame in video.frames(self._rate_hz, _fitted(video.info.width, video.info.height, self._size)):
            due_s = started_s + frame.time_s
            ahead_s = due_s - time.monotonic()
            if ahead_s > 0 and self._stopped.wait(ahead_s):
                return
            if ahead_s > -1 / self._rate_hz and not self._hand_over(frame.image, due_s):
                return

    def _hand_over(self, image: UInt8[np.ndarray, "height width 3"], captured_s: float) -> bool:
        with self._calling:
            if self._stopped.is_set():
                return False
            self._deliver(image, captured_s)
            return True

    def _may_come_back(self) -> bool:
        return isinstance(self.source, int) or "://" in str(self.source)

    def _pause(self) -> None:
        """Wait longer after each attempt, and say so."""
        seconds = BACK_OFF_S[min(self._attempt, len(BACK_OFF_S) - 1)]
        self._attempt += 1
        remedy = ("plug it in again or close the program that took it" if isinstance(self.source, int)
                  else "check that it is switched on and that the network works")
        self._tell(SourceState("reconnecting", f"{_sentence(self.name)} sends no more pictures: {remedy}; it is tried "
                                               f"again every few seconds (attempt {self._attempt})."))
        self._stopped.wait(seconds)

    def _trouble(self, error: VideoError) -> str:
        if isinstance(self.source, int):
            return camera_trouble(self.source)
        return _sentence(str(error).replace(str(self.source), self.name))


def camera_trouble(index: int) -> str:
    """Why a camera gives no picture, as far as this machine tells, and what to do: one sentence."""
    device = Path(f"/dev/video{index}")
    if not sys.platform.startswith("linux"):
        return (f"Camera {index} gives no picture: plug it in, close other programs that use it, allow this program to "
                "use it in the system's privacy settings, or try another number.")
    if not device.exists():
        others = sorted(int(path.name[5:]) for path in Path("/dev").glob("video*") if path.name[5:].isdigit())
        known = f"there are {', '.join(map(str, others))}" if others else "none is connected to the server"
        return f"There is no camera {index}: {known}; plug one in, or use the browser's camera or the sample film."
    try:
        os.close(os.open(device, os.O_RDWR | os.O_NONBLOCK))
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            return f"Camera {index} may not be used by this account: add it to the group `video` and log in again."
    return f"Camera {index} is there but gives no picture: close the program that uses it, or try another number."


def _fitted(width: int, height: int, box: tuple[int, int]) -> tuple[int, int]:
    """The size that fits into `box` with the same shape, never larger than it is."""
    scale = min(1.0, box[0] / width, box[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _sentence(text: str) -> str:
    """With a capital, unless it begins with the name of a file or an address."""
    return text[:1].upper() + text[1:] if text.split(" ")[0].isalpha() else text
