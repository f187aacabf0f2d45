"""The map: landmarks are fitted once, and streams are placed among them."""

import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

from visualizations.landmark_map import (
    Landmarks,
    cluster_words,
    fit_landmarks,
    neighbourhood_agreement,
    pca_coordinates,
    place,
    place_3d,
    place_text,
    standardise,
)
from vljepa.errors import CheckpointError

TOPICS = ("dog running", "kitchen cooking", "bicycle street", "beach surfing")
DIM = 16


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def topics(per_topic=20, seed=0):
    """Sentences of four topics, each a cloud of its own in the embedding space, all in one cone."""
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(len(TOPICS), DIM)))
    clouds = np.repeat(centres, per_topic, axis=0) + rng.normal(0, 0.12, (len(TOPICS) * per_topic, DIM))
    texts = [f"a {topic} {'near' if k % 2 else 'under'} something" for topic in TOPICS for k in range(per_topic)]
    return texts, unit(clouds + 0.4).astype(np.float32)


def islands(per_topic=20):
    """Landmarks whose map is made by hand: each topic on a corner of a square."""
    texts, embeddings = topics(per_topic)
    corners = np.array([[0, 0], [0, 9], [9, 0], [9, 9]])
    clusters = np.repeat(np.arange(4), per_topic)
    xy = (corners[clusters] + np.random.default_rng(1).normal(0, 0.3, (len(texts), 2))).astype(np.float32)
    mean = embeddings.mean(axis=0)
    return Landmarks(texts, embeddings, xy, np.column_stack([xy, xy[:, 0]]), clusters,
                     cluster_words(texts, clusters), mean, mean)


