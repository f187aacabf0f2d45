"""Cutting a stream: the tree against brute force, the automatic cut against streams whose scenes are known."""

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering

from vljepa.segmentation import Segment, WardTree, merge_short, segments_between, smooth, ward_tree

RATE_HZ = 4.0


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def film(
    cuts_s: Sequence[float], seconds: float, seed: int = 0, noise: float = 0.1, sway: float = 0.0,
    dissolve_s: float = 0.0, window: int = 4, dim: int = 64,
) -> np.ndarray:
    """Scenes in one cone, seen with noise through windows of `window` frames: neighbours share all but one."""
    random, steps = np.random.default_rng(seed), round(seconds * RATE_HZ)
    centres = unit(unit(random.normal(size=dim)) + unit(random.normal(size=(len(cuts_s) + 1, dim))))
    times = np.arange(steps) / RATE_HZ
    frames = centres[np.searchsorted(cuts_s, times, side="right")]
    for k, cut_s in enumerate(cuts_s if dissolve_s else []):
        share = np.clip((times - cut_s) / dissolve_s + 0.5, 0, 1)[:, None]
        during = (share > 0) & (share < 1)
        frames = np.where(during, (1 - share) * centres[k] + share * centres[k + 1], frames)
    frames = frames + noise * random.normal(size=frames.shape) / np.sqrt(dim)
    frames[:, :3] += sway * np.sin(times[:, None] * random.uniform(1, 3, 3) + random.uniform(0, 6, 3)) / np.sqrt(3)
    return unit(np.stack([frames[max(0, k - window + 1) : k + 1].mean(axis=0) for k in range(steps)])).astype("f4")


def film_of(seconds: float, n_scenes: int, **options: Any) -> tuple[np.ndarray, list[float]]:
    cuts_s = np.arange(1, n_scenes) * seconds / n_scenes + np.random.default_rng(1).uniform(-0.6, 0.6, n_scenes - 1)
    return film(list(cuts_s), seconds, **options), list(cuts_s)


def auto(embeddings: np.ndarray) -> list[Segment]:
    """The automatic cut with the minimum length of a second that analyses take by default."""
    return merge_short(ward_tree(embeddings).cut_auto(RATE_HZ), 4)


def boundary_f1(segments: list[Segment], cuts_s: list[float], tolerance_s: float = 1.0) -> float:
    found, left, hits = [s.start / RATE_HZ for s in segments[1:]], list(cuts_s), 0
    for boundary in found:
        near = [cut for cut in left if abs(cut - boundary) <= tolerance_s]
        if near:
            left.remove(min(near, key=lambda cut: abs(cut - boundary)))
            hits += 1
    return 1.0 if not found and not cuts_s else 2 * hits / (len(found) + len(cuts_s))


def brute_force(embeddings: np.ndarray) -> tuple[list[int], list[float]]:
    def scatter(part: np.ndarray) -> float:
        return ((part - part.mean(axis=0)) ** 2).sum()

    edges, boundaries, costs = list(range(len(embeddings) + 1)), [], []
    while len(edges) > 2:
        prices = [scatter(embeddings[a:c]) - scatter(embeddings[a:b]) - scatter(embeddings[b:c])
                  for a, b, c in zip(edges, edges[1:], edges[2:], strict=False)]
        k = int(np.argmin(prices))
        boundaries.append(edges.pop(k + 1))
        costs.append(prices[k])
    return boundaries, costs


def assert_covers(segments: list[Segment], steps: int) -> None:
    assert segments[0].start == 0
    assert segments[-1].stop == steps
    assert all(a.stop == b.start for a, b in pairwise(segments))
    assert all(s.start < s.stop for s in segments)


def test_the_tree_equals_brute_force_on_random_streams() -> None:
    for seed in range(40):
        random = np.random.default_rng(seed)
        embeddings = random.normal(size=(int(random.integers(1, 30)), 5))
        tree = ward_tree(embeddings)
        boundaries, costs = brute_force(embeddings)
        assert tree.boundaries.tolist() == boundaries
        np.testing.assert_allclose(tree.costs, costs, atol=1e-9)


def test_every_cut_equals_scikit_learns_chain_constrained_ward() -> None:
    embeddings = np.random.default_rng(3).normal(size=(30, 4)).cumsum(axis=0)
    chain = np.eye(30, k=1) + np.eye(30, k=-1)
    tree = ward_tree(embeddings)
    for n in (2, 5, 12):
        labels = AgglomerativeClustering(n, connectivity=chain, linkage="ward").fit_predict(embeddings)
        expected = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist()]
        assert [s.start for s in tree.cut(n)] == expected


def test_of_equal_costs_the_earliest_boundary_goes_first() -> None:
    assert ward_tree(np.array([[0.0], [1.0], [2.0], [3.0]])).boundaries.tolist()[0] == 1


