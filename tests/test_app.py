"""The app's engine and handlers, without a browser: a model that knows colours stands in for the real one."""

import base64
import errno
import json
import os
import re
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch

from app.assets import STATIC, plotly_path, publish, template
from app.banner import banner, limits
from app.engine import Engine, Source, safe_name
from app.explore import handlers
from app.film import place_stream
from app.jobs import Jobs
from app.messages import in_one_sentence, sentence_for
from app.playable import make_playable
from app.port import free_port
from app.store import Store, content_hash
from sample_media import SampleFilm
from visualizations.landmark_map import Landmarks
from vljepa.analysis import CutSettings
from vljepa.errors import ExportError, VideoError, VLJEPAError
from vljepa.export import EXPORTS
from vljepa.readout import Caption
from vljepa.stream import Step, Trajectory
from vljepa.video import open_video

COLOURS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (30, 40, 210), "white": (230, 230, 230)}
AUTO = CutSettings("auto", None, 0.0, 0.0)
SAY = {"method": "auto", "value": None, "smoothing_s": 0, "min_length_s": 0, "readout": "decoder"}
HOSTILE = "${alert(1)} <img src=x onerror=alert(2)>.mp4"


class ColourModel:
    """Predicts the mean colour of a frame; its sentences are the names of colours."""

    name, device, readouts, fingerprint = "colours", torch.device("cpu"), ("decoder", "bank"), "colours-weights"
    bank = None
    config = SimpleNamespace(rate_hz=4.0, caption_query="Which colour?")

    def __init__(self, landmarks=None, delay_s=0.0):
        self.landmarks, self.delay_s = landmarks, delay_s
        self.embedded, self.decoded, self.closed = 0, [], threading.Event()

    def embed(self, source, query=None, rate_hz=4.0):
        return ColourStream(self, source, query, rate_hz)

    def embed_text(self, texts):
        return np.stack([unit(np.array(COLOURS.get(text, (9, 9, 9)))) for text in texts])

    def decode(self, embeddings, readout="decoder"):
        self.decoded.append(len(embeddings))
        known = self.embed_text(list(COLOURS))
        return [Caption(f"{list(COLOURS)[int((known @ e).argmax())]} <b>${{1}}", readout, float((known @ e).max()))
                for e in embeddings]


class ColourStream:
    def __init__(self, model, source, query, rate_hz):
        self.model, self.query, self.rate_hz = model, query, rate_hz
        self.reader, self.keep = open_video(source), None
        self.video, self.warning, self.lag_s = self.reader.info, None, 0.0
        self.timing_s = {"read": 0.0, "encode": 0.0, "predict": 0.0}

    def __iter__(self):
        self.model.embedded += 1
        try:
            with self.reader:
                for frame in self.reader.frames(self.rate_hz, (16, 16)):
                    time.sleep(self.model.delay_s)
                    colour = frame.image.reshape(-1, 3).mean(axis=0)
                    if self.keep is not None:
                        self.keep(torch.tensor(colour, dtype=torch.float32).reshape(1, 1, 3))
                    yield Step(frame.time_s, unit(colour))
        finally:
            self.model.closed.set()
        self.warning = self.reader.warning

    def collect(self, progress=None):
        steps = iter(self)
        times_s, embeddings = [], []
        try:
            for step in steps:
                times_s.append(step.time_s)
                embeddings.append(step.embedding)
                progress(step.time_s)
        finally:
            steps.close()
        return Trajectory(np.array(times_s), np.array(embeddings), self.video, self.rate_hz, self.query, "colours",
                          self.timing_s, self.warning, self.lag_s)


def unit(vector):
    padded = np.concatenate([vector, np.full(5, 20.0)])
    return (padded / np.linalg.norm(padded)).astype(np.float32)


def film(path: Path, scenes=("red", "green", "blue"), seconds_each=2.0, codec="libx264", size=(96, 64)) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for name in scenes:
            for _ in range(int(seconds_each * 10)):
                image = np.full((size[1], size[0], 3), COLOURS[name], np.uint8)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def sound_only(path: Path) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def landmarks() -> Landmarks:
    """Sentences around every colour, on a map made by hand."""
    rng = np.random.default_rng(0)
    texts = [f"a {name} <i>thing</i> {k}" for name in COLOURS for k in range(10)]
    embeddings = np.stack([unit(np.array(COLOURS[name]) + rng.normal(0, 9, 3)) for name in COLOURS for _ in range(10)])
    clusters = np.repeat(np.arange(4), 10)
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], dtype=np.float32)[clusters]
    xy = (corners + rng.normal(0, 0.1, corners.shape)).astype(np.float32)
    zero = embeddings.mean(axis=0)
    return Landmarks(texts, embeddings, xy, np.column_stack([xy, xy[:, 0]]), clusters, list(COLOURS), zero, zero)


