"""`python -m vljepa search`: moments in a library of videos, by a text or by another moment."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from vljepa.console import check_device, check_order, clock, columns, count, print_json, seconds

if TYPE_CHECKING:
    from vljepa.library import Hit, Library


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `search`."""
    parser.add_argument("library", metavar="PATH", type=Path, help="the library's file")
    parser.add_argument("text", metavar="TEXT", nargs="?", help="what to find")
    parser.add_argument("--like", metavar="VIDEO", help="instead of a text: what is like this video of the library")
    parser.add_argument("--from", dest="from_s", metavar="S", type=seconds, default=0.0, help="with --like: from "
                        "there, in seconds (default: 0)")
    parser.add_argument("--to", dest="to_s", metavar="S", type=seconds, default=math.inf, help="with --like: up to "
                        "there (default: the end)")
    parser.add_argument("--most", metavar="N", type=count, default=10, help="moments to list (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON, and nothing else, to stdout")
    parser.add_argument("--checkpoint", metavar="NAME", help="default: the one that the library was made with")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, ... (default: a GPU if there is one)")


def run(args: argparse.Namespace) -> None:
    """Search and print. LibraryError for a library that cannot be used, ValueError for nothing to find."""
    from vljepa.library import Library

    if (args.text is None) == (args.like is None):
        raise ValueError("give a text to find, or --like and a video of the library, one of the two")
    hits = _hits(Library(args.library), args)
    if args.json:
        return print_json([hit.to_dict() for hit in hits])
    if not hits:
        print("The library holds no moments yet.")
    else:
        print(columns(("sim", "start", "end", "video"), [
            (f"{hit.similarity:.3f}", clock(hit.start_s), clock(hit.end_s), hit.video + _more(hit)) for hit in hits]))
    return None


def _hits(library: "Library", args: argparse.Namespace) -> "list[Hit]":
    if args.like is not None:
        check_order(args.from_s, args.to_s)
        return library.similar(str(Path(args.like).resolve()), (args.from_s, args.to_s), args.most)
    if not args.text.strip():
        raise ValueError("the text to find is empty: write something")
    check_device(args.device)
    from vljepa.checkpoint import load

    return library.search(load(args.checkpoint or library.about.checkpoint, args.device), args.text, args.most)


def _more(hit: "Hit") -> str:
    return f"  (and {len(hit.also)} alike)" if hit.also else ""
