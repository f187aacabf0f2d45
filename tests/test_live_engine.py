"""The live engine, its handlers, the pictures it keeps and the film they become, without a browser."""

import base64
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from test_app import COLOURS, ColourModel, landmarks, unit
from test_app import film as video_of

from app.engine import Engine
from app.frame_log import CHUNK_S, KEPT_S, FrameLog
from app.live import handlers, source_of
from app.live_engine import LiveEngine
from app.pictures import LARGEST, decode_jpeg, encode_jpeg
from app.store import Store
from sample_media import SampleFilm
from vljepa.online import OnlineSettings
from vljepa.video import open_video

TOKEN = "0123456789abcdef" * 2


class LiveColourModel(ColourModel):
    """Predicts the mean colour of its newest frames, one by one as a live loop asks for them."""

    config = SimpleNamespace(rate_hz=4.0, caption_query="Which colour?", predictor=SimpleNamespace(window_frames=2),
                             x_encoder=SimpleNamespace(image_size=64, fit="squash"))
    x_encoder = SimpleNamespace(frames_per_step=1)

    def query_tokens(self, queries):
        if any(query is not None and not query.strip() for query in queries):
            raise ValueError("the query is empty")

    def fit(self, image):
        return cv2.resize(image, (64, 64))

    def encode_frames(self, frames):
        return torch.from_numpy(frames.reshape(len(frames), 1, -1, 3).mean(axis=2))

    def encode_clips(self, _clips):
        raise AssertionError("this model sees frames one by one")

    fill = encode_clips

    def predict(self, visual_tokens, _query=None):
        return np.stack([unit(tokens[-1, 0].numpy()) for tokens in visual_tokens])


