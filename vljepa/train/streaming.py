"""Training data streamed with Hugging Face `datasets`: from the hub, a bucket or a folder, without being stored here.

A stream has no places to go to, so each process notes for every step where its reading stands, and a run goes on from
there: the same samples in the same order, exactly, on as many processes and readers as before.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from vljepa.config import ModelConfig
from vljepa.train.shards import PHOTOS, VIDEOS, Sample, decode_clip

BLOCK = 256  # samples that are shuffled among each other; shards are shuffled too
PICTURES, TEXTS = ("image", "video", *PHOTOS, *VIDEOS), ("caption", "captions", "text", "txt")


@dataclass(frozen=True)
class Streamed:
    """A data set that is read from its beginning to its end, and which columns are the picture's and the text's."""

    data: Any
    picture: str
    text: str


@dataclass(frozen=True)
class Position:
    """Where a lane's reading stands: epoch, block, `datasets`' own state at its beginning, samples of it taken."""

    epoch: int = 0
    block: int = 0
    state: dict[str, Any] | None = None
    taken: int = 0


def open_dataset(name: str, columns: tuple[str, str] | None = None) -> Streamed:
    """A data set to stream: `owner/name`, a folder, either with `@split`. ValueError says what is in the way."""
    try:
        from datasets import Image, Video, load_dataset
    except ImportError:
        raise ValueError("--dataset needs a package: python -m pip install -r requirements-scale.txt") from None
    path, _, split = name.partition("@")
    try:
        data = load_dataset(path, split=split or "train", streaming=True)
    except (OSError, ValueError) as error:
        raise ValueError(f"the data set {name} cannot be opened: {str(error).splitlines()[0]}; check its name, split "
                         "and the network") from None
    known = list(data.features or [])
    media = [column for column in known if isinstance(data.features[column], Image | Video)]
    picture, text = columns or (
        next((column for column in (*media, *PICTURES) if column in known), ""),
        next((column for column in TEXTS if column in known), ""))
    if picture not in known or text not in known:
        raise ValueError(f"the data set {name} has the columns {', '.join(known)}: name those of the picture or video "
                         "and of the caption with --columns")
    return Streamed(data.decode(False), picture, text)


class Lanes(IterableDataset):
    """Reads a stream in as many lanes as there are readers in all processes, each its own part of the data.

    Batch k of this process comes from its lane k modulo the number of its readers, so the order does not depend on
    which is faster.
    """

    def __init__(self, source: Streamed, config: ModelConfig, share: int, workers: int, work: Path, rank: int = 0,
                 world: int = 1) -> None:
        self._source, self._config, self._share, self._workers = source, config, share, workers
        self._rank, self._count = rank, max(1, workers)
        self._total = world * self._count
        self._notes = work / f"stream-{rank}.jsonl"
        self._start, self._positions = 0, [Position()] * self._count

    def read_from(self, step: int) -> Iterator[list[Sample]]:
        """This process's samples of `step` and those after it; ValueError if nobody noted where they are."""
        self._start, self._positions = step, self._noted(step)
        options: dict[str, Any] = {"prefetch_factor": 2} if self._workers else {}
        loader = DataLoader(self, batch_size=None, num_workers=self._workers, generator=torch.Generator(), **options)
        with self._notes.open("a") as notes:
            for number, (samples, position) in enumerate(loader, step):
                notes.write(json.dumps([number, number % self._count, self._total, asdict(position)]) + "\n")
                notes.flush()
                yield samples

    def __iter__(self) -> Iterator[tuple[list[Sample], Position]]:
        worker = get_worker_info()
        lane = (self._start + (worker.id if worker else 0)) % self._count
        samples = self._samples(lane, self._positions[lane])
        while True:
            taken = list(islice(samples, self._share))
            yield [sample for sample, _ in taken], taken[-1][1]

    def _samples(self, lane: int, position: Position) -> Iterator[tuple[Sample, Position]]:
        from datasets.distributed import split_dataset_by_node

        while True:
            # a fresh one for each epoch: it remembers where it was told to begin
            data = split_dataset_by_node(self._source.data, self._rank * self._count + lane, self._total)
            data.set_epoch(position.epoch)
            if position.state is not None:
                data.load_state_dict(deepcopy(position.state))  # it is changed there
            for block in data.iter(BLOCK):
                yield from self._block(block, position)
                position = Position(position.epoch, position.block + 1, data.state_dict())
            if position.block == 0:
                raise ValueError(f"the data set has nothing for reader {lane} of process {self._rank}: use fewer "
                                 "processes or --workers")
            position = Position(position.epoch + 1)

    def _block(self, block: dict[str, list[Any]], position: Position) -> Iterator[tuple[Sample, Position]]:
        size = len(block[self._source.text])
        order = np.random.default_rng([position.epoch, position.block]).permutation(size)
        for taken in range(position.taken, size):
            sample = self._sample({column: values[order[taken]] for column, values in block.items()}, taken)
            yield sample, replace(position, taken=taken + 1)

    def _sample(self, example: dict[str, Any], number: int) -> Sample:
        try:
            said = example[self._source.text]
            text = str(said[number % len(said)] if isinstance(said, list) else said).strip()
            if not text:
                raise ValueError("its text is empty")
            extension, data = _file(example[self._source.picture])
            return Sample(decode_clip(self._config, extension, data), example.get("query") or None, text)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ValueError(f"a sample of the data set cannot be used: {error}; leave it out") from None

    def _noted(self, step: int) -> list[Position]:
        """Where each lane stands at the beginning of `step`; what was noted beyond it is forgotten."""
        self._notes.parent.mkdir(parents=True, exist_ok=True)
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        rows = [row for row in map(_row, lines) if row is not None and row[0] < step]
        if len(rows) < step or any(row[2] != self._total for row in rows):
            raise ValueError(f"the run stands at step {step}, but where its data stood was noted for {len(rows)} steps "
                             f"of {', '.join(sorted({str(row[2]) for row in rows})) or 'no'} readers, and there are "
                             f"{self._total} now: go on with as many processes and --workers as before")
        self._notes.write_text("".join(json.dumps(row) + "\n" for row in rows))
        positions = [Position()] * self._count
        for _, lane, _, position in rows:
            positions[lane] = Position(**position)
        return positions


def _row(line: str) -> list[Any] | None:
    try:
        return list(json.loads(line))
    except ValueError:  # the last one of a run that was killed as it wrote
        return None


def _file(value: Any) -> tuple[str, bytes]:
    """Extension and bytes of an undecoded picture or video, which may be given by its address alone."""
    import fsspec

    held, path = (value, "") if isinstance(value, bytes) else (value["bytes"], value["path"] or "")
    if held is None:
        with fsspec.open(path, "rb") as file:
            held = file.read()
    extension = path.rpartition(".")[2].lower()
    if extension not in PHOTOS + VIDEOS:
        extension = "mp4" if held[4:8] == b"ftyp" else "jpg"  # any photo decodes by its own content
    return extension, held
