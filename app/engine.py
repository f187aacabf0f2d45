"""What the page asks for, without the page: open a film, cut it, caption it, export it. Testable without a browser."""

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from app.compare import OtherCut, other_cuts
from app.decode_sweep import cider_sweep, coverage_sweep
from app.film import Cut, Film, place_stream
from app.jobs import Job, Jobs
from app.kept_session import KeptSession, write_film
from app.live_engine import LiveEngine
from app.playable import make_playable, still
from app.store import Store, content_hash, short_hash
from sample_media import SampleFilm
from visualizations.landmark_map import place, place_3d
from vljepa.analysis import Analysis, CaptionedSegment, CutSettings, spans
from vljepa.annotations import read_annotations
from vljepa.baselines import read_reference
from vljepa.errors import VideoError, VLJEPAError
from vljepa.export import write_exports
from vljepa.kept import FilmCache, TokenFile
from vljepa.readout import Caption
from vljepa.stream import Trajectory
from vljepa.video import open_video
from vljepa.watched import Watched, load_watched, watch

FILMS_KEPT = 6  # open films held in memory; the others come back from disk
CAPTIONS_AT_ONCE = 6  # decoded per request, so that the page fills in as they come
POINTS_AT_ONCE = 8  # steps placed on the map together while a film is being read


@dataclass(frozen=True)
class Source:
    """A film to open: where it is and what people call it."""

    path: Path
    title: str


