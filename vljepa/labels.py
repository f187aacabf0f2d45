"""Classify a watched film by free labels: each label in several prompts, their embeddings averaged (as in CLIP,
arXiv:2103.00020, section 3.1.4), against the prediction for one fixed query. New labels need no look at the video.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from vljepa.ask import UNCALIBRATED
from vljepa.readout import normalise
from vljepa.texts import distinct_texts, known_embeddings
from vljepa.vocabulary import all_answers
from vljepa.watched import Span, Watched

if TYPE_CHECKING:
    from vljepa.model import VLJEPA

PROMPTS = ("{}", "a photo of {}", "people doing {}", "someone doing {}")
QUERY = "What is the action shown?"
SMOOTHED_S = 1.0  # a label must hold about this long to make a segment of its own


@dataclass(frozen=True)
class LabelSpan:
    """Seconds `[start_s, end_s)` in which `label` is the likeliest, and its mean value there."""

    start_s: float
    end_s: float
    label: str
    value: float


@dataclass(frozen=True)
class Labelling:
    """How labels fit a film or a span of it.

    `probabilities` add up to 1 over the labels, or with `several` stand for themselves; None without a calibration.
    `over_time` holds a row of the same (uncalibrated: of similarities) for each of `times_s`; `segments` follow it.
    `cosines` are the similarities at each of them.
    """

    labels: list[str]
    similarities: list[float]
    probabilities: list[float] | None
    several: bool
    times_s: Float[np.ndarray, " steps"]
    over_time: Float[np.ndarray, "steps labels"]
    cosines: Float[np.ndarray, "steps labels"]
    segments: list[LabelSpan]
    notes: list[str] = field(default_factory=list)

    def to_dict(self, over_time: bool = True) -> dict[str, Any]:
        """JSON-ready; times in seconds."""
        found: dict[str, Any] = {"labels": self.labels, "probabilities": _rounded(self.probabilities),
                                 "similarities": _rounded(self.similarities), "several": self.several}
        if over_time:
            found |= {"times": [round(float(t), 3) for t in self.times_s],
                      "over_time": self.over_time.round(4).tolist(),
                      "segments": [asdict(segment) for segment in self.segments]}
        return found | {"notes": self.notes}

    def to_csv(self) -> str:
        """A row for each moment, a column for each label, as RFC 4180 quotes it."""
        from vljepa.export import harmless

        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerow(["time_s", *map(harmless, self.labels)])
        rows.writerows([f"{t:.3f}", *(f"{v:.4f}" for v in row)]
                       for t, row in zip(self.times_s, self.over_time, strict=True))
        return text.getvalue()


def classify(
    film: Watched, labels: Sequence[str], span: Span | None = None, *, several: bool = False,
    prompts: Sequence[str] = PROMPTS,
) -> Labelling:
    """Score two or more different labels over a film, or over `span` of it in seconds.

    One of the labels holds (`several` False), or each holds or not by itself, measured against how the same moment
    takes to the built-in texts. ValueError for unusable labels, prompts without "{}", or a span outside the film.
    """
    model = film.model
    checked = distinct_texts(model, labels, "label", at_least=1 if several else 2)
    embeddings = label_embeddings(model, checked.texts, prompts)
    predicted = film.predict(QUERY if model.answers_queries else None, span)
    pooled = predicted.mean()[None]
    overall, each = (probabilities(model, x, embeddings, several) for x in (pooled, predicted.embeddings))
    cosines = predicted.embeddings @ embeddings.T
    values = cosines if each is None else each
    notes = checked.notes if overall is not None else [*checked.notes, UNCALIBRATED]
    end_s = film.end_s if span is None else min(span[1], film.end_s)
    return Labelling(checked.texts, (pooled @ embeddings.T)[0].tolist(), None if overall is None else
                     overall[0].tolist(), several, predicted.times_s, values, cosines,
                     label_spans(predicted.times_s, values, checked.texts, end_s, film.trajectory.lag_s), notes)


def label_embeddings(
    model: "VLJEPA", labels: Sequence[str], prompts: Sequence[str] = PROMPTS
) -> Float[np.ndarray, "labels dim"]:
    """Unit embeddings of labels: for each the mean over its prompts. ValueError for a prompt without "{}"."""
    if not prompts or any("{}" not in prompt for prompt in prompts):
        raise ValueError('a prompt needs {} where the label goes, as in "a photo of {}"')
    # replaced, not formatted: a label may hold braces of its own
    texts = known_embeddings(model, [prompt.replace("{}", label) for label in labels for prompt in prompts])
    return normalise(texts.reshape(len(labels), len(prompts), -1).mean(axis=1))


def probabilities(
    model: "VLJEPA", predicted: Float[np.ndarray, "steps dim"], embeddings: Float[np.ndarray, "labels dim"],
    several: bool,
) -> Float[np.ndarray, "steps labels"] | None:
    """Calibrated probabilities of labels at each step; None if the checkpoint has no calibration."""
    if model.calibration is None:
        return None
    if several:
        return model.calibration.presence.probabilities(standing_out(model, predicted, embeddings))
    return model.calibration.scales["label"].probabilities(predicted @ embeddings.T)


def standing_out(
    model: "VLJEPA", predicted: Float[np.ndarray, "steps dim"], embeddings: Float[np.ndarray, "labels dim"]
) -> Float[np.ndarray, "steps labels"]:
    """Each label's similarity, in standard deviations above the mean similarity of the built-in texts at that step."""
    background = predicted @ known_embeddings(model, all_answers()).T
    return (predicted @ embeddings.T - background.mean(axis=1, keepdims=True)) / background.std(axis=1, keepdims=True)


def label_spans(
    times_s: Float[np.ndarray, " steps"], values: Float[np.ndarray, "steps labels"], labels: Sequence[str],
    end_s: float, lag_s: float = 0.0,
) -> list[LabelSpan]:
    """Where which label is the likeliest: from the first moment to `end_s` without a gap, flickers smoothed away.

    A change is placed `lag_s` seconds before the first moment that shows it: moments see the past alone.
    """
    from vljepa.segmentation import smooth

    step_s = float(np.diff(times_s).mean()) if len(times_s) > 1 else max(end_s - float(times_s[0]), 1e-3)
    best = smooth(values, SMOOTHED_S, 1 / step_s).argmax(axis=1)
    runs = [(int(label), [i for i, _ in steps]) for label, steps in groupby(enumerate(best), key=lambda x: x[1])]
    first_s = float(times_s[0])
    starts = [first_s, *(max(float(times_s[steps[0]]) - lag_s, first_s) for _, steps in runs[1:])]
    stops = [*starts[1:], max(end_s, starts[-1])]
    return [LabelSpan(start_s, stop_s, labels[label], float(values[steps, label].mean()))
            for (label, steps), start_s, stop_s in zip(runs, starts, stops, strict=True)]


def _rounded(values: Sequence[float] | None) -> list[float] | None:
    return None if values is None else [round(float(value), 4) for value in values]
