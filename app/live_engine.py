"""Live viewers by token: each has a session of the one model, perhaps a source on the server, and its own pictures.

A page that closes ends its viewer at once (gradio tells); one that falls silent is ended by the clock.
"""

import re
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from app.frame_log import FrameLog
from app.kept_session import KeptSession
from app.pictures import decode_jpeg, encode_jpeg
from visualizations.own_map import OwnMap, fit_apart
from vljepa.errors import VLJEPAError
from vljepa.live import LiveEvent, LiveModel, LiveSession, LiveUpdate
from vljepa.online import OnlineSettings
from vljepa.recording import Recording, record
from vljepa.sources import LiveSource, SourceState

SILENT_S = 150.0  # a browser lets a hidden page speak once a minute
SWEEP_S = 5.0
PLACED_AMONG = 2000  # moments of a fitted map, evenly spread, that later ones are compared with
WARM_WINDOWS = 4  # a whole window of the model, and one more
TOKEN = re.compile(r"[0-9a-f]{32}")


class Viewer:
    """One page's live session. Every method may be called from any thread."""

    def __init__(self, session: LiveSession, folder: Path) -> None:
        self.session, self.frames = session, FrameLog(folder)
        self.state: SourceState | None = None
        self.paused = False
        self.aspect: float | None = None  # width by height of what is seen, if the pictures are squashed
        self.own_map: OwnMap | None = None  # fitted to this session, until the page goes back to the common one
        self._source: LiveSource | None = None
        self._preview: tuple[float, bytes] = (0.0, b"")
        self._clock_s = float("inf")  # what to add to the page's clock to get ours
        self._lock = threading.Lock()

    def heard(self, page_s: float) -> float:
        """The page said that its clock stood at `page_s`; returns the best guess of its offset to ours, in seconds.

        A message takes time, so the smallest difference seen is the truest.
        """
        self._clock_s = min(self._clock_s, time.monotonic() - page_s)
        return self._clock_s

    def offer(self, jpeg: bytes, captured_s: float) -> None:
        """A frame from the page. ValueError if it is not a JPEG of a sensible size."""
        if self.paused:
            return
        image = decode_jpeg(jpeg)
        if self.session.offer(image, captured_s):
            self.frames.append(captured_s, jpeg)

    def watch(self, source: str | Path | int, loop: bool, rate_hz: float) -> None:
        """Take frames from a source on the server from now on, instead of the one before."""
        self.unwatch()
        self._source = LiveSource(source, self._deliver, self._told, rate_hz=rate_hz, loop=loop)

    def unwatch(self) -> None:
        """Let go of the source on the server, if there is one."""
        with self._lock:
            source, self._source, self.state = self._source, None, None
        if source is not None:
            source.stop()
            self.state = None

    def preview(self, after_s: float) -> tuple[float, bytes] | None:
        """The newest picture of a source on the server with its capture, if it is newer than `after_s`."""
        newest = self._preview
        return newest if self._source is not None and newest[0] > after_s else None

    def recording(self) -> Recording:
        """All that is kept of the session; ValueError if it has seen nothing yet."""
        return record(self.session)

    def kept(self, title: str) -> KeptSession:
        """What Explore makes a film of. ValueError if there is nothing yet."""
        events = [event for event in self.session.updates() if isinstance(event, LiveUpdate)]
        recording = self.recording()
        return KeptSession(title, recording, self.frames, self.session.started_s + events[0].time_s, self.aspect)

    def fit_map(self, still_wanted: Callable[[], None]) -> Float[np.ndarray, "moments 6"]:
        """Fit a map to the session so far, `own_map`, while it goes on; seconds to a minute.

        Returns [index, x, y, X, Y, Z] of its moments. What `still_wanted` raises ends it. ValueError without a common
        map to lay it over, or for too few moments.
        """
        landmarks = self.session.landmarks
        seen = [event for event in self.session.updates() if isinstance(event, LiveUpdate)]
        if landmarks is None or not seen:
            raise ValueError("there is nothing to fit a map to: start a camera or a film first" if landmarks else
                             "this checkpoint has no map, so none can be fitted to the session")
        embeddings, xy, xyz = (np.array([getattr(event, name) for event in seen], dtype=np.float32)
                               for name in ("embedding", "xy", "xyz"))
        new_xy, new_xyz = fit_apart(embeddings, xy, xyz, still_wanted)
        kept = slice(None, None, -(-len(seen) // PLACED_AMONG))
        self.own_map = OwnMap(landmarks.predicted_mean, embeddings[kept], new_xy[kept], new_xyz[kept])
        return np.column_stack([[event.index for event in seen], new_xy, new_xyz]).astype(np.float32)

    def places_since(self, index: int) -> Float[np.ndarray, "moments 6"]:
        """[index, x, y, X, Y, Z] on the own map of the moments after that one, which came while it was fitted."""
        rows = [[event.index, *self.own_place(event)] for event in self.session.updates(index)
                if isinstance(event, LiveUpdate)]
        return np.array(rows, dtype=np.float32).reshape(-1, 6)

    def own_place(self, update: LiveUpdate) -> list[float]:
        """[x, y, X, Y, Z] on the map that was fitted to the session; nothing without one."""
        if self.own_map is None or update.xy is None or update.xyz is None:
            return []
        xy, xyz = self.own_map.place(update.embedding.astype(np.float32), np.array(update.xy, dtype=np.float32),
                                     np.array(update.xyz, dtype=np.float32))
        return [*xy.tolist(), *xyz.tolist()]

    def close(self) -> None:
        """End everything and remove the pictures."""
        self.unwatch()
        self.session.close()
        self.frames.close()

    def _told(self, state: SourceState) -> None:
        self.state = state

    def _deliver(self, image: UInt8[np.ndarray, "height width 3"], captured_s: float) -> None:
        if self.paused:
            return
        jpeg = encode_jpeg(image)
        self._preview = (captured_s, jpeg)
        if self.session.offer(image, captured_s):
            self.frames.append(captured_s, jpeg)


class LiveEngine:
    """The viewers of one model. `server_sources`: whether pages may open cameras, addresses and files of the server."""

    def __init__(self, model: Any, server_sources: bool = True, silent_s: float = SILENT_S) -> None:
        self.live, self.server_sources, self._silent_s = LiveModel(model), server_sources, silent_s
        self._folder = tempfile.TemporaryDirectory(prefix="vljepa-live-", ignore_cleanup_errors=True)
        self._viewers: dict[str, Viewer] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        threading.Thread(target=self._sweep, daemon=True, name="live-sweep").start()

    @property
    def model(self) -> Any:
        """The model that serves all viewers."""
        return self.live.model

    @property
    def root(self) -> Path:
        """Where the viewers' pictures are."""
        return Path(self._folder.name)

    def use(self, model: Any) -> None:
        """Another model from now on: every viewer's session is over, and its page starts a new one."""
        before, self.live = self.live, LiveModel(model)
        for token in list(self._viewers):
            self.close(token)
        before.close()

    def warm_up(self, patience_s: float = 120.0) -> None:
        """Do the slow first time of everything now, not when somebody presses Start. VLJEPAError if it cannot."""
        with self.live.session() as session:
            frame = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
            seen: list[LiveEvent] = []
            for _ in range(WARM_WINDOWS):
                session.offer(frame)
                seen = session.wait(seen[-1].index if seen else -1, patience_s)
                if not seen:
                    raise VLJEPAError(f"the live loop does not answer ({session.failure or 'no reason known'}); "
                                      "start the app again, or try another checkpoint")

    def open(self, token: str, settings: OnlineSettings, query: str | None, readout: str | None = None) -> Viewer:
        """A new session for the page of that token; the one it had is over. ValueError for a bad token or setting."""
        if not TOKEN.fullmatch(token):
            raise ValueError("this page has no valid token; reload it")
        session = self.live.session(settings, query, readout)
        viewer = Viewer(session, self.root / f"{token}-{session.token}")
        with self._lock:
            before = self._viewers.pop(token, None)
            self._viewers[token] = viewer
        if before is not None:
            before.close()
        return viewer

    def knows(self, token: str) -> bool:
        """Whether that token has a viewer."""
        return token in self._viewers

    def is_alone(self) -> bool:
        """Whether one page at most has asked for anything in the last second."""
        with self._lock:
            return sum(viewer.session.idle_s < 1.0 for viewer in self._viewers.values()) <= 1

    def viewer(self, token: str) -> Viewer:
        """The viewer of that token; ValueError if it is over."""
        with self._lock:
            if token not in self._viewers:
                raise ValueError("this live session is over; press Start for a new one")
            return self._viewers[token]

    def close(self, token: str) -> None:
        """End the viewer of that token, if there is one; its session and files are gone."""
        with self._lock:
            viewer = self._viewers.pop(token, None)
        if viewer is not None:
            viewer.close()

    def shut_down(self) -> None:
        """End all viewers and the model's thread."""
        self._ended.set()
        for token in list(self._viewers):
            self.close(token)
        self.live.close()
        self._folder.cleanup()

    def _sweep(self) -> None:
        while not self._ended.wait(min(SWEEP_S, self._silent_s)):
            with self._lock:
                silent = [token for token, v in self._viewers.items() if v.session.idle_s > self._silent_s]
            for token in silent:
                self.close(token)
