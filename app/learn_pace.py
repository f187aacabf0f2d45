"""How long a training will take: by what a unit of each part of the work has taken on this machine before.

Parts are named by the process that does them (`vljepa.train.telling.Done`): those with a dot in their name belong to an
arm ("vljepa.step"), and the arms run beside each other, each on a core; the others come before, one after another.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from vljepa.arms.config import FULL
from vljepa.arms.short import ShortRun
from vljepa.provenance import cores
from vljepa.train.own import ARM as OWN
from vljepa.train.reins import LOOKS

SHARED = frozenset(("file",))  # parts that all cores work on together
BELIEVED_S = 5.0  # of work, before its pace says something
Units = Mapping[str, float]


def units_of_shapes(run: ShortRun) -> dict[str, float]:
    """What there is to do in a run on the shapes world."""
    arms = {f"{arm}.{part}": count for arm in run.arms for part, count in (("step", run.steps), ("look", LOOKS + 1))}
    finish = {"vljepa.write": FULL.decoder.steps, "vljepa.map": 1} if "vljepa" in run.arms else {}
    return {"start": 1, "clip": 2 * run.clips, "held": 1, **arms, **finish}


def units_of_own(files: int, steps: int) -> dict[str, float]:
    """What there is to do to learn from `files` photos and clips of somebody's own."""
    return {"start": 1, "load": 1, "file": files, f"{OWN}.step": steps, f"{OWN}.look": LOOKS + 1, f"{OWN}.film": 1}


class Pace:
    """Seconds of a core for a unit of each part, and by how much longer than those a run took; kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path, self.each_s, self.stretch = path, dict[str, float](), 1.0
        with suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(path.read_text())
            self.each_s = {str(part): float(each_s) for part, each_s in kept["each_s"].items()}
            self.stretch = float(kept["stretch"])

    def knows(self, units: Units) -> bool:
        """Whether every arm's step is known, without which there is nothing to say."""
        return all(part in self.each_s for part in units if part.endswith(".step") or part in ("clip", "file"))

    def unknown(self, units: Units) -> bool:
        """Whether something is to be done that was never done here."""
        return any(part not in self.each_s for part in units)

    def seconds(self, units: Units, on: int | None = None) -> float:
        """Seconds that units take on an idle machine with so many cores (default: this one's); of what is known."""
        on = on or cores()
        before, arms = 0.0, dict[str, float]()
        for part, count in units.items():
            spent_s = count * self.each_s.get(part, 0.0)
            arm, dot, _ = part.partition(".")
            if dot:
                arms[arm] = arms.get(arm, 0.0) + spent_s
            else:
                before += spent_s / (on if part in SHARED else 1)
        return before + max([0.0, *arms.values(), sum(arms.values()) / on])

    def left_s(self, units: Units, done: Units, elapsed_s: float) -> float:
        """Seconds until the end of a run that has done so much in so many seconds."""
        spent_s = self.seconds(done)
        stretch = elapsed_s / spent_s if spent_s > BELIEVED_S else self.stretch
        return stretch * max(0.0, self.seconds(_less(units, done)))

    def learn(self, part: str, each_s: float) -> None:
        """A unit of a part has taken so long."""
        self.each_s[part] = each_s

    def keep(self, done: Units, elapsed_s: float) -> None:
        """A run has ended: what it took longer than its parts is believed of the next one, too."""
        spent_s = self.seconds(done)
        if spent_s > BELIEVED_S:
            self.stretch = max(1.0, elapsed_s / spent_s)
        with suppress(OSError):  # then it is measured anew the next time
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps({"each_s": self.each_s, "stretch": self.stretch}))


def _less(units: Units, done: Units) -> dict[str, float]:
    return {part: max(0.0, count - done.get(part, 0)) for part, count in units.items()}
