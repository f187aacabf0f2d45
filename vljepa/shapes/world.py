"""What is in the world and what can happen to it: many scenes at once, as arrays with the scene first.

A scene has an actor (slot 0), perhaps a bystander (slot 1) and perhaps a container, each in a cell of its own of a
3 x 3 grid. One action leads from a state to the next, so states and actions chain into films.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

SHAPES = ("ball", "box", "triangle", "diamond", "star", "ring", "cross", "heart")
COLOURS = {"red": (214, 48, 49), "orange": (243, 140, 35), "yellow": (248, 216, 60), "green": (44, 160, 72),
           "blue": (48, 92, 214), "purple": (134, 66, 176), "pink": (244, 132, 182), "black": (28, 28, 34)}
SIZES = {"small": 5, "big": 8}  # radius in pixels
CONTAINERS = {"basket": (150, 104, 58), "bucket": (112, 120, 134)}
ACTIONS = ("rest", "appear", "leave", "left", "right", "up", "down", "collide", "enter",
           *(f"turn {colour}" for colour in COLOURS))
REST, APPEAR, LEAVE, LEFT, RIGHT, UP, DOWN, COLLIDE, ENTER, TURN = range(10)
STEPS = {LEFT: (-1, 0), RIGHT: (1, 0), UP: (0, -1), DOWN: (0, 1)}  # in cells, x and y
# how often an action is drawn where it is possible; a change of colour has eight codes
WEIGHTS = np.array([0.4, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0] + [0.25] * len(COLOURS))
SIDE, CELL, FIRST = 64, 18.0, 14.0  # pixels: of a frame, between cells, of the first cell's middle
PUSH = 9.0  # pixels that a bystander is knocked away
RIM = 7.0  # pixels above a container's middle at which a thing inside it comes to rest


@dataclass(frozen=True)
class State:
    """What is where. Slots: the actor, the bystander. `container` is 0 for none, else 1 + its kind."""

    shape: Int[np.ndarray, "scene 2"]
    colour: Int[np.ndarray, "scene 2"]
    size: Int[np.ndarray, "scene 2"]
    xy: Float[np.ndarray, "scene 2 2"]  # middles, in pixels of a camera at rest
    present: Bool[np.ndarray, "scene 2"]
    inside: Bool[np.ndarray, "scene 2"]
    container: Int[np.ndarray, " scene"]
    container_xy: Float[np.ndarray, "scene 2"]

    def __len__(self) -> int:
        return len(self.shape)

    def take(self, rows: Int[np.ndarray, " rows"]) -> "State":
        """Some scenes, in that order; a scene may come twice."""
        return State(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def swapped(self) -> "State":
        """The same scenes with the other thing as the actor."""
        names = ("shape", "colour", "size", "xy", "present", "inside")
        return replace(self, **{name: getattr(self, name)[:, ::-1].copy() for name in names})


def is_unseen(shape: Int[np.ndarray, "..."], colour: Int[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
    """Whether a pair of shape and colour is held out: one colour of each shape is never in a training clip."""
    return (shape + 3 * colour) % len(COLOURS) == 0


def start_states(rng: np.random.Generator, count: int, unseen: bool) -> State:
    """Scenes before anything has happened. With `unseen` every actor is of a held-out pair, otherwise no thing is."""
    shape = rng.integers(len(SHAPES), size=(count, 2))
    colour = rng.integers(len(COLOURS), size=(count, 2))
    held_out = is_unseen(shape, colour)
    colour = np.where(held_out, (colour + rng.integers(1, len(COLOURS), (count, 2))) % len(COLOURS), colour)
    if unseen:
        colour[:, 0] = _held_out_colour(shape[:, 0])
    cells = np.argsort(rng.random((count, 9)), axis=1)[:, :3]
    middles = FIRST + CELL * np.stack([cells % 3, cells // 3], axis=-1) + rng.uniform(-2, 2, (count, 3, 2))
    present = np.stack([np.ones(count, bool), rng.random(count) < 0.65], axis=1)
    container = np.where(rng.random(count) < 0.5, rng.integers(1, 1 + len(CONTAINERS), count), 0)
    return State(shape, colour, rng.integers(len(SIZES), size=(count, 2)), middles[:, :2], present,
                 np.zeros((count, 2), bool), container, middles[:, 2])


def possible(state: State, unseen: bool) -> Bool[np.ndarray, "scene actions"]:
    """Which of `ACTIONS` the actor can do. Without `unseen` none of them makes a held-out pair."""
    can = np.zeros((len(state), len(ACTIONS)), bool)
    here = state.present[:, 0]
    can[:, REST] = can[:, LEAVE] = here
    can[:, TURN:] = here[:, None]
    can[:, APPEAR] = True
    for code in STEPS:
        can[:, code] = here & ~state.inside[:, 0] & _free(state, _stepped(state, code))
    can[:, COLLIDE] = here & state.present[:, 1] & ~state.inside.any(axis=1)
    can[:, ENTER] = here & (state.container > 0) & ~state.inside.any(axis=1)
    can[np.arange(len(state)), TURN + state.colour[:, 0]] = False
    if not unseen:
        can[:, TURN:] &= ~is_unseen(state.shape[:, :1], np.arange(len(COLOURS))[None])
    return can


def draw_actions(rng: np.random.Generator, can: Bool[np.ndarray, "scene actions"], distinct: int = 1) -> np.ndarray:
    """`distinct` different possible actions for each scene, (scene, distinct), drawn by `WEIGHTS`; ValueError if one
    has fewer."""
    if (can.sum(axis=1) < distinct).any():
        raise ValueError(f"a scene allows {int(can.sum(axis=1).min())} actions, fewer than {distinct}")
    keys = np.where(can, rng.exponential(size=can.shape) / WEIGHTS, np.inf)  # the smallest win: weighted, no repeats
    return np.argsort(keys, axis=1)[:, :distinct]


def before(state: State, action: Int[np.ndarray, " scene"]) -> State:
    """The state that an action begins with: what is to appear is not there yet."""
    present = state.present.copy()
    present[:, 0] &= action != APPEAR
    return replace(state, present=present)


@dataclass(frozen=True)
class Motion:
    """An action under way, for any progress from 0 (before) to 1 (after): where from, over which point, where to."""

    start: State
    action: Int[np.ndarray, " scene"]
    end: State
    via: Float[np.ndarray, "scene 2"]  # the actor's place when it has gone `turn` of its way
    turn: Float[np.ndarray, " scene"]

    def at(self, progress: Float[np.ndarray, "scene frame"]) -> dict[str, np.ndarray]:
        """Per scene, frame and slot: `xy` in pixels, `radius` in pixels (0 where there is nothing) and `rgb`."""
        p, turn = progress, self.turn[:, None]
        first = np.clip(p / turn, 0, 1)[..., None]
        rest = np.clip((p - turn) / np.maximum(1 - turn, 1e-6), 0, 1)[..., None]
        start, end = self.start.xy[:, None], self.end.xy[:, None]
        via = self.via[:, None]
        actor = start[:, :, 0] + (via - start[:, :, 0]) * first + (end[:, :, 0] - via) * rest
        other = start[:, :, 1] + (end[:, :, 1] - start[:, :, 1]) * rest  # knocked away after the turn
        radii = np.array(list(SIZES.values()))[self.start.size][:, None]
        shown = np.repeat(self.start.present[:, None], p.shape[1], axis=1).astype(float)
        grown = np.where((self.action == APPEAR)[:, None], p, np.where((self.action == LEAVE)[:, None], p < 1, 1.0))
        shown[..., 0] = np.where((self.action == APPEAR)[:, None], grown, shown[..., 0] * grown)
        palette = np.array(list(COLOURS.values()), dtype=float)
        old, new = palette[self.start.colour][:, None], palette[self.end.colour][:, None]
        return {"xy": np.stack([actor, other], axis=2), "radius": np.round(radii * shown).astype(int),
                "rgb": old + (new - old) * p[..., None, None]}


def act(rng: np.random.Generator, state: State, action: Int[np.ndarray, " scene"]) -> Motion:
    """Let the actor of each scene do its action; `state` is the one that `before` gives."""
    xy, colour, present, inside = state.xy.copy(), state.colour.copy(), state.present.copy(), state.inside.copy()
    via, turn = xy[:, 0].copy(), np.full(len(state), 0.5)
    present[action == APPEAR, 0] = True
    for code in STEPS:
        rows = action == code
        xy[rows, 0] = _stepped(state, code)[rows]
    rows = action >= TURN
    colour[rows, 0] = action[rows] - TURN
    _leave(rng, action == LEAVE, xy, present)
    _enter(action == ENTER, state, xy, inside)
    _collide(action == COLLIDE, state, xy)
    via[:] = (state.xy[:, 0] + xy[:, 0]) / 2
    rows = action == ENTER  # over the rim first, then down
    via[rows], turn[rows] = state.container_xy[rows] - (0.0, RIM + 10.0), 0.6
    rows = action == COLLIDE  # it stops where it hits
    via[rows], turn[rows] = xy[rows, 0], 0.55
    return Motion(state, action, replace(state, xy=xy, colour=colour, present=present, inside=inside), via, turn)


def _leave(rng: np.random.Generator, rows: np.ndarray, xy: np.ndarray, present: np.ndarray) -> None:
    """Out over the nearer of the left and right edges, or now and then the upper one."""
    beyond = np.where(xy[rows, 0, 0] < SIDE / 2, -12.0, SIDE + 12.0)
    upward = rng.random(int(rows.sum())) < 0.25
    xy[rows, 0, 0] = np.where(upward, xy[rows, 0, 0], beyond)
    xy[rows, 0, 1] = np.where(upward, -12.0, xy[rows, 0, 1])
    present[rows, 0] = False


def _enter(rows: np.ndarray, state: State, xy: np.ndarray, inside: np.ndarray) -> None:
    xy[rows, 0] = state.container_xy[rows] - (0.0, RIM)
    inside[rows, 0] = True


def _collide(rows: np.ndarray, state: State, xy: np.ndarray) -> None:
    radii = np.array(list(SIZES.values()))[state.size[rows]].sum(axis=1)
    way = state.xy[rows, 1] - state.xy[rows, 0]
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    xy[rows, 0] = state.xy[rows, 1] - way * radii[:, None]
    xy[rows, 1] = np.clip(state.xy[rows, 1] + way * PUSH, 9.0, SIDE - 9.0)


def _stepped(state: State, code: int) -> Float[np.ndarray, "scene 2"]:
    return state.xy[:, 0] + CELL * np.array(STEPS[code])


def _free(state: State, places: Float[np.ndarray, "scene 2"]) -> Bool[np.ndarray, " scene"]:
    """Whether a place is in the picture, and neither the bystander nor the container is there."""
    inside = ((places > FIRST - 6) & (places < SIDE - FIRST + 6)).all(axis=1)
    near = CELL - 5
    clear_of_other = ~state.present[:, 1] | (np.linalg.norm(places - state.xy[:, 1], axis=1) > near)
    return inside & clear_of_other & ((state.container == 0)
                                      | (np.linalg.norm(places - state.container_xy, axis=1) > near))


def _held_out_colour(shape: np.ndarray) -> np.ndarray:
    return is_unseen(np.arange(len(SHAPES))[:, None], np.arange(len(COLOURS))[None]).argmax(axis=1)[shape]
