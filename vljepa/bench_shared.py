"""What the benchmarks share: a film made here, and the bare X-Encoder that everything is compared with."""

import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from vljepa.model import VLJEPA

BATCHES = (8, 16, 32)  # sizes the bare X-Encoder may choose from: it is judged at its best
REPEATS = 3
SCENE_S = 8.0  # generated videos change scene this often, so that there is something to decode


def write_video(
    path: Path, seconds: float, fps: int = 8, size: tuple[int, int] = (160, 96), seed: int = 0
) -> None:
    """An H.264 film of coloured bars that drift, a new set every SCENE_S seconds; cheap to make and to read."""
    import av

    random, (width, height) = np.random.default_rng(seed), size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps), options={"preset": "ultrafast", "crf": "30"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(round(seconds * fps)):
            if index % round(SCENE_S * fps) == 0:
                bars = np.repeat(random.integers(0, 256, (8, 3), dtype=np.uint8), width // 8, axis=0)
            image = np.broadcast_to(np.roll(bars, index, axis=0), (height, len(bars), 3))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode())


def encoder_seconds_per_frame(model: "VLJEPA", video: Path) -> float:
    """The bare X-Encoder on frames of a video, at the batch size it is fastest with."""
    from vljepa.video import open_video

    side, n_frames = model.config.x_encoder.image_size, 2 * max(BATCHES)
    with open_video(video) as opened:
        shown = [frame.image for frame, _ in zip(opened.frames(4.0, (side, side)), range(n_frames), strict=False)]
    images = np.stack([shown[k % len(shown)] for k in range(n_frames)])
    passes = [median(timed(_encode, model, images, batch) for _ in range(REPEATS)) for batch in BATCHES]
    return min(passes) / n_frames


def _encode(model: "VLJEPA", images: np.ndarray, batch: int) -> None:
    for start in range(0, len(images), batch):
        tokens = model.encode_frames(images[start : start + batch])
    tokens.sum().item()  # wait for an accelerator


def timed(function: Callable[..., object], *args: object) -> float:
    """Wall time of a call, in seconds."""
    started = time.perf_counter()
    function(*args)
    return time.perf_counter() - started