def finished(job):
    until = time.monotonic() + 120
    while not job.finished.wait(1):
        assert time.monotonic() < until, "the job did not end"
        job.seen()
    return job


def open_film(engine, path, title="film.mp4", query=None, rate_hz=4.0):
    job = finished(engine.open(Source(path, title), query, rate_hz))
    assert job.error is None
    return job.result


@pytest.fixture
def engine(tmp_path):
    return Engine(ColourModel(), "colours-1", Store(tmp_path / "store"))


@pytest.fixture
def clip(tmp_path):
    return film(tmp_path / "clip.mp4")


# --- opening, cutting, captioning ---------------------------------------------------------------------------------


def test_a_film_is_cut_where_its_colours_change(engine, clip):
    opened = open_film(engine, clip)
    cut = engine.caption(opened.key, AUTO, "decoder")
    assert [(s.start, s.stop) for s in cut.segments] == [(0, 8), (8, 16), (16, 24)]
    assert [c.text.split()[0] for c in cut.captions] == ["red", "green", "blue"]


def test_recutting_neither_encodes_again_nor_decodes_a_segment_twice(engine, clip):
    opened = open_film(engine, clip)
    engine.caption(opened.key, AUTO, "decoder")
    assert (engine.model.embedded, engine.model.decoded) == (1, [3])
    recut = engine.cut(opened.key, CutSettings("count", 2, 0.0, 0.0), "decoder")
    assert (engine.model.embedded, engine.model.decoded) == (1, [3])
    assert recut.missing == 1, "one of the two segments stood before"
    engine.caption(opened.key, CutSettings("count", 2, 0.0, 0.0), "decoder")
    assert engine.cut(opened.key, AUTO, "decoder").missing == 0
    assert engine.model.decoded == [3, 1]


def test_the_two_readouts_keep_captions_of_their_own(engine, clip):
    opened = open_film(engine, clip)
    engine.caption(opened.key, AUTO, "decoder")
    assert engine.cut(opened.key, AUTO, "bank").missing == 3
    assert {c.readout for c in engine.caption(opened.key, AUTO, "bank").captions} == {"bank"}


def test_ten_minutes_are_recut_within_fifty_milliseconds(engine, clip):
    opened = open_film(engine, clip)
    rng = np.random.default_rng(0)
    steps = np.cumsum(rng.normal(size=(2400, 64)), axis=0)
    opened.trajectory = type(opened.trajectory)(
        np.arange(2400) / 4, (steps / np.linalg.norm(steps, axis=1, keepdims=True)).astype(np.float32),
        opened.trajectory.video, 4.0, None, "colours")
    opened.tree(0.0)
    seconds = []
    for count in (5, 50, 120):
        started = time.perf_counter()
        engine.cut(opened.key, CutSettings("count", count, 0.0, 0.0), "decoder")
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.05


def test_opening_the_same_film_again_needs_no_model_even_under_another_name(engine, clip, tmp_path):
    first = open_film(engine, clip)
    engine.caption(first.key, AUTO, "decoder")
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(clip.read_bytes())
    fresh = Engine(ColourModel(), "colours-1", Store(tmp_path / "store"))
    again = open_film(fresh, copy, "Another name")
    assert fresh.cut(again.key, AUTO, "decoder").missing == 0
    assert (fresh.model.embedded, fresh.model.decoded, again.title) == (0, [], "Another name")


@pytest.mark.parametrize(("fingerprint", "query", "rate_hz"), [("colours-2", None, 4.0), ("colours-1", "What?", 4.0),
                                                               ("colours-1", None, 2.0)])
def test_another_checkpoint_query_or_rate_is_another_stream(engine, clip, tmp_path, fingerprint, query, rate_hz):
    open_film(engine, clip)
    fresh = Engine(ColourModel(), fingerprint, Store(tmp_path / "store"))
    open_film(fresh, clip, query=query, rate_hz=rate_hz)
    assert fresh.model.embedded == 1


def test_an_empty_query_asks_for_captions(engine, clip):
    assert open_film(engine, clip, query="  ").trajectory.query is None


