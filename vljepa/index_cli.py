"""`python -m vljepa index`: bring a library of videos up to date with a folder; a killed run goes on when run again."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vljepa.console import check_device, check_folder, rate
from vljepa.errors import LibraryError

if TYPE_CHECKING:
    from vljepa.indexing import Engine, Outcome
    from vljepa.library import Entry
    from vljepa.model import VLJEPA


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `index`."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of videos; folders inside it count")
    parser.add_argument("--library", metavar="PATH", type=Path, required=True,
                        help="the library's file, made if missing")
    parser.add_argument("--checkpoint", metavar="NAME", help="default: the one that the library was made with, or "
                                                             "everyday for a new one")
    parser.add_argument("--rate", metavar="HZ", type=rate, help="embeddings a second (default: the library's, or the "
                                                                "checkpoint's, 4)")
    parser.add_argument("--forget", action="store_true", help="take videos that are no longer there out of the library")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, ... (default: a GPU if there is one)")
    parser.add_argument("--engine", choices=("local", "ray"), default="local",
                        help="ray spreads the videos over a Ray cluster, the one that RAY_ADDRESS names if there is "
                             "one (needs requirements-scale.txt; default: this process)")


def run(args: argparse.Namespace) -> None:
    """Index, print what happened, and raise LibraryError at the end if a file could not be read."""
    from vljepa.indexing import find_videos, index, open_or_create

    find_videos(args.folder)  # what is no folder is told before a model is loaded
    check_device(args.device)
    from vljepa.checkpoint import load
    from vljepa.library import Library

    known = Library(args.library).about.checkpoint if args.library.exists() else None
    if known is None:
        check_folder(args.library.parent, "--library")
    checkpoint = args.checkpoint or known or "everyday"
    model = load(checkpoint, args.device)
    library, rate_hz = open_or_create(args.library, model, args.rate)
    engine = _engine(args, checkpoint, model, rate_hz)
    with _Bar() as bar:
        outcome = index(library, args.folder, engine, forget=args.forget, progress=bar)
    _tell(outcome, library.counts(), args.library)


def _engine(args: argparse.Namespace, checkpoint: str, model: "VLJEPA", rate_hz: float) -> "Engine":
    if args.engine == "local":
        from vljepa.indexing import embed_here

        return embed_here(model, rate_hz)
    from vljepa.index_ray import Work, embed_on_ray

    dtype = str(model.dtype).removeprefix("torch.")
    return embed_on_ray(Work(checkpoint, model.fingerprint, args.device, dtype, rate_hz))


def _tell(outcome: "Outcome", counts: tuple[int, int, int], path: Path) -> None:
    videos, moments, _ = counts
    print(f"{outcome.indexed} indexed, {outcome.unchanged} unchanged, {outcome.forgotten} forgotten; {path} now holds "
          f"{videos} video{'s' * (videos != 1)} with {moments} moment{'s' * (moments != 1)}.")
    for missing in outcome.missing:
        print(f"warning: {missing} is no longer there; it stays in the library unless you add --forget",
              file=sys.stderr)
    for file, reason in sorted(outcome.broken.items()):
        name = Path(file).name
        told = reason.removeprefix(name) if reason.startswith(f"{name} ") else f": {reason}"  # named once is enough
        print(f"not indexed: {file}{told}", file=sys.stderr)
    if outcome.broken:
        raise LibraryError(f"{len(outcome.broken)} file(s) could not be read and are named above; everything else is "
                           "in the library")


class _Bar:
    """Progress on stderr, a tick a video."""

    def __enter__(self) -> "_Bar":
        from tqdm import tqdm

        self._bar = tqdm(unit="video", desc="indexing", leave=False, total=0)
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()

    def __call__(self, entry: "Entry", done: int, total: int) -> None:
        self._bar.total = total
        self._bar.set_postfix_str(Path(entry.path).name[:40], refresh=False)
        self._bar.update(done - self._bar.n)