def scene(colour: str, size: tuple[int, int]) -> np.ndarray:
    """A picture in two tones, for one of a single tone is a covered lens."""
    image = np.full((size[1], size[0], 3), COLOURS[colour], np.uint8)
    image[: size[1] // 2] = image[: size[1] // 2] // 2
    return image


@pytest.fixture
def engine(tmp_path):
    video_of(tmp_path / "colours.mp4", scenes=("red", "green"))
    samples = [SampleFilm("colours", "Colours", tmp_path / "colours.mp4", tmp_path / "colours.mp4")]
    made = Engine(LiveColourModel(landmarks()), "colours-1", Store(tmp_path / "store"), samples)
    yield made
    made.live.shut_down()


def jpeg(colour):
    return encode_jpeg(scene(colour, (64, 64)))


def show(call, colours, step_s=0.25, token=TOKEN):
    """Offer one frame after the other, each once the one before is answered."""
    rows, captions, since, t = [], [], -1, time.monotonic()
    for k, colour in enumerate(colours):
        request = {"captured_s": t + k * step_s, "jpeg": base64.b64encode(jpeg(colour)).decode()}
        while len(rows) <= k:  # a caption may come first
            news = call["exchange"]({"token": token, "at_s": time.monotonic(), "since": since, "wait_s": 5,
                                     "ledger": True, **request})
            assert "error" not in news, news
            since, rows, captions = news["last"], rows + news["updates"], captions + news["captions"]
            request = {}
    return rows, captions, news


def test_frames_go_in_and_moments_and_captions_come_out(engine):
    call = handlers(engine, engine.live)
    assert call["start"]({"token": TOKEN, "at_s": time.monotonic()}) == {}
    rows, captions, news = show(call, ["red"] * 12 + ["blue"] * 12)
    assert len(rows) == 24
    assert [row[5] for row in rows] == sorted(row[5] for row in rows) and rows[-1][5] == 1, "two segments"
    assert [c["text"].split()[0] for c in captions] == ["red", "blue"]
    assert all(len(row) == 13 for row in rows), "with a place on both maps"
    assert news["ledger"]["decodes"] == 2


def test_the_page_gets_its_own_clock_back(engine):
    call = handlers(engine, engine.live)
    call["start"]({"token": TOKEN, "at_s": time.monotonic()})
    rows, _, _ = show(call, ["red"] * 4)
    assert np.diff([row[2] for row in rows]) == pytest.approx(np.full(3, 0.25), abs=0.02)


def test_sessions_know_nothing_of_each_other(engine):
    call = handlers(engine, engine.live)
    other = "f" * 32
    for token in (TOKEN, other):
        call["start"]({"token": token, "at_s": time.monotonic()})
    _, mine, _ = show(call, ["red"] * 8)
    _, theirs, _ = show(call, ["green"] * 8, token=other)
    assert {c["text"].split()[0] for c in mine} == {"red"} and {c["text"].split()[0] for c in theirs} == {"green"}


def test_what_was_closed_is_gone_with_its_files(engine):
    call = handlers(engine, engine.live)
    call["start"]({"token": TOKEN, "at_s": time.monotonic()})
    show(call, ["red"] * 3)
    assert list(engine.live.root.rglob("*.mjpeg"))
    engine.live.close(TOKEN)
    assert not list(engine.live.root.rglob("*.mjpeg")) and not engine.live.live.sessions
    assert call["exchange"]({"token": TOKEN, "at_s": 0.0, "since": -1}) == {"over": True}
    assert "press Start" in call["stop"]({"token": TOKEN})["error"]


def test_a_page_that_falls_silent_is_ended_by_the_clock():
    live = LiveEngine(LiveColourModel(), silent_s=0.2)
    live.open(TOKEN, OnlineSettings(), None)
    until = time.monotonic() + 10
    while live.live.sessions:
        assert time.monotonic() < until
        time.sleep(0.05)
    live.shut_down()


def test_bad_requests_are_told_in_one_sentence(engine):
    call = handlers(engine, engine.live)
    assert "reload" in call["start"]({"token": "../etc", "at_s": 0.0})["error"]
    assert "threshold" in call["start"]({"token": TOKEN, "at_s": 0.0, "threshold": 7})["error"]
    call["start"]({"token": TOKEN, "at_s": time.monotonic()})
    for bad in ("AAAA", "not base64!", base64.b64encode(b"x" * (LARGEST + 1)).decode()):
        answer = call["exchange"]({"token": TOKEN, "at_s": 0.0, "captured_s": 0.0, "since": -1, "jpeg": bad})
        assert "frame" in answer["error"]
    assert "seen no frame" in call["download"]({"token": TOKEN, "kind": "json"})["error"]
    assert "no sample film" in call["switch"]({"token": TOKEN, "sample": "nonesuch"})["error"]
    engine.live.server_sources = False
    assert "this machine alone" in call["switch"]({"token": TOKEN, "address": "0"})["error"]


def test_an_address_is_a_camera_a_stream_or_a_file(tmp_path):
    file = tmp_path / "film.mp4"
    file.touch()
    assert source_of(" 0 ") == 0
    assert source_of("rtsp://cam.local/1") == "rtsp://cam.local/1"
    assert source_of(str(file)) == file
    for bad in ("", "gopher://x", "/no/such/file", "file:///etc/passwd"):
        with pytest.raises(ValueError, match=r"server|address"):
            source_of(bad)


def test_a_film_on_the_server_is_watched_paused_and_shown(engine):
    call = handlers(engine, engine.live)
    call["start"]({"token": TOKEN, "at_s": time.monotonic(), "sample": "colours"})
    news = call["exchange"]({"token": TOKEN, "at_s": time.monotonic(), "since": -1, "wait_s": 5})
    assert news["updates"] and news["source"]["kind"] == "playing"
    assert decode_jpeg(base64.b64decode(news["picture"])).shape == (64, 96, 3)
    assert call["adjust"]({"token": TOKEN, "window_s": 2}) == {}
    assert engine.live.viewer(TOKEN).session.settings.window_s == 2.0
    assert "window_s must be more than 0" in call["adjust"]({"token": TOKEN, "window_s": 0})["error"]
    call["adjust"]({"token": TOKEN, "paused": True})
    call["exchange"]({"token": TOKEN, "at_s": time.monotonic(), "since": news["last"], "wait_s": 0.3})
    before = engine.live.viewer(TOKEN).session.ledger().windows
    time.sleep(0.4)
    assert engine.live.viewer(TOKEN).session.ledger().windows == before
    call["stop"]({"token": TOKEN})
    assert engine.live.viewer(TOKEN).state is None


def test_the_frame_log_forgets_whole_minutes_and_finds_what_was_shown(tmp_path):
    log = FrameLog(tmp_path / "log")
    for k in range(int((KEPT_S + 3 * CHUNK_S) / 10)):
        log.append(10.0 * k, f"{k}".encode())
    times = log.times_s()
    assert times[-1] - times[0] <= KEPT_S + CHUNK_S
    assert log.at(times[-1] + 99) == f"{len(times) + round(times[0] / 10) - 1}".encode()
    assert log.at(times[3] + 5) == f"{round(times[3] / 10)}".encode()
    assert log.at(-1.0) == f"{round(times[0] / 10)}".encode()
    log.close()
    assert not (tmp_path / "log").exists()
    with pytest.raises(ValueError, match="no picture"):
        log.at(0.0)


def test_a_session_becomes_a_film_with_its_own_cuts_beside_wards(engine):
    call = handlers(engine, engine.live)
    call["start"]({"token": TOKEN, "at_s": time.monotonic(), "aspect": 16 / 9})
    show(call, ["red"] * 12 + ["blue"] * 12)
    job = engine.keep(engine.live.viewer(TOKEN).kept("Live"))
    assert job.finished.wait(30) and job.error is None, job.error
    film = job.result
    engine.live.close(TOKEN)
    assert film.reference_s == [pytest.approx(3.0, abs=0.6)]
    with open_video(film.media) as video:
        assert (video.info.width, video.info.height) == (512, 288)
        seconds = [frame.time_s for frame in video.frames(4.0, (8, 8))]
    assert seconds[-1] == pytest.approx(5.75, abs=0.3)
    assert (film.trajectory.video.width, film.trajectory.video.height) == (512, 288), "not the model's square"
    from vljepa.analysis import CutSettings

    assert film.agreement(film.cut(CutSettings("count", 2, 0.0, 0.0), "decoder")) == 1.0


def test_a_picture_survives_its_jpeg():
    picture = scene("green", (64, 48))
    assert np.abs(decode_jpeg(encode_jpeg(picture)).astype(int) - picture).mean() < 3
    assert cv2.imdecode(np.frombuffer(encode_jpeg(picture), np.uint8), 1).shape == (48, 64, 3)


def test_a_map_is_fitted_to_the_session_while_it_goes_on_and_given_up_again(engine):
    call = handlers(engine, engine.live)
    call["start"]({"token": TOKEN, "at_s": time.monotonic()})
    rows, _, news = show(call, ["red"] * 12 + ["blue"] * 12)
    job = call["fit_map"]({"token": TOKEN})["job"]
    # the stream is not held up: a frame is answered although the map takes seconds
    start_s, since = time.monotonic(), news["last"]
    picture = base64.b64encode(jpeg("green")).decode()
    late = call["exchange"]({"token": TOKEN, "at_s": start_s, "since": since, "wait_s": 5, "jpeg": picture,
                             "captured_s": start_s + 60})["updates"]
    assert len(late[0]) == 13 and call["fitted"]({"token": TOKEN, "job": job, "at_most": 9}) == {"done": False}
    while not (found := call["fitted"]({"token": TOKEN, "job": job, "at_most": 3600})).get("done"):
        assert "error" not in found and time.monotonic() < start_s + 120
        time.sleep(0.2)
    places = np.frombuffer(base64.b64decode(found["places"]), "<f4").reshape(-1, 6)
    assert places[:, 0].tolist() == [row[0] for row in [*rows, *late]], "the moment that came meanwhile, too"
    assert np.abs(places[:24, 1:3].mean(axis=0) - np.array([row[8:10] for row in rows]).mean(axis=0)).max() < 0.05
    request = {"token": TOKEN, "at_s": start_s, "since": late[0][0], "wait_s": 5, "jpeg": picture}
    assert len(call["exchange"]({**request, "captured_s": start_s + 61})["updates"][-1]) == 18, "with both places"
    assert call["common_map"]({"token": TOKEN}) == {}
    assert len(call["exchange"]({**request, "captured_s": start_s + 62})["updates"][-1]) == 13


def test_a_map_of_too_little_is_refused_in_a_sentence_and_fitting_can_be_cancelled(engine):
    call = handlers(engine, engine.live)
    call["start"]({"token": TOKEN, "at_s": time.monotonic()})
    show(call, ["red"] * 3)
    job = call["fit_map"]({"token": TOKEN})["job"]
    engine.jobs.get(job).finished.wait(20)
    assert "let it run longer" in call["fitted"]({"token": TOKEN, "job": job, "at_most": 9})["error"]
    show(call, ["red"] * 12)
    job = call["fit_map"]({"token": TOKEN})["job"]
    call["common_map"]({"token": TOKEN, "job": job})
    assert engine.jobs.get(job).finished.wait(20) and engine.jobs.get(job).cancelled
    assert call["fitted"]({"token": TOKEN, "job": job, "at_most": 9}) == {"done": True}
