"""Composed films: the story they state is the one they show."""

import itertools
import json

import cv2
import numpy as np
import pytest

import vljepa
from sample_media.camera import FPS
from vljepa.composed_films import CaptionedPhoto, captioned_photos, compose_film
from vljepa.video import open_video

GREY = [20, 60, 100, 140, 180, 220]


@pytest.fixture
def photos(tmp_path):
    """Photos of one grey each, so that a frame tells which one it shows."""
    for grey in GREY:
        cv2.imwrite(str(tmp_path / f"{grey}.png"), np.full((64, 64, 3), grey, np.uint8))
    return [CaptionedPhoto(tmp_path / f"{grey}.png", (f"Grey {grey}.",)) for grey in GREY]


def grey_of(scene):
    return int(scene.photo.path.stem)


def test_frames_show_the_scene_that_the_story_tells(photos):
    film = compose_film(photos, scenes=6, seconds=(2.0, 3.0), dissolves=0.0, seed=3)
    assert [scene.kind for scene in film.scenes] == ["start"] + 5 * ["cut"]
    shown = list(film.frames(float(FPS)))
    assert len(shown) == round(film.seconds * FPS)
    assert all(frame.image.mean() == grey_of(film.scene_at(frame.time_s)) for frame in shown)


def test_dissolves_lie_around_their_boundary_and_nowhere_else(photos):
    film = compose_film(photos, scenes=6, seconds=(2.0, 3.0), dissolves=1.0, seed=1)
    assert [scene.kind for scene in film.scenes] == ["start"] + 5 * ["dissolve"]
    mixed = {round(frame.time_s * FPS) for frame in film.frames(float(FPS))
             if frame.image.mean() != grey_of(film.scene_at(frame.time_s))}
    for scene in film.scenes[1:]:
        half, first = round(scene.dissolve_s * FPS / 2), round(scene.start_s * FPS)
        assert 0.5 <= scene.dissolve_s <= 1.6
        # an end of a dissolve may round to a pure grey
        assert set(range(first - half + 1, first + half - 1)) <= mixed
        mixed -= set(range(first - half, first + half + 1))
    assert not mixed


def test_scenes_fill_the_film_for_times_within_bounds_and_no_photo_comes_twice(photos):
    film = compose_film(photos, scenes=6, seconds=(2.0, 3.0), seed=5)
    for before, after in itertools.pairwise(film.scenes):
        assert before.end_s == after.start_s
    assert all(1.98 <= scene.seconds <= 3.02 for scene in film.scenes)
    assert film.boundaries_s == [scene.start_s for scene in film.scenes[1:]]
    assert len({scene.photo.path for scene in film.scenes}) == 6


def test_the_same_seed_gives_the_same_film_and_another_seed_another(photos):
    one, two, other = (compose_film(photos, scenes=4, seed=seed) for seed in (7, 7, 8))
    assert one == two and one.scenes != other.scenes
    for a, b in zip(one.frames(2.0), two.frames(2.0), strict=True):
        np.testing.assert_array_equal(a.image, b.image)


def test_the_camera_moves_smoothly_within_a_scene(tmp_path):
    ramp = np.broadcast_to(np.linspace(0, 255, 128).astype(np.uint8)[None, :, None], (128, 128, 3))
    cv2.imwrite(str(tmp_path / "ramp.png"), ramp)
    film = compose_film([CaptionedPhoto(tmp_path / "ramp.png", ("A ramp.",))], scenes=1, seconds=(3.0, 3.0))
    change = [np.abs(b.image.astype(int) - a.image).mean() for a, b in itertools.pairwise(film.frames(float(FPS)))]
    assert sum(change) > 1 and max(change) < 5


def test_a_lower_rate_picks_from_the_same_frames_and_resizes(photos):
    film = compose_film(photos, scenes=3, seconds=(2.0, 3.0), seed=2)
    all_frames = list(film.frames(float(FPS)))
    few = list(film.frames(4.0, (32, 48)))
    assert [frame.time_s for frame in few] == [k / 4 for k in range(len(few))]
    assert {frame.image.shape for frame in few} == {(48, 32, 3)}
    for frame in few:
        same = all_frames[int(frame.time_s * FPS + 1e-6)].image
        np.testing.assert_array_equal(frame.image, cv2.resize(same, (32, 48), interpolation=cv2.INTER_AREA))


def test_its_file_shows_the_same_pictures(photos, tmp_path):
    film = compose_film(photos, scenes=3, seconds=(1.0, 1.5), dissolves=0.5, seed=4)
    film.write(tmp_path / "film.mp4")
    with open_video(tmp_path / "film.mp4") as video:
        assert video.info.seconds == pytest.approx(film.seconds, abs=0.01)
        for read, made in zip(video.frames(4.0), film.frames(4.0), strict=True):
            assert read.time_s == made.time_s
            assert abs(read.image.mean() - made.image.mean()) < 3


def test_a_model_watches_it_like_a_video(photos, smoke):
    model = vljepa.load(smoke, device="cpu")
    film = compose_film(photos, scenes=3, seconds=(2.0, 3.0), seed=2)
    analysis = vljepa.analyze(model, film)
    assert analysis.trajectory.video == film.info
    assert len(analysis.trajectory.times_s) == len(list(film.frames(model.config.rate_hz)))
    assert analysis.segments[-1].end_s == pytest.approx(film.seconds)
    again = model.embed(film).collect()  # unlike a file, a film may be watched again
    np.testing.assert_array_equal(again.embeddings, analysis.trajectory.embeddings)


def test_captioned_photos_are_those_of_the_split(tmp_path):
    rows = [{"file": "a.png", "split": "train", "captions": ["A."]},
            {"file": "b.png", "split": "val", "captions": ["B."]},
            {"file": "c.png", "split": "val", "label": "archery"}]
    (tmp_path / "some.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert captioned_photos(tmp_path, "some", "val") == [CaptionedPhoto(tmp_path / "b.png", ("B.",))]
    with pytest.raises(ValueError, match="no captioned photo in the split 'test'"):
        captioned_photos(tmp_path, "some", "test")
    with pytest.raises(ValueError, match=r"need .*flickr8k\.jsonl"):
        captioned_photos(tmp_path)


@pytest.mark.parametrize(("wrong", "told"), [
    ({"scenes": 7}, "scenes must be 1 to 6"), ({"scenes": 0}, "scenes must be 1 to 6"),
    ({"seconds": (5.0, 2.0)}, "seconds must be"), ({"seconds": (0.1, 2.0)}, "seconds must be"),
    ({"dissolves": 1.5}, "dissolves must be"), ({"size": (255, 256)}, "size must be"),
])  # fmt: skip
def test_impossible_films_are_refused(photos, wrong, told):
    with pytest.raises(ValueError, match=told):
        compose_film(photos, **{"scenes": 3, **wrong})


def test_moments_outside_the_film_are_refused(photos):
    film = compose_film(photos, scenes=2)
    assert film.scene_at(0.0) is film.scenes[0]
    for time_s in (-0.1, film.seconds):
        with pytest.raises(ValueError, match="time_s must be"):
            film.scene_at(time_s)
