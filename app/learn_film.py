"""A film to try a checkpoint on that was just trained: of its own world, or of the photos that it was not shown."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sample_media.camera import FPS, encode_film
from vljepa.composed_films import CaptionedPhoto, compose_film
from vljepa.shapes import captions, scenes
from vljepa.train.own_data import Captioned

TIMES = 6  # pixels that a pixel of the world is wide and high in a film
UNSEEN_BY_TRAINING = 600_000  # the first of its seeds
SCENES = 8  # of either film
SCENE_S, SIZE = (2.5, 4.0), (640, 360)  # of a photo on the screen


def film_world(seed: int, path: Path) -> Path:
    """A film of the shapes world that no training has seen, as `path`, and beside it as JSON what happens in it."""
    made = scenes([UNSEEN_BY_TRAINING, seed], SCENES, float(FPS))
    pictures = (frame.repeat(TIMES, axis=0).repeat(TIMES, axis=1) for frame in made.frames)
    side = made.frames.shape[1] * TIMES
    encode_film((np.ascontiguousarray(picture) for picture in pictures), (side, side), path)
    starts = [0.0, *made.boundaries_s.tolist()]
    _tell(path, [(start, captions(motion, 0, 1)[0]) for start, motion in zip(starts, made.motions, strict=True)])
    return path


def film_own(held: Sequence[Captioned], others: Sequence[Captioned], seed: int, path: Path) -> Path:
    """A film of held-out photos, and of others if those are too few, as `path`; of clips alone the first held-out one.

    Returns where it is; what is to be seen in it is beside `path` as JSON.
    """
    photos = [CaptionedPhoto(one.path, one.captions) for one in (*held, *others) if not one.is_clip][:SCENES]
    if len(photos) >= 2:
        film = compose_film(photos, len(photos), SCENE_S, seed=seed, size=SIZE)
        film.write(path)
        _tell(path, [(scene.start_s, scene.photo.captions[0]) for scene in film.scenes])
        return path
    clip = next(one for one in (*held, *others) if one.is_clip)
    _tell(path, [(0.0, clip.captions[0])])
    return clip.path


def _tell(path: Path, scenes: Sequence[tuple[float, str]]) -> None:
    told = {"scenes": [{"start_s": start_s, "caption": caption} for start_s, caption in scenes]}
    path.with_suffix(".json").write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
