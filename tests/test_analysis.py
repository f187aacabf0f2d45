"""Embed, cut, caption: with a model whose embeddings are known, and once with a video and a real one."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sample_media import sample_films
from vljepa.analysis import CutSettings, analyze, boundary_s, build_tree, caption_stream, cut, cut_warning, end_s, spans
from vljepa.checkpoint import SHIPPED, load
from vljepa.readout import Caption
from vljepa.stream import Trajectory
from vljepa.video import VideoInfo

RATE_HZ = 4.0
SCENES = np.eye(4, dtype=np.float32)
VIDEO = VideoInfo("fake.mp4", 30.1, 25.0, 64, 48)


def three_scenes(seconds: float = 30.1, warning: str | None = None) -> Trajectory:
    """Scene 0 for 10 s, then 1 for 12 s, then 2 to the end, with a little noise."""
    times_s = np.arange(0, seconds, 1 / RATE_HZ)
    noise = 0.02 * np.random.default_rng(0).normal(size=(len(times_s), 4))
    embeddings = SCENES[np.searchsorted([10, 22], times_s, side="right")] + noise.astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    timing_s = {"read": 0.1, "encode": 0.2, "predict": 0.3}
    return Trajectory(times_s, embeddings, replace(VIDEO, seconds=seconds), RATE_HZ, None, "fake", timing_s, warning)


class FakeStream:
    def __init__(self, trajectory: Trajectory) -> None:
        self.trajectory, self.video = trajectory, trajectory.video

    def collect(self, progress: Callable[[float], None] | None = None) -> Trajectory:
        for time_s in self.trajectory.times_s:
            (progress or print)(float(time_s) + 1 / RATE_HZ)
        return self.trajectory


class FakeModel:
    """Its caption is the number of the nearest scene; it remembers what it was asked."""

    readouts = ("decoder", "bank")

    def __init__(self, trajectory: Trajectory) -> None:
        self.trajectory = trajectory
        self.decoded: list[np.ndarray] = []
        self.asked: tuple[object, ...] | None = None

    def embed(self, video: str | Path | int, query: str | None = None, rate_hz: float | None = None) -> FakeStream:
        self.asked = (video, query, rate_hz)
        return FakeStream(self.trajectory)

    def decode(self, embeddings: np.ndarray, readout: str | None = None) -> list[Caption]:
        self.decoded.append(embeddings)
        best = (embeddings @ SCENES.T).argmax(axis=1)
        return [Caption(f"scene {k}", readout or "decoder", float(row[k]))
                for k, row in zip(best, embeddings, strict=True)]


def test_an_analysis_captions_each_scene_once() -> None:
    model = FakeModel(three_scenes())
    analysis = analyze(model, "fake.mp4")
    assert [(s.start_s, s.end_s, s.caption) for s in analysis.segments] == [
        (0.0, 10.0, "scene 0"), (10.0, 22.0, "scene 1"), (22.0, 30.1, "scene 2")]
    assert analysis.decodes == {"selective": 3, "uniform_1hz": 31}
    assert len(model.decoded) == 1
    assert list(analysis.timing_s) == ["read", "encode", "predict", "segment", "decode", "total"]
    assert analysis.boundary_strength.argmax() in (40, 88)
    assert analysis.warning is None


def test_what_was_asked_reaches_the_model() -> None:
    model = FakeModel(three_scenes())
    analysis = analyze(model, 0, query="Who?", rate_hz=2.0, readout="bank")
    assert model.asked == (0, "Who?", 2.0)
    assert {s.readout for s in analysis.segments} == {"bank"}


def test_an_unknown_readout_is_refused_before_the_video_is_opened() -> None:
    model = FakeModel(three_scenes())
    with pytest.raises(ValueError, match="readout must be one of decoder, bank"):
        analyze(model, "fake.mp4", readout="oracle")
    assert model.asked is None


def test_progress_counts_to_the_end_and_can_cancel() -> None:
    told = []
    analyze(FakeModel(three_scenes()), "fake.mp4", progress=lambda done, total: told.append((done, total)))
    assert told[0] == (0.25, 30.1)
    assert told[-1] == (30.1, 30.1)

    def cancel(_done: float, _total: float) -> None:
        raise InterruptedError

    model = FakeModel(three_scenes())
    with pytest.raises(InterruptedError):
        analyze(model, "fake.mp4", progress=cancel)
    assert not model.decoded


def test_the_midpoint_is_decoded_where_asked_and_the_mean_elsewhere() -> None:
    trajectory = three_scenes()
    tree = build_tree(trajectory, 0.0)
    mean, midpoint = (cut(trajectory, tree, CutSettings("count", 3, decode_at=at)) for at in ("mean", "midpoint"))
    np.testing.assert_allclose(mean[0].embedding, trajectory.embeddings[:40].mean(axis=0), atol=1e-6)
    np.testing.assert_array_equal(midpoint[0].embedding, trajectory.embeddings[20])


def test_what_is_decoded_is_never_smoothed() -> None:
    trajectory = three_scenes()
    first = cut(trajectory, build_tree(trajectory, 6.0), CutSettings("count", 3, smoothing_s=6.0))[0]
    np.testing.assert_allclose(first.embedding, trajectory.embeddings[: first.stop].mean(axis=0), atol=1e-6)


def test_many_segments_are_decoded_some_at_a_time() -> None:
    model = FakeModel(three_scenes())
    analysis = caption_stream(model, three_scenes(), CutSettings("count", 121, min_length_s=0.0))
    assert len(analysis.segments) == 121
    assert max(map(len, model.decoded)) <= 64


@pytest.mark.parametrize("settings", [
    CutSettings(), CutSettings("count", 1), CutSettings("count", 77), CutSettings("interval", 2.5),
    CutSettings("variance", 0.25), CutSettings("variance", 0.0), CutSettings("count", 20, 3.0, 4.0)])
def test_segments_cover_the_video_without_gap_or_overlap(settings: CutSettings) -> None:
    trajectory = three_scenes()
    covered = spans(trajectory, cut(trajectory, build_tree(trajectory, settings.smoothing_s), settings))
    assert covered[0][0] == 0.0
    assert covered[-1][1] == 30.1
    assert all(a[1] == b[0] for a, b in pairwise(covered))
    assert all(end - start >= settings.min_length_s - 0.25 for start, end in covered)


@pytest.mark.parametrize("settings", [CutSettings("count", 121, min_length_s=0.0), CutSettings()])
def test_boundaries_are_moved_back_by_the_lag_and_still_cover_the_video(settings: CutSettings) -> None:
    trajectory = replace(three_scenes(), lag_s=0.375)
    segments = cut(trajectory, build_tree(trajectory, settings.smoothing_s), settings)
    covered = spans(trajectory, segments)
    assert covered[0][0] == 0.0 and covered[-1][1] == 30.1
    assert all(a[1] == b[0] and a[0] < a[1] for a, b in pairwise(covered))
    assert [start for start, _ in covered[4:]] == [s.start / 4 - 0.375 for s in segments[4:]]


def test_the_first_boundaries_trail_less_as_their_windows_are_shorter() -> None:
    trajectory = replace(three_scenes(), lag_s=0.375)
    assert [boundary_s(trajectory, step) for step in range(5)] == [0.0, 0.125, 0.25, 0.375, 0.625]


def test_more_segments_than_steps_gives_one_for_each_and_says_so() -> None:
    settings = CutSettings("count", 900, min_length_s=0.0)
    analysis = caption_stream(FakeModel(three_scenes()), three_scenes(), settings)
    assert len(analysis.segments) == 121
    assert analysis.warning == "900 segments were asked for, but at 4 Hz the video has only 121 steps."
    assert "30100 segments" in str(cut_warning(three_scenes(), CutSettings("interval", 0.001005)))
    assert cut_warning(three_scenes(), CutSettings("interval", 2.0)) is None


def test_the_warnings_of_the_video_and_of_the_cut_are_both_told() -> None:
    trajectory = three_scenes(warning="The file is cut off.")
    analysis = caption_stream(FakeModel(trajectory), trajectory, CutSettings("count", 900))
    assert str(analysis.warning).startswith("The file is cut off. 900 segments")


@pytest.mark.parametrize(("seconds", "expected"), [
    (30.1, 30.1), (30.4, 30.4), (90.0, 30.25), (0.0, 30.25), (3.0, 30.25)])
def test_the_end_is_the_videos_own_unless_its_header_is_wrong(seconds: float, expected: float) -> None:
    trajectory = replace(three_scenes(), video=replace(VIDEO, seconds=seconds))
    assert end_s(trajectory) == pytest.approx(expected)


def test_a_single_frame_is_one_segment() -> None:
    trajectory = three_scenes(seconds=0.04)
    analysis = caption_stream(FakeModel(trajectory), trajectory, CutSettings())
    assert [(s.start_s, s.end_s) for s in analysis.segments] == [(0.0, 0.04)]
    assert analysis.decodes == {"selective": 1, "uniform_1hz": 1}


def test_an_embedding_that_is_not_a_number_is_refused() -> None:
    trajectory = three_scenes()
    trajectory.embeddings[5, 0] = np.nan
    with pytest.raises(ValueError, match="step 5 of 121 is not finite"):
        caption_stream(FakeModel(trajectory), trajectory, CutSettings())


@pytest.mark.skipif(not (SHIPPED / "everyday" / "config.json").exists(), reason="everyday is not trained yet")
def test_the_auto_cut_finds_the_scenes_of_the_sample_films(tmp_path: Path) -> None:
    model = load("everyday")
    for film in sample_films(tmp_path):
        found = [s.start_s for s in analyze(model, film.path).segments[1:]]
        scenes = json.loads(film.truth.read_text())["scenes"][1:]
        cuts = [sum(s["dissolve_s"]) / 2 if s["dissolve_s"] else s["start_s"] for s in scenes]
        hits = sum(min(abs(cut - boundary) for boundary in [*found, -9.0]) <= 1.0 for cut in cuts)
        assert 2 * hits / (len(found) + len(cuts)) >= 0.8, film.name
        late = [min((boundary - s["start_s"] for boundary in found), key=abs) for s in scenes if not s["dissolve_s"]]
        # a step is 0.25 s: boundaries come out up to a step and a half early or late, but not late on the whole
        assert all(abs(seconds) < 0.4 for seconds in late) and abs(sum(late)) <= 0.1 * len(late), (film.name, late)


@pytest.mark.parametrize(("options", "message"), [
    ({"method": "magic"}, "method must be one of auto, count, interval, variance"),
    ({"method": "auto", "value": 3}, "auto cut takes no value"),
    ({"method": "count"}, "cutting by count needs a value"),
    ({"method": "count", "value": 0}, "at least 1, got 0"),
    ({"method": "count", "value": 2.5}, "whole number"),
    ({"method": "interval", "value": 0.0}, "above 0"),
    ({"method": "interval", "value": float("nan")}, "above 0"),
    ({"method": "variance", "value": 1.5}, "0 to 1, got 1.5"),
    ({"smoothing_s": -1.0}, "smoothing_s must be 0 seconds or more"),
    ({"min_length_s": float("inf")}, "min_length_s must be 0 seconds or more"),
    ({"decode_at": "end"}, "decode_at must be one of mean, midpoint"),
])
def test_settings_that_mean_nothing_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CutSettings(**options)
