"""Train it yourself: one training at a time, watched by any page, held by who started it, and opened in Explore.

It belongs to the server and runs in a process of its own (`app.learn_worker`): pages come and go, and ask for what has
happened since they last asked.
"""

import secrets
import shutil
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.checkpoints import identity, name_in_use, switch_to
from app.engine import Engine
from app.learn_film import SCENES
from app.learn_pace import Pace, Units, units_of_own, units_of_shapes
from app.learn_run import Run
from app.messages import Handler, in_one_sentence
from app.views import file_url
from sample_media import SampleFilm
from vljepa.arms.recipe import TEXT_ARMS
from vljepa.arms.short import LIMITS as SHAPES_LIMITS
from vljepa.arms.short import NAME as SHAPES_NAME
from vljepa.arms.short import ShortRun
from vljepa.checkpoint import find, read_config
from vljepa.errors import VLJEPAError
from vljepa.paths import cache_dir
from vljepa.shapes.world import COLOURS
from vljepa.train.own import LIMITS as OWN_LIMITS
from vljepa.train.own import NAME as OWN_NAME
from vljepa.train.own import OwnRun, can_learn
from vljepa.train.own_data import split

NAMES = {"shapes": SHAPES_NAME, "photos": OWN_NAME}
TITLES = {"shapes": "A film of your shapes model's world", "photos": "A film of your photos"}
BASE = "everyday"  # what is taught one's own words where the checkpoint in use cannot be taught
CLOSED = "Anybody may reach this app, so nothing is trained here: run it on your own computer to train"
TRIED_CLIPS, TRIED_STEPS, TRIED_FILES = 128, 4, 72  # of a run that only measures how fast this machine is


def handlers(engine: Engine) -> dict[str, Handler]:
    """What the page can call, by name. Each takes one dictionary and returns one; a failure returns `error`."""
    training = Training(engine)

    def train_about(_: dict[str, Any]) -> dict[str, Any]:
        """What the page needs once."""
        return training.about()

    def train_look(request: dict[str, Any]) -> dict[str, Any]:
        """What a folder holds."""
        return training.look(request)

    def train_estimate(request: dict[str, Any]) -> dict[str, Any]:
        """How long a training would take."""
        return training.estimate(request)

    def train_start(request: dict[str, Any]) -> dict[str, Any]:
        """Begin one."""
        return training.start(request)

    def train_hold(request: dict[str, Any]) -> dict[str, Any]:
        """Pause, resume or stop it."""
        return training.hold(request)

    def train_view(request: dict[str, Any]) -> dict[str, Any]:
        """How it stands."""
        return training.view(request)

    def train_open(request: dict[str, Any]) -> dict[str, Any]:
        """Use what came of it."""
        return training.open(request)

    def train_opening(request: dict[str, Any]) -> dict[str, Any]:
        """How far that is."""
        job = engine.jobs.get(request["job"])
        return job.told() | {"cancelled": job.cancelled}

    def train_zip(request: dict[str, Any]) -> dict[str, Any]:
        """What came of it, as one file."""
        return training.zipped(request)

    functions = (train_about, train_look, train_estimate, train_start, train_hold, train_view, train_open,
                 train_opening, train_zip)
    return {function.__name__: in_one_sentence(function) for function in functions}


