"""Films with a known story: captioned photos seen one after the other by a virtual camera.

For training, choosing and measuring: a composed film knows when which photo is on the screen, how each scene begins,
and what is to be seen in it. Its frames are made when they are asked for, so a film needs no file. The photos are the
user's own; none comes with this project.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, pairwise
from pathlib import Path

import cv2
import numpy as np

from sample_media.camera import FPS, Picture, View, encode_film, first_frames, frame_at
from vljepa.photo import read_photo
from vljepa.video import Frame, VideoInfo

SIZE = (256, 256)  # square as the data folder's photos, which are squashed: the camera sees them whole
DISSOLVE_S = (0.6, 1.6)
NARROWEST = 0.65  # share of the photo's width at the camera's closest


@dataclass(frozen=True)
class CaptionedPhoto:
    """A photo's file, and sentences that are true of it."""

    path: Path
    captions: tuple[str, ...]


@dataclass(frozen=True)
class ComposedScene:
    """One photo on the screen during [`start_s`, `end_s`), seen by a camera that moves from `start` to `end`.

    `kind` tells how it begins: "start", "cut" or "dissolve". A dissolve takes `dissolve_s` seconds around `start_s`.
    """

    photo: CaptionedPhoto
    start_s: float
    end_s: float
    kind: str
    start: View
    end: View
    dissolve_s: float

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class ComposedFilm:
    """A film's true story and, on demand, its frames of `size` (width, height), 25 a second.

    It takes the place of a video: `model.embed(film)`, `vljepa.analyze(model, film)`; unlike a file it can be read
    again and again.
    """

    name: str
    scenes: tuple[ComposedScene, ...]
    size: tuple[int, int]
    warning: str | None = None

    @property
    def seconds(self) -> float:
        """The film's length."""
        return self.scenes[-1].end_s

    @property
    def boundaries_s(self) -> list[float]:
        """The moments at which one scene gives way to the next: a cut's, or a dissolve's middle."""
        return [scene.start_s for scene in self.scenes[1:]]

    @property
    def info(self) -> VideoInfo:
        """What a file of this film would say of itself."""
        return VideoInfo(self.name, self.seconds, float(FPS), *self.size)

    def scene_at(self, time_s: float) -> ComposedScene:
        """The scene on the screen at a moment; ValueError outside [0, `seconds`)."""
        if not 0.0 <= time_s < self.seconds:
            raise ValueError(f"time_s must be 0 to {self.seconds:g} (not included) in this film, got {time_s}")
        return next(scene for scene in self.scenes if time_s < scene.end_s)

    def frames(self, rate_hz: float, size: tuple[int, int] | None = None) -> Iterator[Frame]:
        """The picture on the screen at 0, 1 / rate_hz, 2 / rate_hz, ... s until the end, squashed to `size` (w, h).

        What `Video.frames` would give for the film's file, but for the losses of encoding. ValueError unless `rate_hz`
        is finite and above 0, or if a photo cannot be read.
        """
        if not (math.isfinite(rate_hz) and rate_hz > 0):
            raise ValueError(f"rate_hz must be a number of frames a second above 0, got {rate_hz}")
        edges = first_frames(self.scenes)
        photo = lru_cache(maxsize=2)(self._photo)  # two meet in a dissolve
        for step in count():
            number = math.floor(step / rate_hz * FPS + 1e-6)
            if number >= edges[-1]:
                return
            picture = frame_at(self.scenes, edges, number, photo, self.size)
            if size is not None and size != self.size:
                picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
            yield Frame(step / rate_hz, picture)

    def write(self, path: Path, progress: Callable[[int], None] | None = None) -> None:
        """Write the film as an H.264 MP4; `progress` is told the frames done, and what it raises cancels."""
        encode_film((frame.image for frame in self.frames(float(FPS))), self.size, path, progress)

    def close(self) -> None:
        """Nothing is held open; here because a video's reader closes it."""

    def _photo(self, position: int) -> Picture:
        photo = read_photo(self.scenes[position].photo.path)
        # sampled with less than half its pixels, a photo would glitter under a moving camera
        shrink = 2 * max(self.size[0] / photo.shape[1], self.size[1] / photo.shape[0])
        if shrink >= 1:
            return photo
        return np.asarray(cv2.resize(photo, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA))


