"""Training data at scale: WebDataset shards, tar files in which a sample is the files that share a name up to the dot.

A sample is a video or a photo and a text: `000042.mp4` with `000042.json` (`{"caption": ..., "query": ...}`, or
`captions`, a list) or with `000042.txt`, the caption. Shards lie on a disk, or where fsspec reads: https, s3, gs, hf.
They are indexed once, so that any sample can be read by its place: the batch of a step depends on the seed and the step
alone, so a resumed run, on whatever number of processes, sees exactly what an uninterrupted one would.
"""

import hashlib
import json
import re
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from fsspec.core import url_to_fs
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vljepa.config import ModelConfig
from vljepa.model import VLJEPA
from vljepa.photo import fit
from vljepa.train.batches import Batch
from vljepa.video import open_video

TRIES, WAIT_S = 4, 1.0  # to read from another machine, which may be busy; each wait is twice the one before
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
        self.urls = _told(pattern, lambda: _listed(pattern))
        if not self.urls:
            raise ValueError(f"there are no shards at {pattern}: give a pattern of tar files, such as 'data/*.tar' or "
                             "'https://host/data/{000..127}.tar'")
        self.places = _index(self.urls, cache)
        if not self.places:
            raise ValueError(f"the {len(self.urls)} shards at {pattern} hold no sample: a video or photo and, under "
                             "the same name, a .json or .txt with its caption")
        self._config = model.config

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Sample:
        place = self.places[index]
        url = self.urls[place.shard]
        picture, text = (_told(url, partial(_read, url, part)) for part in (place.picture, place.text))
        try:
            query, said = words(place.text[0], text, index)
            return Sample(decode_clip(self._config, place.picture[0], picture), query, said)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"sample {index}, in {url.rpartition('/')[2]}, cannot be used: {error}; leave it out"
                             ) from None


def decode_clip(config: ModelConfig, extension: str, data: bytes) -> Shaped[np.ndarray, "time side side 3"]:
    """A window of frames, evenly spread over a video; of a photo, the same again. ValueError if it does not decode."""
    def square(image: np.ndarray) -> np.ndarray:
        return fit(image, config.x_encoder).round().astype(np.uint8)  # a quarter of the memory

    window = config.predictor.window_frames
    if extension in PHOTOS:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError("the photo does not decode")
        return np.stack([square(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))] * window)
    with tempfile.NamedTemporaryFile(suffix=f".{extension}") as file:
        file.write(data)
        file.flush()
        with open_video(file.name) as video:
            rate_hz = window / max(video.info.seconds, 1e-3)
            frames = [square(frame.image) for frame in islice(video.frames(rate_hz), window)]
    return np.stack([*frames, *[frames[-1]] * (window - len(frames))])


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


@runtime_checkable
class Reader(Protocol):
    """Where a run's samples come from."""

    def read_from(self, step: int) -> Iterator[list[Sample]]:
        """This process's samples of `step`, of the next one, and so on without end."""


class StreamedBatches:
    """A mixture of one source, as `ContrastiveArm` wants it; a reader's own processes read ahead."""

    def __init__(self, reader: Reader, model: VLJEPA) -> None:
        self._reader, self._model = reader, model
        self._stream: Iterator[list[Sample]] = iter(())
        self._next = -1

    def at(self, seed: int, step: int) -> tuple[str, Callable[[], Batch]]:  # noqa: ARG002 - the reader has its own
        """The name of the source, and a function that makes the batch of `step`; after a jump it reads anew."""
        if step != self._next:
            self._stream, self._next = self._reader.read_from(step), step
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


class ByPlace:
    """Reads the samples that `order` names, by processes of its own if `workers` is above 0."""

    def __init__(self, shards: Shards, order: Order, workers: int) -> None:
        self._shards, self._order, self._workers = shards, order, workers

    def read_from(self, step: int) -> Iterator[list[Sample]]:
        """As of any reader."""
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