def test_a_damaged_cache_is_as_good_as_none(engine, clip, tmp_path):
    opened = open_film(engine, clip)
    engine.caption(opened.key, AUTO, "decoder")
    for path in (tmp_path / "store").rglob("*"):
        if path.suffix in (".npz", ".json"):
            path.write_bytes(b"\0 not what it was")
    fresh = Engine(ColourModel(), "colours-1", Store(tmp_path / "store"))
    assert fresh.cut(open_film(fresh, clip).key, AUTO, "decoder").missing == 3


def test_the_store_forgets_the_oldest_films_first(tmp_path):
    store = Store(tmp_path, limit_bytes=250)
    for age, name in enumerate(("new", "middle", "old")):
        (store.folder(name) / "film.mp4").write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    store.prune()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["middle", "new"]


def test_cancelling_stops_the_stream_and_leaves_no_result(clip, tmp_path):
    engine = Engine(ColourModel(delay_s=0.05), "colours-1", Store(tmp_path / "store"))
    job = engine.open(Source(clip, "film"), None, 4.0)
    while job.fraction < 0.1:
        time.sleep(0.01)
    job.cancel()
    finished(job)
    assert job.cancelled
    assert job.result is None
    assert engine.model.closed.is_set(), "the video is still open"
    assert not list((tmp_path / "store").rglob("*.npz"))
    assert open_film(engine, clip).title == "film.mp4"


def test_a_job_that_nobody_watches_stops(monkeypatch):
    monkeypatch.setattr("app.jobs.FORGOTTEN_S", 0.05)

    def work(job):
        while True:
            job.report("Working", 0.5)
            time.sleep(0.01)

    assert finished(Jobs().start(work)).cancelled


def test_points_reach_the_map_while_the_film_is_read(clip, tmp_path):
    engine = Engine(ColourModel(landmarks()), "colours-1", Store(tmp_path / "store"))
    job = finished(engine.open(Source(clip, "film"), None, 4.0))
    seconds, novelty = np.concatenate(job.points)[:, :2].T
    np.testing.assert_allclose(seconds, np.arange(24) / 4)
    assert sorted(np.argsort(novelty)[-2:].tolist()) == [8, 16], "the two cuts are what changes most"
    assert job.result.place.kind == "landmarks"
    assert job.result.place.agreement > 0.5


def test_without_landmarks_the_map_is_the_streams_own():
    place = place_stream(np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32), None)
    assert (place.kind, place.agreement, place.xy.shape, place.xyz.shape) == ("pca", None, (30, 2), (30, 3))


def test_a_film_that_never_changes_is_one_segment(engine, tmp_path):
    opened = open_film(engine, film(tmp_path / "still.mp4", scenes=("red",)))
    assert len(engine.cut(opened.key, AUTO, "decoder").segments) == 1


def test_a_single_frame_is_a_film_too(engine, tmp_path):
    opened = open_film(engine, film(tmp_path / "one.mp4", scenes=("red",), seconds_each=0.1))
    cut = engine.caption(opened.key, CutSettings("count", 9, 0.0, 0.0), "decoder")
    assert [c.text.split()[0] for c in cut.captions] == ["red"]


# --- other cuts, and a map of its own -----------------------------------------------------------------------------


def test_other_cuts_have_as_many_segments_and_are_measured_against_a_reference(engine, clip):
    opened = open_film(engine, clip)
    cuts = {cut.way: cut for cut in engine.compare(opened.key, AUTO, "decoder", [2.0, 4.0])}
    assert list(cuts) == ["meaning", "pixels", "clock", "reference"]
    assert [cut.f1 for cut in cuts.values()] == [1.0, 1.0, 1.0, None]
    assert cuts["pixels"].boundaries_s == [1.875, 3.875]  # half a step before the frame that is new
    cuts = engine.compare(opened.key, CutSettings("count", 2), "decoder", None)
    assert [(cut.way, len(cut.boundaries_s), cut.f1) for cut in cuts] == [
        ("meaning", 1, None), ("pixels", 1, None), ("clock", 1, None)]


def test_a_films_own_map_lies_where_the_common_one_did(engine, clip):
    opened = open_film(engine, clip)
    assert finished(engine.fit_map(opened.key)).result is opened
    own = opened.own_place()
    assert own.kind == "own" and own.xy.shape == opened.place.xy.shape and own.xyz.shape == opened.place.xyz.shape
    np.testing.assert_allclose(own.xy.mean(axis=0), opened.place.xy.mean(axis=0), atol=0.05)


# --- exports ------------------------------------------------------------------------------------------------------


