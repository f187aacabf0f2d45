"""Training data at scale: WebDataset shards, tar files in which a sample is the files that share a name up to the dot.

A sample is a video or a photo and a text: `000042.mp4` with `000042.json` (`{"caption": ..., "query": ...}`, or
`captions`, a list) or with `000042.txt`, the caption. Shards lie on a file system (a disk, NFS, a mounted bucket). They
are indexed once, so that any sample can be read by its place: the batch of a step depends on the seed and the step
alone, so a resumed run, on whatever number of processes, sees exactly what an uninterrupted one would.
"""

import hashlib
import json
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vljepa.model import VLJEPA
from vljepa.photo import fit
from vljepa.train.batches import Batch
from vljepa.video import open_video

VIDEOS, PHOTOS = ("mp4", "webm", "mkv", "mov", "avi"), ("jpg", "jpeg", "png", "webp")


@dataclass(frozen=True)
class Place:
    """Where a sample's two files lie in a shard: offset and size in bytes of the picture and of the text."""

    shard: int
    picture: tuple[str, int, int]  # extension, offset, size
    text: tuple[str, int, int]


@dataclass(frozen=True)
class Sample:
    """A clip as the X-Encoder wants it, values 0 to 255, and what is asked and said of it."""

    clip: Shaped[np.ndarray, "time side side 3"]
    query: str | None
    text: str


class Shards(Dataset):
    """All samples of some shards, decoded for one model; `[i]` may be read by several processes at once."""

    def __init__(self, pattern: str, model: VLJEPA, cache: Path) -> None:
        self.paths = [Path(path) for path in sorted(glob(pattern))]
        if not self.paths:
            raise ValueError(f"there are no shards at {pattern}: give a pattern of tar files, such as 'data/*.tar'")
        self.places = _index(self.paths, cache)
        if not self.places:
            raise ValueError(f"the {len(self.paths)} shards at {pattern} hold no sample: a video or photo and, under "
                             "the same name, a .json or .txt with its caption")
        self._config = model.config

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Sample:
        place = self.places[index]
        path = self.paths[place.shard]
        with path.open("rb") as file:
            picture, text = (_read(file, part) for part in (place.picture, place.text))
        try:
            query, said = _words(place.text[0], text, index)
            return Sample(self._clip(place.picture[0], picture), query, said)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"sample {index}, in {path.name}, cannot be used: {error}; leave it out") from None

    def _clip(self, extension: str, data: bytes) -> np.ndarray:
        window = self._config.predictor.window_frames
        if extension in PHOTOS:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            if image is None:
                raise ValueError("the photo does not decode")
            return np.stack([self._fit(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))] * window)
        with tempfile.NamedTemporaryFile(suffix=f".{extension}") as file:
            file.write(data)
            file.flush()
            with open_video(file.name) as video:
                rate_hz = window / max(video.info.seconds, 1e-3)
                frames = [self._fit(frame.image) for frame in islice(video.frames(rate_hz), window)]
        return np.stack([*frames, *[frames[-1]] * (window - len(frames))])

    def _fit(self, image: np.ndarray) -> np.ndarray:
        return fit(image, self._config.x_encoder).round().astype(np.uint8)  # a quarter of the memory


