"""The evaluation's numbers as pure functions on arrays and lists, each from the work it names.

Fractions are in [0, 1] (the evaluation command turns them into percent); NaN or infinite input is an error.
"""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from vljepa.cider import Cider


def recall_at_k(
    similarity: Float[np.ndarray, "queries items"], positives: Sequence[Sequence[int]], k: int
) -> float:
    """Fraction of queries that have at least one of their positives among the `k` most similar items.

    Image to text with five captions a photo: rows are images and `positives[i]` the numbers of its captions; text to
    image: rows are captions, each with one positive. Ties are counted against the query: a positive's rank is the
    number of wrong items at least as similar, so that constant similarities score 0 instead of 1.
    ValueError unless 1 <= k, every query has a positive that exists, and all similarities are finite.
    """
    queries, items = similarity.shape
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if queries == 0 or len(positives) != queries:
        raise ValueError(f"positives must be one list for each of {queries} queries (1 at least), got {len(positives)}")
    _require_finite(similarity, "similarity")
    hits = 0
    for row, of_query in zip(similarity, positives, strict=True):
        right = sorted(set(of_query))
        if not right or not 0 <= right[0] <= right[-1] < items:
            raise ValueError(f"each query needs positives among items 0 to {items - 1}, got {list(of_query)}")
        wrong_as_similar = (row >= row[right].max()).sum() - (row[right] >= row[right].max()).sum()
        hits += bool(wrong_as_similar < k)
    return float(hits / queries)


def alignment(a: Float[np.ndarray, "pairs dim"], b: Float[np.ndarray, "pairs dim"], alpha: float = 2.0) -> float:
    """Mean distance^alpha between the two of a pair, rows made unit length; 0 is best (arXiv:2005.10242, 4.1)."""
    if a.shape != b.shape:
        raise ValueError(f"both sides of the pairs must have one shape, got {a.shape} and {b.shape}")
    return float((np.linalg.norm(_unit(a) - _unit(b), axis=1) ** alpha).mean())


def uniformity(x: Float[np.ndarray, "points dim"], t: float = 2.0) -> float:
    """log mean exp(-t distance^2) over the pairs of different rows, made unit length; lower is more uniform.

    0 if all rows are equal (arXiv:2005.10242, section 4.1). ValueError on fewer than two rows.
    """
    if len(x) < 2:
        raise ValueError(f"uniformity needs two rows at least, got {len(x)}")
    unit = _unit(x)
    exponents = -2 * t * (1 - unit @ unit.T)[np.triu_indices(len(x), 1)]
    return float(exponents.max() + np.log(np.exp(exponents - exponents.max()).mean()))


def accuracy_over_candidates(
    predicted: Float[np.ndarray, "questions dim"],
    candidates: Float[np.ndarray, "answers dim"],
    right: Int[np.ndarray, " questions"],
) -> float:
    """Fraction of questions whose right answer is the nearest candidate by cosine; equally near is wrong."""
    if len(predicted) == 0 or len(right) != len(predicted):
        raise ValueError(f"each of {len(predicted)} questions (1 at least) needs one right answer, got {len(right)}")
    return recall_at_k(_unit(predicted) @ _unit(candidates).T, [[int(i)] for i in right], k=1)


def accuracy(found: Sequence[str], true: Sequence[str]) -> float:
    """Fraction of answers equal to the true ones. ValueError if there are none, or the lengths differ."""
    _require_pairs(found, true)
    return sum(a == b for a, b in zip(found, true, strict=True)) / len(true)


def balanced_accuracy(found: Sequence[str], true: Sequence[str]) -> float:
    """Mean over the true answers that occur of the accuracy on them: saying one thing always scores 1 / answers."""
    _require_pairs(found, true)
    on_answer = {answer: [a == answer for a, b in zip(found, true, strict=True) if b == answer] for answer in set(true)}
    return sum(sum(hits) / len(hits) for hits in on_answer.values()) / len(on_answer)


