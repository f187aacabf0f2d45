"""The virtual camera: photographs become the frames of a film, by pans and zooms, hard cuts and dissolves."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import av
import cv2
import numpy as np
from jaxtyping import UInt8

FPS = 25
Picture = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class View:
    """What the camera sees: centre (`x`, `y`) and `width`, as shares (0 to 1) of the photograph's width and height."""

    x: float
    y: float
    width: float


class Shot(Protocol):
    """A photograph seen for `seconds` by a camera that moves from `start` to `end`.

    It begins with a hard cut, or with a dissolve of `dissolve_s` seconds centred on its first moment.
    """

    @property
    def seconds(self) -> float: ...
    @property
    def start(self) -> View: ...
    @property
    def end(self) -> View: ...
    @property
    def dissolve_s(self) -> float: ...


def first_frames(shots: Sequence[Shot]) -> list[int]:
    """Frame numbers at which the shots begin, and the film's length in frames as the last entry."""
    return [0, *accumulate(round(shot.seconds * FPS) for shot in shots)]


def transition(shot: Shot, first: int) -> tuple[str, list[float] | None]:
    """How a shot whose first frame is `first` begins: "start", "cut" or "dissolve", and a dissolve's [start, end] s."""
    half = half_dissolve(shot)
    kind = "start" if first == 0 else "dissolve" if half else "cut"
    return kind, [(first - half) / FPS, (first + half) / FPS] if half else None


def frame_at(
    shots: Sequence[Shot], edges: list[int], number: int, photo: Callable[[int], Picture], size: tuple[int, int]
) -> Picture:
    """Frame `number` of a film, RGB, of `size` (width, height); `edges` are its `first_frames`.

    `photo` is asked for a shot's photograph by the shot's position.
    """
    frame: Picture | None = None
    for share, k, view in _layers(shots, edges, number):
        above = _seen(photo(k), view, size)
        frame = above if frame is None else np.asarray(cv2.addWeighted(above, share, frame, 1 - share, 0))
    assert frame is not None, f"frame {number} of {edges[-1]}"
    return frame


def encode_film(
    frames: Iterable[Picture], size: tuple[int, int], path: Path, progress: Callable[[int], None] | None = None
) -> None:
    """Encode as H.264 MP4 with its index in front. `progress` is told the frames done; what it raises cancels."""
    with av.open(str(path), "w", options={"movflags": "faststart", "fflags": "+bitexact"}) as out:
        stream = out.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "22", "threads": "2"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number, frame in enumerate(frames):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            if progress is not None:
                progress(number + 1)
        out.mux(stream.encode(None))


def half_dissolve(shot: Shot) -> int:
    """Half of the dissolve that a shot begins with, in frames; 0 for a hard cut."""
    return round(shot.dissolve_s * FPS / 2)


def _layers(shots: Sequence[Shot], edges: list[int], number: int) -> Iterator[tuple[float, int, View]]:
    """(opacity, position of the shot, view) of each shot to be seen in a frame, the lowest first."""
    halves = [half_dissolve(shot) for shot in shots] + [0]
    for k, shot in enumerate(shots):
        # the camera is already moving while the scene fades in, and still moving while the next one covers it
        first, stop = edges[k] - halves[k], edges[k + 1] + halves[k + 1]
        if first <= number < stop:
            # + 1: no frame is wholly the old scene or wholly the new one inside the interval
            share = min(1.0, (number - first + 1) / (2 * halves[k] + 1)) if halves[k] else 1.0
            yield share, k, _between(shot.start, shot.end, (number - first) / max(1, stop - first - 1))


def _between(start: View, end: View, share: float) -> View:
    eased = share * share * (3 - 2 * share)  # the move starts and stops gently
    return View(*(a + (b - a) * eased for a, b in ((start.x, end.x), (start.y, end.y), (start.width, end.width))))


def _seen(photo: Picture, view: View, size: tuple[int, int]) -> Picture:
    """The part of the photograph in view, kept inside its borders, at film size."""
    (height, width), (film_w, film_h) = photo.shape[:2], size
    seen_w = min(view.width * width, height * film_w / film_h)
    seen_h = seen_w * film_h / film_w
    x = np.clip(view.x * width, seen_w / 2, width - seen_w / 2)
    y = np.clip(view.y * height, seen_h / 2, height - seen_h / 2)
    scale = seen_w / film_w
    # by pixel centres: film pixel u lies at photo pixel left_edge + (u + 0.5) * scale - 0.5
    left, top = (edge + 0.5 * scale - 0.5 for edge in (x - seen_w / 2, y - seen_h / 2))
    film_to_photo = np.array([[scale, 0, left], [0, scale, top]])
    flags = (cv2.INTER_CUBIC if scale < 1 else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(photo, film_to_photo, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen)
