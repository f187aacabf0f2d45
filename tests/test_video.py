"""Reading video: generated films whose brightness tells the frame's number."""

import functools
import http.server
import io
import itertools
import math
import threading
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from vljepa import video as video_module
from vljepa.errors import VideoError
from vljepa.video import open_video, playable_copy

MS = Fraction(1, 1000)
INDEX_FIRST = {"a.mp4": "faststart", "a.mkv": ""}  # Matroska has no such option and needs none


def picture(number: int, width: int = 96, height: int = 64) -> np.ndarray:
    return np.full((height, width, 3), 20 + 4 * number, np.uint8)


def number_of(image: np.ndarray) -> int:
    return round((float(image.mean()) - 20) / 4)


def write(path: Path, pictures: Sequence[np.ndarray], codec: str = "libx264", times_ms: Sequence[int] | None = None,
          turn: int = 0, sound_s: float = 0.0, movflags: str = "", live: bool = False) -> Path:
    """A film at 25 fps, or with each picture at its own time; with silence of `sound_s` if that is not 0."""
    options = {"movflags": movflags} if movflags else {"live": "1"} if live else {}
    with av.open(str(path), "w", options=options) as out:
        stream = out.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if codec == "mpeg4":
            stream.options = {"qmin": "1", "qmax": "1"}  # or a grey level in four is lost
        sound = out.add_stream("aac", rate=8000, layout="mono") if sound_s else None
        if turn:
            stream.set_display_rotation(turn)
        if times_ms is not None:
            stream.codec_context.time_base = MS
        for k, image in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = (k, Fraction(1, 25)) if times_ms is None else (times_ms[k], MS)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound is not None:
            silence(out, sound, sound_s)
    return path


def silence(out: "av.container.OutputContainer", sound: "av.AudioStream", seconds: float) -> None:
    samples = av.AudioFrame.from_ndarray(np.zeros((1, int(8000 * seconds)), np.float32), "fltp", "mono")
    samples.sample_rate, samples.pts = 8000, 0
    out.mux(sound.encode(samples))
    out.mux(sound.encode(None))


def count(n: int) -> list[np.ndarray]:
    return [picture(k) for k in range(n)]


def read(path: Path | str, rate_hz: float = 4.0) -> list[tuple[float, int]]:
    with open_video(path) as video:
        return [(frame.time_s, number_of(frame.image)) for frame in video.frames(rate_hz, (32, 32))]


def shown(times_ms: Sequence[int], rate_hz: float, end_ms: float) -> list[tuple[float, int]]:
    """The oracle: number of the last frame whose time has come, at every step."""
    steps = itertools.takewhile(lambda t: t < end_ms / 1000, (k / rate_hz for k in itertools.count()))
    return [(t, max(k for k, ms in enumerate(times_ms) if ms <= 1000 * t + 1)) for t in steps]


@pytest.mark.parametrize(("name", "codec"), [
    ("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.ts", "libx264"), ("a.avi", "libx264"), ("a.avi", "mpeg4"),
    ("a.mov", "mpeg4"), ("a.webm", "libvpx-vp9"), ("a.h264", "libx264"), ("a.mp4", "libsvtav1"),
])  # fmt: skip
def test_each_step_gets_the_frame_shown_at_its_time(tmp_path: Path, name: str, codec: str) -> None:
    path = write(tmp_path / name, count(50), codec)
    assert read(path) == shown(range(0, 2000, 40), 4.0, 2000)


@pytest.mark.parametrize("rate_hz", [0.7, 4.0, 12.5, 30.0])
@pytest.mark.parametrize("codec", ["libx264", "libsvtav1"])
def test_a_variable_frame_rate_keeps_true_times(tmp_path: Path, codec: str, rate_hz: float) -> None:
    gaps = np.random.default_rng(3).choice([20, 40, 50, 300, 900], size=23)
    times_ms = [0, *np.cumsum(gaps).tolist()]
    path = write(tmp_path / "a.mp4", count(24), codec, times_ms)
    with open_video(path) as video:
        steps = [(frame.time_s, number_of(frame.image)) for frame in video.frames(rate_hz, (32, 32))]
        seconds = video.info.seconds
    assert steps == shown(times_ms, rate_hz, 1000 * seconds - 1)
    # the last frame's own length is the encoder's guess
    assert times_ms[-1] / 1000 < seconds < times_ms[-1] / 1000 + 1


