"""Sample films with known scenes, made on first use from photographs that installed packages carry."""

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sample_media.camera import FPS
from sample_media.films import SCRIPTS, Script
from sample_media.render import first_frames, truth, write_film
from vljepa.errors import VideoError
from vljepa.paths import cache_dir

VERSION = 1  # raise it whenever a film would come out differently: kept films are then made anew

__all__ = ["SampleFilm", "sample_films"]


@dataclass(frozen=True)
class SampleFilm:
    """A film and the JSON beside it that tells what happens in it.

    The JSON: `version`, `name`, `title`, `seconds`, `fps`, `bytes`, and `scenes`, a list of {`start_s`, `end_s`,
    `caption`, `transition` ("start", "cut" or "dissolve"), `dissolve_s` ([start, end] or null), `photo`}.
    """

    name: str
    title: str
    path: Path
    truth: Path


def sample_films(folder: Path | None = None, progress: Callable[[float], None] | None = None) -> list[SampleFilm]:
    """The sample films, made where they are missing, damaged or of another version; seconds the first time.

    `folder` defaults to a cache of the user's (environment variable VLJEPA_CACHE). `progress` is told the share done,
    0 to 1; an exception it raises cancels. Several processes may call at once. VideoError if a photograph is missing
    or the folder cannot be written.
    """
    folder = cache_dir() / "samples" if folder is None else folder
    films = [(script, _film(script, folder)) for script in SCRIPTS]
    missing = [(script, film) for script, film in films if not _complete(film)]
    total, done = sum(first_frames(script)[-1] for script, _ in missing), 0
    for script, film in missing:
        _make(script, film, _shifted(progress, done, total))
        done += first_frames(script)[-1]
    return [film for _, film in films]


def _film(script: Script, folder: Path) -> SampleFilm:
    return SampleFilm(script.name, script.title, folder / f"{script.name}.mp4", folder / f"{script.name}.json")


def _shifted(progress: Callable[[float], None] | None, done: int, total: int) -> Callable[[int], None] | None:
    return None if progress is None else lambda frames: progress((done + frames) / total)


def _complete(film: SampleFilm) -> bool:
    try:
        stated = json.loads(film.truth.read_text(encoding="utf-8"))
        return bool(stated["version"] == VERSION and stated["bytes"] == film.path.stat().st_size)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _make(script: Script, film: SampleFilm, progress: Callable[[int], None] | None) -> None:
    """Write both files aside and move them into place, the JSON last: it vouches for the film."""
    folder = film.path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as aside:
            part, note = Path(aside, film.path.name), Path(aside, film.truth.name)
            write_film(script, part, progress)
            stated = {"version": VERSION, "name": film.name, "title": film.title, "fps": FPS,
                      "seconds": first_frames(script)[-1] / FPS, "bytes": part.stat().st_size, "scenes": truth(script)}
            note.write_text(json.dumps(stated, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            os.replace(part, film.path)
            os.replace(note, film.truth)
    except OSError as error:
        if not _complete(film):  # else another process has just made it, and Windows guards a film in use
            raise VideoError(f"The sample films cannot be written to {folder} ({error.strerror or error}): free some "
                             "disk space, or set VLJEPA_CACHE to a folder of yours.") from error
