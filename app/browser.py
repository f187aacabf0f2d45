"""A Chromium for the tests, the benchmarks and the pictures of the documentation: found, and kept on this machine."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vljepa.errors import VLJEPAError

ROOT = Path(__file__).resolve().parent.parent
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


@contextmanager
def served(*command: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a Python command that serves the app, such as `-m app`; gives its address and its process.

    VLJEPAError with what it said if it ends before it serves.
    """
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, "PYTHONUNBUFFERED": "1", **environment}, cwd=ROOT) as server:
        assert server.stdout is not None
        said: list[str] = []
        for line in server.stdout:
            said.append(line)
            if address := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        else:
            raise VLJEPAError("the app did not start: " + "".join(said))
        drain = threading.Thread(target=server.stdout.read, daemon=True)
        drain.start()
        try:
            yield address[0], server
        finally:
            server.terminate()
            drain.join(10)