def _listed(pattern: str) -> list[str]:
    """The addresses that a pattern stands for: `{00..15}` counts, `*` is looked up where the place can be listed."""
    found: list[str] = []
    for address in _counted(pattern):
        files, path = url_to_fs(address)
        names = files.glob(path) if any(mark in path for mark in "*?[") else [path]
        found += [str(files.unstrip_protocol(name)) for name in names]
    return sorted(found)


def _counted(pattern: str) -> list[str]:
    """`a{08..10}.tar` as a08.tar, a09.tar and a10.tar."""
    if (range_ := re.search(r"\{(\d+)\.\.(\d+)\}", pattern)) is None:
        return [pattern]
    first, last = range_.groups()
    numbers = range(int(first), int(last) + 1)
    return [address for number in numbers for address in
            _counted(f"{pattern[: range_.start()]}{number:0{len(first)}}{pattern[range_.end() :]}")]


def _told(where: str, read: Callable[[], Any]) -> Any:
    """What `read` returns, tried again where a network fails; ValueError says what is in the way."""
    for tries in range(TRIES):
        try:
            return read()
        except ImportError as error:
            raise ValueError(f"reading {where} needs a package ({error}): python -m pip install -r "
                             "requirements-scale.txt, or what fsspec names for that kind of address") from None
        except _network_errors() as error:
            if "://" not in where or where.startswith("file:") or tries == TRIES - 1:
                raise ValueError(f"{where} cannot be read ({str(error) or type(error).__name__}): check the address "
                                 "and the network, then start again; it goes on where it was") from None
        time.sleep(WAIT_S * 2**tries)
    raise AssertionError("the last try returns or raises")


def _network_errors() -> tuple[type[Exception], ...]:
    aiohttp = sys.modules.get("aiohttp")  # what fsspec speaks http with, once it does
    return (OSError,) if aiohttp is None else (OSError, aiohttp.ClientError)


def _index(urls: Sequence[str], cache: Path) -> list[Place]:
    """Every whole sample of the shards, in order; kept in `cache` until a shard changes."""
    facts = [(url, *_told(url, partial(_stamp, url))) for url in urls]
    kept = cache / f"shards-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]}.json"
    if not kept.exists():
        rows = [[shard, picture, text] for shard, url in enumerate(urls)
                for picture, text in _told(url, partial(_samples_of, url))]
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=cache, delete=False) as unfinished:
            json.dump(rows, unfinished)
        Path(unfinished.name).replace(kept)
    return [Place(shard, tuple(picture), tuple(text)) for shard, picture, text in json.loads(kept.read_text())]


def _stamp(url: str) -> tuple[Any, str]:
    """Size and time of change, or what a server tells instead."""
    files, path = url_to_fs(url)
    info = files.info(path)
    return info["size"], str(info.get("mtime") or info.get("ETag") or info.get("LastModified") or "")


def _samples_of(url: str) -> list[tuple[tuple[str, int, int], tuple[str, int, int]]]:
    found: dict[str, dict[str, tuple[str, int, int]]] = {}
    files, path = url_to_fs(url)
    try:
        with files.open(path, "rb") as file, tarfile.open(fileobj=file) as shard:
            for member in shard:
                folder, _, name = member.name.rpartition("/")
                key, _, extension = name.partition(".")
                kind = "picture" if extension in VIDEOS + PHOTOS else "text" if extension in ("json", "txt") else ""
                if member.isfile() and kind:
                    found.setdefault(f"{folder}/{key}", {})[kind] = (extension, member.offset_data, member.size)
    except tarfile.TarError as error:
        raise ValueError(f"{url} is not a tar file ({error}): shards are uncompressed tar files") from None
    return [(parts["picture"], parts["text"]) for parts in found.values() if len(parts) == 2]


def _read(url: str, part: tuple[str, int, int]) -> bytes:
    _, offset, size = part
    files, path = url_to_fs(url)
    data = bytes(files.cat_file(path, start=offset, end=offset + size)) if size else b""
    if len(data) != size:
        raise ValueError(f"{url} gave {len(data)} bytes for {size}: its server must send ranges of a file")
    return data


def words(extension: str, data: bytes, index: int) -> tuple[str | None, str]:
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
