"""`python -m vljepa bench library`: what indexing and searching cost, and what a kill costs.

- `index_over_encoder`: wall time of indexing 1,000 short clips over (frames used x the bare X-Encoder's time per frame)
- `search_p95_ms`: 95th percentile of searching them for a text, the text's embedding included
- `killed_lost`, `killed_duplicated`: videos lost and doubled after `index` was killed (SIGKILL) again and again and
  then run to its end
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vljepa.bench_shared import encoder_seconds_per_frame, write_video
from vljepa.provenance import provenance, write_results

if TYPE_CHECKING:
    from vljepa.library import Entry, Library
    from vljepa.model import VLJEPA

LIMITS = {"search_p95_ms": 100.0, "index_over_encoder": 1.5, "killed_lost": 0, "killed_duplicated": 0}
CLIP_S, CLIP_FPS, CLIP_SIZE = 2.0, 25, (320, 240)
SEARCHES = 200
KILLED_CLIPS, KILLS = 60, 4
SPREAD_S = 1.3  # the kills come at once, and up to so many seconds, after the library was first written to in a run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `bench library`."""
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the results to FILE")
    parser.add_argument("--checkpoint", metavar="NAME", default="everyday", help="default: %(default)s")
    parser.add_argument("--clips", metavar="N", type=int, default=1000, help="clips to index (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    """Measure, print a table, and write the JSON if asked."""
    from vljepa.checkpoint import load

    model = load(args.checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        clips, few = Path(folder, "clips"), Path(folder, "few")
        print(f"making {args.clips} clips ...", file=sys.stderr)
        _make_clips(clips, args.clips)
        _make_clips(few, min(KILLED_CLIPS, args.clips))
        print("indexing ...", file=sys.stderr)
        library, values, details = measure_index(model, clips, Path(folder, "clips.library"))
        print("searching ...", file=sys.stderr)
        values["search_p95_ms"], details["search"] = measure_search(library, model)
        print("killing ...", file=sys.stderr)
        killed, details["kills"] = measure_kills(few, Path(folder, "few.library"), args.checkpoint)
    values |= killed
    print(f"{'measure':20}  {'value':>8}  {'limit':>6}")
    for key, limit in LIMITS.items():
        print(f"{key:20}  {values[key]:8.2f}  {limit:6.1f}  {'' if values[key] <= limit else 'too much'}".rstrip())
    if args.json is not None:
        write_results(args.json, {**values, "details": details, **provenance(args.checkpoint)})


def measure_index(model: "VLJEPA", clips: Path, path: Path) -> "tuple[Library, dict[str, float], dict[str, Any]]":
    """Index a folder; the bare X-Encoder is measured before and after, for a machine may change its mind."""
    from vljepa.indexing import embed_here, index, open_or_create

    library, rate_hz = open_or_create(path, model, None)
    sample, seconds = min(clips.iterdir()), list[float]()

    def note(entry: "Entry", _done: int, _total: int) -> None:
        seconds.append(entry.seconds)

    before = encoder_seconds_per_frame(model, sample)
    started = time.perf_counter()
    outcome = index(library, clips, embed_here(model, rate_hz), progress=note)
    wall = time.perf_counter() - started
    bare = (before + encoder_seconds_per_frame(model, sample)) / 2
    assert not outcome.broken, "every clip can be read"
    frames = sum(round(s * rate_hz) for s in seconds)
    return library, {"index_over_encoder": round(wall / (frames * bare), 3)}, {
        "clips": outcome.indexed, "clip_s": CLIP_S, "moments": library.counts()[1], "frames": frames,
        "wall_s": round(wall, 2), "x_encoder_ms_per_frame": round(1000 * bare, 3),
        "megabytes": round(path.stat().st_size / 1e6, 2)}


def measure_search(library: "Library", model: "VLJEPA") -> tuple[float, dict[str, Any]]:
    """Different texts, one after the other, as one user would; the first also reads the library."""
    from vljepa.vocabulary import all_answers

    words = all_answers()
    texts = [f"{words[i % len(words)]} and {words[(7 * i + 3) % len(words)]}" for i in range(SEARCHES + 1)]
    times_ms = []
    for text in texts:
        started = time.perf_counter()
        library.search(model, text)
        times_ms.append(1000 * (time.perf_counter() - started))
    first, *rest = times_ms
    return round(float(np.percentile(rest, 95)), 2), {
        "searches": len(rest), "p50_ms": round(float(np.percentile(rest, 50)), 2), "first_ms": round(first, 1)}


def measure_kills(clips: Path, path: Path, checkpoint: str) -> tuple[dict[str, float], dict[str, Any]]:
    """Kill the real command in the middle of its work, `KILLS` times, then let it finish and count."""
    import duckdb

    command = [sys.executable, "-m", "vljepa", "index", str(clips), "--library", str(path), "--checkpoint", checkpoint]
    known = []
    for kill in range(KILLS):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait_for_change(child, path)
        time.sleep(SPREAD_S * kill / KILLS)
        child.send_signal(signal.SIGKILL)
        child.wait()
        with duckdb.connect(str(path), read_only=True) as database:
            known.append(database.execute("SELECT count(*) FROM videos").fetchall()[0][0])
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with duckdb.connect(str(path), read_only=True) as database:
        videos = [row[0] for row in database.execute("SELECT path FROM videos").fetchall()]
        spans = database.execute("SELECT path, start_s FROM moments").fetchall()
    lost = {str(clip) for clip in clips.resolve().iterdir()} - ({video for video, _ in spans} & set(videos))
    doubled = len(videos) - len(set(videos)) + len(spans) - len(set(spans))
    return {"killed_lost": len(lost), "killed_duplicated": doubled}, {"clips": len(videos), "known_at_each_kill": known}


def _wait_for_change(child: "subprocess.Popen[bytes]", path: Path) -> None:
    """Until the library is written to, or the run is over."""
    def state() -> tuple[int, ...]:
        return tuple(file.stat().st_size for file in (path, path.with_name(path.name + ".wal")) if file.exists())

    before = state()
    while child.poll() is None and (state() == before or not path.exists()):
        time.sleep(0.01)


def _make_clips(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        write_video(folder / f"{number:04}.mp4", CLIP_S, CLIP_FPS, CLIP_SIZE, seed=number)
