"""An analysed film: its stream, the trees that sliders cut, the captions read so far, its place on the map."""

import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from visualizations.landmark_map import Landmarks, neighbourhood_agreement, pca_coordinates, place, place_3d
from visualizations.own_map import fit_apart
from vljepa.analysis import CutSettings, build_tree, cut, end_s, spans
from vljepa.metrics import boundary_f1
from vljepa.readout import Caption
from vljepa.segmentation import Segment, WardTree
from vljepa.stream import Trajectory
from vljepa.watched import Watched

TREES_KEPT = 24  # one per place of the smoothing slider: moving it back is free
TOLERANCE_S = 1.0  # within which two boundaries are the same
SAMPLED = 400  # points that the map's agreement is estimated from
Decode = Callable[[Float[np.ndarray, "batch dim"], str], Sequence[Caption]]


@dataclass(frozen=True)
class Place:
    """Where a stream lies on a map; `kind` is landmarks, pca or own; `agreement` 0 to 1, None where it has none."""

    kind: str
    xy: Float[np.ndarray, "time 2"]
    xyz: Float[np.ndarray, "time 3"]
    agreement: float | None


@dataclass(frozen=True)
class Cut:
    """A segmentation as it stands: its segments, those captions that are known, the boundary strength per step."""

    segments: list[Segment]
    captions: list[Caption | None]
    strength: Float[np.ndarray, " time"]

    @property
    def missing(self) -> int:
        """Segments without a caption yet."""
        return sum(caption is None for caption in self.captions)


@dataclass
class Film:
    """One film analysed with one query, rate and checkpoint. Safe to use from several threads."""

    key: str
    content: str
    title: str
    trajectory: Trajectory
    place: Place
    media: Path | None = None
    reference_s: list[float] | None = None  # boundaries from elsewhere, to compare a cut with
    source: Path | None = None  # where it was opened from, if not `media`; an upload may be gone a day later
    captions: dict[str, Caption] = field(default_factory=dict)
    decoded: int = 0  # captions that the model really had to read since the film was opened
    decode_s: float = 0.0  # and the seconds that took
    watched: Watched | None = None  # what questions are asked of; None until the first one
    _trees: OrderedDict[float, WardTree] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _known: dict[str, Any] = field(default_factory=dict)
    _finding: defaultdict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    @property
    def seconds(self) -> float:
        """Where the analysed part of the film ends."""
        return end_s(self.trajectory)

    def agreement(self, cut: Cut) -> float | None:
        """Boundary F1 of a cut with the reference, within a second; None without a reference."""
        if self.reference_s is None:
            return None
        edges = spans(self.trajectory, cut.segments)
        return boundary_f1([start_s for start_s, _ in edges[1:]], self.reference_s, TOLERANCE_S)

    def cut(self, settings: CutSettings, readout: str) -> Cut:
        """Cut the tree; nothing is encoded or decoded. ValueError for settings that no stream can satisfy."""
        tree = self.tree(settings.smoothing_s)
        segments = cut(self.trajectory, tree, settings)
        captions = [self.captions.get(caption_name(segment.embedding, readout)) for segment in segments]
        return Cut(segments, captions, tree.boundary_strength())

    def decode_missing(self, decode: Decode, settings: CutSettings, readout: str, at_most: int) -> Cut:
        """Read the first `at_most` captions that this cut still lacks."""
        found = self.cut(settings, readout)
        lacking = [s for s, caption in zip(found.segments, found.captions, strict=True) if caption is None][:at_most]
        if lacking:
            started = time.perf_counter()
            read = decode(np.stack([segment.embedding for segment in lacking]), readout)
            self.decode_s += time.perf_counter() - started
            names = [caption_name(segment.embedding, readout) for segment in lacking]
            self.captions |= dict(zip(names, read, strict=True))
            self.decoded += len(lacking)
        return self.cut(settings, readout)

    def once(self, name: str, find: Callable[[], Any]) -> Any:
        """What `find` returns, asked for the first time only: for what is slow and seldom wanted."""
        with self._finding[name]:  # each waits for itself alone
            if name not in self._known:
                self._known[name] = find()
            return self._known[name]

    def own_place(self, still_wanted: Callable[[], None] = lambda: None) -> Place:
        """Where the stream lies on a map fitted to it alone, laid over its place on the common one. Seconds, once."""
        def fit() -> Place:
            before = self.place
            return Place("own", *fit_apart(self.trajectory.embeddings, before.xy, before.xyz, still_wanted), None)

        return self.once("own map", fit)

    def tree(self, smoothing_s: float) -> WardTree:
        """The tree over the stream smoothed by that window, built once."""
        with self._lock:
            if smoothing_s not in self._trees:
                self._trees[smoothing_s] = build_tree(self.trajectory, smoothing_s)
            self._trees.move_to_end(smoothing_s)
            if len(self._trees) > TREES_KEPT:
                self._trees.popitem(last=False)
            return self._trees[smoothing_s]


def place_stream(embeddings: Float[np.ndarray, "time dim"], landmarks: Landmarks | None) -> Place:
    """On the checkpoint's landmarks; without any, along the principal components of the stream itself."""
    if landmarks is None:
        return Place("pca", pca_coordinates(embeddings, 2), pca_coordinates(embeddings, 3), None)
    sample = embeddings[:: max(1, len(embeddings) // SAMPLED)]
    return Place("landmarks", place(landmarks, embeddings), place_3d(landmarks, embeddings),
                 neighbourhood_agreement(landmarks, sample))


def caption_name(embedding: Float[np.ndarray, " dim"], readout: str) -> str:
    """A caption belongs to the very embedding it was read from, wherever the edges of its segment came from."""
    return f"{readout}-{sha256(embedding.astype(np.float32).tobytes()).hexdigest()[:16]}"
