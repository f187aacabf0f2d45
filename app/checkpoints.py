"""Choosing the checkpoint: what there is, what it weighs, its licence, how fast it would be here; and the switch."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from app.engine import Engine
from app.jobs import Job
from app.messages import Handler, in_one_sentence
from app.tab import tab
from vljepa.arms.short import NAME as SHAPES_NAME
from vljepa.checkpoint import CheckpointInfo, find, list_checkpoints, load, read_config
from vljepa.config import ModelConfig
from vljepa.cost import expected_hz
from vljepa.errors import CheckpointError
from vljepa.public import PUBLIC, PublicCheckpoint, prepare

STYLE = "checkpoints.css"
NONSENSE = "It knows drawn shapes that move, and nothing else: what it says of a film is nonsense."
# of those that ship with the app or come of its trainings: title, licence, and what one should know
KNOWN = {
    "everyday": ("trained here at laptop size",
                 "MIT for the code; the weights' data has terms of its own, see its card", ""),
    "shapes": ("the drawn world of the Learn tab", "MIT", NONSENSE),
    SHAPES_NAME: ("what was trained in Learn on its drawn world", "what its maker says", NONSENSE),
}
YOURS = ("a checkpoint of yours", "what its maker says", "")


def build(engine: Engine, published: Path) -> gr.HTML:
    """Add the menu to the surrounding `gr.Blocks`; `published` holds the page's files."""
    return tab("checkpoints", handlers(engine), published)


def handlers(engine: Engine) -> dict[str, Handler]:
    """What the page can call, by name. Each takes one dictionary and returns one; a failure returns `error`."""

    def using(_: dict[str, Any]) -> dict[str, Any]:
        """The checkpoint in use: the header was drawn when the app started, and others may change it."""
        return {"name": name_in_use(engine), "version": engine.fingerprint}

    def listing(_: dict[str, Any]) -> dict[str, Any]:
        """Every checkpoint that can be used here, those on this machine first; speeds are asked for one by one."""
        here = list_checkpoints()
        names = {info.name for info in here}
        rows = [_row_here(info, engine) for info in here]
        return {"rows": rows + [_row_public(known) for known in PUBLIC.values() if known.name not in names],
                "closed": engine.closed_to_switch}

    def speed(request: dict[str, Any]) -> dict[str, Any]:
        """Windows a second to expect of a checkpoint here, to one figure: it is a guess from the arithmetic alone."""
        name = str(request["name"])
        folder = find(name)
        config = PUBLIC[name].expected() if folder is None else read_config(folder)[0]
        return {"hz": float(f"{expected_hz(config, engine.model.device):.1g}")}

    def switch(request: dict[str, Any]) -> dict[str, Any]:
        """Load a checkpoint, fetched first if it has to be, and use it; returns the job's token."""
        name = str(request["name"])
        if engine.closed_to_switch:
            raise CheckpointError(engine.closed_to_switch)
        if name not in PUBLIC and name not in {info.name for info in list_checkpoints()}:
            raise CheckpointError(f"there is no checkpoint {name!r} any more; choose another")
        return {"job": engine.jobs.start(lambda job: switch_to(job, engine, name)).token}

    def switching(request: dict[str, Any]) -> dict[str, Any]:
        """How far a switch is."""
        job = engine.jobs.get(request["job"])
        return job.told() | {"cancelled": job.cancelled}

    def stop(request: dict[str, Any]) -> dict[str, Any]:
        """Give up a switch; what was fetched so far is kept for the next time."""
        engine.jobs.get(request["job"]).cancel()
        return {}

    functions = (using, listing, speed, switch, switching, stop)
    return {function.__name__: in_one_sentence(function) for function in functions}


def identity(checkpoint: str) -> tuple[str, Mapping[str, Any]]:
    """What tells this checkpoint's results from another's, and what was measured of it."""
    known = {info.name: info for info in list_checkpoints()}
    folder = known[checkpoint].folder if checkpoint in known else find(checkpoint) or Path(checkpoint)
    config = folder / "config.json"
    digest = hashlib.sha256(config.read_bytes()).hexdigest() if config.is_file() else ""
    return f"{checkpoint}-{digest[:16]}", known[checkpoint].metrics if checkpoint in known else {}


def name_in_use(engine: Engine) -> str:
    """The name that the checkpoint in use was asked for by, which the fingerprint begins with."""
    return engine.fingerprint.rpartition("-")[0]


def switch_to(job: Job, engine: Engine, name: str) -> str:
    """Load a checkpoint, fetched first if it has to be, and use it; its name. CheckpointError says why it cannot be."""
    if not engine.switching.acquire(blocking=False):
        raise CheckpointError("another switch is under way: wait until it has ended")
    try:
        device = str(engine.model.device)
        if find(name) is None:
            prepare(name, device, report=job.report)
        job.report(f"Loading {name}", 0.0)
        model = load(name, device)
        if not model.readouts:
            raise CheckpointError(f"{name} has neither a decoder nor a bank of sentences, so it can say nothing here")
        job.report("Making everything ready", 0.9)
        engine.use(model, *identity(name))
        return name
    finally:
        engine.switching.release()


def _row_here(info: CheckpointInfo, engine: Engine) -> dict[str, Any]:
    row = {"name": info.name, "megabytes": info.megabytes, "fetch": "", "current": info.name == name_in_use(engine)}
    try:
        config, _ = read_config(info.folder)
    except CheckpointError as error:
        return row | {"title": "It cannot be used", "licence": "", "notice": str(error), "says": "", "broken": True}
    public = PUBLIC.get(info.name)
    told = (public.title, public.licence, public.notice) if public else KNOWN.get(info.name, YOURS)
    return row | dict(zip(("title", "licence", "notice"), told, strict=True)) | {"says": _says(config)}


def _row_public(public: PublicCheckpoint) -> dict[str, Any]:
    sources = ", ".join(dict.fromkeys((*public.repositories, *public.tokenizers)))
    return {"name": public.name, "title": public.title, "megabytes": 1000 * public.gigabytes, "current": False,
            "licence": public.licence, "fetch": sources, "notice": public.notice, "says": _says(public.expected())}


def _says(config: ModelConfig) -> str:
    """What can be had of a checkpoint, in a few words."""
    writes = "writes captions" if config.y_decoder is not None else "picks captions from our sentences"
    return writes if config.predictor.architecture != "mean" else f"{writes}, answers no questions"
