"""A film that can be asked again and again without being watched again: its visual tokens, kept.

The X-Encoder is most of the work and knows nothing of the question. So its tokens stay on disk, memory-mapped, and a
new question runs only the Predictor over them.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float

from vljepa.kept import FilmCache, TokenFile
from vljepa.readout import normalise
from vljepa.stream import Trajectory

if TYPE_CHECKING:
    from vljepa.model import VLJEPA

MOST_STEPS = 120  # moments a question looks at, evenly spread: about a second of work on two cores
QUERIES_KEPT = 12  # predictions held in memory, one array a query; asking them again is free
Span = tuple[float, float]


@dataclass(frozen=True)
class Predictions:
    """What was predicted for one query: a unit embedding at each of `times_s`, ascending, in seconds."""

    times_s: Float[np.ndarray, " steps"]
    embeddings: Float[np.ndarray, "steps dim"]

    def mean(self) -> Float[np.ndarray, " dim"]:
        """The embedding that stands for all of them, at unit length."""
        return normalise(self.embeddings.mean(axis=0, keepdims=True))[0]


class Watched:
    """A watched film: `trajectory` holds its caption embeddings, `tokens` what the X-Encoder saw every `step_s`.

    `tokens` are float16 visual tokens (time, tokens, dim), or for an X-Encoder that takes clips uint8 frames
    (time, side, side, 3); any array will do, also one in memory, such as the last seconds of a live stream.
    Safe to use from several threads.
    """

    def __init__(self, model: "VLJEPA", trajectory: Trajectory, tokens: np.ndarray, step_s: float) -> None:
        self.model, self.trajectory, self.tokens, self.step_s = model, trajectory, tokens, step_s
        self._known: OrderedDict[tuple, Predictions] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def end_s(self) -> float:
        """Where the film ends, in seconds."""
        from vljepa.analysis import end_s

        return end_s(self.trajectory)

    def predict(self, query: str | None, span: Span | None = None) -> Predictions:
        """The answers to `query` at `MOST_STEPS` moments at most, spread over `span` in seconds, or over the film.

        ValueError for a span that is reversed or not inside the film, or a query too long for the checkpoint.
        """
        start, stop = steps_within(span, self.end_s, self.step_s, len(self.tokens))
        asked = (query, start, stop)
        with self._lock:
            if asked in self._known:
                self._known.move_to_end(asked)
                return self._known[asked]
        steps = np.unique(np.linspace(start, stop - 1, min(stop - start, MOST_STEPS)).round().astype(int))
        found = Predictions(steps * self.step_s, self._predict(steps, query))
        with self._lock:
            self._known[asked] = found
            while len(self._known) > QUERIES_KEPT:
                self._known.popitem(last=False)
        return found

    def blank(self, query: str | None) -> Float[np.ndarray, " dim"]:
        """What is predicted for a plain grey frame: the answer that comes from the question's words alone."""
        asked = (query, "blank")
        with self._lock:
            known = self._known.get(asked)
        if known is None:
            known = Predictions(np.zeros(1), blank_prediction(self.model, query)[None])
            with self._lock:
                self._known[asked] = known
        return known.embeddings[0]

    def _predict(self, steps: np.ndarray, query: str | None) -> Float[np.ndarray, "steps dim"]:
        window = self._window()
        # the first steps have nothing before them: they see what there is, as in a stream
        groups = [steps[steps + 1 == n] for n in range(1, window)] + [steps[steps + 1 >= window]]
        pieces = [self._predict_alike(group, min(n, window), query)
                  for n, group in enumerate(groups, 1) if len(group)]
        return np.concatenate(pieces)

    def _predict_alike(self, steps: np.ndarray, length: int, query: str | None) -> Float[np.ndarray, "steps dim"]:
        places = steps[:, None] + np.arange(1 - length, 1)
        model, found = self.model, []
        for start in range(0, len(places), 32):  # a few at a time: a window of tokens is large
            window = torch.from_numpy(np.ascontiguousarray(self.tokens[places[start : start + 32]]))
            by_clip = model.x_encoder.frames_per_step > 1
            seen = model.encode_clips(model.fill(window)) if by_clip else window.to(model.device, model.dtype)
            found.append(model.predict(seen, query))
        return np.concatenate(found)

    def _window(self) -> int:
        """Frames a prediction sees: no longer a time than in the stream, however sparsely tokens were kept."""
        config = self.model.config
        reach_s = (config.predictor.window_frames - 1) / config.rate_hz
        return min(config.predictor.window_frames, 1 + int(reach_s / self.step_s + 1e-6))


def watch(
    model: "VLJEPA", video: Path | str, rate_hz: float | None = None, cache: FilmCache | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> Watched:
    """Watch a video, or take it from `cache` (by default the user's) if this model has watched it at that rate.

    `progress` is told the seconds done and the seconds there are; an exception it raises cancels. VideoError if the
    video cannot be read.
    """
    rate_hz = model.config.rate_hz if rate_hz is None else rate_hz
    cache = FilmCache() if cache is None else cache
    folder = cache.folder(video, model.fingerprint, rate_hz)
    if (kept := load_watched(model, folder)) is not None:
        return kept
    stream = model.embed(video, rate_hz=rate_hz)
    seconds = stream.video.seconds
    with TokenFile(folder, 1 / rate_hz) as file:
        stream.keep = file.add
        told = None if progress is None else lambda done: progress(min(done, seconds) if seconds else done, seconds)
        trajectory = stream.collect(told)
        file.finish(trajectory)
    cache.prune()
    found = load_watched(model, folder)
    assert found is not None, "what was just written can be read"
    return found


def load_watched(model: "VLJEPA", folder: Path) -> Watched | None:
    """What a finished `TokenFile` left in `folder`, or None if it is missing or damaged."""
    kept = TokenFile.read(folder)
    return None if kept is None else Watched(model, *kept)


def blank_prediction(model: "VLJEPA", query: str | None) -> Float[np.ndarray, " dim"]:
    """The prediction for one plain grey frame."""
    side = model.config.x_encoder.image_size
    grey = np.full((1, side, side, 3), 127, dtype=np.uint8)
    return model.predict(model.encode_photos(grey), query)[0]


def steps_within(span: Span | None, end_s: float, step_s: float, steps: int) -> tuple[int, int]:
    """First and one past the last of `steps` steps, `step_s` apart, in `span` seconds; one step at least.

    Of 8 steps of 0.25 s, (0.5, 1.0) holds the steps 2 and 3. ValueError for an impossible span.
    """
    if span is None:
        return 0, steps
    start_s, stop_s = span
    if not (np.isfinite(span).all() and 0 <= start_s < stop_s and start_s < end_s and stop_s <= end_s + step_s):
        raise ValueError(f"the time range must lie within the video's 0 to {end_s:.2f} s, its start before its end, "
                         f"got {start_s:g} to {stop_s:g}")
    start = min(int(np.ceil(start_s / step_s - 1e-6)), steps - 1)
    return start, min(max(int(np.ceil(stop_s / step_s - 1e-6)), start + 1), steps)
