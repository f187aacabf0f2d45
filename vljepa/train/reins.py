"""A training that somebody watches and holds: it tells how far it is, pauses and stops."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from vljepa.train.loop import Arm, Schedule, training
from vljepa.train.telling import Done, Look, Loss, Tell

LOOKS = 10  # at what is held out in a run, beside the one before its first step


class Stopped(Exception):
    """Raised in a training that is to stop before anything worth keeping was learned."""


class Reins:
    """Pause, resume and stop, from any thread; the training asks `go_on` between its steps."""

    def __init__(self) -> None:
        self._free, self._stopped = threading.Event(), threading.Event()
        self._free.set()

    def pause(self) -> None:
        """Let the training wait at its next step."""
        self._free.clear()

    def resume(self) -> None:
        """Let it go on."""
        self._free.set()

    def stop(self) -> None:
        """Let it end at its next step, paused or not."""
        self._stopped.set()
        self._free.set()

    def go_on(self) -> bool:
        """Whether to take another step; waits while paused."""
        self._free.wait()
        return not self._stopped.is_set()

    def require(self) -> None:
        """Wait while paused; `Stopped` if it is to end."""
        if not self.go_on():
            raise Stopped


def lead(
    arm: Arm, schedule: Schedule, work: Path, name: str, reins: Reins, tell: Tell, seen: Callable[[], Look]
) -> int:
    """Train an arm on the CPU to the end of its schedule, or until stopped, and tell of it; the steps that were taken.

    `arm.validate` looks at what is held out, and `seen` gives what came of the last look: before the first step, as the
    schedule says, and after the last one.
    """
    spent = _Spent(name, schedule.steps, tell)
    arm.validate()
    spent.on_look()
    tell(seen())
    steps = training(arm, schedule, work, name, torch.device("cpu"))
    done = 0
    while reins.go_on() and (taken := next(steps, None)) is not None:
        done, said = taken[0] + 1, taken[1]
        tell(Loss(name, done, said["loss"]))
        if seen().scores.keys() <= said.keys():
            spent.on_step(done, True)
            tell(replace(seen(), step=done))
        else:
            spent.on_step(done, False)
    steps.close()
    if done < schedule.steps:  # stopped: the last step had no look
        arm.validate()
        tell(replace(seen(), step=done))
    return done


class _Spent:
    """Seconds of a core that a step takes, and a look."""

    def __init__(self, name: str, steps: int, tell: Tell) -> None:
        self._name, self._steps, self._tell = name, steps, tell
        self._began, self._plain, self._looks = time.thread_time(), [0.0, 0.0], [0.0, 0.0]  # seconds, how many

    def on_look(self) -> None:
        """A look has ended that was part of no step."""
        self._take(self._looks, 0.0)
        self._tell_looks()

    def on_step(self, done: int, with_look: bool) -> None:
        """A step has ended, and a look with it or not."""
        if with_look and self._plain[1]:
            self._take(self._looks, self._step_s)
            self._tell_looks()
        else:
            self._take(self._plain, 0.0)
        self._tell(Done(f"{self._name}.step", done, self._steps, self._step_s))

    @property
    def _step_s(self) -> float:
        return self._plain[0] / max(1.0, self._plain[1])

    def _tell_looks(self) -> None:
        self._tell(Done(f"{self._name}.look", round(self._looks[1]), LOOKS + 1, self._looks[0] / self._looks[1]))

    def _take(self, what: list[float], but_s: float) -> None:
        now = time.thread_time()
        what[0] += max(0.0, now - self._began - but_s)
        what[1] += 1
        self._began = now


def check_limits(run: object, limits: Mapping[str, tuple[int, int]]) -> None:
    """ValueError names what of a run is less or more than its limits allow."""
    for name, (least, most) in limits.items():
        if not least <= getattr(run, name) <= most:
            raise ValueError(f"{name} must be {least} to {most}, got {getattr(run, name)}")


def look_every(steps: int) -> int:
    """Steps between two looks: `LOOKS` in a run, and in one that is very short just one."""
    return steps if steps < 2 * LOOKS else steps // LOOKS