def test_every_export_is_written_under_the_films_own_name(engine, clip):
    opened = open_film(engine, clip, HOSTILE)
    files = engine.export(opened.key, AUTO, "decoder")
    assert set(files) == set(EXPORTS)
    told = json.loads(files["analysis.json"].read_text())
    assert told["video"]["path"] == HOSTILE
    assert (told["decodes"], len(told["segments"])) == ({"selective": 3, "uniform_1hz": 6}, 3)


def test_a_full_disk_is_one_sentence_and_leaves_no_file(engine, clip, monkeypatch, tmp_path):
    opened = open_film(engine, clip)
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(ExportError, match="no space left"):
        engine.export(opened.key, AUTO, "decoder")
    assert not [p for p in (tmp_path / "store").rglob("exports/**/*") if p.is_file()]


# --- handlers and messages ----------------------------------------------------------------------------------------


def ask(engine, uploads, name, **request):
    return handlers(engine, uploads)[name](request)


def watch(engine, uploads, token):
    finished(engine.jobs.get(token))
    return ask(engine, uploads, "progress", job=token, points_seen=0)


def test_the_page_can_open_cut_caption_and_export_an_upload(engine, clip, tmp_path):
    token = ask(engine, tmp_path, "open_film", upload=str(clip), title=HOSTILE, query="", rate_hz=4)["job"]
    view = watch(engine, tmp_path, token)
    assert (view["done"], view["film"]["title"], view["film"]["steps"]) == (True, HOSTILE, 24)
    assert len(base64.b64decode(view["film"]["map"]["xy"])) == 24 * 2 * 4
    key = view["film"]["key"]
    cut = ask(engine, tmp_path, "cut", film=key, **SAY)
    assert [s["caption"] for s in cut["segments"]] == [None] * 3
    assert [s["end_s"] for s in cut["segments"]] == [2.0, 4.0, 6.0]
    assert ask(engine, tmp_path, "caption", film=key, **SAY)["missing"] == 0
    names = [file["name"] for file in ask(engine, tmp_path, "export", film=key, **SAY)["files"]]
    assert names[0] == "alert-1-img-src-x-onerror-alert-2-analysis.json"
    json.dumps(view)


def test_the_page_learns_once_what_there_is(clip, tmp_path):
    sample = SampleFilm("colours", "Three colours", clip, clip)
    engine = Engine(ColourModel(landmarks()), "colours-1", Store(tmp_path / "store"), [sample])
    told = ask(engine, tmp_path, "hello")
    assert [s["title"] for s in told["samples"]] == ["Three colours"]
    assert told["samples"][0]["poster"].endswith("colours.jpg")
    assert {w["words"] for w in told["landmarks"]["words"]} == set(COLOURS)
    token = ask(engine, tmp_path, "open_film", sample="colours", query="", rate_hz=4)["job"]
    assert watch(engine, tmp_path, token)["film"]["seconds"] == 6.0


def test_files_that_were_never_uploaded_are_refused(engine, clip, tmp_path):
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    for path in (str(clip), str(uploads / ".." / "clip.mp4"), "", "/etc/passwd"):
        assert "choose a video" in ask(engine, uploads, "open_film", upload=path, rate_hz=4)["error"].lower()


