"""Results as files: JSON, subtitles, a table, arrays, an edit list and chapters; `EXPORTS` names them.

Every file is written in full beside its place and only then are they moved there: no reader ever meets half of one.
"""

import csv
import io
import json
import math
import os
import re
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from vljepa.analysis import CaptionedSegment
from vljepa.errors import ExportError
from vljepa.stream import Trajectory
from vljepa.video import CAMERA_FPS

# SubRip has no escapes: what players take for markup or an arrow is replaced by its look-alike
SRT_LOOKALIKES = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})
VTT_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@runtime_checkable
class Exportable(Protocol):
    """What an export asks for: an `Analysis` of a film, or the `Recording` of a live session."""

    @property
    def trajectory(self) -> Trajectory: ...

    @property
    def settings(self) -> Any: ...  # a dataclass

    @property
    def segments(self) -> list[CaptionedSegment]: ...

    @property
    def boundary_strength(self) -> Float[np.ndarray, " time"]: ...

    @property
    def timing_s(self) -> dict[str, float]: ...

    @property
    def decodes(self) -> dict[str, int]: ...

    @property
    def warning(self) -> str | None: ...


def write_exports(analysis: Exportable, out_dir: Path | str) -> dict[str, Path]:
    """Write every file into `out_dir`, made if missing, and return where each is, by file name.

    ExportError if the disk is full or refuses; the folder is then as it was.
    """
    folder = Path(out_dir)
    made = _missing_folders(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _write_all(folder, {name: make(analysis) for name, make in EXPORTS.items()})
    except BaseException as error:
        for empty in made:  # innermost first; one that holds something stays
            with suppress(OSError):
                empty.rmdir()
        if isinstance(error, OSError):
            reason = (error.strerror or str(error)).lower()
            raise ExportError(f"the results cannot be written to {folder} ({reason}): free some space there or choose "
                              "another folder") from error
        raise


def to_json(analysis: Exportable) -> bytes:
    """The whole analysis but the embeddings, an entry a line; times in seconds, UTF-8."""
    entries = to_dict(analysis)
    segments = ",\n  ".join(map(_json, entries["segments"]))
    lines = [f' "{key}": ' + (f"[\n  {segments}\n ]" if key == "segments" else _json(value))
             for key, value in entries.items()]
    # a file name that is no UTF-8 comes as lone surrogates: written as JSON escapes them
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode("utf-8", "backslashreplace")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def to_dict(analysis: Exportable) -> dict[str, Any]:
    """What analysis.json holds."""
    trajectory = analysis.trajectory
    return {
        "video": {key: _finite(value) for key, value in asdict(trajectory.video).items()},
        "checkpoint": trajectory.checkpoint,
        "query": trajectory.query,
        "rate_hz": trajectory.rate_hz,
        "settings": asdict(analysis.settings),
        "times": [round(float(t), 6) for t in trajectory.times_s],
        "boundary_strength": [round(float(s), 6) for s in analysis.boundary_strength],
        "segments": [asdict(segment) for segment in analysis.segments],
        "decodes": analysis.decodes,
        "timing_s": {stage: round(seconds, 4) for stage, seconds in analysis.timing_s.items()},
        "warning": analysis.warning,
    }


def to_srt(analysis: Exportable) -> bytes:
    """SubRip subtitles, one for each segment."""
    cues = [f"{number}\n{_time(segment.start_s, ',')} --> {_time(segment.end_s, ',')}\n"
            f"{_one_line(segment.caption).replace('-->', '→').translate(SRT_LOOKALIKES)}\n"
            for number, segment in enumerate(analysis.segments, 1)]
    return _utf8("\n".join(cues))


def to_vtt(analysis: Exportable) -> bytes:
    """WebVTT subtitles, one for each segment."""
    cues = [f"{_time(segment.start_s, '.')} --> {_time(segment.end_s, '.')}\n"
            f"{_one_line(segment.caption).translate(VTT_ESCAPES)}\n" for segment in analysis.segments]
    return _utf8("\n".join(["WEBVTT\n", *cues]))


def to_csv(analysis: Exportable) -> bytes:
    """A row for each segment, as RFC 4180 quotes it; a caption that a spreadsheet would run as a formula is not."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(CaptionedSegment.__dataclass_fields__)
    for s in analysis.segments:
        rows.writerow([f"{s.start_s:.3f}", f"{s.end_s:.3f}", harmless(s.caption), harmless(s.readout),
                       f"{s.similarity:.4f}"])
    return _utf8(text.getvalue())


def to_npz(analysis: Exportable) -> bytes:
    """The stream as arrays, none of which needs pickle: times, embeddings, boundary strength, segments."""
    data = io.BytesIO()
    trajectory, segments = analysis.trajectory, analysis.segments
    np.savez(
        data,
        times_s=trajectory.times_s.astype(np.float64),
        embeddings=trajectory.embeddings.astype(np.float32),
        boundary_strength=analysis.boundary_strength.astype(np.float32),
        segment_start_s=np.array([s.start_s for s in segments]),
        segment_end_s=np.array([s.end_s for s in segments]),
        rate_hz=np.array(trajectory.rate_hz),
    )
    return data.getvalue()


def to_edl(analysis: Exportable) -> bytes:
    """An edit decision list (CMX 3600): an event for each segment, its out point the first frame of the next.

    Timecode counts frames, without dropping numbers, so that it names the same frame at any rate and never drifts; at
    23.976 frames a second it therefore runs a thousandth slower than a clock.
    """
    video, rate = analysis.trajectory.video, frame_rate(analysis.trajectory.video.fps)
    name = _one_line(Path(video.path).name)
    events: list[str] = []
    for segment in analysis.segments:
        first, stop = (round(Fraction(moment) * rate) for moment in (segment.start_s, segment.end_s))
        if first == stop:
            continue  # shorter than a frame: there is nothing to cut out
        span = f"{timecode(first, rate)} {timecode(stop, rate)}"
        events.append(f"{len(events) + 1:03}  AX       V     C        {span} {span}\n* FROM CLIP NAME: {name}\n"
                      f"* COMMENT: {_one_line(segment.caption)}\n")
    head = f"TITLE: {name}\nFCM: NON-DROP FRAME\n* FRAME RATE: {rate}\n"
    return _utf8("\n".join([head, *events]))


def to_chapters(analysis: Exportable) -> bytes:
    """Chapters as FFmpeg reads them: `ffmpeg -i film.mp4 -i chapters.ffmetadata -map_metadata 1 -c copy out.mp4`."""
    lines = [";FFMETADATA1"]
    for segment in analysis.segments:
        title = re.sub(r"([=;#\\])", r"\\\1", _one_line(segment.caption))
        lines += ["[CHAPTER]", "TIMEBASE=1/1000", f"START={round(segment.start_s * 1000)}",
                  f"END={round(segment.end_s * 1000)}", f"title={title}"]
    return _utf8("\n".join(lines) + "\n")


def frame_rate(fps: float) -> Fraction:
    """The exact rate that a stated one stands for: 23.976 is 24000/1001; CAMERA_FPS where none is known."""
    if not (math.isfinite(fps) and fps > 0):
        return Fraction(CAMERA_FPS)
    broadcast = Fraction(round(fps * 1.001) * 1000, 1001)
    # video with a wandering rate has a mean like 24.97: that is no broadcast rate
    return broadcast if abs(fps - broadcast) < 0.002 else Fraction(fps).limit_denominator(1000)


def timecode(frame: int, rate: Fraction) -> str:
    """hh:mm:ss:ff of a frame's number, by counting: frame 24 at 23.976 is 00:00:01:00."""
    seconds, frames = divmod(frame, max(1, round(rate)))
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{frames:02}"


EXPORTS: dict[str, Callable[[Exportable], bytes]] = {
    "analysis.json": to_json,
    "captions.srt": to_srt,
    "captions.vtt": to_vtt,
    "segments.csv": to_csv,
    "embeddings.npz": to_npz,
    "segments.edl": to_edl,
    "chapters.ffmetadata": to_chapters,
}


def _write_all(folder: Path, contents: dict[str, bytes]) -> dict[str, Path]:
    """Every file under a temporary name first, so that a full disk is met before anything is replaced."""
    waiting: dict[str, Path] = {}
    try:
        for name, content in contents.items():
            waiting[name] = folder / f".{name}.{uuid.uuid4().hex}.part"
            with waiting[name].open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # some disks tell only now that they are full
        for name, temporary in waiting.items():
            temporary.replace(folder / name)
    finally:
        for temporary in waiting.values():
            temporary.unlink(missing_ok=True)
    return {name: folder / name for name in contents}


def _missing_folders(folder: Path) -> list[Path]:
    """`folder` and those of its parents that do not exist, innermost first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def _time(seconds: float, point: str) -> str:
    """01:02:03.004, rounded once to whole milliseconds so that no field can read 60."""
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


def _one_line(text: str) -> str:
    """Without line breaks and control characters, which would end a subtitle early; never empty."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).split()) or "…"


def harmless(text: str) -> str:
    """An apostrophe before what a spreadsheet would take for a formula (OWASP, CSV injection)."""
    text = text.replace("\0", " ")
    return f"'{text}" if text.lstrip()[:1] in tuple("=+-@＝＋－＠") or text[:1] in tuple("\t\r\n") else text


def _finite(value: Any) -> Any:
    """JSON knows no infinity and no NaN, which a container without a frame rate may report."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")
