"""CIDEr-D: how much a sentence says what people said, rare words counting more (Vedantam et al., arXiv:1411.5726).

The arithmetic is pycocoevalcap's, which the tests compare with; that package is 100 MB of other metrics, and counts
word rarity over the very items that are scored, which is no use for one short film.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from math import exp, log, sqrt

Gram = tuple[str, ...]
LONGEST, SIGMA = 4, 6.0  # words in an n-gram; of the Gaussian that punishes a difference in length


class Cider:
    """Scores sentences; how rare an n-gram is, is counted over `documents`, each the sentences about one thing.

    Sentences are words with single spaces. ValueError without documents.
    """

    def __init__(self, documents: Iterable[Sequence[str]]) -> None:
        counted = [{gram for sentence in document for gram in _grams(sentence)} for document in documents]
        if not counted:
            raise ValueError("CIDEr counts how rare words are: give it one document at least")
        self._holding = Counter(gram for grams in counted for gram in grams)
        self._log_documents = log(len(counted))
        self._known = cache(self._vector)  # references come again and again

    def score(self, candidate: str, references: Sequence[str]) -> float:
        """0 to 10: the mean over `references` and over n-gram lengths of clipped tf-idf cosines. ValueError without."""
        if not references:
            raise ValueError("a sentence is scored against references: give one at least")
        said = self._known(candidate)
        return 10 * sum(self._similarity(said, self._known(true)) for true in references) / len(references)

    def _vector(self, sentence: str) -> "_Vector":
        weighted = {gram: count * (self._log_documents - log(max(1, self._holding[gram])))
                    for gram, count in _grams(sentence).items()}
        by_length = [{g: w for g, w in weighted.items() if len(g) == n} for n in range(1, LONGEST + 1)]
        return _Vector(by_length, max(len(sentence.split()) - 1, 0))

    @staticmethod
    def _similarity(said: "_Vector", true: "_Vector") -> float:
        found = 0.0
        for a, b, n, m in zip(said.weights, true.weights, said.norms, true.norms, strict=True):
            if n and m:
                found += sum(min(weight, b[gram]) * b[gram] for gram, weight in a.items() if gram in b) / (n * m)
        return found / LONGEST * exp(-((said.pairs - true.pairs) ** 2) / (2 * SIGMA**2))


class _Vector:
    """tf-idf of a sentence's n-grams by their length, the norms, and its number of word pairs."""

    def __init__(self, weights: list[dict[Gram, float]], pairs: int) -> None:
        self.weights, self.pairs = weights, pairs
        self.norms = [sqrt(sum(w * w for w in of_length.values())) for of_length in weights]


def _grams(sentence: str) -> Counter[Gram]:
    words = sentence.split()
    return Counter(tuple(words[i : i + n]) for n in range(1, LONGEST + 1) for i in range(len(words) - n + 1))
