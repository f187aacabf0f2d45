"""The walkthrough of the Learn tab: sample films as VL-JEPA watches them; the student's own boundaries and words."""

import json
import math
import threading
from typing import Any

import numpy as np

from app.engine import Engine
from app.film import TOLERANCE_S, Film, place_stream
from app.jobs import Job
from app.views import file_url, landmarks_view, packed
from sample_media import SampleFilm
from visualizations.landmark_map import pca_coordinates, place_text
from vljepa.analysis import CutSettings, spans
from vljepa.metrics import boundary_f1
from vljepa.segmentation import segments_between

FIRST = "short"  # the lesson begins with this film: the small model names what is to be seen in each of its scenes
MOST_BOUNDARIES = 40
LONGEST = 300  # characters of a sentence
DIRECTIONS = 16  # of the embedding, that are drawn as stripes
CUT = CutSettings()


class Walk:
    """One sample film, watched once and kept; asked again and again by a page until it is there."""

    def __init__(self, engine: Engine, sample: SampleFilm) -> None:
        self.engine, self.sample = engine, sample
        self._job: Job | None = None
        self._by = ""  # the checkpoint that watches it
        self._told: dict[str, Any] | None = None
        self._lock = threading.Lock()

    def view(self) -> dict[str, Any]:
        """How far the watching is, or all that the page shows. ValueError if it failed."""
        with self._lock:
            if self._job is None or self._job.error or self._job.cancelled or self._by != self.engine.fingerprint:
                source = self.engine.sample(self.sample.name)
                self._by, self._told = self.engine.fingerprint, None
                self._job = self.engine.open(source, None, self.engine.model.config.rate_hz)
            job = self._job
            job.seen()
            if not job.finished.is_set():
                return {"stage": job.stage, "fraction": job.fraction}
            if job.error:
                raise ValueError(job.error)
            if self._told is None:
                self._told = self._shown(self.film())
            return self._told

    def own(self, boundaries_s: Any) -> dict[str, Any]:
        """The film cut at the student's boundaries: F1 with the truth, a caption for each part, and the model's F1.

        ValueError for boundaries that are no numbers inside the film, or too many.
        """
        film = self.film()
        placed = checked(boundaries_s, film.seconds)
        segments = segments_between(film.trajectory.embeddings, _edges(film, placed))
        captions = self.engine.decode(np.stack([segment.embedding for segment in segments]))
        truth = [scene["start_s"] for scene in self.truth()[1:]]
        models = [start_s for start_s, _ in spans(film.trajectory, film.cut(CUT, self.readout).segments)[1:]]
        return {"segments": [{"start_s": start_s, "end_s": end_s, "caption": caption.text}
                             for (start_s, end_s), caption in zip(spans(film.trajectory, segments), captions,
                                                                  strict=True)],
                "f1": boundary_f1(placed, truth, TOLERANCE_S), "model_f1": boundary_f1(models, truth, TOLERANCE_S),
                "tolerance_s": TOLERANCE_S, "decodes": len(segments)}

    def say(self, index: Any, text: Any) -> dict[str, Any]:
        """How near the student's sentence is to what the model saw in segment `index`, and where on the map it lies.

        ValueError for a segment that is not there, or a sentence that is empty or too long.
        """
        film = self.film()
        segments = film.cut(CUT, self.readout).segments
        if not isinstance(index, int) or not 0 <= index < len(segments):
            raise ValueError(f"choose one of the {len(segments)} parts of the film first")
        if not isinstance(text, str) or not text.strip():
            raise ValueError("write a sentence first")
        if len(text) > LONGEST:
            raise ValueError(f"this sentence is longer than {LONGEST} characters: shorten it")
        embedded = self.engine.model.embed_text([text.strip()])
        seen = self.engine.model.as_text(segments[index].embedding[None])
        landmarks = self.engine.model.landmarks
        return {"cosine": round(float((embedded * seen).sum()), 4),
                "xy": None if landmarks is None else place_text(landmarks, embedded)[0].round(4).tolist()}

    def film(self) -> Film:
        """The film. ValueError while it is not there."""
        job = self._job
        if job is None or not isinstance(job.result, Film):
            raise ValueError("the film is not watched yet: wait a moment")
        return job.result

    def truth(self) -> list[dict[str, Any]]:
        """The scenes as they were made: seconds and a sentence each."""
        scenes = json.loads(self.sample.truth.read_text(encoding="utf-8"))["scenes"]
        return [{"start_s": scene["start_s"], "caption": scene["caption"]} for scene in scenes]

    @property
    def readout(self) -> str:
        """How captions are read."""
        return str(self.engine.model.readouts[0])

    def _shown(self, film: Film) -> dict[str, Any]:
        model, trajectory = self.engine.model, film.trajectory
        found = self.engine.caption(film.key, CUT, self.readout, at_most=10**6)
        means = np.stack([segment.embedding for segment in found.segments])
        seen = pca_coordinates(trajectory.embeddings, min(DIRECTIONS, trajectory.embeddings.shape[1]))
        segments = [{"start_s": start_s, "end_s": end_s, "caption": caption.text,
                     "similarity": round(caption.similarity, 4), "xy": xy}
                    for (start_s, end_s), caption, xy in
                    zip(spans(trajectory, found.segments), filter(None, found.captions),
                        place_stream(means, model.landmarks).xy.round(4).tolist(), strict=True)]
        return {"done": True, "name": self.sample.name, "title": film.title, "media": file_url(film.media),
                "seconds": film.seconds, "rate_hz": trajectory.rate_hz, "lag_s": trajectory.lag_s,
                "steps": len(trajectory.times_s),
                "window": model.config.predictor.window_frames, "tokens": model.x_encoder.tokens_per_step,
                "token_size": model.x_encoder.dim, "embedding_size": trajectory.embeddings.shape[1],
                "stripes": packed(seen / (np.abs(seen).max() or 1.0)), "directions": seen.shape[1],
                "xy": packed(film.place.xy), "landmarks": landmarks_view(model.landmarks),
                "strength": packed(found.strength), "segments": segments, "truth": self.truth(),
                "uniform": math.ceil(film.seconds)}


