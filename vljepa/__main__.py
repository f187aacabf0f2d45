"""The command line: `python -m vljepa analyze | checkpoints | train | evaluate | bench`.

Everything heavy is imported by the command that needs it, so that help and mistakes answer at once.
"""

import argparse
import math
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

# read when numpy is imported: its own threads wait busily after each product, on the cores that torch's work on
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from vljepa.console import (
    INTERRUPTED,
    Parser,
    Progress,
    check_device,
    check_folder,
    check_source,
    clock,
    count,
    number,
    rate,
    seconds,
    tell,
)
from vljepa.errors import VLJEPAError

if TYPE_CHECKING:
    from vljepa.analysis import Analysis, CutSettings

NARROWEST, WIDEST = 40, 120  # columns of the table
# commands that live in a module of their own, as its `add_arguments(parser)` and `run(args)`
DELEGATED = {
    "fetch": ("vljepa.fetch", "fetch public weights, or shared ones, onto this machine"),
    "ask": ("vljepa.ask_cli", "ask a question about a video"),
    "classify": ("vljepa.classify_cli", "say which of your labels fits a video, also over time"),
    "index": ("vljepa.index_cli", "bring a library of videos up to date with a folder"),
    "search": ("vljepa.search_cli", "find moments in a library of videos"),
    "push": ("vljepa.push", "share a checkpoint on the model hub"),
    "train": ("vljepa.train.cli", "train a checkpoint from a folder of data"),
    "calibrate": ("vljepa.calibrate", "fit probabilities to validation data and store them with a checkpoint"),
    "evaluate": ("vljepa.evaluate", "measure a checkpoint and write metrics.json"),
    "arms": ("vljepa.arms.cli", "train or compare five answers to what a model should predict, on the shapes world"),
    "bench": ("vljepa.bench", "measure speed and memory on this machine"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 2 after an error told in one line, 130 after Ctrl-C."""
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        args = _parser(argv).parse_args(argv)
        args.run(args)
        sys.stdout.flush()
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit fails again
        return 0
    except (VLJEPAError, ValueError, OSError) as error:
        return tell(error)


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m vljepa", description="VL-JEPA: watch a video, predict what could be said, say it once a scene.",
        epilog="Exit status: 0 when done, 2 after an error, which is told in one line, 130 after Ctrl-C.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    analyze = commands.add_parser("analyze", help="cut a video into segments with a caption each, and export them")
    _add_analyze_arguments(analyze)
    analyze.set_defaults(run=_analyze)
    checkpoints = commands.add_parser("checkpoints", help="list what can be loaded")
    checkpoints.set_defaults(run=_checkpoints)
    for name, (module, purpose) in DELEGATED.items():
        command = commands.add_parser(name, help=purpose, description=purpose.capitalize() + ".")
        if name in argv[:1]:
            implementation = import_module(module)
            implementation.add_arguments(command)
            command.set_defaults(run=implementation.run)
    return parser


def _add_analyze_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = ("Watch VIDEO, cut it into segments where what could be said of it changes, and read one "
                          "caption for each. Writes analysis.json, captions.srt, captions.vtt, segments.csv, "
                          "embeddings.npz, segments.edl and chapters.ffmetadata.")
    parser.add_argument("video", metavar="VIDEO", help="path or URL of a video")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder for the results")
    parser.add_argument("--checkpoint", metavar="NAME", default="everyday",
                        help="name or folder of a checkpoint (default: %(default)s; see `checkpoints`)")
    parser.add_argument("--rate", metavar="HZ", type=rate, help="embeddings a second (default: the checkpoint's, 4)")
    parser.add_argument("--query", metavar="TEXT", help="what to ask of the video (default: ask for a caption)")
    parser.add_argument("--readout", choices=("decoder", "bank"), help="write each caption, or pick it from stored "
                                                                       "sentences (default: decoder)")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, ... (default: a GPU if there is one)")
    cut = parser.add_argument_group("where to cut (default: decide by the video itself)").add_mutually_exclusive_group()
    cut.add_argument("--every", metavar="SECONDS", type=number("seconds above 0", lambda s: 0 < s < math.inf),
                     help="a segment every so many seconds on average")
    cut.add_argument("--segments", metavar="N", type=count, help="exactly N segments, or fewer by --min-length")
    cut.add_argument("--variance", metavar="V", type=number("a share, 0 to 1", lambda v: 0 <= v <= 1),
                     help="as few segments as leave at most this share of the variance inside them, 0 to 1; 0.25 is a "
                          "good start")
    parser.add_argument("--smooth", metavar="S", type=seconds,
                        help="average over S seconds before cutting (default: 0)")
    parser.add_argument("--min-length", metavar="S", type=seconds, help="merge segments shorter than S seconds into a "
                        "neighbour (default: 1, but 0 with --segments or --every)")
    parser.add_argument("--decode-at", choices=("mean", "midpoint"), default="mean",
                        help="caption the mean of a segment or the moment in its middle (default: %(default)s)")


def _analyze(args: argparse.Namespace) -> None:
    if args.query is not None and not args.query.strip():
        raise ValueError("the query is empty: ask something, or leave out --query to get captions")
    check_source(args.video)
    check_folder(args.out, "--out")
    settings = _settings(args)
    from vljepa.analysis import analyze
    from vljepa.checkpoint import load
    from vljepa.export import write_exports

    check_device(args.device)
    model = load(args.checkpoint, args.device)
    with Progress() as progress:
        analysis = analyze(model, args.video, settings, query=args.query, rate_hz=args.rate, readout=args.readout,
                           progress=progress)
    written = write_exports(analysis, args.out)
    print(table(analysis, shutil.get_terminal_size((100, 24)).columns))
    print(f"\nWritten to {args.out}: {', '.join(written)}")
    if analysis.warning:
        print(f"warning: {analysis.warning}", file=sys.stderr)


def _settings(args: argparse.Namespace) -> "CutSettings":
    from vljepa.analysis import CutSettings

    chosen: dict[str, float | None] = {"interval": args.every, "count": args.segments, "variance": args.variance}
    method = next((name for name, given in chosen.items() if given is not None), "auto")
    exact = method in ("interval", "count")  # who asks for a number wants that number
    min_length_s = args.min_length if args.min_length is not None else 0.0 if exact else CutSettings.min_length_s
    smoothing_s = CutSettings.smoothing_s if args.smooth is None else args.smooth
    return CutSettings(method, chosen.get(method), smoothing_s, min_length_s, args.decode_at)


def table(analysis: "Analysis", width: int) -> str:
    """The segments as aligned plain text at most `width` columns wide, and a summary below."""
    width = max(NARROWEST, min(width, WIDEST))
    head = ("start", "end", "sim", "caption")
    cells = [(clock(s.start_s), clock(s.end_s), f"{s.similarity:.2f}", s.caption) for s in analysis.segments]
    widths = [max(len(row[column]) for row in (head, *cells)) for column in range(3)]
    margin = sum(widths) + 2 * len(widths)
    lines = []
    for row in (head, *cells):
        left = "  ".join(cell.rjust(size) for cell, size in zip(row[:3], widths, strict=True))
        caption = textwrap.wrap(row[3], width - margin) or [""]
        lines += [f"{left}  {caption[0]}", *(" " * margin + more for more in caption[1:])]
    return "\n".join([*lines, "", *textwrap.wrap(_summary(analysis), width)])


def _summary(analysis: "Analysis") -> str:
    selective, uniform = analysis.decodes["selective"], analysis.decodes["uniform_1hz"]
    timing = analysis.timing_s
    stages = ", ".join(f"{stage} {timing[stage]:.1f}" for stage in timing if stage != "total")
    saved = f", {1 - selective / uniform:.0%} saved" if selective < uniform else ""
    sentences = "sentence" if selective == 1 else "sentences"
    return (f"{selective} {sentences} read by the {analysis.segments[0].readout} (one a second: {uniform}{saved}). "
            f"Checkpoint {analysis.trajectory.checkpoint}. {timing['total']:.1f} s: {stages}.")


def _checkpoints(_: argparse.Namespace) -> None:
    from vljepa.checkpoint import list_checkpoints
    from vljepa.public import PUBLIC

    found = list_checkpoints()
    public = [public for public in PUBLIC.values() if public.name not in {checkpoint.name for checkpoint in found}]
    size = max(len(name) for name in [*(c.name for c in found), *(p.name for p in public)])
    for checkpoint in found:
        print(f"{checkpoint.name.ljust(size)}  {checkpoint.megabytes:6.1f} MB  {checkpoint.folder}")
    for known in public:
        print(f"{known.name.ljust(size)}  {known.gigabytes:6.2f} GB to fetch  {known.title} ({known.licence})")


if __name__ == "__main__":
    sys.exit(main())
