"""`python -m vljepa bench`: what an analysis costs on this machine, as ratios measured in one run.

- `analysis_over_encoder`: wall time of a whole analysis over (frames used x the bare X-Encoder's time per frame)
- `load_s`: importing the library and loading the checkpoint, in a fresh process
- `recut_ms`: cutting ten minutes of stream anew after the slowest kind of change to the settings
- `memory_60min_over_6min`: peak memory of analysing an hour over that of six minutes, each in a fresh process

`python -m vljepa bench live` measures the live loop: see `vljepa.bench_live`; `bench library` the library of videos:
see `vljepa.bench_library`; `bench gpu` a GPU: see `vljepa.bench_gpu`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from vljepa import bench_library, bench_live
from vljepa.bench_shared import REPEATS, SCENE_S, encoder_seconds_per_frame, timed, write_video
from vljepa.provenance import provenance, write_results

if TYPE_CHECKING:
    from vljepa.stream import Trajectory

LIMITS = {"analysis_over_encoder": 1.5, "load_s": 6.0, "recut_ms": 50.0, "memory_60min_over_6min": 1.3}
Measure = Callable[[argparse.Namespace], tuple[float, dict[str, Any]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `bench`."""
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the results to FILE")
    parser.add_argument("--video", metavar="FILE", type=Path, help="what to analyse (default: the longest sample film)")
    parser.add_argument("--checkpoint", metavar="NAME", default="everyday", help="default: %(default)s")
    parser.add_argument("--skip", metavar="KEY", action="append", default=[], choices=tuple(MEASURES),
                        help="leave one out, such as memory_60min_over_6min, which takes minutes; may be repeated")
    kinds = parser.add_subparsers(metavar="live | library | gpu", dest="kind")
    bench_live.add_arguments(kinds.add_parser("live", help="measure the live loop instead",
                                              description="Measure the live loop on this machine."))
    bench_library.add_arguments(kinds.add_parser("library", help="measure indexing and searching instead",
                                                 description="Measure a library of videos on this machine."))
    _add_gpu_arguments(kinds.add_parser("gpu", help="measure a GPU instead",
                                        description="Measure windows a second on a GPU."))


def _add_gpu_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the results to FILE")
    parser.add_argument("--device", default=None, help="default: the first GPU; cpu only tries the command out")
    parser.add_argument("--size", action="append", choices=("everyday", "paper", "smoke"),
                        help="default: everyday and paper")
    parser.add_argument("--seconds", type=float, default=5.0, help="to spend on each measure (%(default)s)")
    parser.add_argument("--compile", action="store_true", help="also compile the X-Encoder and predictor, with CUDA "
                                                               "graphs where there is CUDA")


def run(args: argparse.Namespace) -> None:
    """Measure, print a table, and write the JSON if asked."""
    if args.kind == "gpu":
        from vljepa import bench_gpu  # torch: not for --help

        return bench_gpu.run(args)
    if args.kind == "live":
        return bench_live.run(args)
    if args.kind == "library":
        return bench_library.run(args)
    values: dict[str, float] = {}
    details: dict[str, Any] = {}
    for key, measure in MEASURES.items():
        if key not in args.skip:
            print(f"measuring {key} ...", file=sys.stderr)
            value, details[key] = measure(args)
            values[key] = round(value, 3)
    print(f"{'measure':24}  {'value':>8}  {'limit':>6}")
    for key, value in values.items():
        print(f"{key:24}  {value:8.2f}  {LIMITS[key]:6.1f}  {'' if value <= LIMITS[key] else 'too much'}".rstrip())
    if args.json is not None:
        write_results(args.json, {**values, "details": details, **provenance(args.checkpoint)})
    return None


def measure_analysis(args: argparse.Namespace) -> tuple[float, dict[str, Any]]:
    """The analysis and the bare X-Encoder by turns, so that a busy machine slows both; the median of each."""
    from vljepa.analysis import analyze
    from vljepa.checkpoint import load

    video, model = args.video or _longest_sample(), load(args.checkpoint)
    analysis = analyze(model, video)  # the first run warms up
    frames = len(analysis.trajectory.times_s)
    walls, bare = [], []
    for _ in range(REPEATS):
        bare.append(encoder_seconds_per_frame(model, video))
        started = time.perf_counter()
        analysis = analyze(model, video)
        walls.append(time.perf_counter() - started)
    per_frame, wall = median(bare), median(walls)
    return wall / (frames * per_frame), {
        "video": video.name, "video_s": analysis.trajectory.video.seconds, "frames": frames, "wall_s": round(wall, 3),
        "x_encoder_ms_per_frame": round(1000 * per_frame, 3), "segments": len(analysis.segments),
        "timing_s": {stage: round(seconds, 3) for stage, seconds in analysis.timing_s.items()}}


