"""How well the online cut finds known scenes, and how far the map can be trusted: parts of `bench live` without a page.

- `boundaries`: F1 of the online boundaries within a second of the true ones, for each film
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
from vljepa.known_films import KnownFilm, known_films
from vljepa.metrics import boundary_f1
from vljepa.online import OnlineSegmenter, OnlineSettings
from vljepa.stream import Trajectory

TOLERANCE_S = 1.0
KEYS = {"sample film `sample`": "sample_f1", "one-by-one-person-detection.mp4": "fixed_camera_f1",
        "sample film `slow`": "sample_slow_f1", "sample film `short`": "sample_short_f1",
        "car-detection.mp4": "car_detection_f1"}


def measure_boundaries(args: argparse.Namespace) -> dict[str, Any]:
    """Every known film, step by step as if it were live."""
    model = load(args.checkpoint)
    results: dict[str, Any] = {"boundaries": {"tolerance_s": TOLERANCE_S, "films": {}}}
    for film in known_films(args.data):
        stream = model.embed(film.path).collect()
        found = online_boundaries(stream)
        key, row = KEYS[film.name], film_row(film, found, stream)
        results["boundaries"][key] = row["f1"]
        results["boundaries"]["films"][film.name] = row
        if key == "sample_f1":
            results["decodes_uniform_over_selective"] = row["uniform_1hz"] / row["decodes"]
    return results


def measure_map(args: argparse.Namespace) -> dict[str, Any]:
    """The steps of every known film, placed on the checkpoint's map."""
    model = load(args.checkpoint)
    if model.landmarks is None:
        raise ValueError(f"the checkpoint {args.checkpoint} has no map to measure")
    points = np.concatenate([model.embed(film.path).collect().embeddings for film in known_films(args.data)])
    return {"map_agreement": round(neighbourhood_agreement(model.landmarks, points), 3),
            "map": {"points": len(points), "landmarks": len(model.landmarks.texts)}}


def online_boundaries(stream: Trajectory, settings: OnlineSettings | None = None) -> list[float]:
    """Where the online cut found boundaries, in seconds."""
    segmenter = OnlineSegmenter(settings)
    steps = [segmenter.push(float(t), e) for t, e in zip(stream.times_s, stream.embeddings, strict=True)]
    return [step.boundary_s for step in steps if step.boundary_s is not None]


def film_row(film: KnownFilm, found: list[float], stream: Trajectory) -> dict[str, Any]:
    """What the table says of one film."""
    return {"scenes": len(film.boundaries_s) + 1, "found": len(found) + 1,
            "f1": round(boundary_f1(found, film.boundaries_s, TOLERANCE_S), 3),
            "decodes": len(found) + 1, "uniform_1hz": math.ceil(stream.video.seconds),
            "boundaries_s": [round(moment, 2) for moment in found]}
