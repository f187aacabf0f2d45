"""`python -m vljepa arms train | evaluate`: the five arms from nothing, and what they can do."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from vljepa.paths import cache_dir

REPORT = Path("benchmarks/arms.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `arms`."""
    parser.add_argument("action", choices=("train", "evaluate"), help="train the arms and write their checkpoints, or "
                        "measure them (what is not trained yet is trained first)")
    parser.add_argument("--work", type=Path, help="where encoded clips, states and logs are kept, so that a killed run "
                                                  "goes on (default: the cache folder)")
    parser.add_argument("--out", type=Path, help="train: folder for the checkpoints (default: in the cache folder); "
                                                 f"evaluate: the report (default: {REPORT})")
    parser.add_argument("--data", type=Path, help="evaluate: also compare the token VLM with VL-JEPA on the photos of "
                                                  "this folder, laid out as the README says")
    parser.add_argument("--only", nargs="+", metavar="ARM", choices=("vljepa", "token_vlm", "joint"),
                        help="evaluate: of the arms that know text only these, and no repetitions (default: all)")
    parser.add_argument("--seeds", type=int, metavar="N", help="evaluate: how often the shorter runs are repeated "
                                                               "(default: 3)")


def run(args: argparse.Namespace) -> None:
    """Train or measure. ValueError if data is missing."""
    from vljepa.arms.config import FULL

    budget = FULL if args.seeds is None else replace(FULL, repeat_seeds=tuple(range(1, args.seeds + 1)))
    work = args.work or cache_dir() / "train" / "arms"
    if args.action == "train":
        from vljepa.arms.recipe import train_arms

        out = args.out or cache_dir() / "checkpoints"
        train_arms(budget, work, out)
        print(f"The checkpoints are in {out / 'shapes'} and {out / 'arms'}. Logs are in {work}.")
        return
    from vljepa.arms.measure import measure_arms
    from vljepa.provenance import provenance, write_results

    found = measure_arms(budget, work, *([args.only] if args.only else []))
    if args.data is not None:
        from vljepa.arms.photos import compare_on_photos

        found["photos"] = compare_on_photos(args.data, work)
    report = args.out or REPORT
    known = json.loads(report.read_text()) if report.exists() else {}
    write_results(report, {**known, **found, **provenance("shapes")})
    print(json.dumps(found["world_prediction"], indent=2))
