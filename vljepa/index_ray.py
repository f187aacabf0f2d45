"""Indexing on many machines with Ray: each worker loads the checkpoint once and embeds videos; this process writes.

A worker that dies has its video done again by another. As only this process writes to the library, and a video's entry
replaces the one before, nothing is doubled. Videos and checkpoint must be found under the same path on all machines.
"""

import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vljepa.errors import LibraryError
from vljepa.indexing import Engine, embed_video
from vljepa.library import Entry

RETRIES = 3  # of a video whose worker died; one that cannot be read is an entry that says so, and no failure
AHEAD = 2  # videos in the works for each worker


@dataclass(frozen=True)
class Work:
    """What every worker must know beside the video. `fingerprint` names the weights that the library is made with."""

    checkpoint: str
    fingerprint: str
    device: str | None
    dtype: str
    rate_hz: float


def embed_on_ray(work: Work) -> Engine:
    """The engine that embeds on a Ray cluster: the one that RAY_ADDRESS names, or one of this machine's own.

    LibraryError if Ray is not installed, no cluster answers, or a worker finds other weights.
    """
    def engine(videos: Iterable[Path]) -> Iterator[Entry]:
        ray = _ray()
        if started := not ray.is_initialized():
            _start(ray)
        try:
            resources = ray.cluster_resources()
            gpus = resources.get("GPU", 0) if work.device != "cpu" else 0
            needs = {"num_gpus": 1} if gpus else {"num_cpus": 1}
            embed = ray.remote(max_retries=RETRIES, **needs)(_embed)
            yield from _as_completed(ray, embed, videos, work, AHEAD * int(gpus or resources.get("CPU", 1)))
        finally:
            if started:
                ray.shutdown()

    return engine


def _start(ray: Any) -> None:
    try:
        ray.init(logging_level=logging.ERROR, log_to_driver=False, include_dashboard=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise LibraryError(f"no Ray cluster answers ({str(error).splitlines()[0]}): start one with `ray start --head`, "
                           "and name it in RAY_ADDRESS") from None


_models: dict[Work, Any] = {}  # of a worker's process


def _embed(path: str, work: Work) -> Entry:
    import cv2
    import torch

    from vljepa.checkpoint import load

    if work not in _models:
        model = load(work.checkpoint, work.device, work.dtype)
        if model.fingerprint != work.fingerprint:
            raise LibraryError(f"a worker has other weights under the name {work.checkpoint}: put the same checkpoint "
                               "on all machines")
        if model.device.type == "cpu":
            torch.set_num_threads(1)  # a video on each core, as `embed_here` does it, or sums would round otherwise
            cv2.setNumThreads(1)
        _models[work] = model
    return embed_video(_models[work], Path(path), work.rate_hz)


def _as_completed(ray: Any, embed: Any, videos: Iterable[Path], work: Work, ahead: int) -> Iterator[Entry]:
    """Entries as they come, `ahead` videos at most in the works."""
    waiting: list[Any] = []
    try:
        for video in videos:
            waiting.append(embed.remote(str(video), work))
            if len(waiting) >= ahead:
                done, waiting = ray.wait(waiting)
                yield _result(ray, done[0])
        while waiting:
            done, waiting = ray.wait(waiting)
            yield _result(ray, done[0])
    finally:
        for task in waiting:  # after Ctrl-C nobody waits for the end of a film
            ray.cancel(task, force=True)


def _result(ray: Any, task: Any) -> Entry:
    try:
        entry: Entry = ray.get(task)
        return entry
    except ray.exceptions.RayTaskError as error:
        raise LibraryError(f"a worker failed: {error.cause}") from error
    except ray.exceptions.WorkerCrashedError:
        raise LibraryError(f"a worker died {RETRIES + 1} times over the same video, perhaps for want of memory: give "
                           "the machines fewer workers (`ray start --num-cpus`); what is done is kept") from None


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    try:
        import ray
    except ImportError:
        raise LibraryError("indexing with Ray needs a package: python -m pip install -r requirements-scale.txt"
                           ) from None
    return ray