def test_the_docstrings_example_holds(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", count(4), times_ms=[0, 40, 80, 500])
    assert read(path)[:3] == [(0.0, 0), (0.25, 2), (0.5, 3)]


@pytest.mark.parametrize("codec", ["libx264", "libsvtav1"])
@pytest.mark.parametrize("turn", [90, 180, -90])
def test_pictures_come_upright_whoever_decodes(tmp_path: Path, codec: str, turn: int) -> None:
    stored = np.zeros((64, 96, 3), np.uint8)
    stored[:32, :48] = 240
    path = write(tmp_path / "a.mp4", [stored] * 3, codec, turn=turn)
    upright = np.rot90(stored, turn // 90)
    with open_video(path) as video:
        assert (video.info.height, video.info.width) == upright.shape[:2]
        frame = next(iter(video.frames(4.0)))
    assert frame.image.shape == upright.shape
    assert np.abs(frame.image.astype(int) - upright).mean() < 6


@pytest.mark.parametrize("codec", ["libx264", "libsvtav1"])
def test_colours_are_red_green_blue(tmp_path: Path, codec: str) -> None:
    red = np.zeros((64, 96, 3), np.uint8)
    red[..., 0] = 220
    with open_video(write(tmp_path / "a.mp4", [red] * 3, codec)) as video:
        mean = next(iter(video.frames(4.0, (16, 16)))).image.mean(axis=(0, 1))
    assert mean[0] > 190 and mean[1] < 30 and mean[2] < 30


def test_info_tells_length_rate_and_size(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", count(50))
    with open_video(path) as video:
        assert (video.info.path, video.info.fps, video.info.width, video.info.height) == (str(path), 25.0, 96, 64)
        assert video.info.seconds == pytest.approx(2.0)
        assert [f.image.shape for f in video.frames(1.0, (24, 16))] == [(16, 24, 3)] * 2
        assert video.info.seconds == pytest.approx(2.0) and video.warning is None


def test_only_frames_to_be_shown_are_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = video_module._FileReader._image

    def counted(reader: video_module._FileReader, frame: av.VideoFrame, size: tuple[int, int] | None) -> np.ndarray:
        made.append(size)
        return real(reader, frame, size)

    monkeypatch.setattr(video_module._FileReader, "_image", counted)
    steps = read(write(tmp_path / "a.mp4", count(50)))
    assert len(made) == len(steps) == 8


def test_reading_is_lazy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = []
    real = video_module._FileReader.spans

    def counted(
        reader: video_module._FileReader, size: tuple[int, int] | None, wanted: video_module.Wanted | None
    ) -> Iterator[video_module._Span]:
        for span in real(reader, size, wanted):
            spans.append(span)
            yield span

    monkeypatch.setattr(video_module._FileReader, "spans", counted)
    with open_video(write(tmp_path / "a.mp4", count(50))) as video:
        assert next(video.frames(5.0)).time_s == 0.0
    assert len(spans) <= 6


def test_frames_that_nobody_wants_and_nothing_refers_to_are_not_decoded(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", count(50))

    def spans(wanted: video_module.Wanted | None) -> list[int]:
        with open_video(path) as video:
            return [number_of(span.image()) for span in video._reader.spans((32, 32), wanted)]

    assert spans(None) == list(range(50))
    few = spans(lambda start_s, stop_s: start_s <= 1.0 < stop_s)
    assert 25 in few and len(few) < 40


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_truncated_file_yields_what_decodes_and_says_so(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 40, (50, 64, 96, 3), dtype=np.uint8)
    pictures = [image + picture(k) // 2 for k, image in enumerate(noise)]
    path = write(tmp_path / name, pictures, movflags=INDEX_FIRST[name])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * 0.6)])
    with open_video(path) as video:
        assert video.info.seconds == pytest.approx(2.0, abs=0.05) and video.warning is None
        times_s = [frame.time_s for frame in video.frames(25.0, (32, 32))]
        assert 0.6 < video.info.seconds < 1.5
        assert video.warning is not None and f"after {video.info.seconds:.1f} of 2.0 s" in video.warning
    assert times_s == pytest.approx([k / 25 for k in range(round(video.info.seconds * 25))])


def test_an_mp4_cut_before_its_index_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", count(50))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(VideoError, match="cut off or damaged before its index"):
        open_video(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_sound_that_outlasts_the_picture_is_no_damage(tmp_path: Path, name: str) -> None:
    with open_video(write(tmp_path / name, count(25), sound_s=3.0)) as video:
        assert len(list(video.frames(4.0))) == 4
        assert video.warning is None and video.info.seconds == pytest.approx(1.0, abs=0.05)


def test_a_recording_without_a_stated_length_is_measured(tmp_path: Path) -> None:
    path = write(tmp_path / "a.webm", count(50), "libvpx-vp9", live=True)
    with av.open(str(path)) as container:
        assert container.duration is None
    with open_video(path) as video:
        assert video.info.seconds == pytest.approx(2.0, abs=0.05)


def test_a_video_of_one_frame_yields_it_once_at_0(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.mp4", count(1)), rate_hz=60.0) == [(0.0, 0)]
    cv2.imwrite(str(tmp_path / "a.png"), picture(7))
    assert read(tmp_path / "a.png") == [(0.0, 7)]


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as out:
        silence(out, out.add_stream("aac", rate=8000, layout="mono"), 1.0)
    with pytest.raises(VideoError, match="sound but no moving picture"):
        open_video(path)


def test_the_cover_of_a_song_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as out:
        sound, cover = out.add_stream("aac", rate=8000, layout="mono"), out.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 96, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        silence(out, sound, 1.0)
        out.mux(cover.encode(av.VideoFrame.from_ndarray(picture(3), format="rgb24").reformat(format="yuvj420p")))
        out.mux(cover.encode(None))
    with pytest.raises(VideoError, match="sound but no moving picture"):
        open_video(path)


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.mp4", b"", r"a\.mp4 is empty \(0 bytes\)"),
    ("a.mp4", b"no video at all, just words\n" * 99, "not a video"),
    ("a.txt", b"no video at all, just words\n" * 99, "not a video"),
    ("a.srt", b"1\n00:00:01,000 --> 00:00:02,000\nhello\n", "not a video"),
    ("a.mp4", bytes(range(256)) * 40, "not a video"),
])  # fmt: skip
def test_what_is_no_video_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VideoError, match=message) as caught:
        open_video(tmp_path / name)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_paths_that_cannot_be_read_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VideoError, match="does not exist: check the path"):
        open_video(tmp_path / "missing.mp4")
    with pytest.raises(VideoError, match="is a folder"):
        open_video(tmp_path)
    with pytest.raises(VideoError, match="cannot be read"):
        open_video("null\0byte.mp4")

    def denied(*_: object) -> io.BytesIO:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # chmod does not stop root, who runs tests in containers
    with pytest.raises(VideoError, match=r"cannot be read \(Permission denied\)"):
        open_video(tmp_path / "a.mp4")


