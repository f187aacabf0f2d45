"""The training photos: which there are, how they are split, and their visual tokens, encoded once and kept on disk.

The folder layout is the README's ("Train your own"): one JSON-lines file a set, with the photos' paths relative to it.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from vljepa.photo import read_photo, squash
from vljepa.x_encoder import FrameXEncoder

# augmented copies of each training photo, beside the plain one: most where photos are few and captions rich
COPIES = {"flickr8k": 3, "sports100": 1, "exercise": 2, "imagenet1000": 3, "daquar_qa": 4}


@dataclass(frozen=True)
class PhotoSet:
    """One JSON-lines file: its rows, its distinct photos in order, and each photo's split."""

    name: str
    folder: Path
    rows: list[dict]
    files: list[str]
    splits: list[str]

    def indices(self, split: str) -> list[int]:
        """Positions in `files` of the photos of one split: train, val or test."""
        return [i for i, s in enumerate(self.splits) if s == split]


def load_photo_set(folder: Path, name: str) -> PhotoSet:
    """Read `folder/name.jsonl`; ValueError says what is missing and what the layout should be."""
    path = folder / f"{name}.jsonl"
    if not path.is_file():
        raise ValueError(f"the data folder must hold {path.name}, but {folder} does not; "
                         "see 'Train your own' in the README")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    splits: dict[str, str] = {}
    for row in rows:
        # DAQUAR's own split is by question, so a photo would be on both sides of it: split it by photo instead
        splits[row["file"]] = _split_by_photo(row["file"]) if name == "daquar_qa" else row.get("split", "train")
    return PhotoSet(name, folder, rows, list(splits), list(splits.values()))


def encode_photo_sets(
    x_encoder: FrameXEncoder, sets: list[PhotoSet], cache: Path, progress: Callable[[str, int, int], None]
) -> None:
    """Write `cache/NAME.COPY.npy`, float16 (photos, tokens, dim), for every set and copy that is not there yet.

    Copy 0 holds every photo as it is; copies 1 and up hold the training photos, seen by a random virtual camera.
    A killed run loses at most the copy it was at.
    """
    cache.mkdir(parents=True, exist_ok=True)
    jobs = [(s, copy) for s in sets for copy in range(COPIES.get(s.name, 1) + 1)]
    for photo_set, copy in sorted(jobs, key=lambda job: (job[1], job[0].name)):
        path = tokens_path(cache, photo_set.name, copy)
        if path.exists():
            continue
        files = photo_set.files if copy == 0 else [photo_set.files[i] for i in photo_set.indices("train")]
        partial = path.with_suffix(".partial")
        shape = (len(files), x_encoder.tokens_per_step, x_encoder.dim)
        tokens = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
        done = 0
        for batch in _encode(x_encoder, photo_set.folder, files, copy):
            tokens[done : done + len(batch)] = batch
            done += len(batch)
            progress(f"{photo_set.name} copy {copy}", done, len(files))
        tokens.flush()
        partial.rename(path)


def encode_plain(x_encoder: FrameXEncoder, folder: Path, files: list[str]) -> np.ndarray:
    """Visual tokens, float16 (photos, tokens, dim), of a few photos as they are."""
    return np.concatenate(list(_encode(x_encoder, folder, files, 0)))


def tokens_path(cache: Path, name: str, copy: int) -> Path:
    """Where the visual tokens of one copy of one set are kept."""
    return cache / f"{name}.{copy}.npy"


def _split_by_photo(file: str) -> str:
    return {0: "val", 1: "test"}.get(zlib.crc32(file.encode()) % 10, "train")


def _encode(x_encoder: FrameXEncoder, folder: Path, files: list[str], copy: int) -> Iterator[np.ndarray]:
    size, device = x_encoder.config.image_size, next(x_encoder.parameters()).device

    def load(file: str) -> np.ndarray:
        image = read_photo(folder / file)
        if copy:
            image = virtual_camera(image, np.random.default_rng([zlib.crc32(file.encode()), copy]))
        return squash(image, size)

    pool, half = ThreadPoolExecutor(os.cpu_count()), torch.autocast(device.type, torch.bfloat16)
    with pool, torch.inference_mode(), half:
        for start in range(0, len(files), 64):
            frames = np.stack(list(pool.map(load, files[start : start + 64])))
            pixels = x_encoder.preprocess(torch.from_numpy(frames).to(device))
            yield x_encoder(pixels[:, None])[:, 0].to(torch.float16).cpu().numpy()


def virtual_camera(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Look at a photo as a moving camera might: part of it, another aspect, mirrored, other light, worse optics."""
    height, width = image.shape[:2]
    area, aspect = rng.uniform(0.45, 1.0), np.exp(rng.uniform(-0.35, 0.35))
    crop_w = min(width, round(width * np.sqrt(area * aspect)))
    crop_h = min(height, round(height * np.sqrt(area / aspect)))
    left, top = rng.integers(0, width - crop_w + 1), rng.integers(0, height - crop_h + 1)
    image = image[top : top + crop_h, left : left + crop_w]
    if rng.random() < 0.5:
        image = image[:, ::-1]
    light = image.astype(np.float32) / 255.0
    light = light ** np.exp(rng.uniform(-0.35, 0.35))  # gamma
    light = (light - 0.5) * rng.uniform(0.75, 1.2) + 0.5 + rng.uniform(-0.08, 0.08)
    light *= 1.0 + rng.uniform(-0.07, 0.07, size=3)  # white balance; hues stay, so that colour words hold
    image = (light.clip(0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.3:  # a cheap camera: soft, then blocky
        side = int(rng.integers(96, 200))
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 80))])
        return cv2.imdecode(jpeg, cv2.IMREAD_COLOR)  # type: ignore[return-value]  # our own JPEG decodes
    return np.ascontiguousarray(image)
