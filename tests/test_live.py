"""Live sessions: the newest frame wins, everyone gets their own answers, and nothing is left behind."""

import re
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import vljepa
from vljepa import live as live_module
from vljepa.export import EXPORTS, write_exports
from vljepa.live import LiveCaption, LiveModel, LiveUpdate
from vljepa.online import OnlineSettings
from vljepa.readout import Caption
from vljepa.recording import compare_with_ward, record


@pytest.fixture(scope="module")
def model(smoke):
    return vljepa.load(smoke, device="cpu")


def picture(colour):
    """A picture in two tones of a colour, so that it is not blank."""
    image = np.empty((48, 64, 3), dtype=np.uint8)
    image[:24], image[24:] = colour, [c // 2 for c in colour]
    return image


class FakeModel:
    """Tokens are a picture's mean colour, an embedding is the newest colour and a number for the query.

    `gate`, while it is cleared, holds every encode up; a picture whose first value is 13 raises, and one of 14 makes an
    embedding that is no number.
    """

    name, readouts, landmarks = "fake", ("bank",), None

    def __init__(self):
        self.config = SimpleNamespace(rate_hz=4.0, predictor=SimpleNamespace(window_frames=3))
        self.x_encoder = SimpleNamespace(frames_per_step=1)
        self.gate, self.encoded, self.predicted, self.decoded = threading.Event(), [], [], []
        self.started = threading.Event()
        self.gate.set()

    def query_tokens(self, queries):
        if "" in queries:
            raise ValueError("the query is empty")

    def fit(self, image):
        return np.ascontiguousarray(image[:8, :8])

    def encode_frames(self, frames):
        self.encoded.append(len(frames))
        self.started.set()
        assert self.gate.wait(20)
        if (frames[:, 0, 0, 0] == 13).any():
            raise RuntimeError("a picture that the model cannot bear")
        return torch.from_numpy(frames[:, 0, 0].astype(np.float32))[:, None]

    def encode_clips(self, _):
        raise AssertionError("this model encodes frames one by one")

    fill = encode_clips

    def predict(self, visual_tokens, query):
        self.predicted.append(tuple(visual_tokens.shape[:2]))
        asked = np.array([0.0 if q is None else float(len(q)) for q in query], dtype=np.float32)
        colour = visual_tokens[:, -1, 0].numpy()
        colour = np.where(colour[:, :1] == 14, np.nan, colour)
        rows = np.hstack([colour, asked[:, None]])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def decode(self, embeddings, readout=None):
        self.decoded.append(embeddings)
        return [Caption(f"colour {int(e[:3].argmax())}", str(readout), 1.0) for e in embeddings]


RED, GREEN, BLUE = (200, 20, 20), (20, 200, 20), (20, 20, 200)


def updates_of(session):
    return [event for event in session.updates() if isinstance(event, LiveUpdate)]


def captions_of(session):
    return [event for event in session.updates() if isinstance(event, LiveCaption)]


def until(true, what):
    """Wait for the worker: at most twenty seconds, usually none."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.002)


def show(session, colours, step_s=0.25, start_s=100.0):
    """Offer one frame after the other, each when the one before has been answered."""
    for k, colour in enumerate(colours):
        known = session.ledger().windows
        session.offer(picture(colour), start_s + k * step_s)
        until(lambda known=known: session.ledger().windows > known, f"an update for frame {k}")


def test_a_slow_model_gets_the_newest_frame_and_the_others_are_counted():
    model = FakeModel()
    with LiveModel(model) as live, live.session() as session:
        model.gate.clear()
        session.offer(picture(RED), 1.0)
        until(model.started.is_set, "the first frame reaches the model")
        for k, colour in enumerate([GREEN, GREEN, BLUE]):
            session.offer(picture(colour), 1.1 + k / 10)
        model.gate.set()
        until(lambda: len(updates_of(session)) == 2, "two updates")
        assert updates_of(session)[-1].embedding.argmax() == 2
        assert updates_of(session)[-1].time_s == pytest.approx(0.3)
        assert session.ledger().dropped == 2
        assert sum(model.encoded) == 2


def test_frames_of_several_sessions_are_encoded_together_and_each_gets_its_own_answer():
    model = FakeModel()
    with LiveModel(model) as live:
        sessions = [live.session(query=query) for query in (None, None, "what?")]
        model.gate.clear()
        sessions[0].offer(picture(RED), 0.0)
        until(model.started.is_set, "the first frame reaches the model")
        for session, colour in zip(sessions, [RED, GREEN, BLUE], strict=True):
            session.offer(picture(colour), 1.0)
        model.gate.set()
        until(lambda: all(updates_of(s) and updates_of(s)[-1].embedding is not None for s in sessions[1:])
              and len(updates_of(sessions[0])) == 2, "every session's update")
        assert model.encoded == [1, 3]
        assert [updates_of(s)[-1].embedding[:3].argmax() for s in sessions] == [0, 1, 2]
        assert [bool(updates_of(s)[-1].embedding[3]) for s in sessions] == [False, False, True]


def test_a_window_holds_the_frames_a_step_apart_however_fast_they_come():
    model = FakeModel()
    with LiveModel(model) as live, live.session() as session:
        show(session, [RED] * 16, step_s=1 / 16)
    assert [size for _, size in model.predicted] == [1, 1, 1, 2, 2, 2] + [3] * 10


def test_a_change_makes_a_segment_and_each_segment_one_caption():
    model = FakeModel()
    with LiveModel(model) as live, live.session() as session:
        show(session, [RED] * 20 + [GREEN] * 20)
        until(lambda: len(captions_of(session)) == 2, "two captions")
        boundaries = [u for u in updates_of(session) if u.boundary_s is not None]
        assert [u.segment for u in boundaries] == [1]
        assert boundaries[0].boundary_s == pytest.approx(5.0, abs=0.5)
        assert [(c.segment, c.text) for c in captions_of(session)] == [(0, "colour 0"), (1, "colour 1")]
        assert captions_of(session)[1].start_s == boundaries[0].boundary_s
        assert session.ledger().decodes == 2 and session.ledger().uniform_1hz == 10


def test_another_question_begins_a_segment_of_its_own():
    model = FakeModel()
    with LiveModel(model) as live, live.session() as session:
        show(session, [RED] * 8)
        session.set_query("how many?")
        assert session.query == "how many?"
        show(session, [RED] * 8, start_s=103.0)
        until(lambda: len(captions_of(session)) == 2, "two captions")
        assert [u.segment for u in updates_of(session)] == [0] * 8 + [1] * 8
        with pytest.raises(ValueError, match="query is empty"):
            session.set_query("")


def test_a_threshold_is_set_while_running():
    with LiveModel(FakeModel()) as live, live.session(OnlineSettings(threshold=1.5)) as session:
        show(session, [RED] * 2)
        session.set_threshold(0.2)
        show(session, [RED], start_s=101.0)
        assert [u.threshold for u in updates_of(session)] == [1.5, 1.5, 0.2]
        with pytest.raises(ValueError, match="threshold"):
            session.set_threshold(-1.0)


def test_a_frame_that_makes_the_model_fail_stops_neither_its_session_nor_the_others(caplog):
    model = FakeModel()
    with LiveModel(model) as live, live.session() as bad, live.session() as good:
        model.gate.clear()
        good.offer(picture(GREEN), 0.0)
        until(model.started.is_set, "the first frame reaches the model")
        bad.offer(picture((13, 200, 200)), 1.0)
        good.offer(picture(GREEN), 1.0)
        model.gate.set()
        until(lambda: len(updates_of(good)) == 2 and bad.ledger().failed == 1, "the good one's update")
        assert "RuntimeError" in bad.failure and good.failure is None
        show(bad, [RED], start_s=2.0)
        assert bad.failure is None
    assert "a live session failed" in caplog.text


def test_an_embedding_that_is_no_number_is_left_out():
    with LiveModel(FakeModel()) as live, live.session() as session:
        show(session, [RED])
        session.offer(picture((14, 200, 200)), 101.0)
        until(lambda: session.ledger().failed == 1, "the count")
        show(session, [RED], start_s=102.0)
        assert [u.time_s for u in updates_of(session)] == [0.0, 2.0]


def test_a_blank_picture_is_marked_and_gets_no_caption_until_there_is_something_to_see():
    model = FakeModel()
    with LiveModel(model) as live, live.session() as session:
        for k in range(8):
            session.offer(np.full((48, 64, 3), 7, dtype=np.uint8), 100 + k / 4)
            until(lambda k=k: session.ledger().windows == k + 1, "an update")
        assert all(u.blank for u in updates_of(session)) and not captions_of(session)
        show(session, [RED] * 2, start_s=103.0)
        until(lambda: captions_of(session), "a caption")


@pytest.mark.parametrize("image", [np.zeros((4, 4), dtype=np.uint8), np.zeros((0, 4, 3), dtype=np.uint8),
                                   np.zeros((4, 4, 3), dtype=np.float32)])
def test_what_is_no_picture_is_refused(image):
    with LiveModel(FakeModel()) as live, live.session() as session, pytest.raises((ValueError, TypeError)):
        session.offer(image)


def test_a_frame_from_the_past_is_dropped():
    with LiveModel(FakeModel()) as live, live.session() as session:
        show(session, [RED])
        session.offer(picture(RED), 99.0)
        assert session.ledger().dropped == 1 and session.ledger().windows == 1


def test_waiting_ends_with_an_update_with_time_or_with_the_session():
    with LiveModel(FakeModel()) as live:
        session = live.session()
        assert session.wait(timeout_s=0.01) == []
        threading.Timer(0.05, lambda: session.offer(picture(RED))).start()
        seen = session.wait(timeout_s=20)
        assert [event.index for event in seen] == [0]
        threading.Timer(0.05, session.close).start()
        assert session.wait(since=0, timeout_s=20) == []


def test_who_offers_a_frame_can_wait_for_what_that_very_frame_brings():
    with LiveModel(FakeModel()) as live, live.session() as session:
        session.offer(picture(RED), 100.0)
        until(lambda: len(updates_of(session)) == 1, "the first frame")
        live.model.gate.clear()
        session.offer(picture(GREEN), 100.25)
        assert [e.time_s for e in session.wait(timeout_s=0.0, newest_s=0.05)] == [0.0], "only so long"
        threading.Timer(0.1, live.model.gate.set).start()
        assert [e.time_s for e in session.wait(timeout_s=0.0, newest_s=20)][:2] == [0.0, 0.25]


def test_a_closed_session_is_gone_and_the_others_go_on():
    with LiveModel(FakeModel()) as live:
        gone, staying = live.session(), live.session()
        show(gone, [RED] * 4)
        gone.close()
        gone.close()
        assert gone.closed and gone.updates() == [] and live.sessions == [staying]
        assert gone.offer(picture(RED)) is False
        show(staying, [GREEN] * 2)
    assert staying.closed
    with pytest.raises(ValueError, match="was closed"):
        live.session()


def test_closing_while_the_model_works_leaves_nothing_behind():
    model = FakeModel()
    live = LiveModel(model)
    session = live.session()
    model.gate.clear()
    session.offer(picture(RED), 0.0)
    until(model.started.is_set, "the frame reaches the model")
    session.close()
    model.gate.set()
    live.close()
    assert session.updates() == []
    assert not [t for t in threading.enumerate() if t.name == "live-model"]


def test_old_events_are_forgotten_and_the_recording_says_so(monkeypatch):
    monkeypatch.setattr(live_module, "KEPT_EVENTS", 10)
    with LiveModel(FakeModel()) as live, live.session() as session:
        show(session, [RED] * 24)
        assert len(session.updates()) == 10
        recording = record(session)
        assert recording.trajectory.times_s[0] == 0.0 and len(recording.segments) == 1
        assert "no longer kept" in recording.warning
        assert recording.decodes["uniform_1hz"] == 6


def test_sessions_come_and_go_without_a_trace():
    with LiveModel(FakeModel()) as live:
        for _ in range(20):
            with live.session() as session:
                show(session, [RED])
        assert live.sessions == []
        assert len([t for t in threading.enumerate() if t.name == "live-model"]) == 1


def test_a_model_without_a_readout_makes_segments_without_captions():
    model = FakeModel()
    model.readouts = ()
    with LiveModel(model) as live, live.session() as session:
        show(session, [RED] * 8)
        assert captions_of(session) == [] and model.decoded == []
        assert record(session).segments[0].caption == ""
        with pytest.raises(ValueError, match="readout"):
            live.session(readout="bank")


def test_frames_become_updates_and_a_segment_gets_one_caption(model):
    with LiveModel(model) as live, live.session() as session:
        show(session, [(220, 30, 30)] * 12)
        until(lambda: captions_of(session), "a caption")
        events, updates = session.updates(), updates_of(session)
        assert [u.time_s for u in updates] == pytest.approx(np.arange(12) * 0.25)
        assert {u.segment for u in updates} == {0}
        assert [e.segment for e in events if isinstance(e, LiveCaption)] == [0]
        ledger = session.ledger()
        assert (ledger.windows, ledger.decodes, ledger.uniform_1hz, ledger.dropped) == (12, 1, 3, 0)
    assert not [t for t in threading.enumerate() if t.name == "live-model"]


def test_a_session_is_exported_like_a_film_and_compared_with_ward(model, tmp_path):
    with LiveModel(model) as live, live.session() as session:
        show(session, [(220, 30, 30)] * 12)
        recording = record(session, "camera")
    assert set(write_exports(recording, tmp_path)) == set(EXPORTS)
    assert compare_with_ward(recording, 4.0).online_s == recording.boundaries_s == []


def test_a_recording_is_compared_with_ward_on_the_same_stream():
    with LiveModel(FakeModel()) as live, live.session() as session:
        show(session, [RED] * 20 + [GREEN] * 24 + [BLUE] * 20)
        recording = record(session)
    assert recording.boundaries_s == pytest.approx([5.0, 11.0], abs=0.5)
    assert [segment.end_s for segment in recording.segments][:-1] == recording.boundaries_s
    compared = compare_with_ward(recording, 4.0)
    assert compared.offline_s == pytest.approx([5.0, 11.0], abs=0.5)
    assert compared.f1 == 1.0


def test_an_empty_session_has_nothing_to_record():
    with LiveModel(FakeModel()) as live, live.session() as session, pytest.raises(ValueError, match="no frame yet"):
        record(session)


def test_the_readme_s_live_snippet_runs(smoke, tmp_path, capsys):
    """With the smoke checkpoint and a film in place of the camera."""
    from pathlib import Path

    from vljepa.bench_shared import write_video

    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    code = re.search(r"## Live, in Python\n\n```python\n(.*?)```", readme, re.DOTALL)[1]
    film = tmp_path / "bars.mp4"
    write_video(film, 3.0)
    for word, other in (('"everyday"', repr(str(smoke))), ("LiveSource(0,", f"LiveSource({str(film)!r},"),
                        ("timeout_s=5.0", "timeout_s=20.0 if seen < 0 else 2.0")):
        assert word in code
        code = code.replace(word, other)
    exec(code, {})
    assert re.match(r" +0\.0 s  \w", capsys.readouterr().out)
