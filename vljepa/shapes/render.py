"""Draws the world: 64 x 64 RGB, smooth edges, a wandering camera and a light that changes; all clips at once.

Each thing is a ready mask, kept at every radius and quarter-pixel place, blended into a window of the frame: 20 x 20
pixels are touched instead of 64 x 64.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int, UInt8

from vljepa.shapes.world import CONTAINERS, SHAPES, SIDE, SIZES, Motion

PATCH = 20  # pixels a thing's window is wide
BOX = 28  # and a container's
MARGIN = 32  # around the frame, so that a window may hang over its edge
SUB = 4  # places a pixel
OPAQUE = 64  # alpha is 0 to 64: a difference of two bytes times it still fits 16 bits
AT_ONCE = 16  # clips whose working memory fits a cache
GROUNDS = np.array([(150, 156, 168), (168, 158, 142), (142, 160, 150), (160, 148, 160), (134, 146, 164),
                    (170, 168, 160)])


@dataclass(frozen=True)
class View:
    """What means nothing: the camera's `shift` in pixels, the light's `gain` by channel, the `ground`, the `slant` of
    light across it and the `horizon`."""

    shift: Float[np.ndarray, "clip frame 2"]
    gain: Float[np.ndarray, "clip frame 3"]
    ground: Int[np.ndarray, " clip"]
    slant: Float[np.ndarray, " clip"]
    horizon: Float[np.ndarray, " clip"]


def random_view(rng: np.random.Generator, count: int, frames: int) -> View:
    """Views of `count` clips: the camera drifts, the light grows brighter or darker and changes its tint."""
    time = np.linspace(0.0, 1.0, frames)[None, :, None]
    shift = rng.uniform(-3, 3, (count, 1, 2)) * (1 - time) + rng.uniform(-3, 3, (count, 1, 2)) * time
    light = rng.uniform(0.72, 1.08, (count, 1, 1)) * (1 - time) + rng.uniform(0.72, 1.08, (count, 1, 1)) * time
    tint = rng.uniform(0.95, 1.05, (count, 1, 3))
    return View(shift, light * tint, rng.integers(len(GROUNDS), size=count), rng.uniform(-16, 16, count),
                rng.uniform(30, 52, count))


def render(
    motion: Motion, progress: Float[np.ndarray, "clip frame"], view: View
) -> UInt8[np.ndarray, "clip frame 64 64 3"]:
    """The frames of each clip: its motion at these points of its progress, seen so."""
    poses = motion.at(progress)
    frames = np.empty((*progress.shape, SIDE, SIDE, 3), dtype=np.uint8)
    for first in range(0, len(frames), AT_ONCE):
        rows = slice(first, first + AT_ONCE)
        part = {name: values[rows] for name, values in poses.items()}
        frames[rows] = _draw(motion, part, view, rows, frames[rows].shape[:2])
    return frames


def _draw(motion: Motion, poses: dict, view: View, rows: slice, shape: tuple[int, int]) -> np.ndarray:
    wide = SIDE + 2 * MARGIN
    canvas = np.empty((*shape, wide, wide, 3), dtype=np.uint8)
    inner = canvas[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN]
    inner[:] = _ground(view, rows)
    gain, shift = view.gain[rows], view.shift[rows]
    for slot in (1, 0):
        kind = np.broadcast_to(motion.start.shape[rows, None, slot], shape)
        _blend(canvas, thing_masks()[kind, poses["radius"][:, :, slot]], poses["xy"][:, :, slot] + shift,
               poses["rgb"][:, :, slot] * gain)
    holders = np.flatnonzero(motion.start.container[rows])
    if len(holders):
        start = motion.start
        kinds = start.container[rows][holders] - 1
        colours = np.array(list(CONTAINERS.values()), dtype=float)[kinds][:, None]
        xy = start.container_xy[rows][holders][:, None] + shift[holders]
        part = canvas[holders]
        for masks, shade in ((container_masks(), 1.0), (weave_masks(), 0.78)):
            chosen = np.broadcast_to(masks[kinds][:, None], (len(holders), shape[1], *masks.shape[1:]))
            _blend(part, chosen, xy, colours * gain[holders] * shade)
        canvas[holders] = part
    return inner


def _ground(view: View, rows: slice) -> UInt8[np.ndarray, "clip frame 64 64 3"]:
    """A wall and a floor: a row of colour plus a shade for each line, so that only whole rows are added."""
    gain, shift = view.gain[rows], view.shift[rows]
    across = np.linspace(-1, 1, SIDE)[None, None, :, None] * view.slant[rows][:, None, None, None]
    row = (GROUNDS[view.ground[rows]][:, None, None] - 20 + across) * gain[:, :, None]  # (B, F, 64, 3)
    line = np.clip(view.horizon[rows][:, None, None] + shift[..., 1:] - np.arange(SIDE), 0, 1) * 22  # soft by a pixel
    whole = row.astype(np.uint8).reshape(*gain.shape[:2], 1, SIDE * 3) + line.astype(np.uint8)[..., None]
    return whole.reshape(*gain.shape[:2], SIDE, SIDE, 3)


def _blend(canvas: np.ndarray, masks: np.ndarray, xy: np.ndarray, rgb: np.ndarray) -> None:
    """Lay a colour over each frame through a mask centred at `xy`. `masks`: (B, F, sub, sub, P, 3 P)."""
    patch = masks.shape[-2]
    corner = np.clip(xy + MARGIN - patch / 2, 0, canvas.shape[2] - patch - 1)
    whole = np.floor(corner).astype(int)
    sub = np.minimum(((corner - whole) * SUB).astype(int), SUB - 1)
    clip, frame = np.ogrid[: xy.shape[0], : xy.shape[1]]
    alpha = masks[clip, frame, sub[..., 1], sub[..., 0]]  # (B, F, P, 3 P)
    windows = _windows(canvas, patch)
    at = (clip, frame, whole[..., 1], whole[..., 0])
    under = windows[at].astype(np.int16)
    colour = np.tile(np.clip(rgb, 0, 255).astype(np.int16), patch)[:, :, None]
    colour = (colour - under) * alpha
    colour >>= 6
    colour += under
    windows[at] = colour.astype(np.uint8)


def _windows(canvas: np.ndarray, patch: int) -> np.ndarray:
    """(B, F, y, x, P, 3 P): every window of a canvas as a writable view, its rows whole."""
    flat = canvas.reshape(*canvas.shape[:3], -1)
    clip, frame, line, byte = flat.strides
    places = canvas.shape[2] - patch + 1
    return np.lib.stride_tricks.as_strided(
        flat, (*flat.shape[:2], places, places, patch, 3 * patch), (clip, frame, line, 3 * byte, line, byte))


@lru_cache(maxsize=1)
def thing_masks() -> np.ndarray:
    """(shape, radius, sub y, sub x, P, 3 P) of alpha, int16; radius 0 is nothing."""
    x, y, areas = _grid(PATCH)
    masks = np.zeros((len(SHAPES), max(SIZES.values()) + 1, SUB, SUB, PATCH, 3 * PATCH), dtype=np.int16)
    for radius in range(1, masks.shape[1]):
        for index, shape in enumerate(SHAPES):
            masks[index, radius] = areas(inside(shape, x / radius, y / radius))
    return masks


@lru_cache(maxsize=1)
def container_masks() -> np.ndarray:
    """(kind, sub y, sub x, P, 3 P) of the front of a basket (round below) and of a bucket (narrow below)."""
    x, y, areas = _grid(BOX)
    basket = (np.abs(x) < 12 - np.clip(y - 4, 0, 9) ** 2 / 9) & (y > -5) & (y < 9)
    bucket = (np.abs(x) < 11 - (y + 6) * 0.24) & (y > -6) & (y < 10)
    return np.stack([areas(basket), areas(bucket)])


@lru_cache(maxsize=1)
def weave_masks() -> np.ndarray:
    """Darker parts of the same fronts: a basket's weave, a bucket's rim."""
    x, y, areas = _grid(BOX)
    basket = (np.abs(x) < 12 - np.clip(y - 4, 0, 9) ** 2 / 9) & (y > -5) & (y < 9) & (np.floor(y / 3) % 2 == 0)
    bucket = (np.abs(x) < 11) & (y > -6) & (y < -2.5)
    return np.stack([areas(basket), areas(bucket)])


def inside(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether points lie in a shape of radius one around the origin; y points down."""
    r = np.hypot(x, y)
    if shape == "ball":
        return r < 0.95
    if shape == "box":
        return np.maximum(abs(x), abs(y)) < 0.82
    if shape == "triangle":
        return (y < 0.72) & (np.sqrt(3) * abs(x) - y < 0.98)
    if shape == "diamond":
        return abs(x) * 1.25 + abs(y) < 1.0
    if shape == "ring":
        return (r < 1.0) & (r > 0.55)
    if shape == "cross":
        return ((abs(x) < 0.32) & (abs(y) < 0.95)) | ((abs(y) < 0.32) & (abs(x) < 0.95))
    if shape == "heart":
        u, v = x * 1.2, -y * 1.2 + 0.15
        return (u**2 + v**2 - 1) ** 3 - u**2 * v**3 < 0
    turn = (np.arctan2(x, -y) % (2 * np.pi / 5)) - np.pi / 5  # a star of five points
    return r * np.cos(abs(abs(turn) - np.pi / 5)) + r * np.sin(abs(abs(turn) - np.pi / 5)) * 1.4 < 1.0


def _grid(patch: int):  # type: ignore[no-untyped-def]
    """Sample points of a window, finer than any place, and a function that turns what is inside into alpha."""
    fine = SUB * 2
    points = (np.arange(patch * fine) + 0.5) / fine - patch / 2
    x, y = np.meshgrid(points, points)

    def areas(filled: np.ndarray) -> np.ndarray:
        masks = np.empty((SUB, SUB, patch, 3 * patch), dtype=np.int16)
        for j in range(SUB):
            for i in range(SUB):
                moved = np.roll(filled, (j * 2, i * 2), axis=(0, 1))
                share = moved.reshape(patch, fine, patch, fine).mean(axis=(1, 3))
                masks[j, i] = np.repeat(np.round(share * OPAQUE), 3, axis=1)
        return masks

    return x, y, areas
