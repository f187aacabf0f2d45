"""Turns a script's photographs into a film's frames and file, and writes down the ground truth."""

import importlib.util
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sample_media.camera import FPS, Picture, encode_film, frame_at, transition
from sample_media.camera import first_frames as first_frames_of
from sample_media.films import PHOTOS, Script
from vljepa.errors import VideoError

WIDTH, HEIGHT = 640, 360


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
    return first_frames_of(script.scenes)


def truth(script: Script) -> list[dict[str, Any]]:
    """The scenes, times in seconds. A dissolve is centred on `start_s`; `dissolve_s` is its [start, end] or None."""
    scenes = []
    for scene, (first, stop) in zip(script.scenes, pairwise(first_frames(script)), strict=True):
        kind, dissolve_s = transition(scene, first)
        photo = PHOTOS[scene.photo]
        scenes.append({
            "start_s": first / FPS, "end_s": stop / FPS, "caption": scene.caption, "transition": kind,
            "dissolve_s": dissolve_s,
            "photo": {"package": photo.package, "file": photo.file, "source": photo.source, "licence": photo.licence},
        })  # fmt: skip
    return scenes


def film_frames(script: Script) -> Iterator[Picture]:
    """The film's frames, RGB, 640 x 360."""
    pictures = {scene.photo: _photo(scene.photo) for scene in script.scenes}
    edges = first_frames(script)
    for number in range(edges[-1]):
        yield frame_at(script.scenes, edges, number, lambda k: pictures[script.scenes[k].photo], (WIDTH, HEIGHT))


def write_film(script: Script, path: Path, progress: Callable[[int], None] | None = None) -> None:
    """Encode as H.264 MP4 with its index in front. `progress` is told the frames done; what it raises cancels."""
    encode_film(film_frames(script), (WIDTH, HEIGHT), path, progress)


def _photo(name: str) -> Picture:
    image = cv2.imdecode(np.fromfile(photo_path(name), np.uint8), cv2.IMREAD_COLOR)  # any path, any platform
    if image is None:
        raise VideoError(f"The photograph {photo_path(name)} cannot be decoded: install {PHOTOS[name].package} again.")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
