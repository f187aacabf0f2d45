"""Bring a library up to date with a folder: what is new or changed is embedded, the rest is left alone.

Each processor core takes a video for itself and decodes, encodes and predicts it with one thread, which costs less than
all cores sharing each batch. Finished videos are written in batches, each one transaction; what a killed run had not
written yet is simply done by the next one.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock, Timeout

from vljepa.analysis import end_s, spans
from vljepa.errors import LibraryError, VLJEPAError
from vljepa.library import About, Entry, Library, Stamp
from vljepa.moments import film_segments
from vljepa.provenance import cores

if TYPE_CHECKING:
    from vljepa.model import VLJEPA

SUFFIXES = frozenset((".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv",
                      ".flv", ".3gp", ".ogv", ".vob"))
COMMIT_S = 2.0  # seconds of finished work that a kill may cost
# An engine embeds videos in any order; an entry for each, with `error` set for one that cannot be read.
Engine = Callable[[Iterable[Path]], Iterator[Entry]]


@dataclass(frozen=True)
class Plan:
    """What a folder holds that a library lacks or knows otherwise, and what it lacks. Paths are absolute."""

    to_do: list[Path]
    unchanged: int
    still_broken: dict[str, str]
    missing: list[str]


@dataclass(frozen=True)
class Outcome:
    """What indexing did. `broken` says of each file why it could not be read; `missing` ones are no longer there."""

    indexed: int
    unchanged: int
    broken: dict[str, str]
    missing: list[str]
    forgotten: int


def index(
    library: Library, folder: Path, engine: Engine, *, forget: bool = False,
    progress: Callable[[Entry, int, int], None] | None = None,
) -> Outcome:
    """Bring `library` up to date with the videos under `folder`.

    Files that went away stay in it unless `forget`: an unmounted disk looks the same. `progress` is told each entry,
    how many are done and how many there are. LibraryError if another process indexes into the same library.
    """
    with _alone(library.path):
        plan = make_plan(library, folder)
        broken, done = dict(plan.still_broken), 0
        batch: list[Entry] = []
        committed = time.monotonic()
        try:
            for entry in engine(plan.to_do):
                done += 1
                batch.append(entry)
                if entry.error is not None:
                    broken[entry.path] = entry.error
                if progress is not None:
                    progress(entry, done, len(plan.to_do))
                if time.monotonic() - committed > COMMIT_S:
                    library.put(batch)
                    batch, committed = [], time.monotonic()
        finally:  # also after Ctrl-C: what is done is done
            if batch:
                library.put(batch)
        if forget and plan.missing:
            library.forget(plan.missing)
        indexed = done - sum(path not in plan.still_broken for path in broken)
        return Outcome(indexed, plan.unchanged, broken, [] if forget else plan.missing, len(plan.missing) * forget)


def make_plan(library: Library, folder: Path) -> Plan:
    """Compare a folder with a library by size and time of change. LibraryError if it is no folder that can be read."""
    known, to_do, still_broken, unchanged = library.stamps(), [], {}, 0
    found = find_videos(folder)
    for path in found:
        if (name := readable(path)) != str(path):
            still_broken[name] = "its name is no UTF-8 text: rename it"
            continue
        stamp, error = known.get(str(path), (None, None))
        if stamp != stamp_of(path):
            to_do.append(path)
        elif error is not None:
            still_broken[str(path)] = error
        else:
            unchanged += 1
    inside = str(folder.resolve()) + os.sep
    here = {str(path) for path in found}
    return Plan(to_do, unchanged, still_broken, sorted(p for p in known if p.startswith(inside) and p not in here))


def readable(path: Path) -> str:
    """A path as text that can be stored and printed, whatever bytes it is made of."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def find_videos(folder: Path) -> list[Path]:
    """The video files under a folder, by their suffix, in order, as absolute paths; hidden ones are left out."""
    folder = folder.resolve()
    if not folder.is_dir():
        raise LibraryError(f"{folder} is not a folder: give the folder that holds the videos")
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(root, name) for name in sorted(files)
                  if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")]
    return found