def walks(engine: Engine) -> dict[str, Walk]:
    """A walk for each sample film by its name, the one to begin with first."""
    films = sorted(engine.samples, key=lambda film: film.name != FIRST)
    return {film.name: Walk(engine, film) for film in films}


def chosen(films: dict[str, Walk], name: Any) -> Walk:
    """The walk of that name, or the first of all for None. ValueError if there is none."""
    if not films:
        raise ValueError("there is no sample film to watch: start the app with its sample films")
    if name is None:
        return next(iter(films.values()))
    if not isinstance(name, str) or name not in films:
        raise ValueError(f"there is no sample film called {name!r}; choose one of {', '.join(films)}")
    return films[name]


def checked(boundaries_s: Any, seconds: float) -> list[float]:
    """Boundaries in order. ValueError unless each is a number inside the film and there are not too many."""
    if not isinstance(boundaries_s, list) or len(boundaries_s) > MOST_BOUNDARIES:
        raise ValueError(f"place at most {MOST_BOUNDARIES} boundaries")
    if not all(isinstance(second, int | float) and 0 < second < seconds for second in boundaries_s):
        raise ValueError(f"a boundary must lie inside the film, between 0 and {seconds:.1f} seconds")
    return sorted(float(second) for second in boundaries_s)


def _edges(film: Film, boundaries_s: list[float]) -> list[int]:
    """The steps before which the stream is cut; boundaries that fall together make one."""
    rate_hz, steps = film.trajectory.rate_hz, len(film.trajectory.embeddings)
    inner = {round((second + film.trajectory.lag_s) * rate_hz) for second in boundaries_s}
    return [0, *sorted(step for step in inner if 0 < step < steps), steps]