BAD_FILES = {
    "empty.mp4": (lambda path: path.write_bytes(b""), "is empty"),
    "words.mp4": (lambda path: path.write_text("These are words. " * 99), "is not a video"),
    "song.m4a": (sound_only, "no moving picture"),
    "headless.mp4": (lambda path: path.write_bytes(film(path).read_bytes()[:900]), "cut off or damaged"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_one_sentence_that_names_it_as_the_user_does(engine, tmp_path, name):
    make, reason = BAD_FILES[name]
    make(tmp_path / name)
    token = ask(engine, tmp_path, "open_film", upload=str(tmp_path / name), title=f"My {name}", rate_hz=4)["job"]
    told = watch(engine, tmp_path, token)["error"]
    assert reason in told
    assert f"My {name}" in told
    assert str(tmp_path) not in told
    assert "\n" not in told
    assert not list(Path(engine.store.root).iterdir()), "a bad file left something behind"


def test_a_truncated_film_is_analysed_as_far_as_it_decodes_and_says_so(engine, tmp_path):
    whole = film(tmp_path / "whole.mkv", scenes=("red", "green", "blue", "white"), size=(320, 240))
    (tmp_path / "cut.mkv").write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    opened = open_film(engine, tmp_path / "cut.mkv")
    assert 0 < opened.seconds < 8
    assert "cut off" in opened.trajectory.warning


@pytest.mark.parametrize(("changes", "reason"), [
    ({"method": "magic"}, "ethod must be one of"), ({"method": "count", "value": 0}, "at least 1"),
    ({"method": "count", "value": "many"}, "cannot be read"), ({"smoothing_s": float("nan")}, "0 seconds or more"),
    ({"readout": "oracle"}, "reads out by decoder or bank"), ({"film": "gone"}, "open it again"),
    ({"smoothing_s": None}, "incomplete"),
])
def test_impossible_requests_are_answered_with_a_sentence(engine, clip, tmp_path, changes, reason):
    key = open_film(engine, clip).key
    assert reason in ask(engine, tmp_path, "cut", **({"film": key} | SAY | changes))["error"]


def test_an_unknown_sample_and_a_finished_job_are_answered_too(engine, tmp_path):
    assert "no sample film" in ask(engine, tmp_path, "open_film", sample="nope", rate_hz=4)["error"]
    assert "open the film again" in ask(engine, tmp_path, "progress", job="nope")["error"]


@pytest.mark.parametrize(("error", "told"), [
    (VideoError("a.mp4 is empty"), "a.mp4 is empty."), (ValueError("two\n lines"), "Two lines."),
    (OSError(errno.ENOSPC, "x"), "The disk is full: make room, then try again."),
    (MemoryError(), "This needs more memory than there is: try a lower rate or a smaller film."),
])
def test_errors_become_one_sentence(error, told):
    assert sentence_for(error) == told


def test_an_unforeseen_error_goes_to_the_terminal_and_the_app_goes_on(caplog):
    def broken(request):
        return request["absent"]

    assert "The terminal has the details" in in_one_sentence(broken)({})["error"]
    assert "KeyError" in caplog.text


# --- what is around it --------------------------------------------------------------------------------------------


def test_a_film_that_browsers_play_is_linked_and_others_are_converted(tmp_path):
    plain, odd = film(tmp_path / "a.mp4"), film(tmp_path / "b.avi", codec="mpeg4")
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir(), second.mkdir()
    told = []
    linked = make_playable(plain, first, told.append)
    converted = make_playable(odd, second, told.append)
    assert content_hash(linked) == content_hash(plain)
    with av.open(str(converted)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
    assert told, "converting tells how far it is"
    assert make_playable(odd, second, told.append) == converted


def test_a_busy_port_is_left_for_the_next_one_or_told(capsys, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr("app.port.FIRST_PORT", port)
        assert free_port("127.0.0.1", None) > port
        assert "in use" in capsys.readouterr().out
        assert free_port("127.0.0.1", None, quiet=True) > port
        assert capsys.readouterr().out == ""
        with pytest.raises(VLJEPAError, match=f"port {port} on 127.0.0.1 cannot be used"):
            free_port("127.0.0.1", port)


def test_the_banner_escapes_what_it_shows():
    shown = banner("<script>x</script>", torch.device("cpu"))
    assert "<script>" not in shown
    assert "CPU" in shown


def test_limits_are_read_from_metrics_and_absent_without_them():
    assert limits({}) == []
    assert [x["value"] for x in limits({"retrieval": {"i2t_r1": 31.2}, "caption.cider": {"value": 0.613}})] \
        == ["31 %", "0.61"]


def test_titles_become_harmless_file_names():
    assert [safe_name(t) for t in ("../../etc/pass wd.mp4", "…", "Film 1.mov")] == ["pass-wd", "film", "Film-1"]


def test_published_files_are_whole_and_keep_their_address_until_they_change(tmp_path):
    folder = publish(tmp_path)
    assert publish(tmp_path) == folder
    assert {p.name for p in folder.iterdir()} == {p.name for p in STATIC.iterdir() if p.is_file()}
    assert plotly_path().stat().st_size > 1_000_000


@pytest.mark.parametrize(("name", "own"), [("explore.css", ("vlj-explore",)), ("film.css", ("vlj-filmtab",)),
                                           ("ask.css", ("vlj-ask",)), ("page.css", ("vlj-", "--vlj"))])
def test_every_style_is_bound_to_the_app(name, own):
    text = re.sub(r"/\*.*?\*/|@keyframes.*?\}\s*\}", "", (STATIC / name).read_text(), flags=re.DOTALL)
    rules = [rule.strip() for rule in re.findall(r"([^{}]+)\{[^{}]*\}", text)]
    assert len(rules) > 10
    assert [rule for rule in rules if not any(mark in rule for mark in (*own, ".gradio-container"))] == []


def test_templates_hold_nothing_that_gradio_would_fill_in():
    assert "vlj-explore" in template("explore.html")