def embed_here(model: "VLJEPA", rate_hz: float, workers: int | None = None) -> Engine:
    """The engine that embeds on this machine: a video on each core, or one after the other on an accelerator."""
    def engine(videos: Iterable[Path]) -> Iterator[Entry]:
        count = workers or (cores() if model.device.type == "cpu" else 1)
        stop = threading.Event()
        with _one_thread_each(count > 1), ThreadPoolExecutor(count, "index") as pool:
            try:
                work = partial(embed_video, model, rate_hz=rate_hz, stop=stop)
                yield from _as_completed(pool, videos, work, 2 * count)
            finally:
                stop.set()  # after Ctrl-C nobody waits for the end of a film

    return engine


def embed_video(model: "VLJEPA", video: Path, rate_hz: float, stop: threading.Event | None = None) -> Entry:
    """One video's segments with their embeddings; what cannot be read becomes an entry that says so.

    Setting `stop` makes it raise CancelledError soon.
    """
    def watch_for_stop(_: float) -> None:
        if stop is not None and stop.is_set():
            raise CancelledError

    stamp = stamp_of(video)
    nothing = np.zeros((0, model.config.embed_dim), dtype=np.float32)
    if stamp is None:
        return Entry(str(video), Stamp(0, 0), 0.0, [], nothing, f"{video.name} has gone away or cannot be read")
    try:
        trajectory = model.embed(video, rate_hz=rate_hz).collect(watch_for_stop)
        segments, embeddings = film_segments(trajectory)
        return Entry(str(video), stamp, end_s(trajectory), spans(trajectory, segments), embeddings)
    except (VLJEPAError, ValueError, OSError) as error:
        return Entry(str(video), stamp, 0.0, [], nothing, " ".join(str(error).split()))


def stamp_of(path: Path) -> Stamp | None:
    """Size and time of change; None if there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return Stamp(status.st_size, status.st_mtime_ns)


def settings_of(model: "VLJEPA", rate_hz: float) -> About:
    """What a library made by this model at this rate says of itself."""
    return About(model.name, model.fingerprint, {"rate_hz": rate_hz, "cut": "auto"})


def open_or_create(path: Path, model: "VLJEPA", rate_hz: float | None) -> tuple[Library, float]:
    """The library at `path`, made if missing, and its rate. LibraryError if it was made with something else."""
    if not path.exists():
        rate_hz = model.config.rate_hz if rate_hz is None else rate_hz
        return Library.create(path, settings_of(model, rate_hz), model.config.embed_dim), rate_hz
    library = Library(path)
    rate_hz = float(library.about.settings["rate_hz"]) if rate_hz is None else rate_hz
    library.require(settings_of(model, rate_hz))
    return library, rate_hz


def _as_completed(
    pool: ThreadPoolExecutor, videos: Iterable[Path], work: Callable[[Path], Entry], ahead: int
) -> Iterator[Entry]:
    """Results as they come, `ahead` videos at most in the works: a stop then waits for few."""
    waiting: set[Future[Entry]] = set()
    try:
        for video in videos:
            waiting.add(pool.submit(work, video))
            if len(waiting) >= ahead:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    finally:
        for future in waiting:
            future.cancel()


@contextmanager
def _one_thread_each(wanted: bool) -> Iterator[None]:
    """torch and OpenCV with a single thread for each of ours, while the block lasts."""
    import cv2
    import torch

    before, before_cv = torch.get_num_threads(), cv2.getNumThreads()
    try:
        if wanted:
            torch.set_num_threads(1)
            cv2.setNumThreads(1)
        yield
    finally:
        torch.set_num_threads(before)
        cv2.setNumThreads(before_cv)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two processes that index into one library would only do the same work twice."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        with lock.acquire(timeout=0.2):
            try:
                yield
            finally:
                # One who waits for it in this very moment may get in beside another: then the work is done twice, and
                # the library's transactions keep it whole.
                with suppress(OSError):  # Windows removes no file that is open
                    Path(lock.lock_file).unlink()
    except Timeout:
        raise LibraryError(f"another process is indexing into {path}: wait until it has finished") from None
