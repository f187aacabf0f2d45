"""Clips, puzzles and films of the world, with all that is true of them. The same seed gives the same ones."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from vljepa.shapes.render import View, random_view, render
from vljepa.shapes.world import APPEAR, REST, Motion, act, before, draw_actions, possible, start_states

FRAMES = 8
FPS = 4.0  # frames a second: a clip is two seconds
CANDIDATES = 4


@dataclass(frozen=True)
class Clips:
    """`frames` are RGB; the action of clip i is under way between its frames `event[i, 0]` and `event[i, 1]`."""

    frames: UInt8[np.ndarray, "clip 8 64 64 3"]
    motion: Motion
    view: View
    event: Int[np.ndarray, "clip 2"]

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class Puzzles:
    """What led from the first picture to the last? `clips[i][k]` shows candidate k, from the same scene, seen anew.

    `pictures` are the image before, four times, then the image after: the clip that the paper builds (section 4.5).
    """

    pictures: UInt8[np.ndarray, "puzzle 8 64 64 3"]
    clips: UInt8[np.ndarray, "puzzle 4 8 64 64 3"]
    motions: list[Motion]  # one for each candidate
    right: Int[np.ndarray, " puzzle"]


@dataclass(frozen=True)
class Film:
    """A chain of actions at `fps` frames a second; event k runs from `events_s[k, 0]` to `events_s[k, 1]`.

    `motions[k]` holds one scene. Between two events is the boundary `boundaries_s[k]`.
    """

    frames: UInt8[np.ndarray, "frame 64 64 3"]
    fps: float
    events_s: Float[np.ndarray, "event 2"]
    boundaries_s: Float[np.ndarray, " event-1"]
    motions: list[Motion]


def clips(seed: int | list[int], count: int, unseen: bool = False) -> Clips:
    """`count` clips of one action each. With `unseen` the actor's shape and colour never met in a training clip."""
    rng = np.random.default_rng(seed)
    scene = start_states(rng, count, unseen)
    action = draw_actions(rng, possible(scene, unseen))[:, 0]
    motion = act(rng, before(scene, action), action)
    event = np.stack([rng.integers(1, 3, count), rng.integers(5, 7, count)], axis=1)
    view = random_view(rng, count, FRAMES)
    return Clips(render(motion, _progress(event), view), motion, view, event)


