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