def test_a_film_without_frames_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        out.start_encoding()
    with pytest.raises(VideoError, match="holds no frame that can be decoded"):
        open_video(path)


def test_an_enormous_resolution_is_refused_and_a_large_one_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mov", [picture(1, 8208, 16)], "mjpeg")
    with pytest.raises(VideoError, match="8208 x 16 pixels"):
        open_video(path)
    assert read(write(tmp_path / "b.mov", [picture(1, 4096, 2304)], "mjpeg")) == [(0.0, 1)]


def test_bad_files_leave_stderr_clean(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cut = write(tmp_path / "cut.mp4", count(50), movflags="faststart")
    cut.write_bytes(cut.read_bytes()[:-500])
    read(cut)
    read(write(tmp_path / "av1.mp4", count(3), "libsvtav1"))
    capfd.readouterr()  # the AV1 encoder greets
    read(tmp_path / "av1.mp4")
    (tmp_path / "bad.mp4").write_bytes(bytes(5000))
    for source in (tmp_path / "bad.mp4", 93):
        with pytest.raises(VideoError):
            open_video(source)
    assert capfd.readouterr() == ("", "")


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_url_reads_like_the_file(tmp_path: Path, served: str) -> None:
    times_ms = [0, 40, 80, 500, 520, 1400, 1440]
    write(tmp_path / "a.mp4", count(7), times_ms=times_ms, movflags="faststart")
    # a stream's last frame is shown for the mean interval: nothing tells its own length
    assert read(f"{served}/a.mp4")[:6] == read(tmp_path / "a.mp4") == shown(times_ms, 4.0, 1480)
    with pytest.raises(VideoError, match="check the address and the network"):
        open_video(f"{served}/none.mp4")


class FakeCamera:
    """Six frames, one every 100 ms of a clock of its own, then unplugged."""

    now_s = 1000.0

    def __init__(self, *_: object) -> None:
        self.grabbed = -1

    def grab(self) -> bool:
        self.grabbed += 1
        FakeCamera.now_s += 0.1
        return self.grabbed < 6

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, picture(self.grabbed)

    def get(self, key: int) -> float:
        return {cv2.CAP_PROP_FRAME_WIDTH: 96.0, cv2.CAP_PROP_FRAME_HEIGHT: 64.0, cv2.CAP_PROP_FPS: 10.0}[key]

    def release(self) -> None:
        pass


def test_a_camera_is_timed_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    monkeypatch.setattr("vljepa.video.time.monotonic", lambda: FakeCamera.now_s)
    with open_video(0) as video:
        assert (video.info.path, video.info.seconds, video.info.fps, video.info.width) == ("0", 0.0, 10.0, 96)
        steps = [(frame.time_s, number_of(frame.image)) for frame in video.frames(4.0)]
        assert video.info.seconds == pytest.approx(0.6) and video.warning is None
    assert steps == [(0.0, 0), (0.25, 2), (0.5, 5)]


def test_a_missing_camera_says_what_to_do() -> None:
    with pytest.raises(VideoError, match="Camera 93 gives no picture: plug it in"):
        open_video(93)
    with pytest.raises(ValueError, match="0 or more, got -1"):
        open_video(-1)


def test_arguments_are_checked_before_reading(tmp_path: Path) -> None:
    with open_video(write(tmp_path / "a.mp4", count(5))) as video:
        for rate_hz in (0.0, -1.0, math.nan, math.inf):
            with pytest.raises(ValueError, match="rate_hz must be"):
                video.frames(rate_hz)
        with pytest.raises(ValueError, match="size must be"):
            video.frames(4.0, (0, 10))
        video.frames(4.0)
        with pytest.raises(ValueError, match="read once"):
            video.frames(4.0)


def test_what_browsers_play_is_not_copied(tmp_path: Path) -> None:
    for name, codec in (("a.mp4", "libx264"), ("a.webm", "libvpx-vp9"), ("b.mp4", "libsvtav1")):
        path = write(tmp_path / name, count(3), codec)
        assert playable_copy(path, tmp_path / "copies") == path
    assert not (tmp_path / "copies").exists()


def test_other_films_become_h264_with_the_same_frames_at_the_same_times(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", count(5), "mpeg4", times_ms=[0, 40, 80, 500, 900], turn=90)
    heard: list[float] = []
    copy = playable_copy(path, tmp_path / "copies", heard.append)
    assert heard == pytest.approx([0.0, 0.04, 0.08, 0.5, 0.9])
    with av.open(str(copy)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert [float(frame.time) for frame in container.decode(video=0)] == pytest.approx([0.0, 0.04, 0.08, 0.5, 0.9])
    with open_video(copy) as video:
        assert (video.info.width, video.info.height) == (64, 96)
    assert read(copy)[:4] == read(path)[:4]
    assert copy.read_bytes().index(b"moov") < copy.read_bytes().index(b"mdat")
    stamp = copy.stat().st_mtime_ns
    assert playable_copy(path, tmp_path / "copies") == copy and copy.stat().st_mtime_ns == stamp


def test_a_cancelled_copy_leaves_nothing(tmp_path: Path) -> None:
    def cancel(_: float) -> None:
        raise KeyboardInterrupt

    path = write(tmp_path / "a.avi", count(5), "mpeg4")
    with pytest.raises(KeyboardInterrupt):
        playable_copy(path, tmp_path / "copies", cancel)
    assert list((tmp_path / "copies").iterdir()) == []


def test_a_copy_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.avi", count(5), "mpeg4")
    (tmp_path / "copies").write_text("a file where the folder should be")
    with pytest.raises(VideoError, match="cannot be converted for the player"):
        playable_copy(path, tmp_path / "copies")