def before_after(seed: int | list[int], count: int, unseen: bool = False) -> Clips:
    """Clips that are the image before the action, four times, then the image after it, four times."""
    rng = np.random.default_rng(seed)
    scene = start_states(rng, count, unseen)
    can = possible(scene, unseen)
    can[:, REST] = False
    action = draw_actions(rng, can)[:, 0]
    motion = act(rng, before(scene, action), action)
    view = random_view(rng, count, FRAMES)
    return Clips(_pictures(motion, view), motion, view, np.tile([FRAMES // 2 - 1, FRAMES // 2], (count, 1)))


def puzzles(seed: int | list[int], count: int, unseen: bool = True) -> Puzzles:
    """`count` world-prediction puzzles of four actions that the same actor could have done in the same scene."""
    rng = np.random.default_rng(seed)
    scene = start_states(rng, count, unseen)
    can = possible(scene, unseen)
    can[:, [REST, APPEAR]] = False  # an actor that is there can do either, but nothing would tell them from the rest
    actions = draw_actions(rng, can, CANDIDATES)
    motions = [act(rng, before(scene, actions[:, k]), actions[:, k]) for k in range(CANDIDATES)]
    shown = []
    for motion in motions:
        event = np.stack([rng.integers(1, 3, count), rng.integers(5, 7, count)], axis=1)
        shown.append(render(motion, _progress(event), random_view(rng, count, FRAMES)))
    right = rng.integers(CANDIDATES, size=count)
    view = random_view(rng, count, FRAMES)
    every = np.stack([_pictures(motion, view) for motion in motions], axis=1)
    return Puzzles(every[np.arange(count), right], np.stack(shown, axis=1), motions, right)


def film(seed: int | list[int], events: int, fps: float = 12.0, unseen: bool = False) -> Film:
    """A film in which `events` actions follow each other, 1.5 s each with 0.5 s of rest after it.

    A scene that has nothing more to do gives way to a new one, as a cut.
    """
    rng = np.random.default_rng(seed)
    seconds, pause = 1.5, 0.5
    parts: list[np.ndarray] = []
    motions: list[Motion] = []
    state, view = start_states(rng, 1, unseen), random_view(rng, 1, 2)
    long = round(fps * (seconds + pause))
    for index in range(events):
        if index and (not state.present[0].any() or state.inside[0].any()):
            state, view = start_states(rng, 1, unseen), random_view(rng, 1, 2)
        elif index and state.present[0, 1] and (not state.present[0, 0] or rng.random() < 0.5):
            state = state.swapped()
        can = possible(state, unseen)
        can[:, [REST, APPEAR]] = False
        if index and motions[-1].action[0] < 9:  # the same again would be no new event
            can[:, motions[-1].action[0]] = False
        action = draw_actions(rng, can)[:, 0]
        motion = act(rng, before(state, action), action)
        progress = _smooth(np.arange(long)[None] / fps / seconds)
        view = _onwards(rng, view, long)
        parts.append(render(motion, progress, view)[0])
        motions.append(motion)
        state = motion.end
    starts = np.arange(events) * long / fps
    return Film(np.concatenate(parts), fps, np.stack([starts, starts + seconds], axis=1), starts[1:], motions)


def scenes(seed: int | list[int], count: int, fps: float = 12.0) -> Film:
    """A film of `count` scenes of 3 s with cuts between them; in each an action begins after 0.4 s and takes 1.2 s."""
    rng = np.random.default_rng(seed)
    seconds, rest, pause = 1.2, 0.4, 1.4
    long = round(fps * (rest + seconds + pause))
    parts: list[np.ndarray] = []
    motions: list[Motion] = []
    for _ in range(count):
        state = start_states(rng, 1, False)
        can = possible(state, False)
        can[:, REST] = False
        action = draw_actions(rng, can)[:, 0]
        motions.append(act(rng, before(state, action), action))
        progress = _smooth((np.arange(long)[None] / fps - rest) / seconds)
        parts.append(render(motions[-1], progress, _onwards(rng, random_view(rng, 1, 2), long))[0])
    starts = np.arange(count) * long / fps
    events_s = np.stack([starts + rest, starts + rest + seconds], axis=1)
    return Film(np.concatenate(parts), fps, events_s, starts[1:], motions)


def _onwards(rng: np.random.Generator, view: View, frames: int) -> View:
    """The view goes on from where it was to somewhere near."""
    goal = random_view(rng, 1, 2)
    time = np.linspace(0.0, 1.0, frames)[None, :, None]
    shift = view.shift[:, -1:] + (goal.shift[:, -1:] - view.shift[:, -1:]) * time
    gain = view.gain[:, -1:] + (goal.gain[:, -1:] - view.gain[:, -1:]) * time
    return View(shift, gain, view.ground, view.slant, view.horizon)


def _pictures(motion: Motion, view: View) -> np.ndarray:
    stills = np.tile((np.arange(FRAMES) >= FRAMES // 2).astype(float), (len(motion.action), 1))
    return render(motion, stills, view)


def _progress(event: Int[np.ndarray, "clip 2"]) -> Float[np.ndarray, "clip 8"]:
    return _smooth((np.arange(FRAMES) - event[:, :1]) / (event[:, 1:] - event[:, :1]))


def _smooth(time: np.ndarray) -> np.ndarray:
    """Slow at both ends; 0 before the event and 1 after it."""
    t = np.clip(time, 0.0, 1.0)
    return t * t * (3 - 2 * t)


