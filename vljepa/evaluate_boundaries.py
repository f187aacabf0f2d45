"""`python -m vljepa evaluate boundaries`: where scenes begin, by meaning and by two detectors of PySceneDetect.

- `cuts`: files of films composed of unseen photos, with cuts and dissolves, and the sample films; F1 within 0.5 s
- `events`: the timed scenes of fixed-camera videos, where somebody comes or leaves and nothing is cut; F1 within 1 s

VL-JEPA cuts in four ways. `auto`, `variance` (a quarter of the stream's variance may stay inside segments) and `online`
(the live cut, which never looks ahead) have fixed settings; `true_count` is told the number of scenes. The detectors
have PySceneDetect's defaults. `events.vljepa_f1` is the way that VLJEPA_EVENTS names.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from vljepa.analysis import CutSettings, build_tree, cut, spans
from vljepa.bench_boundaries import online_steps
from vljepa.composed_films import captioned_photos
from vljepa.evaluate_selective import compose
from vljepa.known_films import known_films
from vljepa.metrics import boundary_f1
from vljepa.model import VLJEPA
from vljepa.stream import Trajectory

FILMS, SCENES = 2, 20
CUTS_TOLERANCE_S, EVENTS_TOLERANCE_S = 0.5, 1.0
VARIANCE = 0.25
WAYS = ("auto", "variance", "true_count", "online")
DETECTORS = ("content", "adaptive")
VLJEPA_EVENTS = "online"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `evaluate boundaries` beside the common ones."""
    parser.add_argument("--films", metavar="N", type=int, default=FILMS, help="composed films (default: %(default)s)")
    parser.add_argument("--scenes", metavar="N", type=int, default=SCENES, help="scenes of each (default: %(default)s)")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Every film by every way; ValueError if data or PySceneDetect is missing."""
    from vljepa.checkpoint import load

    detectors, model = detectors_of_pyscenedetect(), load(args.checkpoint, args.device)
    known = known_films(args.data)
    cuts, events = list[dict[str, Any]](), list[dict[str, Any]]()
    for film in known:
        timed = film.path.is_relative_to(args.data)
        row = measure_film(model, detectors, film.name, film.path, film.boundaries_s,
                           EVENTS_TOLERANCE_S if timed else CUTS_TOLERANCE_S)
        (events if timed else cuts).append(row)
    with tempfile.TemporaryDirectory() as folder:
        for composed in compose(captioned_photos(args.data, "flickr8k", args.split), args.films, args.scenes):
            path = Path(folder, f"{composed.name}.mp4")
            composed.write(path)
            kinds = [scene.kind for scene in composed.scenes[1:]]
            cuts.append(measure_film(model, detectors, composed.name, path, composed.boundaries_s, CUTS_TOLERANCE_S,
                                     kinds))
    return {"cuts": summary(cuts, CUTS_TOLERANCE_S), "events": summary(events, EVENTS_TOLERANCE_S) | {
        "vljepa_f1": mean_f1(events, VLJEPA_EVENTS), "vljepa_way": VLJEPA_EVENTS,
        "content_f1": mean_f1(events, "content"), "adaptive_f1": mean_f1(events, "adaptive")}, "split": args.split}


def measure_film(
    model: VLJEPA, detectors: dict[str, Callable[[Path], list[float]]], name: str, path: Path, true_s: list[float],
    tolerance_s: float, kinds: Sequence[str] = (),
) -> dict[str, Any]:
    """One film's row: for each way how many boundaries were found, F1, and of each kind the share that was found."""
    trajectory = model.embed(path).collect()
    told = vljepa_boundaries(trajectory, len(true_s) + 1) | {key: find(path) for key, find in detectors.items()}
    row: dict[str, Any] = {"film": name, "true": len(true_s)}
    for way, found_s in told.items():
        row[way] = {"found": len(found_s), "f1": round(boundary_f1(found_s, true_s, tolerance_s), 3)}
        for kind in sorted(set(kinds)):
            of_kind = [t for t, k in zip(true_s, kinds, strict=True) if k == kind]
            near = [any(abs(f - t) <= tolerance_s for f in found_s) for t in of_kind]
            row[way][f"{kind}s_found"], row[f"{kind}s"] = sum(near), len(near)
    return row


def vljepa_boundaries(trajectory: Trajectory, segments: int) -> dict[str, list[float]]:
    """The boundaries in seconds by each of WAYS."""
    tree = build_tree(trajectory, 0.0)
    settings = {"auto": CutSettings(), "variance": CutSettings("variance", VARIANCE),
                "true_count": CutSettings("count", min(segments, len(trajectory.embeddings)))}
    found = {way: [end for (_, end), _ in pairwise(spans(trajectory, cut(trajectory, tree, how)))]
             for way, how in settings.items()}
    online = [step.boundary_s for step in online_steps(trajectory) if step.boundary_s is not None]
    return {**found, "online": online}


def detectors_of_pyscenedetect() -> dict[str, Callable[[Path], list[float]]]:
    """Content and adaptive detector with their default settings; ValueError if PySceneDetect is not installed."""
    try:
        from scenedetect import AdaptiveDetector, ContentDetector, detect
    except ImportError:
        raise ValueError("boundaries are compared with PySceneDetect, which is not installed: "
                         "python -m pip install -r requirements-dev.txt") from None

    def boundaries(path: Path, detector: Any) -> list[float]:
        return [start.seconds for start, _ in detect(str(path), detector)[1:]]

    return {"content": lambda path: boundaries(path, ContentDetector()),
            "adaptive": lambda path: boundaries(path, AdaptiveDetector())}


def summary(rows: list[dict[str, Any]], tolerance_s: float) -> dict[str, Any]:
    """Mean F1 of each way, what was found of each kind, and the rows."""
    result: dict[str, Any] = {"tolerance_s": tolerance_s, "f1": {w: mean_f1(rows, w) for w in (*WAYS, *DETECTORS)}}
    for kind in ("cuts", "dissolves"):
        if total := sum(row.get(kind, 0) for row in rows):
            result[f"{kind}_found"] = {way: round(sum(row[way].get(f"{kind}_found", 0) for row in rows) / total, 3)
                                       for way in (*WAYS, *DETECTORS)}
    return result | {"films": rows}


def mean_f1(rows: list[dict[str, Any]], way: str) -> float:
    """The mean over films."""
    return round(fmean(row[way]["f1"] for row in rows), 3)
