"""What the commands and the app share: how they fail, checks made before anything heavy is done, times, tables."""

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from vljepa.errors import ExportError

if TYPE_CHECKING:
    from vljepa.model import VLJEPA
    from vljepa.watched import Span, Watched

FAILED, INTERRUPTED = 2, 130  # exit statuses; 130 is what shells expect after Ctrl-C
HEADER_SLACK_S = 1.0  # what a film's header may be wrong by; `steps_within` knows its end to the step


class Parser(argparse.ArgumentParser):
    """Tells mistakes in one line, like every other error here."""

    def error(self, message: str) -> NoReturn:
        self.exit(FAILED, f"error: {message}; `{self.prog} --help` shows how\n")


def tell(error: Exception) -> int:
    """Print an error in one line and return its exit status."""
    print(f"error: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
    return FAILED


def number(limits: str, allowed: Callable[[float], bool], kind: type = float) -> Callable[[str], Any]:
    """An argparse type: a number that `allowed` takes. `limits` tells which those are, beside the option's name."""

    def read(text: str) -> Any:
        value = kind(text)
        if not allowed(value):
            raise argparse.ArgumentTypeError(f"must be {limits}, got {text}")
        return value

    read.__name__ = kind.__name__  # argparse says "invalid float value" by it
    return read


rate = number("0.01 to 60 embeddings a second", lambda hz: 0.01 <= hz <= 60)
seconds = number("0 seconds or more", lambda s: 0 <= s < math.inf)
count = number("a whole number of at least 1", lambda n: n >= 1, int)


def check_source(video: str) -> None:
    """Tell at once, before a model is loaded, what can never work."""
    if "://" in video or Path(video).exists():
        return
    if video.isdigit():
        raise ValueError(f"camera {video} has no end to wait for: record a clip and give its path")
    raise ValueError(f"{video} does not exist: check the path")


def check_folder(folder: Path, option: str) -> None:
    """ExportError unless files can be written there; better told now than after an hour of video. Makes nothing."""
    where = folder.absolute()
    try:
        if where.exists() and not where.is_dir():
            raise ExportError(f"{folder} is a file: give {option} a folder")
        nearest = next(path for path in (where, *where.parents) if path.exists() or path.is_symlink())
        with tempfile.TemporaryFile(dir=nearest):  # nobody's permissions tell of a disk that is read-only or full
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ExportError(f"{folder} cannot be made or written to ({reason}): give {option} a folder that you may "
                          "write to") from None


def check_file(file: Path, option: str) -> None:
    """ExportError unless that file can be written, into a folder that is there."""
    if file.is_dir() or not file.parent.is_dir():
        wrong = f"{file} is a folder" if file.is_dir() else f"there is no folder {file.parent}"
        raise ExportError(f"{wrong}: give {option} a file in a folder that is there")
    check_folder(file.parent, option)


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
    parser.add_argument("--from", dest="from_s", metavar="S", type=seconds, help="begin there, in seconds (default: 0)")
    parser.add_argument("--to", dest="to_s", metavar="S", type=seconds, help="stop there, in seconds (default: the "
                                                                             "end)")
    parser.add_argument("--json", action="store_true", help="print JSON, and nothing else, to stdout")
    add_model_arguments(parser)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Which checkpoint, and where it runs."""
    parser.add_argument("--checkpoint", metavar="NAME", default="everyday",
                        help="name or folder of a checkpoint (default: %(default)s; see `checkpoints`)")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, ... (default: a GPU if there is one)")


def watched_film(
    args: argparse.Namespace, check: "Callable[[VLJEPA], object]"
) -> "tuple[Watched, Span | None]":
    """The film that `add_film_arguments` named, watched or taken from the cache, and the span that was asked for.

    `check` is given the model before the film is watched, and raises what is wrong with the words that it will meet.
    """
    check_source(args.video)
    check_span(args)
    check_device(args.device)
    from vljepa.checkpoint import load
    from vljepa.watched import watch

    model = load(args.checkpoint, args.device)
    check(model)
    with Progress() as progress:
        film = watch(model, args.video, progress=progress)
    if args.from_s is None and args.to_s is None:
        return film, None
    return film, (args.from_s or 0.0, film.end_s if args.to_s is None else args.to_s)


def check_order(from_s: float, to_s: float) -> None:
    """ValueError unless --from is before --to."""
    if from_s >= to_s:
        raise ValueError(f"--from must be before --to, got {from_s:g} and {to_s:g}")


def check_span(args: argparse.Namespace) -> None:
    """ValueError unless --from and --to lie in the film, as far as its header tells, the one before the other."""
    if args.from_s is None and args.to_s is None:
        return
    from vljepa.video import open_video

    from_s, to_s = args.from_s or 0.0, args.to_s
    check_order(from_s, math.inf if to_s is None else to_s)
    with open_video(args.video) as video:
        end_s = video.info.seconds
    if end_s > 0 and max(from_s, to_s or 0.0) > end_s + HEADER_SLACK_S:  # 0: a photo, or a header that does not tell
        raise ValueError(f"--from and --to must lie within the film's 0 to {end_s:.1f} s, got {from_s:g} to "
                         f"{'its end' if to_s is None else f'{to_s:g}'}")


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
