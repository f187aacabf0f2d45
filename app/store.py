"""What the app keeps on disk: each film's embeddings and captions, by content, so that opening it again is instant.

One folder a film, named by the SHA-256 of its bytes. Embeddings are further keyed by checkpoint, query and rate;
captions by the embedding they were read from. The oldest films go when the folder grows beyond its limit.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from vljepa.kept import content_hash, short_hash
from vljepa.readout import Caption
from vljepa.stream import Trajectory
from vljepa.video import VideoInfo

__all__ = ["Store", "content_hash", "short_hash"]
LIMIT_BYTES = 4_000_000_000


class Store:
    """A cache folder. Every file is complete or absent; a damaged one counts as absent."""

    def __init__(self, root: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.root, self.limit_bytes = root, limit_bytes
        root.mkdir(parents=True, exist_ok=True)

    def folder(self, content: str) -> Path:
        """The folder of the film with that content hash, marked as used now."""
        folder = self.root / content
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):
            os.utime(folder, (time.time(), time.time()))
        return folder

    def save_trajectory(self, content: str, key: str, trajectory: Trajectory) -> None:
        """Keep a stream under `key`."""
        facts = {"video": asdict(trajectory.video), "rate_hz": trajectory.rate_hz, "query": trajectory.query,
                 "checkpoint": trajectory.checkpoint, "timing_s": trajectory.timing_s, "warning": trajectory.warning,
                 "lag_s": trajectory.lag_s}
        with _atomic(self.folder(content) / f"{key}.npz") as partial, partial.open("wb") as file:
            np.savez(file, times_s=trajectory.times_s, embeddings=trajectory.embeddings, facts=json.dumps(facts))

    def load_trajectory(self, content: str, key: str) -> Trajectory | None:
        """The stream kept under `key`, or None."""
        path = self.folder(content) / f"{key}.npz"
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                facts = json.loads(str(kept["facts"]))
                video = VideoInfo(**facts.pop("video"))
                lag_s = float(facts.pop("lag_s"))  # missing in what older versions kept
                return Trajectory(kept["times_s"], kept["embeddings"], video, lag_s=lag_s, **facts)
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
            return None

    def save_captions(self, content: str, key: str, captions: dict[str, Caption]) -> None:
        """Keep captions by the hash of the embedding they were read from."""
        with _atomic(self.folder(content) / f"{key}.captions.json") as partial:
            partial.write_text(json.dumps({name: asdict(caption) for name, caption in captions.items()}))

    def load_captions(self, content: str, key: str) -> dict[str, Caption]:
        """The captions kept under `key`; none is an empty dictionary."""
        try:
            kept = json.loads((self.folder(content) / f"{key}.captions.json").read_text())
            return {name: Caption(**caption) for name, caption in kept.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def prune(self) -> None:
        """Remove the films that were opened longest ago until the rest fits."""
        folders = sorted((f for f in self.root.iterdir() if f.is_dir()), key=lambda f: f.stat().st_mtime)
        sizes = {folder: sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) for folder in folders}
        while len(folders) > 1 and sum(sizes[f] for f in folders) > self.limit_bytes:
            shutil.rmtree(folders.pop(0), ignore_errors=True)


@contextmanager
def _atomic(path: Path) -> Iterator[Path]:
    """A file to write beside `path`; it takes the name when the block ends well and vanishes when not."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    os.close(handle)
    try:
        yield Path(name)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
