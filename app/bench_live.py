"""`python -m vljepa bench live --only updates --only viewers --only soak`: the Live page in a real Chromium.

The browser's camera is a file made from a sample film; browser, software WebGL and model share this machine. A drawn
update is one moment on the map, on the curve and under the caption; its lag is from the frame's capture to the end of
its drawing, by the page's clock.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from app.browser import launch, served
from sample_media import sample_films
from vljepa.errors import VLJEPAError
from vljepa.video import open_video

SETTLE_S, MEASURE_S = 8.0, 40.0
VIEWERS = 4
SOAK_SETTLE_S, SAMPLE_S = 300.0, 5.0
CAMERA_FPS, CAMERA_SIZE = 30.0, (640, 480)  # what Chromium's fake camera plays
PATIENCE_MS = 240_000
CAMERA_FLAGS = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
INSTALL = "the browser's measurements need the development packages: python -m pip install -r requirements-dev.txt"


def measure_updates(args: argparse.Namespace) -> dict[str, Any]:
    """`updates_per_s_2d`, `updates_per_s_3d`, `lag_p95_ms` over both, and `model_share_percent`."""
    with stage(args.checkpoint, 1) as (pages, _):
        page = pages[0]
        start(page)
        rates, lags = {}, []
        for dimensions in (2, 3):
            page.click(f"[data-dimensions='{dimensions}']")
            page.wait_for_timeout(1000 * SETTLE_S)
            rates[dimensions], found = watch([page], MEASURE_S)[0]
            lags += found
        share = page.evaluate("document.querySelector('.vlj-live').vljLive.ledger.share")
        return {"updates_per_s_2d": round(rates[2], 2), "updates_per_s_3d": round(rates[3], 2),
                "lag_p95_ms": round(float(np.quantile(lags, 0.95)), 1), "lag_median_ms": round(median(lags), 1),
                "model_share_percent": round(100 * share, 1)}


def measure_viewers(args: argparse.Namespace) -> dict[str, Any]:
    """`four_viewers_slowest_hz`: each in a browser window of its own, all at once."""
    with stage(args.checkpoint, VIEWERS) as (pages, _):
        for page in pages:
            start(page)
        pages[0].wait_for_timeout(1000 * SETTLE_S)
        rates = [rate for rate, _ in watch(pages, MEASURE_S)]
        return {"four_viewers_slowest_hz": round(min(rates), 2), "four_viewers_hz": [round(rate, 2) for rate in rates]}


def measure_soak(args: argparse.Namespace) -> dict[str, Any]:
    """`soak`: half an hour live (`--minutes`); growth of the server's memory after the first five minutes."""
    import psutil

    soak_s = 60 * args.minutes
    settle_s = min(SOAK_SETTLE_S, soak_s / 4)
    with stage(args.checkpoint, 1) as (pages, server):
        page, process = pages[0], psutil.Process(server.pid)
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        start(page)
        page.evaluate(REMEMBER_NODES)
        begun, samples = time.monotonic(), []
        while (now_s := time.monotonic() - begun) < soak_s:
            page.wait_for_timeout(1000 * SAMPLE_S)
            samples.append((now_s, process.memory_info().rss))
        before = median(rss for at, rss in samples if settle_s <= at < settle_s + soak_s / 15)
        after = median(rss for at, rss in samples if at >= soak_s - soak_s / 15)
        return {"soak": {
            "minutes": round(soak_s / 60, 1), "memory_growth_percent": round(100 * (after / before - 1), 2),
            "memory_mb": round(after / 1e6), "console_errors": len(complaints),
            "remounts": page.evaluate(COUNT_REMOUNTS), "updates": page.evaluate(DRAWN)}}


DRAWN = "document.querySelector('.vlj-live').vljLive.drawn"
NODES = ("['.vlj-live', '.vlj-cloud canvas', '.vlj-curve', '.vlj-eye', '.vlj-words']"
         ".map((s) => document.querySelector(s))")
REMEMBER_NODES = f"() => {{ window.vljNodes = {NODES}; }}"
COUNT_REMOUNTS = f"() => {NODES}.filter((node, i) => node !== window.vljNodes[i]).length"


@contextmanager
def stage(checkpoint: str, viewers: int) -> Iterator[tuple[list[Any], Any]]:
    """The app in a process of its own and that many pages at it, ready to start, whose camera is the sample film.

    VLJEPAError without playwright or a browser.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise VLJEPAError(INSTALL) from None
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        camera = camera_file(sample_films()[0].path, Path(folder) / "camera.mjpeg")
        browser = launch(playwright, *CAMERA_FLAGS, f"--use-file-for-fake-video-capture={camera}")
        with served("-m", "app", "--checkpoint", checkpoint) as (address, server):
            pages = [visit(browser, address) for _ in range(viewers)]
            yield pages, server
            browser.close()


def camera_file(film: Path, path: Path) -> Path:
    """A film as Chromium's fake camera takes it: JPEGs one after another."""
    with open_video(film) as video, path.open("wb") as out:
        for frame in video.frames(CAMERA_FPS, CAMERA_SIZE):
            _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
            out.write(jpeg.tobytes())
    return path


def visit(browser: Any, address: str) -> Any:
    """A page of its own browser window, with the Live tab ready and the camera allowed."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}, permissions=["camera"]).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address)
    page.wait_for_selector(".vlj-live[data-ready]")
    return page


def start(page: Any) -> None:
    """Press Start and wait for the first moment on the map."""
    page.click(".vlj-go")
    page.wait_for_function(f"{DRAWN} > 0")


def watch(pages: list[Any], seconds: float) -> list[tuple[float, list[float]]]:
    """For each page how many updates a second it drew, and their lags in milliseconds."""
    before = [(page.evaluate(DRAWN), time.monotonic()) for page in pages]
    pages[0].wait_for_timeout(1000 * seconds)
    found = []
    for page, (drawn, at) in zip(pages, before, strict=True):
        fresh, lags = page.evaluate(f"[{DRAWN}, document.querySelector('.vlj-live').vljLive.lags]")
        found.append(((fresh - drawn) / (time.monotonic() - at), lags[-(fresh - drawn):] if fresh > drawn else []))
    return found
