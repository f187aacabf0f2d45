"""The online cut on made-up streams whose changes are known: none is missed, none invented, none told too early."""

import numpy as np
import pytest

from vljepa.online import OnlineSegmenter, OnlineSettings

DIM = 64


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def scenes(lengths_s, rate_hz=4.0, noise=0.05, seed=0):
    """Times and embeddings of scenes that lie around directions of their own, with noise of `noise` in all."""
    random = np.random.default_rng(seed)
    middles = unit(random.normal(size=(len(lengths_s), DIM)))
    rows = np.concatenate([np.repeat(m[None], round(s * rate_hz), axis=0)
                           for m, s in zip(middles, lengths_s, strict=True)])
    noisy = unit(rows + noise / np.sqrt(DIM) * random.normal(size=rows.shape))
    return np.arange(len(rows)) / rate_hz, noisy


def run(times_s, embeddings, settings=None):
    """(the steps, the boundaries found)."""
    segmenter = OnlineSegmenter(settings)
    steps = [segmenter.push(float(t), e) for t, e in zip(times_s, embeddings, strict=True)]
    return steps, [step.boundary_s for step in steps if step.boundary_s is not None]


def test_each_cut_is_found_once_and_where_it_was():
    _, found = run(*scenes([5, 4, 6, 3, 8]))
    np.testing.assert_allclose(found, [5, 9, 15, 18], atol=0.3)


@pytest.mark.parametrize("rate_hz", [2.0, 4.0, 8.0, 12.0])
def test_the_rate_of_the_stream_does_not_matter(rate_hz):
    _, found = run(*scenes([5, 4, 6, 3, 8], rate_hz))
    np.testing.assert_allclose(found, [5, 9, 15, 18], atol=0.6)


@pytest.mark.parametrize("rate_hz", [4.0, 6.7, 8.0, 12.0])
def test_boundaries_are_neither_early_nor_late_at_any_rate(rate_hz):
    """Each embedding is the mean over three frames a quarter of a second apart, as a model's window has them; the cuts
    fall anywhere between two frames, so that the errors must cancel."""
    cuts_s = np.cumsum(4.0 + np.arange(1, 12) / 13)
    middles = unit(np.random.default_rng(3).normal(size=(len(cuts_s) + 1, DIM)))
    segmenter, found = OnlineSegmenter(), []
    for time_s in np.arange(0.5, cuts_s[-1] + 5, 1 / rate_hz):
        frames = middles[np.searchsorted(cuts_s, time_s - np.array([0.0, 0.25, 0.5]), side="right")]
        step = segmenter.push(float(time_s), unit(frames.mean(axis=0)), lag_s=0.25)
        found += [] if step.boundary_s is None else [step.boundary_s]
    assert len(found) == len(cuts_s)
    assert abs(np.mean(np.array(found) - cuts_s)) < 0.06
    np.testing.assert_allclose(found, cuts_s, atol=0.3)