def test_segments_carry_the_mean_of_their_steps() -> None:
    embeddings = np.array([[0.0, 0.0], [0.2, 0.0], [5.0, 1.0], [5.0, 3.0]], dtype=np.float32)
    first, second = ward_tree(embeddings).cut(2)
    np.testing.assert_allclose(first.embedding, [0.1, 0.0], atol=1e-7)
    np.testing.assert_allclose(second.embedding, [5.0, 2.0])
    assert first.embedding.dtype == np.float32


@pytest.mark.parametrize(("start", "stop", "midpoint"), [(0, 1, 0), (0, 3, 1), (2, 4, 3), (7, 8, 7)])
def test_the_midpoint_lies_inside_its_segment(start: int, stop: int, midpoint: int) -> None:
    assert Segment(start, stop, np.zeros(2)).midpoint == midpoint


def test_more_segments_than_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="n_segments must be 1 to 3 for this stream, got 4"):
        ward_tree(np.eye(3)).cut(4)
    with pytest.raises(ValueError, match="got 0"):
        ward_tree(np.eye(3)).cut(0)


def test_what_is_not_finite_or_empty_is_refused() -> None:
    embeddings = np.eye(3)
    embeddings[1, 2] = np.nan
    with pytest.raises(ValueError, match="embedding at step 1 of 3 is not finite"):
        ward_tree(embeddings)
    with pytest.raises(ValueError, match="time >= 1"):
        ward_tree(np.zeros((0, 4)))


def test_one_step_is_one_segment_however_it_is_cut() -> None:
    tree = ward_tree(np.ones((1, 4)))
    by_number = (tree.cut(1), tree.cut_by_variance(0.0), tree.cut_by_interval(9.0, RATE_HZ))
    for segments in (*by_number, tree.cut_auto(RATE_HZ)):
        assert [(s.start, s.stop) for s in segments] == [(0, 1)]
    assert tree.boundary_strength().tolist() == [0.0]


def test_cutting_by_interval_gives_segments_of_that_mean_length() -> None:
    tree = ward_tree(film([10, 20], 30))
    assert len(tree.cut_by_interval(3.0, RATE_HZ)) == 10
    assert len(tree.cut_by_interval(1000.0, RATE_HZ)) == 1
    with pytest.raises(ValueError, match=r"at least one step, 0\.25 s"):
        tree.cut_by_interval(0.1, RATE_HZ)


def test_cutting_by_variance_takes_the_fewest_segments_within_it() -> None:
    tree = ward_tree(np.array([[0.0], [0.0], [4.0], [4.0]]))
    assert tree.variance == pytest.approx(4.0)
    assert len(tree.cut_by_variance(3.9)) == 2
    assert len(tree.cut_by_variance(4.1)) == 1
    assert len(tree.cut_by_variance(0.0)) == 2


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize(("seconds", "n_scenes"), [(10, 3), (30, 4), (120, 10), (600, 12), (600, 60)])
def test_the_auto_cut_finds_hard_cuts_in_clips_and_films(seconds: float, n_scenes: int, window: int) -> None:
    embeddings, cuts_s = film_of(seconds, n_scenes, window=window)
    assert boundary_f1(auto(embeddings), cuts_s) == 1.0


def test_the_auto_cut_does_not_give_up_on_a_film_of_very_many_scenes() -> None:
    embeddings, cuts_s = film_of(600, 150, noise=0.2)
    assert boundary_f1(auto(embeddings), cuts_s) > 0.95


@pytest.mark.parametrize(("seconds", "n_scenes"), [(12, 3), (600, 40)])
def test_the_auto_cut_puts_one_boundary_in_a_dissolve(seconds: float, n_scenes: int) -> None:
    embeddings, cuts_s = film_of(seconds, n_scenes, dissolve_s=1.0)
    assert boundary_f1(auto(embeddings), cuts_s) > 0.98


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("noise", [0.0, 0.01, 0.1, 0.4])
@pytest.mark.parametrize("seconds", [1, 10, 600])
def test_a_still_scene_with_any_noise_is_one_segment(seconds: float, noise: float, window: int) -> None:
    for seed in range(3):
        assert len(ward_tree(film([], seconds, seed, noise, window=window)).cut_auto(RATE_HZ)) == 1


@pytest.mark.parametrize("seconds", [10, 600])
def test_a_scene_in_which_things_sway_is_not_shattered(seconds: float) -> None:
    counts = [len(ward_tree(film([], seconds, seed, sway=0.15)).cut_auto(RATE_HZ)) for seed in range(5)]
    assert max(counts) <= 2


