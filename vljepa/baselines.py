"""Other ways to cut a film at the same decode budget, to see what meaning adds: by the clock, and by pixels.

And the truth to compare with, where somebody has written it down.
"""

import csv
import io
import json
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float

from vljepa.video import FrameSource

SIZE = (64, 36)  # pixels that a frame is compared by: enough for a cut, too few for noise
STARTS = ("start_s", "start time (seconds)", "start")  # columns that hold a segment's first second, ours and others'
MOST_SEGMENTS = 10_000


def uniform_boundaries(seconds: float, segments: int) -> list[float]:
    """The boundaries, in seconds, of equal segments: three of 30 s meet at 10 and 20 s."""
    return [seconds * k / segments for k in range(1, segments)]


def frame_changes(video: FrameSource, rate_hz: float) -> Float[np.ndarray, " frames"]:
    """How much each frame at `rate_hz` differs from the one before: mean absolute difference in CIELAB, 0 first.

    As PySceneDetect's content detector does, but equally over its channels.
    """
    frames = (cv2.cvtColor(frame.image, cv2.COLOR_RGB2LAB).astype(np.float32) for frame in video.frames(rate_hz, SIZE))
    return np.array([0.0, *(float(np.abs(b - a).mean()) for a, b in pairwise(frames))])


def strongest_changes(
    changes: Float[np.ndarray, " frames"], rate_hz: float, segments: int, min_length_s: float = 1.0
) -> list[float]:
    """The boundaries, in seconds, before the `segments` - 1 frames that changed most, `min_length_s` apart at least.

    A change between the frames of 1.0 and 1.25 s happened at 1.125 s. Fewer where there is no room, or no change.
    """
    apart, chosen = max(1, round(min_length_s * rate_hz)), list[int]()
    for frame in np.argsort(-changes, kind="stable"):
        if len(chosen) == segments - 1 or changes[frame] <= 0:
            break
        if all(abs(frame - other) >= apart for other in (0, *chosen, len(changes))):
            chosen.append(int(frame))
    return [(frame - 0.5) / rate_hz for frame in sorted(chosen)]


def read_reference(name: str, text: str) -> list[float]:
    """Where segments begin, in seconds, the first left out, from JSON or CSV that says so.

    JSON: a list of boundaries, or `segments` or `scenes` with `start_s` each (analysis.json, the sample films' truth).
    CSV: a column `start_s`, or PySceneDetect's `Start Time (seconds)`. ValueError, one sentence, for anything else.
    """
    starts = sorted(_json_starts(name, text) if text.lstrip()[:1] in ("[", "{") else _csv_starts(name, text))
    if not 1 <= len(starts) <= MOST_SEGMENTS:
        raise ValueError(f"{name} must list 1 to {MOST_SEGMENTS} segments, got {len(starts)}")
    if not (np.isfinite(starts).all() and starts[0] >= 0):
        raise ValueError(f"{name} must hold times of 0 s or more, got {starts[0]:g}")
    # 0 begins the first segment: nothing ends there
    return [start for start in starts if start > 0]


def _json_starts(name: str, text: str) -> list[float]:
    try:
        told = json.loads(text)
        if isinstance(told, dict):
            told = [segment["start_s"] for segment in told.get("segments") or told["scenes"]]
        return [float(start) for start in told]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{name} is no list of segments: give a JSON list of seconds, or objects with start_s under "
                         "segments") from None


def _csv_starts(name: str, text: str) -> list[float]:
    rows = list(csv.reader(io.StringIO(text)))
    # PySceneDetect writes a line with all timecodes above the header
    headers = [[cell.strip().lower() for cell in row] for row in rows[:3]]
    places = [(line, header.index(start)) for line, header in enumerate(headers) for start in STARTS if start in header]
    if not places:
        raise ValueError(f"{name} has no column start_s: give a CSV with the seconds at which segments begin")
    line, column = places[0]
    try:
        return [float(row[column]) for row in rows[line + 1 :] if row]
    except (ValueError, IndexError):
        raise ValueError(f"{name} holds something else than seconds in its column {rows[line][column]}") from None
