"""The process that a training of the Learn tab runs in: `python -m app.learn_worker`; it gives way to all others.

In it one line of JSON says what to train, then "pause", "resume" or "stop", a line each; out of it comes a line of JSON
for each event. It ends when nobody holds its other end any more.
"""

import json
import os
import shutil
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from app.messages import sentence_for
from app.pictures import strip
from vljepa.train.reins import Reins, Stopped
from vljepa.train.telling import Done, Event, Examples, Stage, Tell

POLITE = 10  # `nice` of this process: Live and everything else come first


def main() -> None:
    """Train what the first line asks for."""
    if hasattr(os, "nice"):
        os.nice(POLITE)
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else is printed is no event
    asked = json.loads(sys.stdin.readline())
    reins, lock = Reins(), threading.Lock()
    threading.Thread(target=_obey, args=(sys.stdin, reins), daemon=True).start()

    def say(told: dict[str, Any]) -> None:
        with lock:
            events.write(json.dumps(told) + "\n")
            events.flush()

    try:
        say({"kind": "ended", **_train(asked, reins, lambda event: say(view_of(event)))})
    except Stopped:
        say({"kind": "ended", "film": None})
    except Exception as error:
        say({"kind": "failed", "error": sentence_for(error)})


def view_of(event: Event) -> dict[str, Any]:
    """An event for the page; pictures as one, frames side by side, in a data address."""
    if isinstance(event, Examples):
        return {"kind": "examples", **asdict(event), "pictures": [
            {"url": strip(frames), "frames": len(frames)} for frames in event.pictures]}
    return {"kind": type(event).__name__.lower(), **asdict(event)}


def _train(asked: dict[str, Any], reins: Reins, tell: Tell) -> dict[str, Any]:
    """Do it; `film` is where the film to try it on is, or None if nothing came of it."""
    work, out, film = (Path(asked[name]) for name in ("work", "out", "film"))
    made = work / "made"
    kept = (_shapes if asked["what"] == "shapes" else _photos)(asked, work, made, film, reins, tell)
    if kept is None or not asked["keep"]:
        return {"film": None}
    if out.exists():
        shutil.rmtree(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    os.replace(made, out)  # whole or not at all
    return {"film": str(kept)}


def _shapes(asked: dict[str, Any], work: Path, made: Path, film: Path, reins: Reins, tell: Tell) -> Path | None:
    from app.learn_film import film_world
    from vljepa.arms.load import Arms
    from vljepa.arms.short import ShortRun, train_short

    tell(Done("start", 1, 1, time.process_time()))
    run = ShortRun(**asked["run"] | {"arms": tuple(asked["run"]["arms"])})
    if not train_short(run, Arms().encoder, work, made, reins, tell):
        return None
    return film_world(run.seed, film)


def _photos(asked: dict[str, Any], work: Path, made: Path, film: Path, reins: Reins, tell: Tell) -> Path | None:
    from app.learn_film import film_own
    from vljepa.checkpoint import load
    from vljepa.train.own import OwnRun, teach

    tell(Done("start", 1, 1, time.process_time()))
    run = OwnRun(**asked["run"])
    train, held = run.read()  # what the folder lacks is told before anything is loaded
    tell(Stage(f"Loading {Path(asked['base']).name}"))
    began = time.monotonic()
    model = load(Path(asked["base"]), "cpu", "float32")
    tell(Done("load", 1, 1, time.monotonic() - began))
    if not teach(run, model, work, made, reins, tell):
        return None
    tell(Stage("Making a film to try it on"))
    began = time.monotonic()
    path = film_own(held, train, run.seed, film)
    tell(Done("own.film", 1, 1, time.monotonic() - began))
    return path


def _obey(lines: IO[str], reins: Reins) -> None:
    """Do as each line says; when there are no more, nobody is left to train for."""
    for line in lines:
        {"pause": reins.pause, "resume": reins.resume, "stop": reins.stop}[line.strip()]()
    os._exit(1)


if __name__ == "__main__":
    main()
