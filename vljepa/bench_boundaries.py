"""How well the online cut finds known scenes, and how far the map can be trusted: parts of `bench live` without a page.

- `boundaries`: F1 of the online boundaries within a second of the true ones, for each film; also over films that are
  composed of validation photos; how long after a boundary it is told
- `decodes_uniform_over_selective`: captions of a decoder that reads one each second over those of the online cut, on
  the sample film with hard cuts
- `map_agreement`: of the landmarks that lie nearest to a live point on the map, the share that are near it in the
  embedding space too
"""

import argparse
import math
from typing import Any

import numpy as np

from visualizations.landmark_map import neighbourhood_agreement
from vljepa.checkpoint import load
from vljepa.composed_films import captioned_photos, compose_film
from vljepa.known_films import known_films
from vljepa.metrics import boundary_f1
from vljepa.online import OnlineSegmenter, OnlineSettings, OnlineStep
from vljepa.stream import Trajectory

TOLERANCE_S = 1.0
PHOTO_FILMS = range(100, 104)  # seeds of composed films, other than those that anything was chosen on
SAMPLE = "sample film `sample`"
KEYS = {SAMPLE: "sample_f1", "one-by-one-person-detection.mp4": "fixed_camera_f1",
        "sample film `slow`": "sample_slow_f1", "sample film `short`": "sample_short_f1",
        "car-detection.mp4": "car_detection_f1"}


def measure_boundaries(args: argparse.Namespace) -> dict[str, Any]:
    """Every known film, step by step as if it were live."""
    model = load(args.checkpoint)
    films: dict[str, Any] = {}
    results: dict[str, Any] = {"boundaries": {"tolerance_s": TOLERANCE_S, "films": films}}
    for film in known_films(args.data):
        films[film.name] = row = film_row(film.boundaries_s, model.embed(film.path).collect())
        results["boundaries"][KEYS[film.name]] = row["f1"]
        if film.name == SAMPLE:
            results["decodes_uniform_over_selective"] = round(row["uniform_1hz"] / row["decodes"], 2)
    if args.data is not None:
        photos = captioned_photos(args.data)
        for composed in (compose_film(photos, seed=seed) for seed in PHOTO_FILMS):
            films[composed.name] = film_row(composed.boundaries_s, model.embed(composed).collect())
        f1s = [row["f1"] for name, row in films.items() if name.startswith("composed")]
        results["boundaries"]["validation_photos_f1"] = round(float(np.mean(f1s)), 3)
    results["boundaries"]["told_after_s"] = round(float(np.median([row["told_after_s"] for row in films.values()])), 2)
    return results


def measure_map(args: argparse.Namespace) -> dict[str, Any]:
    """The steps of every known film, placed on the checkpoint's map."""
    model = load(args.checkpoint)
    if model.landmarks is None:
        raise ValueError(f"the checkpoint {args.checkpoint} has no map to measure")
    points = np.concatenate([model.embed(film.path).collect().embeddings for film in known_films(args.data)])
    return {"map_agreement": round(neighbourhood_agreement(model.landmarks, points), 3),
            "map": {"points": len(points), "landmarks": len(model.landmarks.texts)}}


def online_steps(stream: Trajectory, settings: OnlineSettings | None = None) -> list[OnlineStep]:
    """What the online cut says at each step of a stream."""
    segmenter = OnlineSegmenter(settings, stream.lag_s)
    return [segmenter.push(float(t), e) for t, e in zip(stream.times_s, stream.embeddings, strict=True)]


def film_row(true_s: list[float], stream: Trajectory, settings: OnlineSettings | None = None) -> dict[str, Any]:
    """What is said of one film."""
    told = [(step.boundary_s, step.time_s) for step in online_steps(stream, settings) if step.boundary_s is not None]
    found = [boundary_s for boundary_s, _ in told]
    late = [time_s - boundary_s for boundary_s, time_s in told]
    return {"scenes": len(true_s) + 1, "decodes": len(found) + 1, "uniform_1hz": math.ceil(stream.video.seconds),
            "f1": round(boundary_f1(found, true_s, TOLERANCE_S), 3),
            "told_after_s": round(float(np.median(late)), 2) if late else 0.0,
            "boundaries_s": [round(moment, 2) for moment in found]}
