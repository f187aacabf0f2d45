"""The sample films: their scripts, their frames, and the cache that keeps them."""

import itertools
import json
import threading
from pathlib import Path

import av
import numpy as np
import pytest

import sample_media
from sample_media import sample_films
from sample_media.camera import FPS, View
from sample_media.films import PHOTOS, SCRIPTS, Scene, Script
from sample_media.render import film_frames, first_frames, photo_path, truth
from vljepa.errors import VideoError
from vljepa.video import open_video

STILL = View(0.5, 0.5, 1.0)
TINY = Script("tiny", "Two cuts and a dissolve", (
    Scene("cat", "A cat.", 0.6, STILL, STILL),
    Scene("rocket", "A rocket.", 0.6, STILL, STILL),
    Scene("coffee", "A cup.", 0.8, STILL, STILL, dissolve_s=0.4),
))  # fmt: skip


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Only a two-second film, to keep the tests fast."""
    monkeypatch.setattr(sample_media, "SCRIPTS", (TINY,))
    return TINY


def jumps(frames: list[np.ndarray]) -> np.ndarray:
    """Mean change of brightness from each frame to the next."""
    return np.array([np.abs(b.astype(int) - a).mean() for a, b in itertools.pairwise(frames)])


def test_every_photograph_is_in_its_package_with_source_and_licence() -> None:
    for name, photo in PHOTOS.items():
        assert photo_path(name).stat().st_size > 5000
        assert photo.source and photo.licence
    assert {scene.photo for script in SCRIPTS for scene in script.scenes} == set(PHOTOS)


def test_a_missing_photograph_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(VideoError, match=r"chelsea\.png of the package skimage"):
        photo_path("cat")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scenes_fill_their_film_without_gap_and_dissolves_do_not_meet(script: Script) -> None:
    scenes = truth(script)
    assert scenes[0]["start_s"] == 0.0 and scenes[0]["transition"] == "start"
    assert scenes[-1]["end_s"] == pytest.approx(sum(scene.seconds for scene in script.scenes))
    for before, after in itertools.pairwise(scenes):
        assert before["end_s"] == after["start_s"]
        assert after["transition"] == ("dissolve" if after["dissolve_s"] else "cut")
        if span := after["dissolve_s"]:
            assert sum(span) / 2 == pytest.approx(after["start_s"])
            assert before["start_s"] + 1 < span[0] < span[1] < after["end_s"] - 1


def test_the_films_differ_in_character() -> None:
    kinds = {script.name: [scene["transition"] for scene in truth(script)] for script in SCRIPTS}
    lengths = {script.name: first_frames(script)[-1] / FPS for script in SCRIPTS}
    assert kinds["sample"].count("cut") >= 8 and kinds["slow"].count("dissolve") >= 6
    assert 30 <= lengths["sample"] <= 40 and 55 <= lengths["slow"] <= 65 and 9 <= lengths["short"] <= 11


def test_cuts_and_dissolves_lie_where_the_truth_says() -> None:
    frames = list(film_frames(TINY))
    assert len(frames) == 50 and frames[0].shape == (360, 640, 3)
    change = jumps(frames)
    assert change.argmax() == 14  # frame 15, at 0.6 s, is the first of the second scene
    fading = np.flatnonzero(change[15:]) + 16  # the cameras stand still
    start_s, end_s = truth(TINY)[2]["dissolve_s"]
    assert (start_s, end_s) == (1.0, 1.4)
    assert (fading[0] / FPS, fading[-1] / FPS, len(fading)) == (start_s, end_s, 11)


def test_the_camera_moves_within_a_scene_and_never_jumps() -> None:
    change = jumps(list(film_frames(Script("one", "One", SCRIPTS[0].scenes[3:4]))))
    assert change[20:60].mean() > 0.5 and change.max() < 25


def test_films_are_h264_with_the_index_in_front_and_read_back(tmp_path: Path, tiny: Script) -> None:
    heard: list[float] = []
    (film,) = sample_films(tmp_path / "new", heard.append)
    assert (film.name, film.title) == ("tiny", tiny.title)
    assert heard == sorted(heard) and heard[-1] == 1.0
    data = film.path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(film.path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    stated = json.loads(film.truth.read_text(encoding="utf-8"))
    with open_video(film.path) as video:
        assert (video.info.seconds, video.info.fps) == pytest.approx((stated["seconds"], stated["fps"]))
        shown = [frame.image for frame in video.frames(float(FPS))]
    assert jumps(shown).argmax() + 1 == round(stated["scenes"][1]["start_s"] * FPS)
    assert sorted(path.name for path in film.path.parent.iterdir()) == ["tiny.json", "tiny.mp4"]


@pytest.mark.usefixtures("tiny")
def test_films_come_out_the_same_every_time(tmp_path: Path) -> None:
    (one,), (two,) = sample_films(tmp_path / "1"), sample_films(tmp_path / "2")
    assert one.path.read_bytes() == two.path.read_bytes() and one.truth.read_bytes() == two.truth.read_bytes()


@pytest.mark.usefixtures("tiny")
def test_films_are_kept_and_made_anew_when_damaged_or_of_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (film,) = sample_films(tmp_path)
    whole, stamp = film.path.read_bytes(), film.path.stat().st_mtime_ns
    sample_films(tmp_path)
    assert film.path.stat().st_mtime_ns == stamp
    film.path.write_bytes(whole[:1000])
    sample_films(tmp_path)
    assert film.path.read_bytes() == whole
    film.truth.write_text("[]")
    sample_films(tmp_path)
    monkeypatch.setattr(sample_media, "VERSION", sample_media.VERSION + 1)
    sample_films(tmp_path)
    assert json.loads(film.truth.read_text(encoding="utf-8"))["version"] == sample_media.VERSION


@pytest.mark.usefixtures("tiny")
def test_two_callers_at_once_both_get_whole_films(tmp_path: Path) -> None:
    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.append(len(sample_films(tmp_path)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [1, 1, 1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.json", "tiny.mp4"]


@pytest.mark.usefixtures("tiny")
def test_cancelling_leaves_nothing_behind(tmp_path: Path) -> None:
    def cancel(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample_films(tmp_path, cancel)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("tiny")
def test_a_folder_that_cannot_be_written_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where the folder should be")
    with pytest.raises(VideoError, match="set VLJEPA_CACHE"):
        sample_films(tmp_path / "file")


@pytest.mark.usefixtures("tiny")
def test_the_cache_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLJEPA_CACHE", str(tmp_path / "kept"))
    assert sample_films()[0].path.parent == tmp_path / "kept" / "samples"