class Engine:
    """A model, a store of results and the open films.

    One model serves all viewers: one film is read at a time, and captions are decoded beside it.
    """

    def __init__(self, model: Any, fingerprint: str, store: Store, samples: Sequence[SampleFilm] = (),
                 metrics: Mapping[str, Any] | None = None) -> None:
        self.metrics = metrics or {}
        self.model, self.fingerprint, self.store, self.samples = model, fingerprint, store, list(samples)
        self.alone = True  # nobody but who sits at this machine can reach the page
        self.closed_to_switch = ""  # why pages may not change the checkpoint; empty: they may
        self.switching = threading.Lock()
        self.jobs = Jobs()
        self.cache = FilmCache(store.root.parent / "watched")  # the command line's too
        self._films: OrderedDict[str, Film] = OrderedDict()
        self._left: dict[str, Source] = {}  # films that were open with the checkpoint before
        self._films_lock, self._reading, self._decoding = threading.Lock(), threading.Lock(), threading.Lock()

    def use(self, model: Any, fingerprint: str, metrics: Mapping[str, Any]) -> None:
        """Another checkpoint from now on: what runs is stopped, open films come back by being opened again."""
        self.jobs.cancel_all()
        with self._reading, self._decoding, self._films_lock:
            self.model, self.fingerprint, self.metrics = model, fingerprint, metrics
            self._left = {key: Source(film.media, film.title) for key, film in self._films.items() if film.media}
            self._films.clear()
        self.live.use(model)
        self.warm_up()

    @cached_property
    def live(self) -> LiveEngine:
        """What serves the Live tab; made when it is first asked for."""
        return LiveEngine(self.model)

    def sample(self, name: str) -> Source:
        """The sample film of that name; ValueError if there is none."""
        for film in self.samples:
            if film.name == name:
                return Source(film.path, film.title)
        raise ValueError(f"there is no sample film called {name!r}; choose one of the pictures")

    def warm_up(self) -> None:
        """Do the slow first time of everything now, not at the first click."""
        self.posters()
        self.model.decode(self.model.embed_text(["a person"]), self.model.readouts[0])
        self.live.warm_up()

    def posters(self) -> dict[str, Path | None]:
        """A still for each sample film, by name."""
        return {film.name: still(film.path, self.store.root / "posters" / f"{film.name}.jpg") for film in self.samples}

    def open(self, source: Source, query: str | None, rate_hz: float) -> Job:
        """Analyse a film in the background, or take it from the store; the job's result is the `Film`."""
        query = query.strip() or None if query else None
        return self.jobs.start(lambda job: self._analyse(job, source, query, rate_hz))

    def keep(self, kept: KeptSession) -> Job:
        """Make a film of a live session in the background; the job's result is the `Film`, its live cuts beside it."""
        return self.jobs.start(lambda job: self._film_of(job, kept))

    def film(self, key: str) -> Film:
        """An open film; ValueError if it is not open any more."""
        with self._films_lock:
            if key not in self._films:
                raise ValueError("this film is no longer open here; open it again, its results are kept")
            self._films.move_to_end(key)
            return self._films[key]

    def source(self, key: str) -> Source:
        """Where a film that is open, or was when the checkpoint was changed, can be read again; ValueError if nowhere.
        """
        if key in self._left:
            return self._left[key]
        film = self.film(key)
        if film.media is None:
            raise ValueError("the file of this film is gone; open it again from where it is")
        return Source(film.media, film.title)

    def watched(self, key: str, job: Job) -> Watched:
        """What questions about an open film are asked of; a film whose visual tokens were not kept is watched for them.

        VideoError if that film is not there any more.
        """
        film = self.film(key)
        source, rate_hz = film.source or film.media, film.trajectory.rate_hz
        if film.watched is not None:
            return film.watched
        if source is None or not source.is_file():
            raise VideoError(f"{film.title} is not where it was opened from any more: open it again, then ask")
        film.watched = load_watched(self.model, self.cache.folder(source, self.model.fingerprint, rate_hz))
        if film.watched is None:
            job.report("Waiting for another film to finish", 0.0)
            with _PatientLock(self._reading, job):
                film.watched = watch(self.model, source, rate_hz, self.cache,
                                     lambda done, seconds: job.report("Watching", done / (seconds or done or 1.0)))
        return film.watched

    def cut(self, key: str, settings: CutSettings, readout: str) -> Cut:
        """Cut an open film; no model is involved."""
        return self.film(key).cut(settings, self.check_readout(readout))

    def caption(self, key: str, settings: CutSettings, readout: str, at_most: int = CAPTIONS_AT_ONCE) -> Cut:
        """Read up to `at_most` captions that the cut lacks, keep them, and return the cut."""
        film = self.film(key)
        with self._decoding:
            found = film.decode_missing(self.model.decode, settings, self.check_readout(readout), at_most)
        if found.missing == 0:
            self.store.save_captions(film.content, film.key, film.captions)
        return found

    def decode(self, embeddings: Float[np.ndarray, "n dim"]) -> list[Caption]:
        """Read a sentence for each embedding, while nobody else reads."""
        with self._decoding:
            found: list[Caption] = self.model.decode(embeddings, self.model.readouts[0])
            return found

    def analysis(self, key: str, settings: CutSettings, readout: str) -> Analysis:
        """The analysis as the library knows it, every caption read."""
        found = self.caption(key, settings, readout, at_most=10**9)
        film = self.film(key)
        captioned = [CaptionedSegment(start_s, end_s, caption.text, caption.readout, caption.similarity)
                     for (start_s, end_s), caption
                     in zip(spans(film.trajectory, found.segments), found.captions, strict=True) if caption is not None]
        # the results are about the user's film, not about the copy that the server was given
        named = replace(film.trajectory, video=replace(film.trajectory.video, path=film.title))
        timing_s = {**film.trajectory.timing_s, "decode": film.decode_s}
        return Analysis(named, settings, captioned, found.strength, {**timing_s, "total": sum(timing_s.values())})

    def export(self, key: str, settings: CutSettings, readout: str) -> dict[str, Path]:
        """Write every export file and return where each is; ExportError if the disk does not take them."""
        folder = self.store.folder(self.film(key).content) / "exports" / short_hash(key, repr(settings), readout)
        return write_exports(self.analysis(key, settings, readout), folder)

    def fit_map(self, key: str) -> Job:
        """Fit a map to one open film in the background; then its `own_place` is known, and the film is the result."""
        film = self.film(key)

        def fit(job: Job) -> Film:
            film.own_place(lambda: job.report("Fitting a map to this film", 0.0))
            return film

        return self.jobs.start(fit)

    def compare(self, key: str, settings: CutSettings, readout: str, reference_s: list[float] | None) -> list[OtherCut]:
        """An open film cut in other ways into as many segments, with F1 if there is a reference."""
        return other_cuts(self.film(key), settings, self.check_readout(readout), reference_s)

    def sweep(self, key: str, readout: str, annotations: tuple[str, str] | None) -> Job:
        """Decode an open film at many rates in the background; `annotations` are a file's name and text.

        The job's result is for the page: points, and whether their score is CIDEr or coverage. ValueError for a file
        that cannot be read.
        """
        film, model = self.film(key), self.model
        if annotations is None:
            return self.jobs.start(lambda job: coverage_sweep(film, job))
        name, text = annotations
        told, readout = read_annotations(name, text, film.seconds), self.check_readout(readout)
        sentences = [] if model.bank is None else model.bank.texts

        def work(job: Job) -> dict[str, Any]:
            try:
                return cider_sweep(film, told, name, model.decode, readout, sentences, self._decoding, job)
            finally:
                self.store.save_captions(film.content, film.key, film.captions)

        return self.jobs.start(work)

    def sample_reference(self, name: str) -> list[float]:
        """Where a sample film's scenes begin, in seconds, the first left out; ValueError if there is no such film."""
        for film in self.samples:
            if film.name == name:
                return read_reference(film.truth.name, film.truth.read_text(encoding="utf-8"))
        raise ValueError(f"there is no sample film called {name!r}; choose one of the pictures")

    def check_readout(self, readout: str) -> str:
        """`readout` if the checkpoint has it; ValueError names those it has."""
        if readout not in self.model.readouts:
            raise ValueError(f"this checkpoint reads out by {' or '.join(self.model.readouts)}, not by {readout!r}")
        return readout

    def _analyse(self, job: Job, source: Source, query: str | None, rate_hz: float) -> Film:
        try:
            job.report("Opening the film", 0.0)
            with open_video(source.path) as video:  # what is not a video is told before anything is written
                seconds = video.info.seconds or float("inf")
            content = content_hash(source.path)
            key = short_hash(content, self.fingerprint, query, rate_hz)
            media = make_playable(source.path, self.store.folder(content),
                                  lambda done: job.report("Preparing the player", done / seconds))
            job.preview = {"media": media, "seconds": video.info.seconds}
            trajectory = self.store.load_trajectory(content, key)
            if trajectory is None:
                trajectory = self._read(job, source, query, rate_hz)
                self.store.save_trajectory(content, key, trajectory)
                self.store.prune()
        except VLJEPAError as error:
            told = str(error).replace(str(source.path), source.path.name).replace(source.path.name, source.title)
            raise VLJEPAError(told) from error
        job.report("Drawing the map", 1.0)
        place_ = place_stream(trajectory.embeddings, self.model.landmarks)
        film = Film(key, content, source.title, trajectory, place_, media, source=source.path,
                    captions=self.store.load_captions(content, key))
        self._keep(film)
        return film

    def _film_of(self, job: Job, kept: KeptSession) -> Film:
        aside = self.store.root / "sessions" / f"{job.token}.mp4"
        aside.parent.mkdir(exist_ok=True)
        try:
            write_film(kept, aside, lambda done: job.report("Making a film of the session", done))
            content = content_hash(aside)
            media = self.store.folder(content) / "film.mp4"
            aside.replace(media)
        finally:
            aside.unlink(missing_ok=True)
        job.report("Drawing the map", 1.0)
        trajectory = kept.stream()
        key = short_hash(content, self.fingerprint, "live")
        self.store.save_trajectory(content, key, trajectory)
        self.store.prune()
        film = Film(key, content, kept.title, trajectory, place_stream(trajectory.embeddings, self.model.landmarks),
                    media, kept.boundaries_s())
        self._keep(film)
        return film

    def _read(self, job: Job, source: Source, query: str | None, rate_hz: float) -> Trajectory:
        """Run the stream to its end; a film's visual tokens are kept, so that questions need not watch it again."""
        job.report("Waiting for another film to finish", 0.0)
        with _PatientLock(self._reading, job), ExitStack() as stack:
            stream = self.model.embed(source.path, query=query, rate_hz=rate_hz)
            tokens = None
            if query is None:
                folder = self.cache.folder(source.path, self.model.fingerprint, rate_hz)
                tokens = stack.enter_context(TokenFile(folder, 1 / rate_hz))
                stream.keep = tokens.add
            times_s, embeddings = self._steps(job, stream)
            trajectory = Trajectory(times_s, embeddings, stream.video, rate_hz, query, self.model.name,
                                    dict(stream.timing_s), stream.warning, stream.lag_s)
            if tokens is not None:
                tokens.finish(trajectory)
                self.cache.prune()
            return trajectory

    def _steps(self, job: Job, stream: Any) -> tuple[np.ndarray, np.ndarray]:
        """Seconds and embeddings of a stream; each step goes to the map as soon as it is there."""
        seconds = stream.video.seconds or float("inf")
        times_s, embeddings = [], []
        with closing(iter(stream)) as steps:  # so that a cancelled film is released at once
            for step in steps:
                times_s.append(step.time_s)
                embeddings.append(step.embedding)
                if len(embeddings) % POINTS_AT_ONCE == 0:
                    self._show(job, times_s[-POINTS_AT_ONCE:], np.array(embeddings[-POINTS_AT_ONCE - 1 :]))
                job.report("Watching", step.time_s / seconds)
        return np.array(times_s), np.array(embeddings)

    def _show(self, job: Job, times_s: list[float], embeddings: np.ndarray) -> None:
        """Hand steps to the page: `embeddings` may begin with the one before them, which tells how new the first is."""
        count, landmarks = len(times_s), self.model.landmarks
        novelty = np.zeros(count)
        changes = np.linalg.norm(np.diff(embeddings, axis=0), axis=1)
        novelty[count - len(changes) :] = changes
        places = np.zeros((count, 5))
        if landmarks is not None:
            places = np.hstack([place(landmarks, embeddings[-count:]), place_3d(landmarks, embeddings[-count:])])
        job.points.append(np.column_stack([times_s, novelty, places]).astype(np.float32))

    def _keep(self, film: Film) -> None:
        with self._films_lock:
            self._films[film.key] = film
            self._films.move_to_end(film.key)
            while len(self._films) > FILMS_KEPT:
                self._films.popitem(last=False)


class _PatientLock:
    """Waits for a lock, but not for a job that was cancelled meanwhile."""

    def __init__(self, lock: threading.Lock, job: Job) -> None:
        self._lock, self._job = lock, job

    def __enter__(self) -> None:
        while not self._lock.acquire(timeout=0.2):
            self._job.report("Waiting for another film to finish", 0.0)

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def safe_name(title: str) -> str:
    """A file name from a title: letters, digits and dashes only."""
    return re.sub(r"[^\w-]+", "-", Path(title).stem, flags=re.ASCII).strip("-")[:60] or "film"
