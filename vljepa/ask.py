"""Questions about a watched film: the prediction conditioned on the question, against the answers' own embeddings.

That is VL-JEPA's way of discriminative question answering (Chen et al., arXiv:2512.10942, section 4.3). Without
candidates the built-in vocabulary is ranked, and the decoder writes what it reads from the same embedding.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from vljepa.calibration import asks_yes_or_no, kind_of
from vljepa.texts import distinct_texts, known_embeddings, quoted
from vljepa.vocabulary import built_in_answers
from vljepa.watched import Span, Watched

if TYPE_CHECKING:
    from vljepa.model import VLJEPA

SHOWN_OPEN = 8  # answers of the built-in vocabulary that a reply lists
UNCALIBRATED = ("This checkpoint has no calibration, so there are similarities but no probabilities; "
                "`python -m vljepa calibrate` makes one.")


@dataclass(frozen=True)
class Answer:
    """A possible answer: the cosine of its embedding to the prediction, and how probable it is among those listed.

    `probability` is None without a calibration.
    """

    text: str
    similarity: float
    probability: float | None


@dataclass(frozen=True)
class Strip:
    """Answers over time, a row for each of `times_s`: the cosines, and the probabilities they mean.

    Without a calibration `values` are the cosines too. `sure_at`, the probability from which on an answer is sure, is
    None then, and where the question cannot be read whole.
    """

    times_s: Float[np.ndarray, " steps"]
    answers: list[str]
    values: Float[np.ndarray, "steps answers"]
    similarities: Float[np.ndarray, "steps answers"]
    sure_at: float | None


@dataclass(frozen=True)
class Reply:
    """What a question got: `answers` from the likeliest down, and the sentence that was decoded without any.

    `source` says where the answers are from: "candidates" (yours) or "vocabulary" (the built-in words). `margin` is
    the first answer's lead in similarity. `sure` only if answers this probable were reliable on validation data, and
    the checkpoint can read the whole question; `blank` are the same answers for a plain grey picture: what the
    question's words alone suggest.
    """

    question: str
    source: str
    answers: list[Answer]
    margin: float
    sure: bool
    decoded: str
    decoded_similarity: float
    blank: list[Answer] | None = None
    over_time: Strip | None = None
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; absent parts are left out."""
        found = asdict(self) | {"over_time": self.over_time and {
            "times": [round(float(t), 3) for t in self.over_time.times_s], "answers": self.over_time.answers,
            "values": self.over_time.values.round(4).tolist()}}
        return {key: value for key, value in found.items() if value is not None}


def ask(
    film: Watched, question: str, answers: Sequence[str] | None = None, span: Span | None = None, *,
    blank: bool = False, over_time: bool = False,
) -> Reply:
    """Answer `question` about a film, or about `span` of it in seconds.

    `answers` None ranks the built-in vocabulary; given, there must be two different ones at least. ValueError for an
    empty or too long question, unusable answers, or a span outside the film.
    """
    question, model = checked_question(film.model, question), film.model
    texts, embeddings, notes = _candidates(model, question, answers)
    unread = _unread(model, question)
    predicted = film.predict(question, span)
    pooled = predicted.mean()
    ranked, sure = rank(model, question, texts, embeddings, pooled, answers is None)
    decoded = model.decode(pooled[None])[0]
    grey = rank(model, question, texts, embeddings, film.blank(question), answers is None)[0] if blank else None
    shown = len(texts) if answers is not None else SHOWN_OPEN
    return Reply(
        question, "vocabulary" if answers is None else "candidates", ranked[:shown],
        ranked[0].similarity - ranked[1].similarity, sure and not unread, decoded.text, decoded.similarity,
        None if grey is None else grey[:shown],
        answers_over_time(film, question, answers, span) if over_time else None,
        [*unread, *notes, *([UNCALIBRATED] if model.calibration is None else [])])


def answers_over_time(
    film: Watched, question: str, answers: Sequence[str] | None = None, span: Span | None = None
) -> Strip:
    """The candidates at each moment; of the built-in vocabulary those that lead at some moment, most often first.

    Probabilities are among all answers there are, so that those listed may add up to less. ValueError as in `ask`.
    """
    question, model = checked_question(film.model, question), film.model
    texts, embeddings, _ = _candidates(model, question, answers)
    predicted = film.predict(question, span)
    similarity = predicted.embeddings @ embeddings.T
    scale = None if model.calibration is None else model.calibration.scales[
        kind_of(question, texts, is_open=answers is None)]
    values = similarity if scale is None else scale.probabilities(similarity)
    listed = np.arange(len(texts))
    if len(texts) > SHOWN_OPEN and answers is None:
        leads = np.bincount(similarity.argmax(axis=1), minlength=len(texts))
        listed = np.lexsort((-values.max(axis=0), -leads))[:SHOWN_OPEN]
    return Strip(predicted.times_s, [texts[i] for i in listed], values[:, listed], similarity[:, listed],
                 None if scale is None or _unread(model, question) else scale.sure_at)


def rank(
    model: "VLJEPA", question: str, texts: Sequence[str], embeddings: Float[np.ndarray, "answers dim"],
    predicted: Float[np.ndarray, " dim"], is_open: bool = False,
) -> tuple[list[Answer], bool]:
    """The answers from the likeliest down, and whether the first is sure. This is also what `evaluate` measures."""
    similarity = embeddings @ predicted
    order = np.argsort(-similarity, kind="stable")
    if model.calibration is None:
        return [Answer(texts[i], float(similarity[i]), None) for i in order], False
    scale = model.calibration.scales[kind_of(question, texts, is_open)]
    probable = scale.probabilities(similarity)
    ranked = [Answer(texts[i], float(similarity[i]), float(probable[i])) for i in order]
    return ranked, bool(probable.max() >= scale.sure_at)


def checked_question(model: "VLJEPA", question: str) -> str:
    """The question with white space evened out; ValueError if there is nothing to ask or the model cannot be asked."""
    question = " ".join(question.split())
    if not question:
        raise ValueError("the question is empty: ask something, such as \"What is the person doing?\"")
    if not model.answers_queries:
        raise ValueError(f"the checkpoint {model.name} has no predictor that takes a question: choose another one")
    try:
        model.query_tokens([question])
    except ValueError as error:
        raise ValueError(f"the question {quoted(question)} is too long: {error}") from None
    return question


def _unread(model: "VLJEPA", question: str) -> list[str]:
    """A note if the question holds what the checkpoint cannot read."""
    if not model.query_tokenizer.unknown([question])[0]:
        return []
    return [f"The question {quoted(question)} holds characters that this checkpoint cannot read: the answer is to the "
            "rest of it, and never sure."]


def _candidates(
    model: "VLJEPA", question: str, answers: Sequence[str] | None
) -> tuple[list[str], Float[np.ndarray, "answers dim"], list[str]]:
    if answers is not None:
        checked = distinct_texts(model, answers, "answer")
        return checked.texts, known_embeddings(model, checked.texts), checked.notes
    if asks_yes_or_no(question):
        return ["yes", "no"], known_embeddings(model, ["yes", "no"]), []
    texts = built_in_answers(question)
    return texts, known_embeddings(model, texts), []
