"""What every test gets: shapes checked at run time, no network, a cache folder of its own, and the smoke checkpoint."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jaxtyping import install_import_hook

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
ROOT = Path(__file__).resolve().parent.parent


if TYPE_CHECKING:
    from playwright.sync_api import Browser

install_import_hook(["vljepa", "visualizations"], "shape_checker.checked")


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Path:
    """The smoke checkpoint, trained by the command that the README gives; `VLJEPA_SMOKE` names one made before."""
    if made_before := os.environ.get("VLJEPA_SMOKE"):
        return Path(made_before)
    cache = tmp_path_factory.mktemp("smoke-cache")
    command = [sys.executable, "-m", "vljepa", "train", "smoke", "--work", cache / "work", "--out", cache / "smoke"]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return cache / "smoke"


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """A real Chromium; its tests fail where there is none."""
    from playwright.sync_api import sync_playwright  # here, so that tests without a browser need none

    from app.browser import launch

    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()
