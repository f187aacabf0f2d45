"""From similarities to probabilities: a temperature for each kind of question, fitted on validation data.

Temperature scaling (Guo et al., arXiv:1706.04599): one number a kind, so the order of answers never changes. It is
stored in the checkpoint as `calibration.json`; a checkpoint without it shows similarities and is never sure.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from vljepa.config import _Config
from vljepa.questions import COLOURS, COUNTS

FILE = "calibration.json"
# the kinds: questions with candidates by what they ask for, without any ("open"), and labels, one or several
KINDS = ("yes or no", "colour", "count", "other", "open", "label")
RELIABLE = 0.75  # an answer is sure if answers as probable were right at least this often on validation data
THIN = 0.6  # no answer is sure below this probability
_NUMBERS = {*COUNTS, "no", "none", "zero", "five", "six", "seven", "eight", "nine", "ten", "many"}
_YES_NO = re.compile(r"(is|are|was|were|do|does|did|can|could|has|have|will|am)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Scale(_Config):
    """For one kind: softmax(similarity / `temperature`) is the probability; sure from `sure_at` on.

    `questions` were fitted on; there, `ece` was left of the expected calibration error, a fraction.
    """

    temperature: float
    sure_at: float
    questions: int
    ece: float

    def __post_init__(self) -> None:
        if not (0 < self.temperature < 100 and self.sure_at >= 0):
            raise ValueError(f"a temperature and a threshold must be above 0, got {self.temperature}, {self.sure_at}")

    def probabilities(self, similarity: Float[np.ndarray, "*rows answers"]) -> Float[np.ndarray, "*rows answers"]:
        """One of the answers is right: softmax over the last axis."""
        return softmax(similarity / self.temperature)


@dataclass(frozen=True)
class Presence(_Config):
    """For labels of which several may hold: how far a label stands out from other texts, as a probability.

    sigmoid(`slope` x z + `offset`), with z the label's similarity in standard deviations above the mean similarity
    of the background texts to the same moment.
    """

    slope: float
    offset: float
    questions: int
    ece: float

    def probabilities(self, z: Float[np.ndarray, "*rows labels"]) -> Float[np.ndarray, "*rows labels"]:
        """Each label for itself."""
        return 1 / (1 + np.exp(-(self.slope * z + self.offset)))


@dataclass(frozen=True)
class Calibration(_Config):
    """All scales of one checkpoint, whose `fingerprint` it is for, and the data they were fitted on."""

    fingerprint: str
    fitted_on: str
    scales: dict[str, Scale]
    presence: Presence

    def __post_init__(self) -> None:
        if missing := sorted(set(KINDS) ^ set(self.scales)):
            raise ValueError(f"the scales must be {', '.join(KINDS)}; one side lacks {', '.join(missing)}")

    def save(self, folder: Path) -> None:
        """Write `calibration.json`."""
        (folder / FILE).write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Calibration":
        """Read what `save` wrote; ValueError, KeyError or TypeError if it is not that."""
        values: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
        values["scales"] = {kind: Scale.from_dict(scale) for kind, scale in values["scales"].items()}
        values["presence"] = Presence.from_dict(values["presence"])
        return cls.from_dict(values)


def kind_of(question: str, answers: Sequence[str], is_open: bool = False) -> str:
    """Which scale a question needs, by its words and its answers; one of `KINDS` but "label".

    `is_open`: the answers are the built-in ones. Those to a yes-or-no, colour or count question are few and known.
    """
    words = {answer.strip(" .!").casefold() for answer in answers}
    if words <= {"yes", "no"}:
        return "yes or no"
    if words <= set(COLOURS) | {"gray"} or re.search(r"\bcolou?rs?\b", question, re.IGNORECASE):
        return "colour"
    if re.match(r"\s*how many\b", question, re.IGNORECASE) or all(w in _NUMBERS or w.isdigit() for w in words):
        return "count"
    return "open" if is_open else "other"


def asks_yes_or_no(question: str) -> bool:
    """Whether a question can be answered by yes or no: it begins with a verb."""
    return bool(_YES_NO.match(question.strip())) and " or " not in question


def softmax(logits: Float[np.ndarray, "*rows answers"]) -> Float[np.ndarray, "*rows answers"]:
    """Over the last axis; adds up to 1."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def fit_scale(
    similarity: Sequence[Float[np.ndarray, " _"]], right: Int[np.ndarray, " questions"]
) -> Scale:
    """The scale under which the right answers are likeliest; questions may have different numbers of candidates."""
    from scipy.optimize import minimize_scalar

    def cost(log_temperature: float) -> float:
        return -float(np.mean([np.log(softmax(s / np.exp(log_temperature))[r] + 1e-12)
                               for s, r in zip(similarity, right, strict=True)]))

    temperature = float(np.exp(minimize_scalar(cost, bounds=(-6.0, 2.0), method="bounded").x))
    probable = [softmax(s / temperature) for s in similarity]
    confidence = np.array([p.max() for p in probable])
    correct = np.array([p.argmax() == r for p, r in zip(probable, right, strict=True)])
    return Scale(temperature, reliable_from(confidence, correct), len(right), calibration_error(confidence, correct))


def fit_presence(z: Float[np.ndarray, " labels"], present: Int[np.ndarray, " labels"]) -> Presence:
    """The logistic curve through labels that are there (1) or not (0)."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=1e6).fit(z[:, None], present)
    found = Presence(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]), len(z), 0.0)
    probability = found.probabilities(z)
    confidence, correct = np.maximum(probability, 1 - probability), (probability > 0.5) == (present == 1)
    return Presence(found.slope, found.offset, len(z), calibration_error(confidence, correct))


def calibration_error(confidence: Float[np.ndarray, " answers"], correct: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: the mean gap of confidence and accuracy over bins of equal width, by their size.

    From Naeini et al. (2015), with 10 bins: a fraction, 0 is best. ValueError without answers.
    """
    if len(confidence) == 0 or len(confidence) != len(correct):
        raise ValueError(f"each of {len(confidence)} confidences (1 at least) needs a result, got {len(correct)}")
    bin_of = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(int)
    gaps = np.bincount(bin_of, confidence - correct, bins)
    return float(np.abs(gaps).sum() / len(confidence))


def reliable_from(confidence: Float[np.ndarray, " answers"], correct: np.ndarray) -> float:
    """The lowest confidence from which on answers were reliable, on 20 of them at least; above 1 if there is none.

    Never below `THIN`: where nearly all answers are right, those between two minds are no surer for it.
    """
    order = np.argsort(-confidence, kind="stable")
    share = np.cumsum(correct[order]) / np.arange(1, len(order) + 1)
    reliable = np.flatnonzero((share >= RELIABLE) & (np.arange(len(order)) >= 19))
    return max(float(confidence[order[reliable[-1]]]), THIN) if len(reliable) else 1.01