def captioned_photos(data: Path, name: str = "flickr8k", split: str = "val") -> list[CaptionedPhoto]:
    """The photos of one split of `data/NAME.jsonl` with their captions, in the file's order.

    The README says how the folder is laid out. ValueError if the list is missing, or has no captions in that split.
    """
    path = data / f"{name}.jsonl"
    if not path.is_file():
        raise ValueError(f"composed films need {path}; the README says how the data folder is laid out")
    rows = [row for row in map(json.loads, path.read_text(encoding="utf-8").splitlines()) if row.get("split") == split]
    photos = [CaptionedPhoto(data / row["file"], tuple(row["captions"])) for row in rows if row.get("captions")]
    if not photos:
        raise ValueError(f"{path} has no captioned photo in the split {split!r}: name one that it has")
    return photos


def compose_film(
    photos: Sequence[CaptionedPhoto], scenes: int = 20, seconds: tuple[float, float] = (2.0, 12.0),
    dissolves: float = 0.3, seed: int = 0, size: tuple[int, int] = SIZE,
) -> ComposedFilm:
    """A film of `scenes` photos, each for a time drawn evenly from `seconds`; the same arguments give the same film.

    A share `dissolves` (0 to 1) of the boundaries are dissolves of 0.6 to 1.6 s, never more than half of a scene; the
    others are hard cuts. No photo comes twice. `size` (width, height) has even sides. ValueError for anything else.
    """
    _check(photos, scenes, seconds, dissolves, size)
    random = np.random.default_rng(seed)
    chosen = random.choice(len(photos), scenes, replace=False)
    lengths = np.round(random.uniform(*seconds, scenes) * FPS) / FPS  # whole frames, so that the truth is exact
    starts = np.concatenate([[0], np.cumsum(np.round(lengths * FPS))]) / FPS
    story = []
    for k, (start_s, end_s) in enumerate(pairwise(starts.tolist())):
        # drawn for every scene, used or not: one more dissolve must not change every later camera move
        fades, wanted_s, (start, end) = random.random() < dissolves, random.uniform(*DISSOLVE_S), _camera_move(random)
        dissolve_s = min(wanted_s, lengths[k - 1] / 2, lengths[k] / 2) if fades and k else 0.0
        kind = "start" if k == 0 else "dissolve" if dissolve_s else "cut"
        story.append(ComposedScene(photos[chosen[k]], start_s, end_s, kind, start, end, float(dissolve_s)))
    return ComposedFilm(f"composed film {seed}", tuple(story), size)


def _check(
    photos: Sequence[CaptionedPhoto], scenes: int, seconds: tuple[float, float], dissolves: float, size: tuple[int, int]
) -> None:
    if not 1 <= scenes <= len(photos):
        raise ValueError(f"scenes must be 1 to {len(photos)}, one photo each, got {scenes}")
    if not 1.0 <= seconds[0] <= seconds[1] < math.inf:
        raise ValueError(f"seconds must be (shortest, longest) of at least 1 s, the shortest first, got {seconds}")
    if not 0.0 <= dissolves <= 1.0:
        raise ValueError(f"dissolves must be a share of 0 to 1, got {dissolves}")
    if min(size) < 2 or size[0] % 2 or size[1] % 2:
        raise ValueError(f"size must be (width, height), both even, got {size}")


def _camera_move(random: np.random.Generator) -> tuple[View, View]:
    """A zoom, a pan or both: two views, each anywhere inside the photo."""
    start, end = (_view(random, width) for width in random.uniform(NARROWEST, 1.0, 2).tolist())
    return start, end


def _view(random: np.random.Generator, width: float) -> View:
    x, y = random.uniform(width / 2, 1 - width / 2, 2).tolist()
    return View(x, y, width)
