"""Films whose scenes are known: the sample films, and the videos of the training data that have timed scenes."""

import json
from dataclasses import dataclass
from pathlib import Path

from sample_media import sample_films


@dataclass(frozen=True)
class KnownFilm:
    """A film's name as tables show it, its file, and the true boundaries of its scenes in seconds."""

    name: str
    path: Path
    boundaries_s: list[float]


def known_films(data: Path | None) -> list[KnownFilm]:
    """The sample films, then the timed videos of the folder `data`, if there is one."""
    films = []
    for film in sample_films():
        scenes = json.loads(film.truth.read_text(encoding="utf-8"))["scenes"]
        films.append(KnownFilm(f"sample film `{film.name}`", film.path, [float(s["start_s"]) for s in scenes[1:]]))
    rows = [] if data is None else (data / "videos/videos.jsonl").read_text(encoding="utf-8").splitlines()
    for row in map(json.loads, rows):
        if row["scenes"]:
            edges = [float(start_s) for start_s, _, _ in row["scenes"]][1:]
            films.append(KnownFilm(row["path"], data / "videos" / row["file"], edges))  # type: ignore[operator]
    return films
