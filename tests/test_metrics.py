"""Metrics against cases worked out by hand and against brute force."""

from itertools import combinations, permutations

import numpy as np
import pytest

from vljepa import metrics
from vljepa.cider import Cider


def test_recall_of_images_to_texts_needs_any_one_of_several_positives() -> None:
    similarity = np.array([[0.9, 0.1, 0.8, 0.2], [0.7, 0.6, 0.5, 0.4]])
    positives = [[2, 3], [1, 3]]  # ranks of the best positives: 2 and 2
    assert [metrics.recall_at_k(similarity, positives, k) for k in (1, 2)] == [0.0, 1.0]
    assert metrics.recall_at_k(similarity, [[0, 3], [1, 3]], 1) == 0.5


def test_recall_of_texts_to_images_has_one_positive_for_each_caption() -> None:
    similarity = np.array([[0.3, 0.2], [0.1, 0.4], [0.6, 0.5], [0.1, 0.2]])
    assert metrics.recall_at_k(similarity, [[0], [1], [1], [0]], 1) == 0.5


def test_recall_equals_sorting_each_row() -> None:
    random = np.random.default_rng(0)
    similarity = random.normal(size=(40, 30))
    positives = [random.choice(30, size=5, replace=False).tolist() for _ in range(40)]
    for k in (1, 5, 10):
        hits = [bool(set(np.argsort(-row)[:k]) & set(right)) for row, right in zip(similarity, positives, strict=True)]
        assert metrics.recall_at_k(similarity, positives, k) == np.mean(hits)


def test_recall_of_constant_similarities_is_zero() -> None:
    assert metrics.recall_at_k(np.ones((3, 3)), [[0], [1], [2]], 1) == 0.0


@pytest.mark.parametrize(
    ("similarity", "positives", "k"),
    [
        (np.ones((1, 2)), [[0]], 0),
        (np.ones((1, 2)), [[2]], 1),
        (np.ones((1, 2)), [[]], 1),
        (np.ones((2, 2)), [[0]], 1),
        (np.full((1, 2), np.nan), [[0]], 1),
    ],
)
def test_recall_refuses_what_it_cannot_measure(similarity: np.ndarray, positives: list[list[int]], k: int) -> None:
    with pytest.raises(ValueError, match=r"k must|positives|similarity"):
        metrics.recall_at_k(similarity, positives, k)


def test_alignment_of_orthogonal_pairs_is_two_and_of_equal_ones_zero() -> None:
    a, b = np.array([[2.0, 0.0], [0.0, 3.0]]), np.array([[0.0, 1.0], [0.0, 1.0]])
    assert metrics.alignment(a, a) == 0.0
    assert metrics.alignment(a, b) == pytest.approx((2.0 + 0.0) / 2)


def test_uniformity_equals_the_mean_over_all_pairs() -> None:
    x = np.random.default_rng(1).normal(size=(12, 5))
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    pairs = [np.exp(-2 * np.sum((unit[i] - unit[j]) ** 2)) for i, j in combinations(range(12), 2)]
    assert metrics.uniformity(x) == pytest.approx(np.log(np.mean(pairs)))
    assert metrics.uniformity(np.ones((3, 2))) == pytest.approx(0.0, abs=1e-12)
    assert metrics.uniformity(np.array([[1.0, 0.0], [-1.0, 0.0]])) == pytest.approx(-8.0)


def test_accuracy_over_candidates_takes_the_nearest_by_cosine() -> None:
    candidates = np.array([[1.0, 0.0], [0.0, 5.0]])
    predicted = np.array([[3.0, 1.0], [0.1, 0.2], [1.0, 1.1]])
    assert metrics.accuracy_over_candidates(predicted, candidates, np.array([0, 1, 0])) == pytest.approx(2 / 3)


def test_accuracy_and_its_baselines_on_a_case_by_hand() -> None:
    true, found = ["a", "a", "a", "b"], ["a", "a", "b", "b"]
    assert metrics.accuracy(found, true) == 0.75
    assert metrics.balanced_accuracy(found, true) == pytest.approx((2 / 3 + 1) / 2)
    assert metrics.balanced_accuracy(["a"] * 4, true) == 0.5
    assert metrics.majority_baseline(true) == 0.75
    assert metrics.majority_baseline(true, ["x", "x", "y", "y"]) == 0.75
    assert metrics.majority_baseline(true, ["x", "x", "x", "y"]) == 1.0


