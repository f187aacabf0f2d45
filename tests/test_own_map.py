"""A map of one stream: it lies as before, and what is near in the stream is near on it."""

import numpy as np
import pytest

from visualizations.landmark_map import umap_coordinates
from visualizations.own_map import FEWEST, OwnMap, fit_apart, laid_over, own_coordinates


def scenes(seed=0, each=30, count=4):
    """`count` clusters of unit vectors, and which step belongs to which."""
    random = np.random.default_rng(seed)
    middles = random.normal(size=(count, 32))
    of = np.repeat(np.arange(count), each)
    steps = middles[of] + 0.3 * random.normal(size=(len(of), 32))
    return (steps / np.linalg.norm(steps, axis=1, keepdims=True)).astype(np.float32), of


def test_a_turned_mirrored_and_shifted_map_comes_back():
    old = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
    turn[:, 0] *= -np.linalg.det(turn)  # a mirror
    new = (7 * old @ turn + [3, -2, 5]).astype(np.float32)
    np.testing.assert_allclose(laid_over(new, old), old, atol=1e-4)


def test_a_map_keeps_the_spread_of_the_old_one_whatever_the_new_one_looks_like():
    random = np.random.default_rng(3)
    old, new = random.normal(size=(40, 2)).astype(np.float32), random.normal(size=(40, 2)).astype(np.float32)
    laid = laid_over(new, old)
    np.testing.assert_allclose(laid.mean(axis=0), old.mean(axis=0), atol=1e-5)
    assert np.linalg.norm(laid - laid.mean(axis=0)) == pytest.approx(np.linalg.norm(old - old.mean(axis=0)), rel=1e-4)
    np.testing.assert_array_equal(laid_over(new, np.zeros_like(old)), new - new.mean(axis=0))


def test_scenes_come_apart_where_they_were_and_the_same_seed_gives_the_same_map():
    steps, of = scenes()
    before = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)[of]
    found = own_coordinates(steps, before)
    np.testing.assert_array_equal(found, own_coordinates(steps, before))
    middles = np.array([found[of == scene].mean(axis=0) for scene in range(4)])
    nearest = np.linalg.norm(found[:, None] - middles, axis=2).argmin(axis=1)
    assert (nearest == of).mean() > 0.98
    was = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
    assert (np.linalg.norm(middles[:, None] - was, axis=2).argmin(axis=1) == np.arange(4)).all()  # nothing swapped


def test_a_long_stream_is_fitted_on_some_of_its_steps(monkeypatch):
    monkeypatch.setattr("visualizations.own_map.MOST", 40)
    fitted = []
    monkeypatch.setattr("visualizations.own_map.umap_coordinates",
                        lambda rows, *rest: fitted.append(len(rows)) or umap_coordinates(rows, *rest))
    steps, of = scenes()
    found = own_coordinates(steps, np.eye(4, 3, dtype=np.float32)[of])
    assert fitted == [40] and found.shape == (120, 3) and np.isfinite(found).all()


def test_too_few_steps_are_refused():
    with pytest.raises(ValueError, match=f"needs {FEWEST} steps"):
        own_coordinates(np.eye(5, dtype=np.float32), np.zeros((5, 2), np.float32))


def test_no_turn_would_bring_a_new_map_nearer_to_the_old_one():
    """Procrustes against brute force, on places that resemble each other but roughly."""
    random = np.random.default_rng(4)
    old = random.normal(size=(60, 2)).astype(np.float32)
    new = laid_over((old + 0.8 * random.normal(size=old.shape)).astype(np.float32)[:, ::-1] * [1, 3], old)
    middle, here = new.mean(axis=0), np.linalg.norm(new - old)
    for angle in np.linspace(0.02, 2 * np.pi - 0.02, 100):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        assert np.linalg.norm((new - middle) @ turn + middle - old) > here


def test_a_still_picture_has_a_map_too():
    rows = np.tile(np.eye(8, dtype=np.float32)[0], (20, 1))
    assert np.isfinite(own_coordinates(rows, np.full((20, 2), 0.3, np.float32))).all()


def test_fitted_apart_the_map_is_the_same():
    steps, of = scenes(each=10)
    before = np.eye(4, 3, dtype=np.float32)[of]
    asked = []
    xy, xyz = fit_apart(steps, before[:, :2], before, lambda: asked.append(1))
    np.testing.assert_allclose(xy, own_coordinates(steps, before[:, :2]), atol=1e-5)
    np.testing.assert_allclose(xyz, own_coordinates(steps, before), atol=1e-5)
    assert asked, "whoever waits is asked whether it is still wanted"


def test_nobody_waits_for_a_map_that_is_no_longer_wanted():
    steps, of = scenes(each=10)
    before = np.eye(4, 3, dtype=np.float32)[of]

    def no_more():
        raise TimeoutError

    with pytest.raises(TimeoutError):
        fit_apart(steps, before[:, :2], before, no_more)


def test_a_later_step_lies_with_those_it_resembles_and_a_strange_one_where_it_lay():
    steps, of = scenes()
    corners = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)
    fitted = OwnMap(np.zeros(32, np.float32), steps, corners[of], np.eye(4, 3, dtype=np.float32)[of])
    lay = np.full(2, 9, np.float32), np.full(3, 9, np.float32)
    again = steps[of == 2].mean(axis=0)
    xy, xyz = fitted.place(again, *lay)
    np.testing.assert_allclose(xy, corners[2], atol=1e-4)
    np.testing.assert_allclose(xyz, [0, 0, 1], atol=1e-4)
    strange = -steps.mean(axis=0)
    np.testing.assert_array_equal(fitted.place(strange, *lay)[0], lay[0])
    between = again / np.linalg.norm(again) + 1.1 * np.eye(32, dtype=np.float32)[np.abs(steps).mean(axis=0).argmin()]
    assert 0 < np.linalg.norm(fitted.place(between, *lay)[0] - lay[0]) < np.linalg.norm(corners[2] - lay[0])
