"""What is kept of a watched film on disk: the visual tokens, memory-mapped, and its embedding stream.

One folder a film, checkpoint and rate, in the user's cache, whatever program asked. It is bounded twice: a film keeps
at most `LARGEST_FILE` bytes of tokens, by keeping fewer moments of a long one, and the films used longest ago go when
all together grow beyond `LIMIT_BYTES`.
"""

import hashlib
import json
import os
import shutil
import time
import uuid
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from zipfile import BadZipFile

import numpy as np
import torch

from vljepa.paths import cache_dir
from vljepa.stream import Trajectory
from vljepa.video import VideoInfo

LARGEST_FILE = 160_000_000  # bytes of tokens of one film: 11 minutes at 4 a second, or an hour at 0.7
LIMIT_BYTES = 3_000_000_000
TOKENS, STREAM, FACTS = "tokens.bin", "stream.npz", "facts.json"


class FilmCache:
    """Where watched films are kept, a folder each."""

    def __init__(self, root: Path | None = None, limit_bytes: int = LIMIT_BYTES) -> None:
        self.root, self.limit_bytes = cache_dir() / "watched" if root is None else root, limit_bytes

    def folder(self, video: Path | str, fingerprint: str, rate_hz: float) -> Path:
        """Where a film is kept, or is to be: named by its bytes, or by its address if it is a URL."""
        name = str(video)
        content = short_hash(name) if "://" in name or not Path(name).is_file() else content_hash(Path(name))
        folder = self.root / short_hash(content, fingerprint, rate_hz)
        if folder.exists():
            with suppress(OSError):
                os.utime(folder, (time.time(), time.time()))  # used now: among the last to go
        return folder

    def prune(self) -> None:
        """Remove the films used longest ago until the rest fits; the last one stays."""
        folders = sorted((f for f in self.root.glob("*") if f.is_dir()), key=lambda f: f.stat().st_mtime)
        sizes = {folder: sum(f.stat().st_size for f in folder.glob("*")) for folder in folders}
        while len(folders) > 1 and sum(sizes[f] for f in folders) > self.limit_bytes:
            shutil.rmtree(folders.pop(0), ignore_errors=True)


class TokenFile:
    """Takes a film's tokens as they are made; a context manager. Nothing is kept unless `finish` was reached.

    `step_s` is the time between the steps that `add` is given. A file that grows too large is thinned to every second
    step, and takes every second one from then on; so it needs no length in advance.
    """

    def __init__(self, folder: Path, step_s: float, largest: int = LARGEST_FILE) -> None:
        self._folder, self._step_s, self._largest = folder, step_s, largest
        self._aside = folder.with_name(f".making-{folder.name}-{uuid.uuid4().hex[:8]}")
        self._stride, self._seen, self._kept = 1, 0, 0
        self._shape: tuple[int, ...] = ()
        self._dtype = np.dtype(np.float16)

    def __enter__(self) -> "TokenFile":
        self._aside.mkdir(parents=True)
        self._file = (self._aside / TOKENS).open("w+b")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._file.close()
        shutil.rmtree(self._aside, ignore_errors=True)

    def add(self, steps: torch.Tensor) -> None:
        """Take the next steps: (steps, tokens, dim) of any float type, or frames (steps, side, side, 3), 0 to 255."""
        frames = steps.ndim == 4  # else tokens
        rows = steps.round().to(torch.uint8).cpu().numpy() if frames and steps.is_floating_point() else (
            steps.cpu().numpy() if frames else steps.to(torch.float16).cpu().numpy())
        self._shape, self._dtype = rows.shape[1:], rows.dtype
        wanted = np.arange(self._seen, self._seen + len(rows)) % self._stride == 0
        self._seen += len(rows)
        self._file.write(np.ascontiguousarray(rows[wanted]).tobytes())
        self._kept += int(wanted.sum())
        while self._kept > 1 and self._kept * rows[0].nbytes > self._largest:
            self._thin()

    def finish(self, trajectory: Trajectory) -> None:
        """Keep what was added, with the stream that it belongs to; replaces what was kept in the folder."""
        self._file.close()
        np.savez(self._aside / STREAM, times_s=trajectory.times_s, embeddings=trajectory.embeddings)
        facts = {"shape": [self._kept, *self._shape], "dtype": self._dtype.name, "step_s": self._step_s * self._stride,
                 "video": asdict(trajectory.video), "rate_hz": trajectory.rate_hz, "query": trajectory.query,
                 "checkpoint": trajectory.checkpoint, "timing_s": trajectory.timing_s, "warning": trajectory.warning,
                 "lag_s": trajectory.lag_s}
        (self._aside / FACTS).write_text(json.dumps(facts), encoding="utf-8")
        with suppress(FileNotFoundError):
            shutil.rmtree(self._folder)
        with suppress(OSError):  # another process has just kept the same film
            self._aside.rename(self._folder)

    @staticmethod
    def read(folder: Path) -> tuple[Trajectory, np.ndarray, float] | None:
        """The stream, the memory-mapped tokens and the seconds between them; None if missing or damaged."""
        try:
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            tokens = np.memmap(folder / TOKENS, facts.pop("dtype"), mode="r", shape=tuple(facts.pop("shape")))
            step_s, video = float(facts.pop("step_s")), VideoInfo(**facts.pop("video"))
            lag_s = float(facts.pop("lag_s"))  # missing in what older versions kept
            with (folder / STREAM).open("rb") as file, np.load(file, allow_pickle=False) as stream:
                return Trajectory(stream["times_s"], stream["embeddings"], video, lag_s=lag_s, **facts), tokens, step_s
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
            return None

    def _thin(self) -> None:
        self._file.flush()
        kept = np.memmap(self._aside / TOKENS, self._dtype, mode="r+", shape=(self._kept, *self._shape))
        half = kept[::2]
        for place in range(len(half)):  # forward and one by one: nothing is overwritten before it was moved
            kept[place] = half[place]
        self._kept, self._stride = len(half), 2 * self._stride
        kept.flush()
        del kept, half
        self._file.truncate(self._kept * self._dtype.itemsize * int(np.prod(self._shape)))
        self._file.seek(0, os.SEEK_END)


def content_hash(path: Path) -> str:
    """Names a file by its bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:24]


def short_hash(*parts: object) -> str:
    """Names a combination of settings."""
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]