def majority_baseline(true: Sequence[str], topics: Sequence[str] | None = None) -> float:
    """Accuracy of the most frequent answer, or of the most frequent one of each topic (language alone).

    Answers are counted on the questions themselves, so that this is the best that a blind guesser can do.
    """
    topics = topics if topics is not None else [""] * len(true)
    _require_pairs(topics, true)
    counts: dict[str, dict[str, int]] = {}
    for topic, answer in zip(topics, true, strict=True):
        of_topic = counts.setdefault(topic, {})
        of_topic[answer] = of_topic.get(answer, 0) + 1
    return sum(max(of_topic.values()) for of_topic in counts.values()) / len(true)


def caption_tokens(text: str) -> str:
    """Lower-case words with single spaces, as `cider` counts them.

    Any run of white space separates, and so does a hyphen, dash or comma inside a word. Removed is what PTBTokenizer's
    list in pycocoevalcap removes (quotes, brackets, . ? ! , : - -- ... ;) wherever it stands; apostrophes stay
    inside words. The Java tokenizer splits clitics ("dog's" -> "dog 's") and keeps "t-shirt"; here they are one
    word ("dog's") and two ("t shirt"), on both sides alike.
    """
    lowered = text.lower().replace("’", "'")
    return " ".join(word.strip("'") for word in re.sub(r"[^\w' ]|_", " ", lowered).split() if word.strip("'"))


def cider(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Mean CIDEr-D of one candidate per item against its references; the arithmetic is pycocoevalcap's.

    Tokenisation is `caption_tokens`. Scale: pycocoevalcap's, so 0.40 is the "40" of papers' tables; range 0 to 10.
    Word rarity is counted over the references given, so scores of different sets are not comparable.
    ValueError without items, or if an item has no reference.
    """
    return float(np.mean(cider_each(candidates, references)))


def cider_each(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each candidate, as `cider` averages it."""
    if not candidates or len(candidates) != len(references) or not all(references):
        raise ValueError(
            f"each of the {len(candidates)} candidates (1 at least) needs references, got {len(references)} lists,"
            f" {sum(not r for r in references)} of them empty"
        )
    true = [[caption_tokens(text) for text in of_item] for of_item in references]
    rarity = Cider(true)
    return [rarity.score(caption_tokens(found), of_item) for found, of_item in zip(candidates, true, strict=True)]


def boundary_f1(found_s: Sequence[float], true_s: Sequence[float], tolerance_s: float) -> float:
    """F1 of boundaries in seconds: each found one may match one true one at most `tolerance_s` away, and conversely.

    The matching is the largest possible: with equal tolerance for all, taking both lists in order and pairing the
    earliest that fit is optimal. Two empty lists agree (1.0); one empty list scores 0.
    """
    if tolerance_s < 0:
        raise ValueError(f"tolerance_s must not be negative, got {tolerance_s}")
    _require_finite(np.array([*found_s, *true_s], dtype=float), "boundaries")
    found, true = sorted(found_s), sorted(true_s)
    if not found and not true:
        return 1.0
    i = j = matched = 0
    while i < len(found) and j < len(true):
        if abs(found[i] - true[j]) <= tolerance_s:
            i, j, matched = i + 1, j + 1, matched + 1
        elif found[i] < true[j]:
            i += 1
        else:
            j += 1
    return 2 * matched / (len(found) + len(true))


def _unit(x: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, "rows dim"]:
    _require_finite(x, "embeddings")
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    if len(x) == 0 or not norms.all():
        raise ValueError("embeddings must be one row at least, and no row all zeros")
    unit: Float[np.ndarray, "rows dim"] = x / norms
    return unit


def _require_finite(x: Float[np.ndarray, "..."], name: str) -> None:
    if not np.isfinite(x).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")


def _require_pairs(found: Sequence[str], true: Sequence[str]) -> None:
    if not true or len(found) != len(true):
        raise ValueError(f"need one entry for each of the {len(true)} answers (1 at least), got {len(found)}")
