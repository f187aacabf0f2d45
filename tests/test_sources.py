"""Live sources: real time, the newest frame, back by themselves, told in plain words, and stopped at once."""

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import cv2
import numpy as np
import pytest

from vljepa import sources
from vljepa.sources import LiveSource, camera_trouble


class Taken:
    """Collects what a source delivers and tells."""

    def __init__(self):
        self.frames, self.states = [], []

    def deliver(self, image, captured_s):
        self.frames.append((image, captured_s, time.monotonic()))

    def tell(self, state):
        self.states.append(state)

    def kinds(self):
        return [state.kind for state in self.states]


def until(true, what, timeout_s=30.0):
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Two seconds at 20 frames a second; frame k is a grey of 5 k."""
    path = tmp_path_factory.mktemp("film") / "grey.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=20, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        for k in range(40):
            picture = np.full((64, 128, 3), 5 * k, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


class Camera:
    """A network camera on 127.0.0.1: an endless MJPEG stream of 20 frames a second that can be cut and mended."""

    def __init__(self):
        camera = self
        self.on, self.flowing, self.served = threading.Event(), threading.Event(), 0
        self.on.set()
        self.flowing.set()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                camera.serve(self)

            def log_message(self, *_):
                """Nothing on the terminal."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/video.mjpg"

    def serve(self, handler):
        if not self.on.is_set():
            handler.send_error(503)
            return
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        handler.end_headers()
        try:
            while self.on.is_set() and self.flowing.wait(20):
                self.served += 1
                grey = np.full((96, 128, 3), self.served % 250, dtype=np.uint8)
                jpeg = cv2.imencode(".jpg", grey)[1].tobytes()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                handler.wfile.write(head.encode() + jpeg + b"\r\n")
                time.sleep(0.05)
        except OSError:
            pass  # the viewer has gone

    def close(self):
        self.on.clear()
        self.flowing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def camera():
    camera = Camera()
    yield camera
    camera.close()


def test_a_file_is_played_in_real_time_at_the_rate_asked_and_then_it_is_over(film):
    taken = Taken()
    with LiveSource(film, taken.deliver, taken.tell, rate_hz=5.0):
        until(lambda: taken.kinds()[-1] == "ended", "the end")
    captured = np.array([captured_s for _, captured_s, _ in taken.frames])
    assert len(captured) <= 10
    # every frame is at its place on a grid of a fifth of a second, also if this machine was too slow for some
    steps = (captured - captured[0]) * 5
    np.testing.assert_allclose(steps, np.round(steps), atol=0.01)
    assert all(arrived >= captured_s - 0.01 for _, captured_s, arrived in taken.frames)
    assert taken.kinds() == ["opening", "playing", "ended", "stopped"]
    assert taken.states[2].message == "grey.mp4 is over."
    assert taken.frames[0][0].shape == (64, 128, 3)


def test_a_file_is_looped_until_it_is_stopped(film):
    taken = Taken()
    with LiveSource(film, taken.deliver, taken.tell, rate_hz=10.0, loop=True) as source:
        until(lambda: sum(image.mean() < 20 for image, _, _ in taken.frames) >= 4 and taken.frames[-1][1]
              - taken.frames[0][1] > 2, "the second round")
        assert source.state.kind == "playing"
    assert "ended" not in taken.kinds()


def test_nothing_is_delivered_after_stop(film):
    taken = Taken()
    source = LiveSource(film, taken.deliver, taken.tell, loop=True)
    until(lambda: taken.frames, "a frame")
    source.stop()
    count = len(taken.frames), len(taken.states)
    time.sleep(0.3)
    assert (len(taken.frames), len(taken.states)) == count
    assert source.state.kind == "stopped" == taken.kinds()[-1]
    until(lambda: not [t for t in threading.enumerate() if t.name == "live-source"], "the thread's end")


def test_a_slow_taker_gets_fewer_frames_and_none_late(film):
    delays = []

    def slow(_, captured_s):
        delays.append(time.monotonic() - captured_s)
        time.sleep(0.3)

    taken = Taken()
    with LiveSource(film, slow, taken.tell, rate_hz=20.0):
        until(lambda: taken.kinds()[-1] == "ended", "the end")
    assert len(delays) < 12
    assert np.median(delays) < 0.3


