"""How well the automatic cut finds known scenes: `python -m docs.measure_segments --data DIR`.

Writes benchmarks/segments.json. Measured on the sample films, whose cuts are exact, on the videos of the data folder
that have timed scenes, and on films composed of Flickr8k's test photos: clips of three scenes, and a long film. The
cut's constants were chosen on the sample films and on films composed of validation photos, on nothing else here.
"""

import argparse
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

import vljepa
from vljepa.analysis import CutSettings, build_tree, cut, spans
from vljepa.composed_films import captioned_photos, compose_film
from vljepa.known_films import known_films
from vljepa.metrics import boundary_f1
from vljepa.provenance import provenance, write_results
from vljepa.video import Source

ROOT = Path(__file__).resolve().parent.parent
TOLERANCE_S = 1.0
CLIPS, CLIP_SCENES, CLIP_SCENE_S = 8, 3, (2.0, 5.0)
LONG_SCENES, LONG_SCENE_S = 75, (4.0, 12.0)
SEED = 1000  # of the first film; choosing used the seeds from 0 on


def main() -> None:
    """Measure every film and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="training data, for its videos with timed scenes")
    parser.add_argument("--checkpoint", default="everyday")
    args = parser.parse_args()
    model = vljepa.load(args.checkpoint)
    films = [row(film.name, [measure(model, film.path, film.boundaries_s)]) for film in known_films(args.data)]
    films += composed(model, args.data) if args.data else []
    out = ROOT / "benchmarks/segments.json"
    write_results(out, {"films": films, "tolerance_s": TOLERANCE_S, **provenance(args.checkpoint)})
    for film in films:
        print(film)


def composed(model: vljepa.VLJEPA, data: Path) -> list[dict]:
    """Films that are made as they are watched, of photos that nothing was trained or chosen on."""
    photos = captioned_photos(data, "flickr8k", "test")
    clips = [compose_film(photos, CLIP_SCENES, CLIP_SCENE_S, seed=SEED + k) for k in range(CLIPS)]
    long = compose_film(photos, LONG_SCENES, LONG_SCENE_S, seed=SEED + CLIPS)
    return [row(f"{CLIPS} clips composed of test photos, {np.mean([c.seconds for c in clips]):.0f} s each on average",
                [measure(model, clip, clip.boundaries_s) for clip in clips]),
            row(f"a film composed of test photos, {long.seconds / 60:.1f} minutes",
                [measure(model, long, long.boundaries_s)])]


def measure(model: vljepa.VLJEPA, film: Source, true: list[float]) -> dict:
    """Boundary F1 of the automatic cut, and of the cut into as many segments as there truly are.

    `late_s` is the median of how much later than the nearest true one a boundary is told; None if there are none.
    """
    trajectory = model.embed(film).collect()
    tree = build_tree(trajectory, CutSettings().smoothing_s)
    found = {}
    for key, settings in (("auto", CutSettings()), ("true_count", CutSettings("count", len(true) + 1))):
        edges = [end for (_, end), _ in pairwise(spans(trajectory, cut(trajectory, tree, settings)))]
        found[key] = (edges, boundary_f1(edges, true, TOLERANCE_S))
    late = [min((edge - t for t in true), key=abs) for edge in found["auto"][0]] if true else []
    near = [seconds for seconds in late if abs(seconds) <= TOLERANCE_S]
    return {"scenes": len(true) + 1, "found": len(found["auto"][0]) + 1, "f1_auto": found["auto"][1],
            "f1_true_count": found["true_count"][1], "late_s": median(near) if near else None}


def row(name: str, measured: list[dict]) -> dict:
    """One row of the table: sums of counts, means of the rest."""
    late = [m["late_s"] for m in measured if m["late_s"] is not None]
    return {"video": name, "scenes": sum(m["scenes"] for m in measured), "found": sum(m["found"] for m in measured),
            **{key: round(float(np.mean([m[key] for m in measured])), 3) for key in ("f1_auto", "f1_true_count")},
            "late_s": round(float(np.mean(late)), 3) if late else None}


if __name__ == "__main__":
    main()
