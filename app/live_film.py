"""The last half minute of a live session as a film that can be asked again and again while it goes on.

Only what is new is encoded, and for each question only what is new is predicted; so an answer can follow the stream.
"""

import threading

import numpy as np
import torch

from app.engine import Engine
from app.frame_log import FrameLog
from app.live_engine import Viewer
from app.pictures import decode_jpeg
from vljepa.stream import Trajectory
from vljepa.video import VideoInfo
from vljepa.watched import Predictions, Span, Watched, steps_within

STEP_S = 0.5  # between the pictures that are looked at
KEPT_S = 30.0
CAUGHT_UP = 8  # pictures looked at together at most: after a silence the stream is taken up near its end
QUERIES_KEPT = 6


class LiveFilm(Watched):
    """Pictures every `STEP_S` of the last `KEPT_S`; second 0 is the oldest one. `grow` before asking."""

    def __init__(self, model: object) -> None:
        info = VideoInfo("live", 0.0, 1 / STEP_S, 0, 0)
        nothing = Trajectory(np.zeros(0), np.zeros((0, 1)), info, 1 / STEP_S, None, "")
        super().__init__(model, nothing, np.zeros((0, 1, 1), dtype=np.float16), STEP_S)  # type: ignore[arg-type]
        self.start_s = 0.0  # second 0 on the clock of the pictures
        self._first = 0  # number of the oldest step since the beginning
        self._rows: dict[str | None, dict[int, np.ndarray]] = {}
        self._growing = threading.Lock()

    @property
    def end_s(self) -> float:
        """Where the newest step ends, in seconds from the oldest one."""
        return len(self.tokens) * STEP_S

    def grow(self, frames: FrameLog) -> bytes:
        """Look at what is new and return the newest picture as it came. ValueError before the first one."""
        with self._growing:
            times = frames.times_s()
            if not times:
                raise ValueError("the live stream has shown nothing yet: start it in the Live tab")
            self._add(frames, times[-1])
            self._forget()
            self._embed()
            return frames.at(times[-1])

    def predict(self, query: str | None, span: Span | None = None) -> Predictions:
        """As of any film; what was predicted for this query before is not predicted again."""
        start, stop = steps_within(span, self.end_s, STEP_S, len(self.tokens))
        with self._lock:
            rows = self._rows.pop(query, {})
            self._rows[query] = rows  # the newest last
            while len(self._rows) > QUERIES_KEPT:
                self._rows.pop(next(iter(self._rows)))
        steps = np.arange(start, stop)
        if len(new := np.array([k for k in steps if self._first + k not in rows], dtype=int)):
            rows.update(zip((self._first + new).tolist(), self._predict(new, query), strict=True))
        return Predictions(steps * STEP_S, np.stack([rows[self._first + k] for k in range(start, stop)]))

    def _add(self, frames: FrameLog, newest_s: float) -> None:
        next_s = self.start_s + self.end_s
        if not len(self.tokens) or newest_s - next_s > CAUGHT_UP * STEP_S:
            self._first += len(self.tokens)
            self.tokens = self.tokens[:0]
            self.start_s = next_s = max(frames.times_s()[0], newest_s - (CAUGHT_UP - 1) * STEP_S)
        at = np.arange(next_s, newest_s + 1e-6, STEP_S)
        if len(at):
            pictures = np.stack([self.model.fit(decode_jpeg(frames.at(float(second)))) for second in at])
            new = self._tokens(pictures)
            self.tokens = np.concatenate([self.tokens, new]) if len(self.tokens) else new

    def _tokens(self, pictures: np.ndarray) -> np.ndarray:
        if self.model.x_encoder.frames_per_step > 1:
            return pictures
        return self.model.encode_frames(pictures).to(torch.float16).cpu().numpy()

    def _forget(self) -> None:
        gone = max(0, len(self.tokens) - round(KEPT_S / STEP_S))
        self.tokens, self._first, self.start_s = self.tokens[gone:], self._first + gone, self.start_s + gone * STEP_S
        with self._lock:
            self._rows = {query: {k: row for k, row in rows.items() if k >= self._first}
                          for query, rows in self._rows.items()}

    def _embed(self) -> None:
        """The stream of caption embeddings, for what is searched."""
        found = self.predict(None)
        info = VideoInfo("live", self.end_s, 1 / STEP_S, 0, 0)
        self.trajectory = Trajectory(found.times_s, found.embeddings, info, 1 / STEP_S, None, self.model.name)


class LiveFilms:
    """A `LiveFilm` for each live viewer that asks. Safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._films: dict[str, tuple[Viewer, LiveFilm]] = {}
        self._lock = threading.Lock()

    def film(self, token: str) -> tuple[LiveFilm, bytes]:
        """The live stream of that page, grown to now, and its newest picture. ValueError if it has none."""
        live = self._engine.live
        viewer = live.viewer(token)
        with self._lock:
            self._films = {known: film for known, film in self._films.items() if live.knows(known)}
            if self._films.get(token, (None,))[0] is not viewer:
                self._films[token] = (viewer, LiveFilm(live.model))
            film = self._films[token][1]
        return film, film.grow(viewer.frames)
