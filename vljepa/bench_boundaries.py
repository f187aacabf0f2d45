"""How well the online cut finds known scenes, and how far the map can be trusted: parts of `bench live` without a page.

- `boundaries.live`: F1 of the online boundaries within a second of the true ones, for each film that is known, through
  a live session as a source on the server feeds it, at each of LIVE_RATES_HZ; `boundaries.sample_f1`,
  `boundaries.fixed_camera_f1` and so on are the lowest of these, for the rate is the machine's, not ours to choose
- `boundaries.films`: the same from the stream that an analysis sees, 4 steps a second, with how long after a boundary
  it is told; also films that are composed of validation photos
- `decodes_uniform_over_selective`: captions of a decoder that reads one each second over those that the live session
  read, on the sample film with hard cuts, at the rate at which it read most
- `map_agreement`: of the landmarks that lie nearest to a live point on the map, the share that are near it in the
  embedding space too (`neighbourhood_agreement`; a shuffled map would give 0.1)
- `map.spread`: how widely the live points spread on the map, over how widely the landmarks do; `map.spread_uncentred`:
  the same if predictions and sentences were not centred, each in its own cone
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from visualizations.landmark_map import neighbourhood_agreement, place
from vljepa.checkpoint import load
from vljepa.composed_films import ComposedFilm, captioned_photos, compose_film
from vljepa.errors import VLJEPAError
from vljepa.known_films import KnownFilm, known_films
from vljepa.live import LiveModel, LiveUpdate
from vljepa.metrics import boundary_f1
from vljepa.model import VLJEPA
from vljepa.online import OnlineSegmenter, OnlineSettings, OnlineStep
from vljepa.stream import Trajectory
from vljepa.video import open_video

TOLERANCE_S = 1.0
PHOTO_FILMS = range(100, 104)  # seeds of the composed films that are measured
CHOOSING_FILMS = range(4)  # and of those that `docs.choose_online` chooses on
SAMPLE, FIXED_CAMERA = "sample film `sample`", "one-by-one-person-detection.mp4"
LIVE_RATES_HZ = (4.0, 6.7, 12.0)  # two cores that also draw the page reach 6.7; it never asks for more than 12
FRAME, PATIENCE_S = (448, 336), 60.0
KEYS = {SAMPLE: "sample_f1", FIXED_CAMERA: "fixed_camera_f1",
        "sample film `slow`": "sample_slow_f1", "sample film `short`": "sample_short_f1",
        "car-detection.mp4": "car_detection_f1"}


def measure_boundaries(args: argparse.Namespace) -> dict[str, Any]:
    """Every known film through live sessions, and step by step as an analysis sees it."""
    model = load(args.checkpoint)
    films: dict[str, Any] = {}
    live: dict[str, Any] = {}
    results: dict[str, Any] = {"tolerance_s": TOLERANCE_S, "films": films, "live": live}
    for film in known_films(args.data):
        films[film.name] = film_row(film.boundaries_s, model.embed(film.path).collect())
        live[film.name] = [live_row(model, film, rate_hz) for rate_hz in LIVE_RATES_HZ]
        results[KEYS[film.name]] = min(row["f1"] for row in live[film.name])
    if args.data is not None:
        for composed in photo_films(args.data):
            films[composed.name] = film_row(composed.boundaries_s, model.embed(composed).collect())
        f1s = [row["f1"] for name, row in films.items() if name.startswith("composed")]
        results["validation_photos_f1"] = round(float(np.mean(f1s)), 3)
    results["told_after_s"] = round(float(np.median([row["told_after_s"] for row in films.values()])), 2)
    saved = [row["uniform_1hz"] / row["decodes"] for row in live[SAMPLE]]
    return {"boundaries": results, "decodes_uniform_over_selective": round(min(saved), 2)}


def measure_map(args: argparse.Namespace) -> dict[str, Any]:
    """The steps of every known film, placed on the checkpoint's map."""
    model = load(args.checkpoint)
    if model.landmarks is None:
        raise ValueError(f"the checkpoint {args.checkpoint} has no map to measure")
    points = np.concatenate([model.embed(film.path).collect().embeddings for film in known_films(args.data)])
    nowhere = np.zeros_like(model.landmarks.text_mean)
    uncentred = replace(model.landmarks, predicted_mean=nowhere, text_mean=nowhere)
    width = _spread(model.landmarks.xy)
    return {"map_agreement": round(neighbourhood_agreement(model.landmarks, points), 3), "map": {
        "points": len(points), "landmarks": len(model.landmarks.texts),
        "spread": round(_spread(place(model.landmarks, points)) / width, 3),
        "spread_uncentred": round(_spread(place(uncentred, points)) / width, 3)}}


