"""What the page shows of a film itself: a copy that browsers can play, and a still."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import cv2

from vljepa.errors import VideoError
from vljepa.video import open_video, playable_copy

STILL_WIDTH = 480  # pixels
STILL_AT_S = 1.5


def make_playable(source: Path, folder: Path, progress: Callable[[float], None]) -> Path | None:
    """The film for the player, in `folder` and made once; None if the browser will have to do without.

    `progress` is told the seconds done; an exception it raises stops the work and leaves nothing behind.
    """
    if kept := next((path for path in sorted(folder.glob("film.*")) if ".part" not in path.name), None):
        return kept
    try:
        copy = playable_copy(source, folder / "made", progress)
    except VideoError:
        return None  # the analysis itself says what is wrong with the file
    target = folder / f"film{copy.suffix.lower()}"
    if copy.resolve() == source.resolve():
        _link(source, target)
    else:
        copy.replace(target)
    return target


def still(source: Path, target: Path) -> Path | None:
    """A JPEG of `source` early on, made once; None if it has no picture."""
    if target.exists():
        return target
    with contextlib.suppress(VideoError), open_video(source) as video:
        for frame in video.frames(1 / STILL_AT_S, None):
            height = round(frame.image.shape[0] * STILL_WIDTH / frame.image.shape[1])
            image = cv2.resize(frame.image, (STILL_WIDTH, height), interpolation=cv2.INTER_AREA)
            if frame.time_s > 0 or video.info.seconds < STILL_AT_S:
                target.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(target), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
                return target
    return None


def still_at(source: Path, target: Path, second: float) -> Path | None:
    """A JPEG of `source` at that second, made once; it seeks, so that a late second costs no more than an early one."""
    if target.exists():
        return target
    with contextlib.suppress(av.FFmpegError, IndexError), av.open(str(source)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        container.seek(int(max(0.0, second) / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            if frame.time is None or frame.time >= second - 1e-3:
                height = round(frame.height * STILL_WIDTH / frame.width)
                image = frame.reformat(STILL_WIDTH, height, "bgr24").to_ndarray()
                target.parent.mkdir(parents=True, exist_ok=True)
                partial = target.with_name(f".{target.name}.part.jpg")
                cv2.imwrite(str(partial), image)
                partial.replace(target)
                return target
    return None


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links
        partial = target.with_name(f"film.part{target.suffix}")
        shutil.copyfile(source, partial)
        partial.replace(target)
