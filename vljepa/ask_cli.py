"""`python -m vljepa ask`: a question about a video, with candidate answers or without."""

import argparse
from typing import TYPE_CHECKING

from vljepa.console import add_film_arguments, clock, columns, percent, print_json, watched_film

if TYPE_CHECKING:
    from vljepa.model import VLJEPA


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `ask`."""
    add_film_arguments(parser)
    parser.add_argument("--question", metavar="TEXT", required=True, help='such as "What colour is the car?"')
    parser.add_argument("--answers", metavar="A,B,...", help="candidate answers with commas between (default: "
                                                             "built-in ones)")
    parser.add_argument("--over-time", action="store_true", help="also the answer at each moment")
    parser.add_argument("--blank", action="store_true", help="also the answers to a plain grey picture: what the "
                                                             "question's words alone suggest")


def run(args: argparse.Namespace) -> None:
    """Ask and print. ValueError for a question or answers that cannot be used, VideoError for such a video."""
    if not args.question.strip():
        raise ValueError("the question is empty: ask something, such as \"What is the person doing?\"")
    from vljepa.texts import split_list

    answers = None if args.answers is None else split_list(args.answers)
    film, span = watched_film(args, lambda model: _check(model, args.question, answers))
    from vljepa.ask import ask

    reply = ask(film, args.question, answers, span, blank=args.blank, over_time=args.over_time)
    if args.json:
        return print_json(reply.to_dict())
    blank = {answer.text: percent(answer.probability) for answer in reply.blank or []}
    rows = [(percent(a.probability), f"{a.similarity:.3f}", *([blank.get(a.text, "-")] if args.blank else []), a.text)
            for a in reply.answers]
    print(columns(("prob", "sim", *(["blank"] if args.blank else []), "answer"), rows))
    print(f"{'Sure' if reply.sure else 'Not sure'}. From {'your answers' if answers else 'built-in answers'}. "
          f"Decoded without any: {reply.decoded}")
    if (strip := reply.over_time) is not None:
        print("\n" + columns(("time", "answer"), [
            (clock(float(t)), strip.answers[int(row.argmax())])
            for t, row in zip(strip.times_s, strip.values, strict=True)]))
    for note in reply.notes:
        print(f"note: {note}")
    return None


def _check(model: "VLJEPA", question: str, answers: list[str] | None) -> None:
    from vljepa.ask import checked_question
    from vljepa.texts import distinct_texts

    checked_question(model, question)
    if answers is not None:
        distinct_texts(model, answers, "answer")
