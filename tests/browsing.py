"""An app in a process of its own and visitors to it, for the tests in a real browser.

A missing browser fails these tests, it never skips them.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page

from app.browser import served

PATIENCE_MS = 60_000  # a busy machine is slow, not broken
TESTS = Path(__file__).resolve().parent


class App:
    """A served app and what the browser said while it was used."""

    def __init__(self, address: str, root: Path, process: subprocess.Popen | None = None) -> None:
        self.address, self.root, self.process = address, root, process
        self.complaints: list[str] = []

    def watch(self, page: Page) -> None:
        page.on("console", lambda m: self.complaints.append(f"console: {m.text}") if m.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(f"page: {error}"))
        page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self.complaints.append(f"outside: {request.url}")
                if not request.url.startswith((self.address, "data:", "blob:")) else None)


@contextmanager
def serving(root: Path, *command: str, **environment: str) -> Iterator[App]:
    """Run a Python command that serves the app, as `-c CODE` or `-m app ...`; `root` is where its files are."""
    # a process of its own: gradio leaves event loops behind, which would be warnings here
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    with served(*command, **{"PYTHONPATH": paths, **environment}) as (address, process):
        yield App(address, root, process)


def visitor(app: App, browser: Browser, tab: str = "explore", **context: object) -> Iterator[Page]:
    """A fresh visitor with that tab open and ready; fails the test if the browser complained about anything."""
    app.complaints.clear()
    visit = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context})
    page = visit.new_page()
    page.set_default_timeout(PATIENCE_MS)
    app.watch(page)
    page.goto(app.address)
    open_tab(page, tab)
    yield page
    visit.close()
    assert app.complaints == []


def open_tab(page: Page, tab: str) -> None:
    """Open the tab of that name and wait until its script has what it needs."""
    page.get_by_role("tab", name=tab.capitalize(), exact=True).click()
    page.wait_for_selector(f".vlj-{tab}[data-ready]")