@pytest.mark.parametrize("rate_hz", [4.0, 8.0])
def test_scenes_that_come_back_are_cut_like_any_others(rate_hz: float) -> None:
    """Fifty seconds before a fixed camera: every three seconds another of three things, not far from one another."""
    random, steps = np.random.default_rng(2), round(49.6 * rate_hz)
    scenes = unit(unit(random.normal(size=64)) + 0.65 * unit(random.normal(size=(3, 64))))
    frames = scenes[(np.arange(steps) / rate_hz // 3.1).astype(int) % 3]
    seen = unit(frames + 0.25 * random.normal(size=frames.shape) / 8.0)
    assert 0.7 < np.linalg.norm(scenes[0] - scenes[1]) < 0.8
    assert len(ward_tree(seen).cut_auto(rate_hz)) == 16


@pytest.mark.parametrize("seconds", [10, 60])
def test_a_camera_that_moves_over_one_scene_cuts_nothing(seconds: float) -> None:
    angle = np.linspace(0, 0.65, round(seconds * RATE_HZ))
    panned = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert len(ward_tree(panned).cut_auto(RATE_HZ)) == 1


def test_slow_drift_gives_few_segments_of_similar_length() -> None:
    angle = np.linspace(0, np.pi / 2, 240)
    drift = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    segments = ward_tree(drift).cut_auto(RATE_HZ)  # one minute, from one thing to quite another
    assert 2 <= len(segments) <= 12
    assert min(s.stop - s.start for s in segments) > 12


def test_identical_frames_cost_nothing_and_are_one_segment() -> None:
    still = np.tile(unit(np.random.default_rng(0).normal(size=(1, 48))).astype(np.float32), (2400, 1))
    for embeddings in (still, smooth(still, 3.0, RATE_HZ)):
        tree = ward_tree(embeddings)
        assert not tree.costs.any()
        assert not tree.boundary_strength().any()
        assert len(tree.cut_auto(RATE_HZ)) == len(tree.cut_by_variance(0.0)) == 1
    assert_covers(tree.cut(7), 2400)  # whoever asks for seven gets seven


def test_boundaries_are_strongest_where_the_scene_changes_and_never_cross_the_tree() -> None:
    tree = ward_tree(film([5.0, 12.0], 20, noise=0.05, window=1))
    strength = tree.boundary_strength()
    assert set(np.argsort(strength)[-2:]) == {20, 48}
    assert strength[0] == 0.0
    assert (np.diff(strength[tree.boundaries]) >= 0).all()


def test_smoothing_averages_a_centred_window_that_shrinks_at_the_ends() -> None:
    ramp = np.arange(6.0)[:, None]
    np.testing.assert_allclose(smooth(ramp, 1.0, RATE_HZ), ramp)  # no shift, not even at the ends
    spike = np.array([[0.0], [0.0], [0.0], [5.0], [0.0], [0.0], [0.0]])
    np.testing.assert_allclose(smooth(spike, 1.0, RATE_HZ).ravel(), [0, 0, 1, 1, 1, 0, 0])
    np.testing.assert_allclose(smooth(spike, 0.5, RATE_HZ).ravel(), [0, 0, 5 / 3, 5 / 3, 5 / 3, 0, 0])


def test_smoothing_keeps_boundaries_within_its_window() -> None:
    embeddings = film([10.0], 20, noise=0.0, window=1)
    for seconds in (0.0, 0.1, 0.5, 1.0):
        _, second = ward_tree(smooth(embeddings, seconds, RATE_HZ)).cut(2)
        assert abs(second.start - 40) <= seconds / 2 * RATE_HZ


def test_smoothing_less_than_a_step_changes_nothing_and_nonsense_is_refused() -> None:
    embeddings = film([], 5)
    assert smooth(embeddings, 0.4, RATE_HZ) is embeddings
    assert smooth(embeddings, 1e300, RATE_HZ).shape == embeddings.shape
    for seconds in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="smoothing window"):
            smooth(embeddings, seconds, RATE_HZ)


def test_a_short_segment_joins_the_neighbour_it_resembles() -> None:
    embeddings = np.array([[0.0]] * 5 + [[1.0]] + [[10.0]] * 5)
    merged = merge_short(segments_between(embeddings, [0, 5, 6, 11]), 2)
    assert [(s.start, s.stop) for s in merged] == [(0, 6), (6, 11)]
    np.testing.assert_allclose(merged[0].embedding, [1 / 6])


@pytest.mark.parametrize("min_steps", [0, 1, 3, 10, 1000])
def test_no_segment_stays_below_the_minimum(min_steps: int) -> None:
    embeddings = film([3.0, 8.0], 15)
    segments = segments_between(embeddings, list(range(0, 61)))
    merged = merge_short(segments, min_steps)
    assert_covers(merged, 60)
    assert len(merged) == 1 or min(s.stop - s.start for s in merged) >= min_steps
    for segment in merged:
        np.testing.assert_allclose(segment.embedding, embeddings[segment.start : segment.stop].mean(axis=0), atol=1e-6)


def test_an_hour_is_cut_in_seconds() -> None:
    embeddings, _ = film_of(3600, 300, dim=32)
    started = time.process_time()
    tree = ward_tree(embeddings)
    tree.cut_auto(RATE_HZ)
    assert time.process_time() - started < 5.0
    assert isinstance(tree, WardTree)