class Training:
    """None yet, one that runs, or the last one."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.pace = engine, Pace(engine.store.root.parent / "train" / "pace.json")
        self._run: Run | None = None
        self._trial: Run | None = None
        self._lock = threading.Lock()

    def about(self) -> dict[str, Any]:
        """What the page needs before anything is chosen."""
        usual, own = ShortRun(), OwnRun("-")
        return {"arms": list(TEXT_ARMS), "limits": {"shapes": SHAPES_LIMITS, "photos": OWN_LIMITS},
                "usual": {"shapes": {"clips": usual.clips, "steps": usual.steps, "seed": usual.seed},
                          "photos": {"files": own.files, "steps": own.steps, "seed": own.seed}},
                "base": self._base(), "closed": self.engine.closed_to_switch and CLOSED,
                "alone": self.engine.alone, "colours": {name: list(rgb) for name, rgb in COLOURS.items()}}

    def look(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What a folder holds, and what it lists but does not hold. ValueError says what it lacks."""
        own = self._own(request)
        listed = own.listed()
        train, held = split(listed.captioned, own.files)
        both = [*train, *held]
        return {"photos": sum(not one.is_clip for one in both), "clips": sum(one.is_clip for one in both),
                "captions": sum(len(one.captions) for one in both), "held": len(held), "note": listed.note}

    def estimate(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Seconds that a training would take, None while that is being measured, and whether it has an unknown part."""
        units, asked = self._planned(request)
        with self._lock:
            if not self.pace.knows(units) and not self._busy and (self._trial is None or self._trial.ended):
                self._trial = self._begun(_tried(asked), units, keep=False)
            known = self.pace.knows(units)
        seconds = self.pace.stretch * self.pace.seconds(units) if known else None
        return {"seconds": seconds, "unknown": self.pace.unknown(units)}

    def start(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Begin; the key of the answer holds the reins. ValueError if one runs, or for what cannot be trained."""
        if self.engine.closed_to_switch:
            raise VLJEPAError(CLOSED)
        units, asked = self._planned(request)
        with self._lock:
            if self._busy:
                raise ValueError("a training is running here already: watch it, or wait until it has ended")
            if self._trial is not None:
                self._trial.kill()
            self._run = self._begun(asked, units, keep=True)
            return {"run": self._run.token, "key": self._run.key}

    def hold(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Pause, resume or stop, as `action` says. ValueError for who did not start it, or if it is over."""
        run = self._run
        if run is None or run.token != request.get("run") or run.ended:
            raise ValueError("that training is over")
        if not self._is_mine(run, request):
            raise ValueError("somebody else has started this training: you may watch it")
        actions = {"pause": run.pause, "resume": run.resume, "stop": run.stop}
        if request.get("action") not in actions:
            raise ValueError(f"action must be one of {', '.join(actions)}, got {request.get('action')!r}")
        actions[request["action"]]()
        return {}

    def view(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The training as it stands, with the events that a page has not seen yet, of which it says how many it has."""
        run = self._run
        if run is None:
            return {"run": None}
        seen = int(request.get("seen") or 0) if request.get("run") == run.token else 0
        return {**run.view(seen), "mine": self._is_mine(run, request), "checkpoint": NAMES[run.asked["what"]]}

    def open(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Use what was trained: a job, or none if it is in use already, and the film to open then."""
        if self.engine.closed_to_switch:
            raise VLJEPAError(self.engine.closed_to_switch)
        run = self._kept(request)
        what, name = run.asked["what"], NAMES[run.asked["what"]]
        assert run.film is not None
        film = SampleFilm(f"trained-{run.token}", TITLES[what], run.film,
                          Path(run.asked["film"]).with_suffix(".json"))
        others = [sample for sample in self.engine.samples if not sample.name.startswith("trained-")]
        self.engine.samples[:] = [*others, film]
        if identity(name)[0] == self.engine.fingerprint:
            job = None
        else:
            job = self.engine.jobs.start(lambda job: switch_to(job, self.engine, name)).token
        config, _ = read_config(cache_dir() / "checkpoints" / name)
        # the automatic cut knows the world of photos; in that of shapes every moment differs from the one before
        cut = {"method": "count", "count": SCENES} if what == "shapes" else {"method": "auto"}
        return {"job": job, "source": {"sample": film.name, "title": film.title}, "cut": cut,
                "settings": {"query": "", "rate_hz": config.rate_hz}}

    def zipped(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The trained checkpoint as one file: its address and its name."""
        run = self._kept(request)
        name = NAMES[run.asked["what"]]
        stem = self.engine.store.root / "trained" / f"{name}-{run.token}"
        made = stem.with_suffix(".zip")
        if not made.exists():
            shutil.make_archive(str(stem), "zip", cache_dir() / "checkpoints" / name)
        return {"url": file_url(made), "name": f"{name}.zip"}

    def close(self) -> None:
        """End what runs."""
        for run in (self._run, self._trial):
            if run is not None and not run.ended:
                run.kill()

    @property
    def _busy(self) -> bool:
        return self._run is not None and not self._run.ended

    def _planned(self, request: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, Any]]:
        """What there is to do, and what a process is asked. ValueError for what is out of limits or lacking."""
        if request.get("what") == "photos":
            own = self._own(request)
            train, held = own.read()
            base = self._base()
            return units_of_own(len(train) + len(held), own.steps), {
                "what": "photos", "run": asdict(own), "base": str(find(base))}
        arms = request.get("arms")
        run = ShortRun(tuple(str(arm) for arm in arms) if isinstance(arms, list) else (),
                       *(_whole(request, name) for name in ("clips", "steps", "seed")))
        return units_of_shapes(run), {"what": "shapes", "run": asdict(run)}

    def _own(self, request: Mapping[str, Any]) -> OwnRun:
        if not self.engine.alone:
            raise VLJEPAError("folders are on the computer that runs the app, and the app listens to others too: start "
                              "it without --host to use them")
        return OwnRun(str(request.get("folder") or ""), *(_whole(request, name) for name in ("files", "steps", "seed")))

    def _begun(self, asked: dict[str, Any], units: Units, keep: bool) -> Run:
        name = NAMES[asked["what"]]
        films = self.engine.store.root / "trained"
        films.mkdir(parents=True, exist_ok=True)
        return Run({**asked, "keep": keep, "out": str(cache_dir() / "checkpoints" / name),
                    "film": str(films / f"{name}-{secrets.token_hex(4)}.mp4")}, units, self.pace)

    def _base(self) -> str:
        """What is taught one's own words: the checkpoint in use, if it can be."""
        name = name_in_use(self.engine)
        return name if can_learn(self.engine.model) and find(name) is not None else BASE

    def _is_mine(self, run: Run, request: Mapping[str, Any]) -> bool:
        return self.engine.alone or secrets.compare_digest(run.key, str(request.get("key") or ""))

    def _kept(self, request: Mapping[str, Any]) -> Run:
        run = self._run
        if run is None or run.token != request.get("run") or run.film is None:
            raise ValueError("there is nothing to open: train VL-JEPA for a few steps first")
        return run


def _tried(asked: dict[str, Any]) -> dict[str, Any]:
    """As little of a training as tells how fast this machine is."""
    run = asked["run"]
    few = {"clips": min(run["clips"], TRIED_CLIPS)} if asked["what"] == "shapes" else {
        "files": min(run["files"], TRIED_FILES)}
    return {**asked, "run": {**run, **few, "steps": TRIED_STEPS}}


def _whole(request: Mapping[str, Any], name: str) -> int:
    value = request.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    return value