def _spread(places: Float[np.ndarray, "points 2"]) -> float:
    """Root mean square distance from the middle."""
    return float(np.sqrt(((places - places.mean(axis=0)) ** 2).sum(axis=1).mean()))


def photo_films(data: Path, choosing: bool = False) -> list[ComposedFilm]:
    """Films composed of Flickr8k's validation photos: of their second half, or of the first for choosing constants."""
    photos = captioned_photos(data)
    half = len(photos) // 2
    if choosing:
        return [compose_film(photos[:half], seed=seed) for seed in CHOOSING_FILMS]
    return [compose_film(photos[half:], seed=seed) for seed in PHOTO_FILMS]


def online_steps(stream: Trajectory, settings: OnlineSettings | None = None) -> list[OnlineStep]:
    """What the online cut says at each step of a stream."""
    segmenter = OnlineSegmenter(settings)
    lag_s = stream.lag_s - 0.5 / stream.rate_hz  # of a step's frames; the stream's is of what they stand for
    return [segmenter.push(float(t), e, lag_s) for t, e in zip(stream.times_s, stream.embeddings, strict=True)]


def live_row(model: VLJEPA, film: KnownFilm, rate_hz: float) -> dict[str, Any]:
    """A film through a live session, each frame offered when the one before was answered: nothing is dropped."""
    with LiveModel(model) as live, live.session() as session, open_video(film.path) as video:
        index, told = -1, []
        for frame in video.frames(rate_hz, FRAME):
            session.offer(frame.image, frame.time_s)
            answered = False
            while not answered:
                events = session.wait(index, PATIENCE_S)
                if not events:
                    raise VLJEPAError(f"the live loop did not answer within {PATIENCE_S:g} s ({session.failure})")
                index, updates = events[-1].index, [event for event in events if isinstance(event, LiveUpdate)]
                told += [update.boundary_s for update in updates if update.boundary_s is not None]
                answered = bool(updates)
        ledger = session.ledger()
        return {"rate_hz": rate_hz, "f1": round(boundary_f1(told, film.boundaries_s, TOLERANCE_S), 3),
                "windows": ledger.windows, "decodes": ledger.decodes, "uniform_1hz": ledger.uniform_1hz,
                "boundaries_s": [round(moment, 2) for moment in told]}


def film_row(true_s: list[float], stream: Trajectory, settings: OnlineSettings | None = None) -> dict[str, Any]:
    """What is said of one film."""
    told = [(step.boundary_s, step.time_s) for step in online_steps(stream, settings) if step.boundary_s is not None]
    found = [boundary_s for boundary_s, _ in told]
    late = [time_s - boundary_s for boundary_s, time_s in told]
    return {"scenes": len(true_s) + 1, "decodes": len(found) + 1, "uniform_1hz": math.ceil(stream.video.seconds),
            "f1": round(boundary_f1(found, true_s, TOLERANCE_S), 3),
            "told_after_s": round(float(np.median(late)), 2) if late else 0.0,
            "boundaries_s": [round(moment, 2) for moment in found]}
