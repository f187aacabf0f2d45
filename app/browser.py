"""A Chromium for the tests, the benchmarks and the pictures of the documentation: found, and kept on this machine."""

import os
import shutil
from typing import Any

from vljepa.errors import VLJEPAError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync",
         "--disable-component-update", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
         "--ignore-gpu-blocklist", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1")


def chromium_path() -> str:
    """Where Chromium or Chrome is; VLJEPAError if there is none."""
    path = next((found for name in NAMES if (found := shutil.which(name))), os.environ.get("VLJEPA_BROWSER"))
    if path is None:
        raise VLJEPAError("this needs Chromium or Chrome: `apt-get install chromium`, or name one in VLJEPA_BROWSER")
    return path


def launch(playwright: Any, *more_flags: str) -> Any:
    """A running headless Chromium with software WebGL that reaches no other machine; close it when done."""
    return playwright.chromium.launch(executable_path=chromium_path(), args=[*FLAGS, *more_flags])
