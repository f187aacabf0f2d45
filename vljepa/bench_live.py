"""`python -m vljepa bench live`: what the live loop does on this machine, part by part, into one JSON file.

Each part may be measured alone (`--only`, repeatable) and replaces its own keys in the file; the others stay. A part's
command, commit and machine are kept beside it under "parts".
"""

import argparse
import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from vljepa.provenance import provenance, write_results

# name: "module:function"; a function takes the arguments and returns the keys to write, dictionaries merged into those
# that the file has. Imported when asked for, so that a part without a browser needs none.
PARTS = {
    "boundaries": "vljepa.bench_boundaries:measure_boundaries",
    "map": "vljepa.bench_boundaries:measure_map",
    "updates": "app.bench_live:measure_updates",
    "viewers": "app.bench_live:measure_viewers",
    "soak": "app.bench_live:measure_soak",
}
Part = Callable[[argparse.Namespace], dict[str, Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `bench live`; those that `bench` has too may stand before or after `live`."""
    parser.add_argument("--only", metavar="PART", action="append", choices=tuple(PARTS),
                        help=f"measure this part alone; may be repeated ({', '.join(PARTS)})")
    parser.add_argument("--json", metavar="FILE", type=Path, default=argparse.SUPPRESS,
                        help="also write the results to FILE, beside what other parts wrote there")
    parser.add_argument("--minutes", metavar="N", type=float, default=30.0, help="of the soak (default: %(default)g)")
    parser.add_argument("--data", metavar="DIR", type=Path, help="training data, for its videos and validation photos")
    parser.add_argument("--checkpoint", metavar="NAME", default=argparse.SUPPRESS, help="default: everyday")


def run(args: argparse.Namespace) -> None:
    """Measure the parts one after the other; what is done is written even if a later one fails."""
    for name in args.only or PARTS:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        results = part(name)(args)
        print(json.dumps(results, indent=1))
        if args.json is not None:
            known = json.loads(args.json.read_text(encoding="utf-8")) if args.json.exists() else {}
            write_results(args.json, merge(known, {**results, "parts": {name: provenance(args.checkpoint)}}))


def part(name: str) -> Part:
    """The function that measures a part."""
    module, _, function = PARTS[name].partition(":")
    found: Part = getattr(import_module(module), function)
    return found


def merge(known: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """`known` with `found` laid over it, dictionaries entry by entry: {"a": {"x": 1}} and {"a": {"y": 2}} keep both."""
    merged = dict(known)
    for key, value in found.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged
