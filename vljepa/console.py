"""What the commands share: checks made before anything heavy is loaded, a progress bar, times, tables, JSON."""

import argparse
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vljepa.watched import Span, Watched


def check_source(video: str) -> None:
    """Tell at once, before a model is loaded, what can never work."""
    if "://" in video or Path(video).exists():
        return
    if video.isdigit():
        raise ValueError(f"camera {video} has no end to wait for: record a clip and give its path")
    raise ValueError(f"{video} does not exist: check the path")


def check_device(device: str | None) -> None:
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):  # torch asserts that it was built for the device
        raise ValueError(f"there is no device {device!r} here: leave out --device, or use cpu") from None


class Progress:
    """A bar on stderr that counts seconds of video; made at the first report, when the length is known."""

    def __init__(self) -> None:
        self._close: Callable[[], None] = lambda: None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        self._close()

    def __call__(self, done_s: float, total_s: float) -> None:
        if not hasattr(self, "_bar"):
            from tqdm import tqdm

            total = round(total_s, 1) or None  # a photo lasts no time at all
            self._bar = tqdm(total=total, unit="s", desc="watching", leave=False,
                             bar_format="{desc} {percentage:3.0f}%|{bar}| {n:.0f} of {total:.0f} s, {remaining} left"
                             if total else "{desc} {n:.0f} s")
            self._close = self._bar.close
        self._bar.update(done_s - self._bar.n)


def clock(seconds: float) -> str:
    """To the nearest tenth, as `clockTime` of the app: 0:03.3, 2:03.3, 1:02:03.3; 59.96 s are 1:00.0."""
    tenths = math.floor(seconds * 10 + 0.5)  # rounded before it is taken apart, or there were an 0:60.0
    minutes, seconds = divmod(tenths // 10, 60)
    hours, minutes = divmod(minutes, 60)
    whole = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{whole}:{seconds:02}.{tenths % 10}"


def add_film_arguments(parser: argparse.ArgumentParser) -> None:
    """The video, which part of it, by which checkpoint, and how to answer."""
    parser.add_argument("video", metavar="VIDEO", help="path or URL of a video")
    parser.add_argument("--from", dest="from_s", metavar="S", type=float, help="begin there, in seconds (default: 0)")
    parser.add_argument("--to", dest="to_s", metavar="S", type=float, help="stop there, in seconds (default: the end)")
    parser.add_argument("--json", action="store_true", help="print JSON, and nothing else, to stdout")
    add_model_arguments(parser)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Which checkpoint, and where it runs."""
    parser.add_argument("--checkpoint", metavar="NAME", default="everyday",
                        help="name or folder of a checkpoint (default: %(default)s; see `checkpoints`)")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, ... (default: a GPU if there is one)")


def watched_film(args: argparse.Namespace) -> "tuple[Watched, Span | None]":
    """The film that `add_film_arguments` named, watched or taken from the cache, and the span that was asked for."""
    from vljepa.checkpoint import load
    from vljepa.watched import watch

    check_source(args.video)
    check_device(args.device)
    model = load(args.checkpoint, args.device)
    with Progress() as progress:
        film = watch(model, args.video, progress=progress)
    if args.from_s is None and args.to_s is None:
        return film, None
    return film, (args.from_s or 0.0, film.end_s if args.to_s is None else args.to_s)


def print_json(value: Any) -> None:
    """One line for machines; every character as it is."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned plain text: all columns but the last to the right."""
    sizes = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head) - 1)]
    return "\n".join("  ".join([*(cell.rjust(size) for cell, size in zip(row, sizes, strict=False)), row[-1]])
                     for row in (head, *rows))


def percent(probability: float | None) -> str:
    """A probability as a table shows it; a dash where there is none."""
    return "-" if probability is None else f"{100 * probability:.0f} %"
