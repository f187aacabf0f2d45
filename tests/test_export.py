"""Files: what other programs read from them, and what is left when the disk does not take them."""

import csv
import errno
import io
import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vljepa.analysis import Analysis, CaptionedSegment, CutSettings
from vljepa.errors import ExportError
from vljepa.export import (
    frame_rate,
    timecode,
    to_chapters,
    to_csv,
    to_edl,
    to_json,
    to_npz,
    to_srt,
    to_vtt,
    write_exports,
)
from vljepa.stream import Trajectory
from vljepa.video import VideoInfo

HOSTILE = "Tom & <b>Jerry</b> --> {\\an8}\n\nsay \"hi\",\r\nÜber 猫 \x00\x1b"


def analysis(
    captions: Sequence[str] = ("A dog runs.", HOSTILE), edges: Sequence[float] = (0.0, 2.0, 3.5),
    path: str = "film.mp4", **video: Any,
) -> Analysis:
    segments = [CaptionedSegment(a, b, caption, "decoder", 0.5)
                for a, b, caption in zip(edges[:-1], edges[1:], captions, strict=True)]
    steps = max(1, round(edges[-1] * 4))
    embeddings = np.random.default_rng(0).normal(size=(steps, 8)).astype(np.float32)
    info = VideoInfo(**{"path": path, "seconds": edges[-1], "fps": 25.0, "width": 64, "height": 48, **video})
    trajectory = Trajectory(np.arange(steps) / 4, embeddings, info, 4.0, "What?", "everyday", {"read": 0.1})
    strength = np.linspace(0, 1, steps)
    return Analysis(trajectory, CutSettings(), segments, strength, {"read": 0.1, "total": 0.4})


def cues(subtitles: str) -> list[tuple[str, str, list[str]]]:
    """(start, end, payload lines) of each cue, as a player splits them: at blank lines."""
    blocks = [block.splitlines() for block in re.split(r"\n\n+", subtitles.strip()) if "-->" in block]
    found = []
    for lines in blocks:
        k = next(k for k, line in enumerate(lines) if "-->" in line)
        start, end = lines[k].split(" --> ")
        found.append((start, end, lines[k + 1 :]))
    return found


def test_every_file_is_written_and_nothing_else(tmp_path: Path) -> None:
    written = write_exports(analysis(), tmp_path / "new" / "folder")
    assert list(written) == ["analysis.json", "captions.srt", "captions.vtt", "segments.csv", "embeddings.npz",
                             "segments.edl", "chapters.ffmetadata"]
    assert {p.name for p in (tmp_path / "new" / "folder").iterdir()} == set(written)
    assert all(path.stat().st_size for path in written.values())


def test_the_json_holds_the_whole_analysis() -> None:
    read = json.loads(to_json(analysis()))
    assert read["video"] == {"path": "film.mp4", "seconds": 3.5, "fps": 25.0, "width": 64, "height": 48}
    assert (read["checkpoint"], read["query"], read["rate_hz"]) == ("everyday", "What?", 4.0)
    assert read["times"] == [k / 4 for k in range(14)]
    assert len(read["boundary_strength"]) == 14
    assert read["segments"][1] == {"start_s": 2.0, "end_s": 3.5, "caption": HOSTILE, "readout": "decoder",
                                   "similarity": 0.5}
    assert read["decodes"] == {"selective": 2, "uniform_1hz": 4}
    assert read["settings"] == {"method": "auto", "value": None, "smoothing_s": 0.0, "min_length_s": 1.0,
                                "decode_at": "mean"}
    assert read["timing_s"] == {"read": 0.1, "total": 0.4}
    assert read["warning"] is None


def test_the_json_is_valid_for_odd_names_and_missing_frame_rates() -> None:
    read = json.loads(to_json(analysis(path="caf\udce9 ☃.mp4", fps=float("nan"))))
    assert read["video"]["path"] == "caf\udce9 ☃.mp4"
    assert read["video"]["fps"] is None


@pytest.mark.parametrize("make", [to_srt, to_vtt])
def test_no_caption_can_break_out_of_its_subtitle(make: Callable[[Analysis], bytes]) -> None:
    found = cues(make(analysis()).decode("utf-8"))
    assert len(found) == 2
    assert len(found[1][2]) == 1
    assert not re.search(r"[<>\x00-\x1f]", found[1][2][0])
    assert "Über 猫" in found[1][2][0]


def test_webvtt_escapes_come_back_as_they_were() -> None:
    text = to_vtt(analysis(captions=("a < b & c > d", "x"))).decode()
    assert text.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:02.000\na &lt; b &amp; c &gt; d\n")


def test_subrip_counts_from_one_and_uses_a_comma() -> None:
    text = to_srt(analysis(captions=("A dog runs.", "{b}"))).decode()
    assert text == ("1\n00:00:00,000 --> 00:00:02,000\nA dog runs.\n\n"
                    "2\n00:00:02,000 --> 00:00:03,500\n(b)\n")


def test_an_empty_caption_still_makes_a_cue() -> None:
    assert [payload for *_, payload in cues(to_srt(analysis(captions=("", " \n "))).decode())] == [["…"], ["…"]]


def test_times_never_read_sixty_and_never_overlap() -> None:
    edges = (0.0, 59.9994, 59.9996, 3599.9999, 3661.0015, 360000.5)
    found = cues(to_vtt(analysis(captions=["x"] * 5, edges=edges)).decode())
    assert [start for start, *_ in found] == ["00:00:00.000", "00:00:59.999", "00:01:00.000", "01:00:00.000",
                                              "01:01:01.002"]
    assert found[-1][1] == "100:00:00.500"
    assert all(a[1] == b[0] for a, b in pairwise(found))


