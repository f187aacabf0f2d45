"""Try other constants for the online cut: `python -m docs.choose_online --data DIR`; run it after a retraining.

Every setting in GRID is tried on the known films and on films composed of one half of Flickr8k's validation photos;
what stands in `OnlineSettings` is printed beside the best, with its score on the other half, on which nothing is
chosen. The known films are few and the same ones that `bench live` measures: its figures for them are fitted.
"""

import argparse
import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import vljepa
from vljepa.bench_boundaries import TOLERANCE_S, online_steps, photo_films
from vljepa.known_films import known_films
from vljepa.metrics import boundary_f1
from vljepa.online import OnlineSettings
from vljepa.stream import Trajectory

GRID: dict[str, tuple[float, ...]] = {
    "window_s": (0.75, 1.0, 1.25), "sensitivity": (0.5, 0.6), "typical": (0.7, 0.8, 0.9), "hysteresis": (0.6, 0.75),
    "lean": (0.0, 0.1, 0.2), "known": (0.3, 0.4),
}
SHOWN = 10


@dataclass(frozen=True)
class Film:
    """A stream and its true boundaries in seconds; `kind` groups what is averaged before films are compared."""

    kind: str
    stream: Trajectory
    boundaries_s: list[float]


def main() -> None:
    """Print the best settings, and how those in force do."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="training data: its videos and validation photos")
    parser.add_argument("--checkpoint", default="everyday")
    args = parser.parse_args()
    model = vljepa.load(args.checkpoint)
    chosen_on = [Film(film.name, model.embed(film.path).collect(), film.boundaries_s)
                 for film in known_films(args.data)]
    chosen_on += composed(model, args.data, choosing=True)
    rows = [(score(chosen_on, settings), settings) for settings in tried()]
    rows.sort(key=lambda row: -row[0]["mean"])
    for scores, settings in rows[:SHOWN]:
        print(told(scores), {key: getattr(settings, key) for key in GRID})
    print("in force:", told(score(chosen_on, OnlineSettings())))
    print("the other half of the photos:", told(score(composed(model, args.data), OnlineSettings())))


def composed(model: vljepa.VLJEPA, data: Path, choosing: bool = False) -> list[Film]:
    """Films of validation photos as streams."""
    return [Film("validation photos", model.embed(film).collect(), film.boundaries_s)
            for film in photo_films(data, choosing)]


def tried() -> list[OnlineSettings]:
    """Every combination of GRID."""
    return [replace(OnlineSettings(), **dict(zip(GRID, values, strict=True)))
            for values in itertools.product(*GRID.values())]


def score(films: list[Film], settings: OnlineSettings) -> dict[str, Any]:
    """F1 by kind of film, and the mean over the kinds."""
    by_kind: dict[str, list[float]] = {}
    for film in films:
        found = [step.boundary_s for step in online_steps(film.stream, settings) if step.boundary_s is not None]
        by_kind.setdefault(film.kind, []).append(boundary_f1(found, film.boundaries_s, TOLERANCE_S))
    means = {kind: float(np.mean(values)) for kind, values in by_kind.items()}
    return {**means, "mean": float(np.mean(list(means.values())))}


def told(scores: dict[str, Any]) -> str:
    """Scores on one line."""
    return "  ".join(f"{kind} {value:.3f}" for kind, value in scores.items())


if __name__ == "__main__":
    main()
