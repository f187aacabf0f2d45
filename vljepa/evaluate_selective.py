"""`python -m vljepa evaluate selective`: the paper's figure 4 (arXiv:2512.10942) on films of unseen photos.

Each film is composed of photos with five captions each, no photo twice; a scene's captions are the annotation, at the
scene's middle. Told is the ratio of decode rates at equal CIDEr, uniform decoding at 1 Hz over selective decoding. At
both, every scene has a sentence of its own, so the curves are smoothed and compared with a tolerance
(`vljepa.decode_ratio`). The ratio without either is told too, and a 95 % interval over films.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from vljepa.analysis import build_tree
from vljepa.composed_films import CaptionedPhoto, ComposedFilm, captioned_photos, compose_film
from vljepa.decode_ratio import interval_95, ratio
from vljepa.model import VLJEPA
from vljepa.selective_sweep import METHODS, AnnotatedStream, Sweep, sweep

FILMS, SCENES, SCENE_S, SEED = 8, 20, (2.0, 12.0), 2000
PAPER = {"decodes_uniform_over_selective_at_equal_cider": 2.85, "rates_hz": [1, 0.35, 0.2, 0.1, 0.05, 0.02, 0.01],
         "uniform": [71.0, 67.2, 59.3, 49.4, 41.9, 33.7, 30.5], "selective": [71.3, 70.6, 67.5, 55.1, 43.6, 34.6, 31.3],
         "uniform_pool": [71.7, 66.4, 59.9, 50.7, 44.1, 37.2, 34.5],
         "selective_pool": [71.5, 70.8, 68.2, 58.3, 46.7, 36.3, 33.2]}  # read off its figure
PAIRS = {"": ("uniform", "selective"), "_pooled": ("uniform_pool", "selective_pool")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `evaluate selective` beside the common ones."""
    parser.add_argument("--films", metavar="N", type=int, default=FILMS, help="films (default: %(default)s)")
    parser.add_argument("--scenes", metavar="N", type=int, default=SCENES,
                        help="scenes of each, 2 to 12 s long (default: %(default)s)")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """The whole sweep; ValueError if data is missing, or too small for so many films without a photo twice."""
    from vljepa.checkpoint import load

    films = compose(captioned_photos(args.data, "flickr8k", args.split), args.films, args.scenes)
    model = load(args.checkpoint, args.device)
    streams = [annotated(model, film) for film in tqdm(films, desc="watching", mininterval=2.0)]
    with tqdm(desc="reading", mininterval=2.0) as bar:
        def told(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = sweep(streams, lambda embeddings: model.decode(embeddings), progress=told)
    kinds = [scene.kind for film in films for scene in film.scenes]
    return {**ratios(found), "curves": curves(found), "paper": PAPER, "films": {
        "count": len(films), "scenes": len(kinds), "cuts": kinds.count("cut"), "dissolves": kinds.count("dissolve"),
        "seconds": round(sum(film.seconds for film in films), 1), "split": args.split, "references": 5}}


def compose(photos: Sequence[CaptionedPhoto], films: int, scenes: int) -> list[ComposedFilm]:
    """Films that share no photo. ValueError if there are too few photos."""
    if films < 1 or len(photos) // films < scenes:
        raise ValueError(f"{films} films of {scenes} scenes need as many photos, there are {len(photos)}: ask for less")
    return [compose_film(photos[k::films], scenes, SCENE_S, seed=SEED + k) for k in range(films)]


def annotated(model: VLJEPA, film: ComposedFilm) -> AnnotatedStream:
    """A film watched, with what people say of each scene."""
    trajectory = model.embed(film).collect()
    middles = np.array([(scene.start_s + scene.end_s) / 2 for scene in film.scenes])
    return AnnotatedStream(trajectory, build_tree(trajectory, 0.0), middles, [s.photo.captions for s in film.scenes])


def curves(found: Sweep) -> list[dict[str, Any]]:
    """For each rate, CIDEr by every method, and how many sentences a second that really were."""
    seconds = found.decodes["uniform"][0] / found.rates_hz[0]
    return [{"rate_hz": rate, "decodes": int(found.decodes["uniform"][k]),
             "really_hz": round(float(found.decodes["uniform"][k] / seconds), 4),
             **{method: round(float(found.scores[method][k].mean()), 4) for method in METHODS}}
            for k, rate in enumerate(found.rates_hz)]


def ratios(found: Sweep) -> dict[str, Any]:
    """The ratio at equal CIDEr with its interval; the pooled methods' too; and both without smoothing or tolerance."""
    key = "decodes_uniform_over_selective_at_equal_cider"
    everything = np.arange(len(found.film_of))
    results: dict[str, Any] = {}
    for suffix, (uniform, selective) in PAIRS.items():
        results[key + suffix] = _rounded(ratio(found, uniform, selective, everything))
        interval = interval_95(found, uniform, selective, found.film_of)
        results[f"interval_95{suffix}"] = [round(end, 2) for end in interval]
        results[f"without_smoothing_or_tolerance{suffix}"] = _rounded(
            ratio(found, uniform, selective, everything, equal=1.0, smooth=False))
    return results


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
