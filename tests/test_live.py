"""Live sessions: newest frame wins, everyone gets their own answers, and nothing is left behind."""

import threading
import time

import numpy as np
import pytest

import vljepa
from vljepa.export import EXPORTS, write_exports
from vljepa.live import LiveCaption, LiveModel, LiveUpdate
from vljepa.recording import compare_with_ward, record


@pytest.fixture(scope="module")
def model(smoke):
    return vljepa.load(smoke, device="cpu")


def picture(colour):
    """A picture in two tones of a colour, so that it is not blank."""
    image = np.empty((48, 64, 3), dtype=np.uint8)
    image[:24], image[24:] = colour, [c // 2 for c in colour]
    return image


def show(session, colours, step_s=0.25, start_s=100.0):
    """Offer one frame after the other, each when the one before has been answered."""
    for k, colour in enumerate(colours):
        known = len([e for e in session.updates() if isinstance(e, LiveUpdate)])
        session.offer(picture(colour), start_s + k * step_s)
        deadline = time.monotonic() + 20
        while len([e for e in session.updates() if isinstance(e, LiveUpdate)]) == known:
            assert time.monotonic() < deadline, "no update came"
            session.wait(timeout_s=0.01)


def test_frames_become_updates_and_a_segment_gets_one_caption(model):
    with LiveModel(model) as live, live.session() as session:
        show(session, [(220, 30, 30)] * 12)
        events = session.updates()
        updates = [e for e in events if isinstance(e, LiveUpdate)]
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
