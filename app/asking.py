"""What the Ask tab asks of a watched film, without the page: answers, labels and moments with the evidence for each.

Whatever part of the film is asked about, the evidence over time is the whole film's: it is computed once a question.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from visualizations.landmark_map import place_text, place_text_3d
from vljepa.ask import Reply, Strip, answers_over_time, ask
from vljepa.labels import PROMPTS, Labelling, classify
from vljepa.moments import MOST_MOMENTS, Found, find, similar
from vljepa.texts import known_embeddings
from vljepa.watched import Span, Watched

EVERY_MOMENT = 1_000_000  # all are ranked where some are left out afterwards
STARS = 12  # more texts would cover the map


@dataclass(frozen=True)
class Star:
    """A text on the map; `main` is the query itself, the others are its answers or labels."""

    text: str
    main: bool
    xy: Float[np.ndarray, " 2"]
    xyz: Float[np.ndarray, " 3"]


@dataclass(frozen=True)
class Asked:
    """A reply about a film or a span of it, and its answers over the whole film."""

    reply: Reply
    strip: Strip
    stars: list[Star]


@dataclass(frozen=True)
class Labelled:
    """The labels of a film or a span of it, and those of the whole film over time.

    From the probability `sure_at` on a label is reliable; None where labels stand for themselves or nothing is known.
    """

    part: Labelling
    whole: Labelling
    sure_at: float | None
    stars: list[Star]

    @property
    def sure(self) -> bool:
        """Whether the first label of the part is reliable."""
        probable = self.part.probabilities
        return probable is not None and self.sure_at is not None and max(probable) >= self.sure_at


@dataclass(frozen=True)
class Searched:
    """Moments of a film or a span of it, best first, and the similarity over the whole film; `text` is empty where
    the moments are like another one."""

    text: str
    found: Found
    stars: list[Star]


def question(film: Watched, text: str, answers: Sequence[str] | None, span: Span | None, blank: bool) -> Asked:
    """Answer a question; `blank` adds the answer that a grey picture gets. ValueError for what cannot be asked."""
    reply = ask(film, text, answers, span, blank=blank)
    listed = [answer.text for answer in reply.answers]
    return Asked(reply, answers_over_time(film, text, answers), stars(film.model, reply.question, listed))


def label(
    film: Watched, labels: Sequence[str], span: Span | None, several: bool, prompts: Sequence[str]
) -> Labelled:
    """Score labels. ValueError for labels or prompts that cannot be used."""
    whole = classify(film, labels, several=several, prompts=prompts or PROMPTS)
    part = whole if span is None else classify(film, labels, span, several=several, prompts=prompts or PROMPTS)
    calibration = film.model.calibration
    sure_at = None if several or calibration is None else calibration.scales["label"].sure_at
    return Labelled(part, whole, sure_at, stars(film.model, None, part.labels))


def search(film: Watched, text: str, span: Span | None) -> Searched:
    """Find a text. ValueError for one that cannot be looked for."""
    found = find(film.model, film.trajectory, text, EVERY_MOMENT)
    return Searched(text.strip(), _within(found, film, span), stars(film.model, text, []))


def more_like(film: Watched, span: Span) -> Searched:
    """The moments that are most like `span`."""
    return Searched("", similar(film.trajectory, span), [])


def stars(model: Any, query: str | None, texts: Sequence[str]) -> list[Star]:
    """Where a query and the first of its answers lie on the map; none where the checkpoint has no map."""
    landmarks, named = model.landmarks, [*([] if query is None else [query]), *texts[:STARS]]
    if landmarks is None or not named:
        return []
    embeddings = known_embeddings(model, named)
    places = zip(named, place_text(landmarks, embeddings), place_text_3d(landmarks, embeddings), strict=True)
    return [Star(text, query is not None and i == 0, xy, xyz) for i, (text, xy, xyz) in enumerate(places)]


def _within(found: Found, film: Watched, span: Span | None) -> Found:
    """The best moments, or the best of those whose best second lies in the span."""
    start_s, stop_s = span or (0.0, film.end_s)
    if not 0 <= start_s < stop_s <= film.end_s + film.step_s:
        raise ValueError(f"the time range must lie within the video's 0 to {film.end_s:.2f} s, its start before its "
                         f"end, got {start_s:g} to {stop_s:g}")
    inside = [moment for moment in found.moments if moment.start_s < stop_s and moment.end_s > start_s]
    return replace(found, moments=inside[:MOST_MOMENTS])