def test_the_table_reads_back_and_runs_no_formula() -> None:
    captions = ("=1+1", "+1", "-1", "@x", "\tx", " =x", "plain, \"quoted\"\nline", "don't", "")
    rows = list(csv.DictReader(io.StringIO(to_csv(analysis(captions, range(10))).decode(), newline="")))
    assert [row["caption"] for row in rows] == ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "' =x",
                                                "plain, \"quoted\"\nline", "don't", ""]
    assert [float(row["start_s"]) for row in rows] == list(range(9))
    assert list(rows[0]) == ["start_s", "end_s", "caption", "readout", "similarity"]


def test_the_arrays_load_without_pickle() -> None:
    whole = analysis()
    with np.load(io.BytesIO(to_npz(whole)), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["embeddings"], whole.trajectory.embeddings)
        np.testing.assert_array_equal(arrays["times_s"], whole.trajectory.times_s)
        np.testing.assert_allclose(arrays["boundary_strength"], whole.boundary_strength, atol=1e-6)
        assert arrays["segment_start_s"].tolist() == [0.0, 2.0]
        assert arrays["segment_end_s"].tolist() == [2.0, 3.5]
        assert float(arrays["rate_hz"]) == 4.0


def test_a_full_disk_leaves_old_results_whole_and_nothing_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_exports(analysis(captions=("old", "old")), tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExportError, match=r"no space left on device.*free some space there or choose another folder"):
        write_exports(analysis(), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_folder_made_for_a_failed_export_goes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExportError, match="deep"):
        write_exports(analysis(), tmp_path / "very" / "deep")
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_the_system_really_refuses_leaves_nothing(tmp_path: Path) -> None:
    code = ("import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
            "from pathlib import Path; from vljepa.export import _write_all\n"
            "_write_all(Path(sys.argv[1]), {'small': b'x', 'large': b'x' * 10000})")
    assert hasattr(resource, "RLIMIT_FSIZE")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_export_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_exports(analysis(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_an_export_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    with pytest.raises(ExportError, match="taken"):
        write_exports(analysis(), tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "x"


def edl_frames(edl: str, nominal: int) -> list[tuple[int, int]]:
    """(first, stop) frame of each event, counted back from its source timecodes; record must say the same."""
    found = []
    for line in edl.splitlines():
        if re.match(r"\d{3} ", line):
            codes = line.split()[4:]
            assert codes[:2] == codes[2:]
            h, m, s, f = zip(*(map(int, code.split(":")) for code in codes[:2]), strict=True)
            found.append(tuple((h[k] * 3600 + m[k] * 60 + s[k]) * nominal + f[k] for k in (0, 1)))
    return found


def test_an_edit_list_is_half_open_and_counts_frames_exactly_at_23_976() -> None:
    """An hour in, PySceneDetect-like rounding by seconds would be 86 frames off."""
    rate = Fraction(24000, 1001)
    edges = [0.0, float(100 / rate), float(86314 / rate), float(86400 / rate)]
    edl = to_edl(analysis(captions=["a", "b", "c"], edges=edges, fps=23.976)).decode()
    assert edl.startswith("TITLE: film.mp4\nFCM: NON-DROP FRAME\n* FRAME RATE: 24000/1001\n\n001  AX       V     C   ")
    assert edl_frames(edl, 24) == [(0, 100), (100, 86314), (86314, 86400)]


def test_an_edit_list_has_no_event_without_a_frame_and_no_caption_breaks_its_lines() -> None:
    edl = to_edl(analysis(captions=["a", HOSTILE, "c"], edges=(0.0, 2.0, 2.004, 3.5))).decode()
    assert edl_frames(edl, 25) == [(0, 50), (50, 88)]
    edl = to_edl(analysis(captions=["a", HOSTILE], edges=(0.0, 2.0, 3.5))).decode()
    assert all(re.match(r"(TITLE|FCM|\* |\d{3} |$)", line) for line in edl.split("\n"))


@pytest.mark.parametrize(("fps", "exact"), [
    (23.976, Fraction(24000, 1001)), (23.98, Fraction(1199, 50)), (29.97, Fraction(30000, 1001)), (25.0, Fraction(25)),
    (59.94005994, Fraction(60000, 1001)), (30.0, Fraction(30)), (12.5, Fraction(25, 2)), (float("nan"), Fraction(25)),
    (0.0, Fraction(25))])  # fmt: skip
def test_frame_rates_are_rational(fps: float, exact: Fraction) -> None:
    assert frame_rate(fps) == exact


def test_timecode_counts_frames() -> None:
    rate = Fraction(30000, 1001)
    assert [timecode(frame, rate) for frame in (0, 29, 30, 1799, 1800, 107_892)] == [
        "00:00:00:00", "00:00:00:29", "00:00:01:00", "00:00:59:29", "00:01:00:00", "00:59:56:12"]


def test_chapters_come_back_from_ffmpeg_as_they_were(tmp_path: Path) -> None:
    import av

    (tmp_path / "chapters.ffmetadata").write_bytes(to_chapters(analysis(captions=("a = b; #1 \\ c", "x"))))
    with av.open(str(tmp_path / "chapters.ffmetadata"), format="ffmetadata") as container:
        read = [(c["start"], c["end"], c["metadata"]["title"]) for c in container.chapters()]
    assert read == [(0, 2000, "a = b; #1 \\ c"), (2000, 3500, "x")]
