"""The command line as a user meets it: what it prints, what it writes, how it fails."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from vljepa.__main__ import main, table
from vljepa.analysis import Analysis, CaptionedSegment, CutSettings
from vljepa.bench_shared import write_video
from vljepa.console import clock
from vljepa.stream import Trajectory
from vljepa.video import VideoInfo

EXPORTED = {"analysis.json", "captions.srt", "captions.vtt", "segments.csv", "embeddings.npz", "segments.edl",
            "chapters.ffmetadata"}


Capture = pytest.CaptureFixture[str]
Analysed = tuple["subprocess.CompletedProcess[str]", Path]


def run(*words: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "vljepa", *map(str, words)], capture_output=True, text=True,
                          check=False, timeout=120)


def failure(capsys: Capture, *words: object) -> str:
    """The one line that `words` fail with."""
    status: object
    try:
        status = main(list(map(str, words)))
    except SystemExit as exit_:  # argparse's own
        status = exit_.code
    told = capsys.readouterr()
    assert status == 2
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert told.err.startswith("error: ")
    return told.err


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "bars.mp4"
    write_video(path, 20.0)
    return path


@pytest.fixture(scope="module")
def analysed(video: Path, smoke: Path, tmp_path_factory: pytest.TempPathFactory) -> Analysed:
    out = tmp_path_factory.mktemp("results") / "out"
    return run("analyze", video, "--out", out, "--checkpoint", smoke, "--segments", 4), out


def test_analyze_prints_a_table_and_writes_every_file(analysed: Analysed, video: Path) -> None:
    done, out = analysed
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["start", "end", "sim", "caption"]
    assert lines[1].split()[:2] == ["0:00.0", lines[2].split()[0]]
    assert "Traceback" not in done.stderr
    assert {p.name for p in out.iterdir()} == EXPORTED
    read = json.loads((out / "analysis.json").read_text(encoding="utf-8"))
    assert read["video"]["path"] == str(video)
    assert read["segments"][0]["start_s"] == 0.0
    assert read["segments"][-1]["end_s"] == pytest.approx(read["video"]["seconds"]) == 20.0
    assert len(read["segments"]) == read["decodes"]["selective"] == 4
    with np.load(out / "embeddings.npz") as arrays:
        assert len(arrays["embeddings"]) == len(read["times"]) == 80


@pytest.mark.parametrize(("options", "count"), [(["--every", "5"], 4), (["--segments", "80"], 80),
                                                (["--segments", "9999"], 80), (["--variance", "1"], 1)])
def test_the_cut_that_is_asked_for_is_made(
    options: list[str], count: int, video: Path, smoke: Path, tmp_path: Path, capsys: Capture,
) -> None:
    status = main(["analyze", str(video), "--out", str(tmp_path), "--checkpoint", str(smoke), *options,
                   "--readout", "bank", "--query", "What is this?", "--rate", "4"])
    told = capsys.readouterr()
    assert status == 0
    read = json.loads((tmp_path / "analysis.json").read_text())
    assert len(read["segments"]) == count
    assert read["query"] == "What is this?"
    assert {s["readout"] for s in read["segments"]} == {"bank"}
    assert ("warning: 9999 segments" in told.err) == ("9999" in options)


@pytest.mark.parametrize(("words", "message"), [
    (["--query", ""], "the query is empty"), (["--query", "  "], "the query is empty"),
    (["--segments", "0"], "at least 1"), (["--segments", "two"], "invalid int value"), (["--every", "-3"], "above 0"),
    (["--every", "inf"], "above 0"), (["--variance", "7"], "--variance: must be a share, 0 to 1, got 7"),
    (["--smooth", "nan"], "--smooth: must be 0 seconds or more, got nan"), (["--smooth", "-1"], "0 seconds or more"),
    (["--min-length", "-1"], "--min-length: must be 0 seconds or more"), (["--rate", "fast"], "invalid float value"),
    (["--rate", "0"], "--rate: must be 0.01 to 60 embeddings a second, got 0"), (["--rate", "61"], "0.01 to 60"),
    (["--query", "what " * 300], "ask in fewer words"),
    (["--checkpoint", "nope"], "nope"), (["--readout", "oracle"], "invalid choice"),
    (["--every", "3", "--segments", "2"], "not allowed with"), (["--colour"], "unrecognized arguments"),
    (["--device", "toaster"], "toaster"),
])
def test_a_bad_option_is_one_line_and_writes_nothing(
    words: list[str], message: str, video: Path, smoke: Path, tmp_path: Path, capsys: Capture,
) -> None:
    checkpoint = [] if "--checkpoint" in words else ["--checkpoint", smoke]
    assert message in failure(capsys, "analyze", video, "--out", tmp_path / "out", *checkpoint, *words)
    assert list(tmp_path.iterdir()) == []


def test_a_bad_video_is_one_line_and_writes_nothing(smoke: Path, tmp_path: Path, capsys: Capture) -> None:
    bad = tmp_path / "notes.mp4"
    bad.write_text("these are notes")
    (tmp_path / "empty.mp4").touch()
    for video, message in [(bad, "not a video"), (tmp_path / "empty.mp4", "empty"), (tmp_path, "folder"),
                           ("missing.mp4", "does not exist"), ("0", "camera 0 has no end")]:
        said = failure(capsys, "analyze", video, "--out", tmp_path / "out", "--checkpoint", smoke)
        assert message in said
    assert not (tmp_path / "out").exists()


def test_an_out_folder_that_cannot_be_is_told_before_the_video_is_read(
    video: Path, tmp_path: Path, capsys: Capture,
) -> None:
    (tmp_path / "file").write_text("x")
    assert "is a file" in failure(capsys, "analyze", video, "--out", tmp_path / "file")
    assert "cannot be made" in failure(capsys, "analyze", video, "--out", tmp_path / "file" / "below")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for refused in (tmp_path / "link", tmp_path / ("x" * 300), Path("/proc/self/out")):  # root may write anywhere else
        assert "give --out a folder that you may write to" in failure(capsys, "analyze", video, "--out", refused)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


def test_a_place_for_a_checkpoint_is_tried_before_the_training(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_text("x")
    for option in ("--out", "--work"):
        words = ["train", "smoke", "--out", tmp_path / "out", "--work", tmp_path / "work", option, tmp_path / "file"]
        assert f"is a file: give {option} a folder" in failure(capsys, *words)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_one_line_and_leaves_nothing(
    video: Path, smoke: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    status = main(["analyze", str(video), "--out", str(tmp_path / "out"), "--checkpoint", str(smoke)])
    assert status == 2
    assert "no space left on device" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_video_is_analysed_as_far_as_it_goes(
    video: Path, smoke: Path, tmp_path: Path, capsys: Capture,
) -> None:
    import av

    whole, cut_off = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    with av.open(str(video)) as source, av.open(str(whole), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    cut_off.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert main(["analyze", str(cut_off), "--out", str(tmp_path / "out"), "--checkpoint", str(smoke)]) == 0
    assert "warning: cut.mkv is cut off" in capsys.readouterr().err
    read = json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert "cut off" in read["warning"]
    assert read["segments"][-1]["end_s"] == pytest.approx(read["video"]["seconds"])
    assert read["video"]["seconds"] < 15


def test_ctrl_c_ends_it_with_130_and_leaves_nothing(smoke: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    write_video(film, 1200.0)
    process = subprocess.Popen(
        [sys.executable, "-m", "vljepa", "analyze", film, "--out", tmp_path / "out", "--checkpoint", smoke],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        # a shell's background job is born deaf to Ctrl-C, and so would be its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    assert process.stderr is not None
    seen = b""
    while b"watching" not in seen:
        seen += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert out == b""
    assert not (tmp_path / "out").exists()


def test_checkpoints_lists_what_can_be_loaded() -> None:
    done = run("checkpoints")
    assert done.returncode in (0, 2)
    assert "Traceback" not in done.stderr
    assert "MB" in done.stdout or "no checkpoint" in done.stderr


@pytest.mark.parametrize("command", [[], ["analyze"], ["checkpoints"], ["train"], ["evaluate"], ["bench"]])
def test_help_is_there_for_everything(command: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([*command, "--help"])
    assert exit_.value.code == 0
    assert "usage: python -m vljepa" in capsys.readouterr().out


def test_help_is_instant_because_nothing_heavy_is_imported() -> None:
    code = ("import sys; from vljepa.__main__ import main\n"
            "for command in ('analyze', 'bench', 'index', 'train', 'fetch'):\n"
            "    try: main([command, '--help'])\n    except SystemExit: pass\n"
            "assert not {'torch', 'ray', 'datasets'} & set(sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_no_command_is_told_in_one_line(capsys: Capture) -> None:
    assert "COMMAND" in failure(capsys)


def test_the_table_fits_the_terminal_and_keeps_every_word() -> None:
    words = "a very long caption with many words that no narrow terminal can show on a single line"
    segments = [CaptionedSegment(0.0, 59.9999, words, "decoder", 0.123), CaptionedSegment(59.9999, 3725.5, "x" * 200,
                                                                                         "decoder", -0.5)]
    trajectory = Trajectory(np.arange(2.0), np.eye(2), VideoInfo("f", 3725.5, 25.0, 1, 1), 1.0, None, "everyday")
    analysis = Analysis(trajectory, CutSettings(), segments, np.zeros(2), {"read": 1.0, "total": 2.0})
    for width in (10, 60, 80, 500):
        text = table(analysis, width)
        assert max(map(len, text.splitlines())) <= max(40, min(width, 120))
        assert words in " ".join(text.split())
        assert "1:02:05.5" in text
        assert "1:00.0" in text


@pytest.mark.parametrize(("seconds", "told"), [
    (0.0, "0:00.0"), (3.25, "0:03.3"), (3.875, "0:03.9"), (3.94, "0:03.9"), (9.97, "0:10.0"), (59.94, "0:59.9"),
    (59.96, "1:00.0"), (754.05, "12:34.1"), (3599.99, "1:00:00.0"), (3725.5, "1:02:05.5")])
def test_times_are_rounded_to_the_tenth(seconds: float, told: str) -> None:
    assert clock(seconds) == told


def test_a_photo_is_a_film_of_one_frame(smoke: Path, tmp_path: Path, capsys: Capture) -> None:
    cv2.imwrite(str(tmp_path / "photo.jpg"), np.full((48, 64, 3), 90, np.uint8))
    out = tmp_path / "out"
    assert main(["analyze", str(tmp_path / "photo.jpg"), "--out", str(out), "--checkpoint", str(smoke)]) == 0
    told = json.loads((out / "analysis.json").read_text())
    assert len(told["segments"]) == 1 and "Traceback" not in capsys.readouterr().err


def test_the_help_of_the_app_installs_nothing(tmp_path):
    here = Path(__file__).resolve().parent.parent
    shutil.copyfile(here / "run.py", tmp_path / "run.py")
    for package in ("app", "vljepa"):
        (tmp_path / package).symlink_to(here / package)
    offline = {**os.environ, "PIP_NO_INDEX": "1"}
    for words, told in ((("app", "--help"), "--checkpoint"), (("--help",), "python3 run.py test")):
        # -S: without the packages that are installed here
        found = subprocess.run([sys.executable, "-S", "run.py", *words], cwd=tmp_path, env=offline, capture_output=True,
                               text=True, check=False, timeout=120)
        assert (found.returncode, found.stderr) == (0, "")
        assert told in found.stdout
    assert not (tmp_path / ".venv").exists()