def measure_load(args: argparse.Namespace) -> tuple[float, dict[str, Any]]:
    """Median of fresh processes."""
    code = ("import sys, time; started = time.perf_counter(); import vljepa; vljepa.load(sys.argv[1]); "
            "print(time.perf_counter() - started)")
    runs = [float(_python("-c", code, args.checkpoint)) for _ in range(REPEATS)]
    return median(runs), {"runs_s": [round(seconds, 3) for seconds in runs]}


def measure_recut(_: argparse.Namespace) -> tuple[float, dict[str, Any]]:
    """The slowest kind of change over ten minutes at 4 Hz; a change of smoothing builds the tree anew."""
    from vljepa.analysis import CutSettings, build_tree, cut

    stream = _made_up_stream(seconds=600.0, rate_hz=4.0, dim=384)
    tree = build_tree(stream, 0.0)
    changes = {
        "auto": CutSettings(), "count 10": CutSettings("count", 10), "count 300": CutSettings("count", 300),
        "interval 1 s": CutSettings("interval", 1.0), "variance 0.25": CutSettings("variance", 0.25),
        "min_length 5 s": CutSettings("count", 300, min_length_s=5.0),
        "midpoint": CutSettings(decode_at="midpoint"), "smoothing 1 s": CutSettings(smoothing_s=1.0),
        "smoothing 5 s": CutSettings(smoothing_s=5.0),
    }

    def recut(settings: CutSettings) -> None:
        standing = build_tree(stream, settings.smoothing_s) if settings.smoothing_s else tree
        cut(stream, standing, settings)
        standing.boundary_strength()

    ms = {name: 1000 * median(timed(recut, settings) for _ in range(9)) for name, settings in changes.items()}
    return max(ms.values()), {name: round(value, 2) for name, value in ms.items()}


def measure_memory(args: argparse.Namespace) -> tuple[float, dict[str, Any]]:
    """The true path, at the model's own rate; the videos are small, for only their length matters here."""
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        for minutes in (6, 60):
            video = Path(folder, f"{minutes}min.mp4")
            write_video(video, 60.0 * minutes)
            peaks[minutes] = float(_python("-m", "vljepa.bench", args.checkpoint, str(video)))
    return peaks[60] / peaks[6], {f"peak_mb_{minutes}min": round(peak, 1) for minutes, peak in peaks.items()}


MEASURES: dict[str, Measure] = {
    "analysis_over_encoder": measure_analysis,
    "load_s": measure_load,
    "recut_ms": measure_recut,
    "memory_60min_over_6min": measure_memory,
}


def _made_up_stream(seconds: float, rate_hz: float, dim: int) -> "Trajectory":
    """Scenes of 8 s that sway: what a tree is built from in practice."""
    from vljepa.stream import Trajectory
    from vljepa.video import VideoInfo

    random, steps = np.random.default_rng(0), round(seconds * rate_hz)
    scenes = random.normal(size=(round(seconds / SCENE_S), dim))
    noisy = scenes[np.arange(steps) * len(scenes) // steps] + 0.3 * random.normal(size=(steps, dim))
    embeddings = (noisy / np.linalg.norm(noisy, axis=1, keepdims=True)).astype(np.float32)
    video = VideoInfo("made up", seconds, 25.0, 1, 1)
    return Trajectory(np.arange(steps) / rate_hz, embeddings, video, rate_hz, None, "made up")


def _longest_sample() -> Path:
    from sample_media import sample_films

    return max(sample_films(), key=lambda film: json.loads(film.truth.read_text())["seconds"]).path


def _python(*words: str) -> str:
    """The last line that a fresh Python process prints."""
    done = subprocess.run([sys.executable, *words], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"the measuring process failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return done.stdout.strip().splitlines()[-1]


def peak_memory_mb() -> float:
    """Most memory this process held at once, in megabytes."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage also counts the parent's, from before this program was started
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


def _analyse_and_tell_memory(checkpoint: str, video: str) -> None:
    """What the fresh processes of `measure_memory` run."""
    from vljepa.analysis import analyze
    from vljepa.checkpoint import load

    analyze(load(checkpoint), video)
    print(peak_memory_mb())


if __name__ == "__main__":
    _analyse_and_tell_memory(*sys.argv[1:])
