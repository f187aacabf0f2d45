"""How well the automatic cut finds known scenes: `python -m docs.measure_segments --data DIR`.

Writes benchmarks/segments.json. Measured on the sample films, whose cuts are exact, and on the videos of the data
folder that have timed scenes.
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path

import vljepa
from vljepa.analysis import CutSettings, build_tree, cut, spans
from vljepa.known_films import known_films
from vljepa.metrics import boundary_f1
from vljepa.provenance import provenance

ROOT = Path(__file__).resolve().parent.parent
TOLERANCE_S = 1.0


def main() -> None:
    """Measure every film and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="training data, for its videos with timed scenes")
    parser.add_argument("--checkpoint", default="everyday")
    args = parser.parse_args()
    model = vljepa.load(args.checkpoint)
    films = [measure(model, film.name, film.path, film.boundaries_s) for film in known_films(args.data)]
    out = ROOT / "benchmarks/segments.json"
    out.parent.mkdir(exist_ok=True)
    results = {"films": films, "tolerance_s": TOLERANCE_S, **provenance(args.checkpoint)}
    out.write_text(json.dumps(results, indent=1) + "\n")
    for film in films:
        print(film)


def measure(model: vljepa.VLJEPA, name: str, path: Path, true: list[float]) -> dict:
    """Boundary F1 of the automatic cut, and of the cut into as many segments as there truly are."""
    trajectory = model.embed(path).collect()
    tree = build_tree(trajectory, CutSettings().smoothing_s)
    found = {}
    for key, settings in (("auto", CutSettings()), ("true_count", CutSettings("count", len(true) + 1))):
        edges = [end for (_, end), _ in pairwise(spans(trajectory, cut(trajectory, tree, settings)))]
        found[key] = (len(edges) + 1, boundary_f1(edges, true, TOLERANCE_S))
    return {"video": name, "scenes": len(true) + 1, "found": found["auto"][0], "f1_auto": round(found["auto"][1], 3),
            "f1_true_count": round(found["true_count"][1], 3)}


if __name__ == "__main__":
    main()