def test_irregular_times_do_not_matter():
    times_s, embeddings = scenes([5, 4, 6, 3, 8], rate_hz=10.0)
    kept = np.sort(np.random.default_rng(1).choice(len(times_s), len(times_s) // 2, replace=False))
    _, found = run(times_s[kept], embeddings[kept])
    np.testing.assert_allclose(found, [5, 9, 15, 18], atol=0.6)


def test_a_boundary_is_told_after_it_happened_and_soon():
    steps, found = run(*scenes([5, 4, 6]))
    assert [s.time_s for s in steps if s.boundary_s is not None] == pytest.approx(found, abs=2.5)
    assert all(s.boundary_s <= s.time_s for s in steps if s.boundary_s is not None)


def test_what_was_told_does_not_depend_on_what_comes_later():
    times_s, embeddings = scenes([5, 4, 6])
    whole, _ = run(times_s, embeddings)
    part, _ = run(times_s[:30], embeddings[:30])
    assert part == whole[:30]


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_noise_alone_makes_no_boundary(noise):
    assert run(*scenes([60], noise=noise))[1] == []


def test_a_slow_drift_makes_no_boundary():
    angle = np.linspace(0, np.pi / 2, 240)[:, None]  # a quarter turn in a minute
    rows = np.cos(angle) * np.eye(DIM)[0] + np.sin(angle) * np.eye(DIM)[1]
    assert run(np.arange(240) / 4, rows.astype(np.float32))[1] == []


def test_a_single_outlier_makes_no_boundary():
    times_s, embeddings = scenes([30])
    embeddings[60] = unit(np.random.default_rng(5).normal(size=DIM))
    assert run(times_s, embeddings)[1] == []


def test_a_frozen_picture_makes_no_boundary_and_the_change_after_it_is_found():
    times_s, embeddings = scenes([20, 6], noise=0.0)
    _, found = run(times_s, embeddings)
    np.testing.assert_allclose(found, [20], atol=0.3)


@pytest.mark.parametrize("pause_s", [5.0, 600.0])
def test_a_change_during_a_pause_is_found_where_the_stream_goes_on(pause_s):
    times_s, embeddings = scenes([8, 8])
    times_s = times_s + pause_s * (times_s >= 8)
    _, found = run(times_s, embeddings)
    np.testing.assert_allclose(found, [8 + pause_s], atol=0.3)


def test_a_pause_without_a_change_makes_no_boundary():
    times_s, embeddings = scenes([16])
    assert run(times_s + 60 * (times_s >= 8), embeddings)[1] == []


def visit(seconds_each, walk_s, rate_hz=4.0):
    """An empty room and a visitor by turns; coming and leaving take `walk_s`, in which the picture changes evenly."""
    random = np.random.default_rng(2)
    room, visitor = unit(random.normal(size=(2, DIM)))
    times_s = np.arange(round(4 * seconds_each * rate_hz)) / rate_hz
    presence = np.zeros(len(times_s))
    for k in (1, 3):
        inside = times_s - k * seconds_each
        presence = np.maximum(presence, np.clip(np.minimum(inside, seconds_each - inside) / walk_s, 0, 1))
    rows = room + presence[:, None] * (visitor - room)
    return times_s, unit(rows + 0.05 / np.sqrt(DIM) * random.normal(size=rows.shape))


def test_a_new_scene_begins_early_in_its_change_and_a_known_one_late():
    """The middles of the changes are at 10.75, 19.25 and 30.75 s: who comes is there early, who leaves is gone late."""
    _, found = run(*visit(10.0, 1.5))
    first_arrival, departure, second_arrival = found
    assert 10.0 <= first_arrival < 10.75
    assert 19.25 < departure <= 20.5
    assert 30.0 <= second_arrival < 31.75  # the visitor is known by now


def test_boundaries_keep_their_distance():
    _, found = run(*scenes([1.0] * 4 + [3.0, 1.0] * 6))
    assert len(found) > 4
    assert np.diff([0.0, *found]).min() >= OnlineSettings().min_gap_s


def test_the_segment_s_embedding_is_of_its_scene_alone():
    times_s, embeddings = scenes([5, 6])
    segmenter = OnlineSegmenter()
    for time_s, embedding in zip(times_s, embeddings, strict=True):
        segmenter.push(float(time_s), embedding)
    assert segmenter.segment_embedding @ unit(embeddings[24:].mean(axis=0)) > 0.999


def test_a_held_threshold_is_obeyed_until_it_is_given_back():
    times_s, embeddings = scenes([5, 5, 5])
    segmenter, found = OnlineSegmenter(OnlineSettings(threshold=2.0)), []
    for time_s, embedding in zip(times_s, embeddings, strict=True):
        if time_s == 8.0:
            segmenter.set_threshold(None)
        step = segmenter.push(float(time_s), embedding)
        assert step.threshold == 2.0 or time_s >= 8.0
        found += [] if step.boundary_s is None else [step.boundary_s]
    np.testing.assert_allclose(found, [10], atol=0.3)
    with pytest.raises(ValueError, match="threshold must be above 0"):
        segmenter.set_threshold(-0.1)


def test_smoothing_can_be_changed_while_it_runs():
    """A flicker of half a second is a scene to means over a quarter of one, and nothing to means over two."""
    segmenter = OnlineSegmenter(OnlineSettings(min_gap_s=0.25))
    peaks = []
    for window_s, start_s in ((0.25, 0.0), (2.0, 20.0)):
        segmenter.set_window(window_s)
        times_s, embeddings = scenes([16.5])
        embeddings[32:34] = unit(np.random.default_rng(5).normal(size=DIM))
        peaks.append(max(segmenter.push(float(t) + start_s, e).novelty for t, e in zip(times_s, embeddings, strict=True)
                         if t > 1))
    assert peaks[0] > 2 * peaks[1]
    with pytest.raises(ValueError, match="window_s must be more than 0"):
        segmenter.set_window(0.0)


def test_memory_is_bounded():
    segmenter = OnlineSegmenter()
    for k in range(1500):
        segmenter.push(k / 1000, np.eye(4, dtype=np.float32)[k // 300 % 4])
    assert len(segmenter._moments) <= 512


@pytest.mark.parametrize("time_s", [1.0, float("nan")])
def test_a_step_that_is_not_later_is_refused(time_s):
    segmenter = OnlineSegmenter()
    segmenter.push(1.0, np.ones(DIM, dtype=np.float32))
    with pytest.raises(ValueError, match="in order of time"):
        segmenter.push(time_s, np.ones(DIM, dtype=np.float32))


@pytest.mark.parametrize("wrong", [{"window_s": 0.0}, {"threshold": -1.0}, {"hysteresis": 1.5}, {"min_gap_s": np.inf}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)).partition("_")[0]):
        OnlineSettings(**wrong)


def test_an_embedding_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        OnlineSegmenter().push(0.0, np.full(DIM, np.nan, dtype=np.float32))


def test_there_is_no_segment_before_the_first_step():
    with pytest.raises(ValueError, match="no step was pushed"):
        _ = OnlineSegmenter().segment_embedding