@dataclass(frozen=True)
class Order:
    """Which samples make the global batch of a step, and which of them are this process's.

    Of 10 samples and batches of 4, steps 0 and 1 make the first epoch and 2 samples are left out of it; every epoch has
    an order of its own.
    """

    samples: int
    batch: int
    seed: int
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if self.batch % self.world or self.batch > self.samples:
            raise ValueError(f"the batch must divide by the {self.world} processes and be at most the {self.samples} "
                             f"samples there are, got {self.batch}")

    def at(self, step: int) -> list[int]:
        """This process's samples of a step."""
        epoch, place = divmod(step, self.samples // self.batch)
        order = np.random.default_rng([self.seed, epoch]).permutation(self.samples)  # a tenth of a second for a million
        share = self.batch // self.world
        start = place * self.batch + self.rank * share
        return order[start : start + share].tolist()


class StreamedBatches:
    """A mixture of one source, as `ContrastiveArm` wants it; processes of its own read ahead, in the order of steps."""

    def __init__(self, shards: Shards, order: Order, model: VLJEPA, workers: int) -> None:
        self._shards, self._order, self._model, self._workers = shards, order, model, workers
        self._stream: Iterator[list[Sample]] = iter(())
        self._next = -1

    def at(self, seed: int, step: int) -> tuple[str, Callable[[], Batch]]:  # noqa: ARG002 - the order has its own
        """The name of the source, and a function that makes the batch of `step`; after a jump it reads anew."""
        if step != self._next:
            self._stream, self._next = self._read_from(step), step
        return "shards", self._make

    def _make(self) -> Batch:
        samples = next(self._stream)
        self._next += 1
        queries = [sample.query or self._model.config.caption_query for sample in samples]
        texts = [sample.text for sample in samples]
        distinct = list(dict.fromkeys(texts))
        owners = torch.tensor([[distinct.index(text)] for text in texts])
        clips = torch.from_numpy(np.stack([sample.clip for sample in samples]))
        return Batch(self._tokens(clips), queries, distinct, owners)

    @torch.no_grad()  # not inference mode: the predictor's backward pass needs these tokens
    def _tokens(self, clips: Tensor) -> Float[Tensor, "batch time tokens dim"]:
        device, x_encoder = self._model.device, self._model.x_encoder
        if device.type == "cuda":
            clips = clips.pin_memory()
        pixels = x_encoder.preprocess(clips.to(device, non_blocking=True))
        with torch.autocast(device.type, torch.bfloat16):
            return x_encoder(pixels.to(self._model.dtype)).float()

    def _read_from(self, step: int) -> Iterator[list[Sample]]:
        steps = _Steps(self._order, step)
        options: dict[str, Any] = {"prefetch_factor": 2} if self._workers else {}
        # a generator of its own, or beginning to read would move the one that dropout draws from
        return iter(DataLoader(self._shards, batch_sampler=steps, num_workers=self._workers, collate_fn=list,
                               generator=torch.Generator(), **options))


class _Steps:
    """The samples of each step from `start` on, without end, as a DataLoader's `batch_sampler`."""

    def __init__(self, order: Order, start: int) -> None:
        self._order, self._start = order, start

    def __iter__(self) -> Iterator[list[int]]:
        step = self._start
        while True:
            yield self._order.at(step)
            step += 1


def _index(paths: Sequence[Path], cache: Path) -> list[Place]:
    """Every whole sample of the shards, in order; kept in `cache` until a shard changes."""
    facts = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    kept = cache / f"shards-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]}.json"
    if not kept.exists():
        rows = [[shard, picture, text] for shard, path in enumerate(paths) for picture, text in _samples_of(path)]
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=cache, delete=False) as partial:
            json.dump(rows, partial)
        Path(partial.name).replace(kept)
    return [Place(shard, tuple(picture), tuple(text)) for shard, picture, text in json.loads(kept.read_text())]


def _samples_of(path: Path) -> Iterator[tuple[tuple[str, int, int], tuple[str, int, int]]]:
    found: dict[str, dict[str, tuple[str, int, int]]] = {}
    try:
        with tarfile.open(path) as shard:
            for member in shard:
                folder, _, name = member.name.rpartition("/")
                key, _, extension = name.partition(".")
                kind = "picture" if extension in VIDEOS + PHOTOS else "text" if extension in ("json", "txt") else ""
                if member.isfile() and kind:
                    found.setdefault(f"{folder}/{key}", {})[kind] = (extension, member.offset_data, member.size)
    except tarfile.TarError as error:
        raise ValueError(f"{path} is not a tar file ({error}): shards are uncompressed tar files") from None
    return ((parts["picture"], parts["text"]) for parts in found.values() if len(parts) == 2)


def _read(file: Any, part: tuple[str, int, int]) -> bytes:
    _, offset, size = part
    file.seek(offset)
    return bytes(file.read(size))


def _words(extension: str, data: bytes, index: int) -> tuple[str | None, str]:
    """The query, None for the caption's, and the text; of several captions the one that the sample's place chooses."""
    if extension == "txt":
        query, text = None, data.decode().strip()
    else:
        said = json.loads(data)
        captions = said["captions"] if "captions" in said else [said["caption"]]
        query, text = said.get("query"), str(captions[index % len(captions)]).strip()
    if not text:
        raise ValueError("its text is empty")
    return query, text
