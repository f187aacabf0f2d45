"""`python -m vljepa classify`: which of some labels fits a video, as a whole and over time."""

import argparse
from pathlib import Path

from vljepa.console import add_film_arguments, check_file, clock, columns, percent, print_json, watched_film


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `classify`."""
    add_film_arguments(parser)
    parser.add_argument("--labels", metavar="A,B,...", required=True, help="two or more labels with commas between")
    parser.add_argument("--over-time", action="store_true", help="also the segments by label; with --json a value for "
                                                                 "each label at each moment")
    parser.add_argument("--several", action="store_true", help="each label holds or not by itself (default: one of "
                                                               "them holds)")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="also write the labels over time to FILE")


def run(args: argparse.Namespace) -> None:
    """Classify and print. ValueError for labels that cannot be used, VideoError for such a video."""
    if args.csv is not None:
        check_file(args.csv, "--csv")
    from vljepa.texts import distinct_texts, split_list

    labels, at_least = split_list(args.labels), 1 if args.several else 2
    film, span = watched_film(args, lambda model: distinct_texts(model, labels, "label", at_least))
    from vljepa.labels import classify

    found = classify(film, labels, span, several=args.several)
    if args.csv is not None:
        args.csv.write_text(found.to_csv(), encoding="utf-8", newline="")
    if args.json:
        return print_json(found.to_dict(args.over_time))
    probable: list[float | None] = [*found.probabilities] if found.probabilities else [None] * len(found.labels)
    order = sorted(range(len(found.labels)), key=lambda i: -found.similarities[i])
    print(columns(("prob", "sim", "label"), [
        (percent(probable[i]), f"{found.similarities[i]:.3f}", found.labels[i]) for i in order]))
    if args.over_time:
        print("\n" + columns(("start", "end", "label"), [
            (clock(s.start_s), clock(s.end_s), s.label) for s in found.segments]))
    for note in found.notes:
        print(f"note: {note}")
    return None
