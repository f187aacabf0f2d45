"""The virtual camera: turns a script's photographs into film frames, encodes them, and writes down the ground truth."""

import importlib.util
from collections.abc import Callable, Iterator
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from jaxtyping import UInt8

from sample_media.films import PHOTOS, Scene, Script, View
from vljepa.errors import VideoError

WIDTH, HEIGHT, FPS = 640, 360, 25
Picture = UInt8[np.ndarray, "360 640 3"]
Photograph = UInt8[np.ndarray, "height width 3"]


def photo_path(name: str) -> Path:
    """Where the installed package keeps this photograph; VideoError if the package or the photograph is missing."""
    photo = PHOTOS[name]
    spec = importlib.util.find_spec(photo.package)  # finds without importing: gradio takes seconds
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / photo.file
        if path.is_file():
            return path
    raise VideoError(f"The sample films need {photo.file} of the package {photo.package}, which is not there: "
                     "install the versions that requirements ask for.")


def first_frames(script: Script) -> list[int]:
    """Frame numbers at which the scenes begin, and the film's length in frames as the last entry."""
    return [0, *accumulate(round(scene.seconds * FPS) for scene in script.scenes)]


def truth(script: Script) -> list[dict[str, Any]]:
    """The scenes, times in seconds. A dissolve is centred on `start_s`; `dissolve_s` is its [start, end] or None."""
    scenes = []
    for scene, (first, stop) in zip(script.scenes, pairwise(first_frames(script)), strict=True):
        half = _half_dissolve(scene)
        kind = "start" if first == 0 else "dissolve" if half else "cut"
        photo = PHOTOS[scene.photo]
        scenes.append({
            "start_s": first / FPS, "end_s": stop / FPS, "caption": scene.caption, "transition": kind,
            "dissolve_s": [(first - half) / FPS, (first + half) / FPS] if half else None,
            "photo": {"package": photo.package, "file": photo.file, "source": photo.source, "licence": photo.licence},
        })  # fmt: skip
    return scenes


def film_frames(script: Script) -> Iterator[Picture]:
    """The film's frames, RGB, 640 x 360."""
    pictures = {scene.photo: _photo(scene.photo) for scene in script.scenes}
    edges = first_frames(script)
    for number in range(edges[-1]):
        layers = [(share, _seen(pictures[scene.photo], view)) for share, scene, view in _layers(script, edges, number)]
        frame = layers[0][1]
        for share, above in layers[1:]:
            frame = cv2.addWeighted(above, share, frame, 1 - share, 0)
        yield frame


def write_film(script: Script, path: Path, progress: Callable[[int], None] | None = None) -> None:
    """Encode as H.264 MP4 with its index in front. `progress` is told the frames done; what it raises cancels."""
    with av.open(str(path), "w", options={"movflags": "faststart", "fflags": "+bitexact"}) as out:
        stream = out.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "22", "threads": "2"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, frame in enumerate(film_frames(script)):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            if progress is not None:
                progress(number + 1)
        out.mux(stream.encode(None))


def _half_dissolve(scene: Scene) -> int:
    return round(scene.dissolve_s * FPS / 2)


def _layers(script: Script, edges: list[int], number: int) -> Iterator[tuple[float, Scene, View]]:
    """(opacity, scene, view) of each scene to be seen in a frame, the lowest first."""
    halves = [_half_dissolve(scene) for scene in script.scenes] + [0]
    for k, scene in enumerate(script.scenes):
        # the camera is already moving while the scene fades in, and still moving while the next one covers it
        first, stop = edges[k] - halves[k], edges[k + 1] + halves[k + 1]
        if first <= number < stop:
            # + 1: no frame is wholly the old scene or wholly the new one inside the interval
            share = min(1.0, (number - first + 1) / (2 * halves[k] + 1)) if halves[k] else 1.0
            yield share, scene, _between(scene.start, scene.end, (number - first) / max(1, stop - first - 1))


def _between(start: View, end: View, share: float) -> View:
    eased = share * share * (3 - 2 * share)  # the move starts and stops gently
    return View(*(a + (b - a) * eased for a, b in ((start.x, end.x), (start.y, end.y), (start.width, end.width))))


def _photo(name: str) -> Photograph:
    image = cv2.imdecode(np.fromfile(photo_path(name), np.uint8), cv2.IMREAD_COLOR)  # any path, any platform
    if image is None:
        raise VideoError(f"The photograph {photo_path(name)} cannot be decoded: install {PHOTOS[name].package} again.")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def _seen(photo: Photograph, view: View) -> Picture:
    """The part of the photograph in view, kept inside its borders, at film size."""
    height, width = photo.shape[:2]
    seen_w = min(view.width * width, height * WIDTH / HEIGHT)
    seen_h = seen_w * HEIGHT / WIDTH
    x = np.clip(view.x * width, seen_w / 2, width - seen_w / 2)
    y = np.clip(view.y * height, seen_h / 2, height - seen_h / 2)
    scale = seen_w / WIDTH
    # by pixel centres: film pixel u lies at photo pixel left_edge + (u + 0.5) * scale - 0.5
    left, top = (edge + 0.5 * scale - 0.5 for edge in (x - seen_w / 2, y - seen_h / 2))
    film_to_photo = np.array([[scale, 0, left], [0, scale, top]])
    flags = (cv2.INTER_CUBIC if scale < 1 else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(photo, film_to_photo, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen)