@pytest.fixture(scope="module")
def fitted():
    texts, embeddings = topics()
    mean = embeddings.mean(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return fit_landmarks(texts, embeddings, mean, mean, seed=3)


def test_the_same_seed_fits_the_same_map(fitted):
    again = fit_landmarks(fitted.texts, fitted.embeddings, fitted.predicted_mean, fitted.text_mean, seed=3)
    np.testing.assert_array_equal(fitted.xy, again.xy)
    np.testing.assert_array_equal(fitted.xyz, again.xyz)


def test_topics_are_apart_on_the_fitted_map(fitted):
    topic = np.repeat(np.arange(4), 20)
    offsets = np.linalg.norm(fitted.xy[:, None] - fitted.xy[None], axis=2)
    np.fill_diagonal(offsets, np.inf)
    assert np.mean(topic[offsets.argmin(axis=1)] == topic) > 0.95
    assert fitted.xyz.shape == (80, 3)


def test_the_fitted_map_agrees_with_the_space_far_better_than_a_shuffled_one(fitted):
    shuffled = Landmarks(fitted.texts, fitted.embeddings, fitted.xy[np.random.default_rng(0).permutation(80)],
                         fitted.xyz, fitted.clusters, fitted.cluster_words, fitted.predicted_mean, fitted.text_mean)
    assert neighbourhood_agreement(fitted, fitted.embeddings) > 0.4
    assert neighbourhood_agreement(shuffled, fitted.embeddings) < 0.25


def test_umap_is_not_imported_until_a_map_is_fitted():
    code = "import sys, visualizations.landmark_map; print([m for m in ('umap', 'numba') if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_a_prediction_lands_among_its_own_topic():
    landmarks = islands()
    fresh = topics(per_topic=3, seed=0)[1]
    corner = np.array([[0, 0], [0, 9], [9, 0], [9, 9]])
    assert np.linalg.norm(place(landmarks, fresh) - np.repeat(corner, 3, axis=0), axis=1).max() < 1.5
    np.testing.assert_allclose(place_3d(landmarks, fresh)[:, :2], place(landmarks, fresh), atol=1e-5)


def test_predictions_from_another_cone_land_where_the_centred_ones_do():
    landmarks = islands()
    shift = np.full(DIM, 5.0, dtype=np.float32)
    moved = Landmarks(**{**vars(landmarks), "predicted_mean": landmarks.predicted_mean + shift})
    fresh = topics(per_topic=3, seed=0)[1]
    np.testing.assert_allclose(place(moved, fresh + shift), place(landmarks, fresh), atol=1e-3)
    np.testing.assert_allclose(place_text(moved, fresh), place_text(landmarks, fresh), atol=1e-3)


def test_placing_many_equals_placing_one_by_one():
    landmarks = islands()
    many = unit(np.random.default_rng(2).normal(size=(4500, DIM))).astype(np.float32)
    one_by_one = np.concatenate([place(landmarks, row[None]) for row in many[::500]])
    np.testing.assert_allclose(place(landmarks, many)[::500], one_by_one, atol=1e-4)
    assert place(landmarks, many[:0]).shape == (0, 2)


def test_a_point_is_placed_within_eight_milliseconds():
    rng = np.random.default_rng(0)
    embeddings = unit(rng.normal(size=(3000, 384))).astype(np.float32)
    xy = rng.normal(size=(3000, 2)).astype(np.float32)
    zero = np.zeros(384, np.float32)
    landmarks = Landmarks(["x"] * 3000, embeddings, xy, np.zeros((3000, 3)), np.zeros(3000, int), ["x"], zero, zero)
    seconds = []
    for row in embeddings[:20]:
        started = time.perf_counter()
        place(landmarks, row[None])
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.008


def test_clusters_are_named_by_the_words_that_set_them_apart():
    texts = ["a dog runs on grass", "a dog jumps on grass", "a man cooks in a kitchen", "a man eats in a kitchen"]
    assert cluster_words(texts, np.array([0, 0, 1, 1])) == ["dog grass", "kitchen man"]


def test_sentences_of_no_cluster_name_none():
    assert cluster_words(["a dog", "a cat"], np.array([-1, 0])) == ["cat"]
    assert cluster_words(["a dog"], np.array([-1])) == []


def test_singular_and_plural_are_one_word():
    texts = ["dogs run", "a dog barks", "two dogs", "women dance", "a woman", "puppies and dresses on grass"]
    assert cluster_words(texts, np.array([0, 0, 0, 1, 1, 2]), words=2)[:2] == ["dog bark", "woman dance"]
    (words,) = cluster_words(texts[-1:], np.array([0]), words=3)
    assert set(words.split()) == {"puppy", "dress", "grass"}


def test_two_clusters_of_like_words_get_different_names():
    texts = ["red dog house", "red dog house", "red dog house tree", "red dog tree house"]
    first, second = cluster_words(texts, np.array([0, 0, 1, 1]))
    assert first != second


def test_saved_landmarks_load_as_they_were(tmp_path):
    landmarks = islands()
    landmarks.save(tmp_path / "landmarks.safetensors")
    loaded = Landmarks.load(tmp_path / "landmarks.safetensors")
    assert (loaded.texts, loaded.cluster_words) == (landmarks.texts, landmarks.cluster_words)
    np.testing.assert_allclose(loaded.embeddings, landmarks.embeddings, atol=2e-3)
    np.testing.assert_array_equal(loaded.xy, landmarks.xy)
    np.testing.assert_array_equal(loaded.clusters, landmarks.clusters)


def test_a_damaged_or_missing_map_file_is_a_checkpoint_error(tmp_path):
    path = tmp_path / "landmarks.safetensors"
    with pytest.raises(CheckpointError, match="fetch the checkpoint again"):
        Landmarks.load(path)
    islands().save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cannot be read"):
        Landmarks.load(path)


def test_a_map_whose_parts_do_not_fit_is_refused(tmp_path):
    landmarks = islands()
    Landmarks(**{**vars(landmarks), "texts": landmarks.texts[:-1]}).save(tmp_path / "l.safetensors")
    with pytest.raises(CheckpointError, match=r"does not fit together \(texts\)"):
        Landmarks.load(tmp_path / "l.safetensors")


def test_too_few_sentences_make_no_map():
    texts, embeddings = topics(per_topic=1)
    with pytest.raises(ValueError, match="at least 8 texts"):
        fit_landmarks(texts, embeddings, embeddings[0], embeddings[0])


@pytest.mark.parametrize("steps", [1, 2, 5, 40])
@pytest.mark.parametrize("axes", [2, 3])
def test_principal_components_serve_streams_of_any_length(steps, axes):
    stream = unit(np.random.default_rng(4).normal(size=(steps, DIM))).astype(np.float32)
    coordinates = pca_coordinates(stream, axes)
    assert coordinates.shape == (steps, axes)
    assert np.isfinite(coordinates).all()


def test_a_stream_that_stands_still_is_one_point():
    np.testing.assert_array_equal(pca_coordinates(np.ones((6, DIM), np.float32), 2), np.zeros((6, 2)))


def test_a_standardised_map_lies_around_its_origin():
    points = np.random.default_rng(0).normal(50, 7, (1000, 2))
    assert np.mean(np.linalg.norm(standardise(points), axis=1) <= 1.0) == pytest.approx(0.95, abs=0.01)