def test_caption_tokens_are_lower_case_words_without_punctuation() -> None:
    text = "A man's T-shirt , says \"Go!\" ; (two dogs)...  run_fast"
    assert metrics.caption_tokens(text) == "a man's t shirt says go two dogs run fast"
    assert metrics.caption_tokens("") == ""


def test_cider_of_equal_captions_is_ten_and_of_disjoint_ones_zero() -> None:
    texts = ["A dog runs on the green grass.", "Two boys play soccer in a park!", "The woman reads an old book"]
    assert metrics.cider(texts, [[t] for t in texts]) == pytest.approx(10.0)
    assert metrics.cider(["purple elephants fly over mountains"] * 3, [[t] for t in texts]) == 0.0


def test_cider_does_not_see_case_or_punctuation() -> None:
    references = [["a dog runs fast", "the dog runs"], ["a boy sits down", "a child sits"]]
    plain = metrics.cider(["a dog runs", "a boy sits"], references)
    assert 0 < plain < 10
    assert metrics.cider(["A dog, runs.", "a BOY sits!"], references) == pytest.approx(plain)


def test_cider_is_pycocoevalcaps() -> None:
    """On random sentences of few words, so that n-grams of every length are shared, repeated and clipped."""
    from pycocoevalcap.cider.cider import Cider as Theirs

    random = np.random.default_rng(0)

    def sentence() -> str:
        return " ".join(random.choice(list("abcdefg"), random.integers(1, 12)))

    candidates = [sentence() for _ in range(40)]
    references = [[sentence() for _ in range(random.integers(1, 6))] for _ in range(40)]
    theirs, each = Theirs().compute_score(dict(enumerate(references)), {i: [c] for i, c in enumerate(candidates)})
    assert metrics.cider_each(candidates, references) == pytest.approx(each.tolist())
    assert metrics.cider(candidates, references) == pytest.approx(theirs)


def test_cider_of_a_single_item_needs_documents_to_tell_rare_words_from_common_ones() -> None:
    one = "a dog runs on the grass", ["a dog runs on grass"]
    assert Cider([one[1]]).score(*one) == 0.0
    assert Cider([one[1], ["a man sits"], ["the boy"], ["a red car"]]).score(*one) > 1
    with pytest.raises(ValueError, match="one document at least"):
        Cider([])


def test_cider_refuses_items_without_references() -> None:
    with pytest.raises(ValueError, match="references"):
        metrics.cider(["a", "b"], [["a"], []])


def _most_matches(found: list[float], true: list[float], tolerance: float) -> int:
    short, long = sorted((found, true), key=len)
    return max(
        sum(abs(a - b) <= tolerance for a, b in zip(short, chosen, strict=True))
        for chosen in permutations(long, len(short))
    )


def test_boundary_f1_matches_as_many_as_any_one_to_one_matching() -> None:
    random = np.random.default_rng(2)
    for _ in range(200):
        found = random.integers(0, 20, size=random.integers(1, 6)).astype(float).tolist()
        true = random.integers(0, 20, size=random.integers(1, 6)).astype(float).tolist()
        expected = 2 * _most_matches(found, true, 2.0) / (len(found) + len(true))
        assert metrics.boundary_f1(found, true, 2.0) == pytest.approx(expected)


def test_boundary_f1_on_cases_by_hand() -> None:
    assert metrics.boundary_f1([1.0, 1.2], [1.1], 1.0) == pytest.approx(2 / 3)  # one true boundary is found only once
    assert metrics.boundary_f1([2.0], [1.0], 1.0) == 1.0
    assert metrics.boundary_f1([], [], 1.0) == 1.0
    assert metrics.boundary_f1([], [3.0], 1.0) == 0.0
    with pytest.raises(ValueError, match="tolerance_s"):
        metrics.boundary_f1([1.0], [1.0], -1.0)