def test_a_network_stream_is_drained_and_comes_back_by_itself(camera, monkeypatch):
    monkeypatch.setattr(sources, "BACK_OFF_S", (0.1,))
    taken = Taken()
    with LiveSource(camera.address, taken.deliver, taken.tell, rate_hz=5.0) as source:
        until(lambda: len(taken.frames) >= 5, "five frames")
        camera.on.clear()
        until(lambda: source.state.kind == "reconnecting", "that it is lost")
        assert "check that it is switched on and that the network works" in source.state.message
        before = len(taken.frames)
        camera.on.set()
        until(lambda: len(taken.frames) >= before + 5, "five more frames")
        assert source.state.kind == "playing"
        newest = [int(image.mean().round()) for image, _, _ in taken.frames[-2:]]
        # the camera sends four times as many: a backlog would show old numbers
        assert camera.served - newest[-1] < 20
        assert newest[1] - newest[0] >= 2
    assert taken.kinds()[:2] == ["opening", "playing"] and taken.kinds()[-2:] == ["playing", "stopped"]


def test_a_stream_that_falls_silent_is_lost_too(camera, monkeypatch):
    """The connection stands, but nothing comes: a camera whose power went."""
    monkeypatch.setattr(sources, "BACK_OFF_S", (0.1,))
    monkeypatch.setattr("vljepa.video.TIMEOUT_S", 1)
    taken = Taken()
    with LiveSource(camera.address, taken.deliver, taken.tell) as source:
        until(lambda: len(taken.frames) >= 3, "three frames")
        camera.flowing.clear()
        until(lambda: source.state.kind == "reconnecting", "that it is lost")
        camera.flowing.set()
        before = len(taken.frames)
        until(lambda: len(taken.frames) >= before + 3, "three more frames")


def test_a_stream_that_never_was_has_failed_and_its_password_is_not_shown():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    taken = Taken()
    with LiveSource(f"http://me:secret@127.0.0.1:{port}/a.mjpg", taken.deliver, taken.tell) as source:
        until(lambda: source.state.kind == "failed", "the failure")
    told = " ".join(state.message for state in taken.states)
    assert f"http://127.0.0.1:{port}/a.mjpg cannot be opened" in told and "check the address" in told
    assert "secret" not in told


def test_a_missing_file_is_one_sentence(tmp_path):
    taken = Taken()
    with LiveSource(tmp_path / "nothing.mp4", taken.deliver, taken.tell) as source:
        until(lambda: source.state.kind == "failed", "the failure")
        assert source.state.message == "nothing.mp4 does not exist: check the path."
    assert not taken.frames


def test_an_absent_camera_says_which_there_are(monkeypatch):
    taken = Taken()
    with LiveSource(93, taken.deliver, taken.tell) as source:
        until(lambda: source.state.kind == "failed", "the failure")
        assert "camera 93" in source.state.message.lower()
    monkeypatch.setattr(sources.sys, "platform", "darwin")
    assert "privacy settings" in camera_trouble(0)


def test_a_negative_camera_is_refused_in_words():
    taken = Taken()
    with LiveSource(-1, taken.deliver, taken.tell) as source:
        until(lambda: source.state.kind == "failed", "the failure")
        assert "0 or more" in source.state.message


class FakeCapture:
    """A camera where none can be plugged in: ten frames, then nothing until it is "plugged in" again."""

    plugged, opened = True, 0

    def __init__(self, *_):
        FakeCapture.opened += 1
        self.left = 10 if FakeCapture.plugged else 0

    def grab(self):
        time.sleep(0.02)
        self.left -= 1
        return self.left >= 0

    def retrieve(self):
        return True, np.full((480, 640, 3), 90, dtype=np.uint8)

    def get(self, key):
        return {cv2.CAP_PROP_FRAME_WIDTH: 640, cv2.CAP_PROP_FRAME_HEIGHT: 480, cv2.CAP_PROP_FPS: 30}.get(key, 0)

    def release(self):
        """Nothing is held."""


def test_an_unplugged_camera_comes_back_when_it_is_plugged_in_again(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    monkeypatch.setattr(sources, "BACK_OFF_S", (0.02,))
    taken = Taken()
    with LiveSource(0, taken.deliver, taken.tell, rate_hz=50.0, size=(320, 320)) as source:
        until(lambda: taken.frames, "a frame")
        FakeCapture.plugged = False
        until(lambda: source.state.kind == "reconnecting" and "attempt 3" in source.state.message, "three attempts")
        assert source.state.message.startswith("Camera 0 sends no more pictures: plug it in again")
        before, FakeCapture.plugged = len(taken.frames), True
        until(lambda: len(taken.frames) > before + 5, "more frames")
        assert taken.frames[0][0].shape == (240, 320, 3)
    assert "failed" not in taken.kinds()
