"""What a measured number must carry to be believed: the command, the commit, the machine and the versions."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

# what a command has just written there is no change to what it measures
CHANGES = ("status", "--porcelain", "--", ":(top)", ":(top,exclude)benchmarks")


def provenance(checkpoint: str) -> dict[str, Any]:
    """JSON-ready facts about this run. Absolute paths are cut to their last part; "-dirty": uncommitted changes."""
    import torch  # slow to import, and help texts should not wait for it

    script = Path(sys.argv[0])
    program = "python -m vljepa" if script.name == "__main__.py" else f"python -m docs.{script.stem}"
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    return {
        "checkpoint": Path(checkpoint).name,
        "command": " ".join([program, *words]),
        "commit": (_git("rev-parse", "--short", "HEAD") or "unknown") + ("-dirty" if _git(*CHANGES) else ""),
        "machine": f"{_processor()}, {cores()} cores, {_memory_gb():.0f} GB",
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def write_results(path: Path, results: Mapping[str, Any]) -> None:
    """Write measured results as JSON, in a folder that is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _git(*words: str) -> str:
    try:
        folder = Path(__file__).resolve().parent
        return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3 if hasattr(os, "sysconf") else 0.0
