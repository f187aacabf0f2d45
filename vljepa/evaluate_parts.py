"""`python -m vljepa evaluate selective | boundaries | text | report`: one page of plots, and the JSON beside it."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vljepa import evaluate_boundaries, evaluate_report, evaluate_selective, evaluate_text
from vljepa.provenance import provenance, write_results

if TYPE_CHECKING:
    Measure = Callable[[argparse.Namespace], dict[str, Any]]

PARTS: dict[str, tuple["Measure", str]] = {
    "selective": (evaluate_selective.measure, "selective against uniform decoding, over decode rates"),
    "boundaries": (evaluate_boundaries.measure, "scene boundaries, beside PySceneDetect's detectors"),
    "text": (evaluate_text.measure, "hard negatives for the text encoder, beside MiniLM untouched"),
}
KINDS = (*PARTS, "report")
REPORTED = (*PARTS, "arms")  # the last is measured by `python -m vljepa arms evaluate`


def add_parsers(kinds: Any, add_common: Callable[[argparse.ArgumentParser], None]) -> None:
    """The parts' options; `kinds` is what `add_subparsers` made."""
    for name, (_, purpose) in PARTS.items():
        parser = kinds.add_parser(name, help=purpose, description=f"Measure {purpose}.")
        add_common(parser)
        parser.add_argument("--html", metavar="FILE", type=Path, help="also draw the results, as a page on its own")
        if name == "selective":
            evaluate_selective.add_arguments(parser)
        elif name == "boundaries":
            evaluate_boundaries.add_arguments(parser)
    report = kinds.add_parser("report", help="draw what the others wrote", description="Draw one page of plots from "
                              f"{', '.join(f'{name}.json' for name in REPORTED)} in a folder.")
    report.add_argument("--from", dest="folder", metavar="DIR", type=Path, default=Path("benchmarks"),
                        help="folder of the JSON files (default: %(default)s)")
    report.add_argument("--html", metavar="FILE", type=Path, required=True, help="the page to write")


def run(args: argparse.Namespace) -> None:
    """Measure one part, or draw them all. ValueError if data or results are missing."""
    if args.kind == "report":
        found = {name: args.folder / f"{name}.json" for name in REPORTED}
        results = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in found.items() if path.is_file()}
        if not results:
            raise ValueError(f"{args.folder} holds none of {', '.join(p.name for p in found.values())}: "
                             "measure first, or name another folder with --from")
        evaluate_report.write(args.html, results)
        return
    if args.data is None:
        raise ValueError(f"evaluate {args.kind} needs --data DIR, the folder of data; "
                         "the README says how it is laid out")
    measured = PARTS[args.kind][0](args) | provenance(args.checkpoint)
    print(evaluate_report.table(args.kind, measured))
    if args.json:
        write_results(args.json, measured)
    if args.html:
        evaluate_report.write(args.html, {args.kind: measured})
