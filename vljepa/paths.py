"""Where files go that are made on the user's machine: one cache folder, movable by an environment variable."""

import os
import sys
from pathlib import Path


def cache_dir() -> Path:
    """`VLJEPA_CACHE` if set, otherwise the platform's cache folder for this app. Not created here."""
    if override := os.environ.get("VLJEPA_CACHE"):
        return Path(override).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "vljepa"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/vljepa"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vljepa"
