"""Draws the README's picture of the app: `python -m docs.make_screenshots [--checkpoint everyday]`.

Starts the app, plays and opens a sample film in Chromium, and writes `docs/live.png` and `docs/app.png`; with `--all`
also the dark ones (3-D) and the phone's, `docs/live-dark.png` and so on. The films are blurred: their photographs are
not ours to publish. Needs what the tests need.
"""

import argparse
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from app.browser import launch, served

DOCS = Path(__file__).resolve().parent
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
PATIENCE_MS = 300_000


def main() -> None:
    """Write the pictures beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default="everyday")
    parser.add_argument("--film", type=int, default=0, help="which sample film, from 0")
    parser.add_argument("--segment", type=int, default=3, help="which of its segments to stand in")
    parser.add_argument("--all", action="store_true", help="the dark and the phone's picture too")
    options = parser.parse_args()
    with served("-m", "app", "--checkpoint", options.checkpoint) as (address, _), sync_playwright() as playwright:
        browser = launch(playwright)
        live_picture(browser, address, "live.png", DESK, "light")
        picture(browser, address, options, "app.png", DESK, "light")
        if options.all:
            live_picture(browser, address, "live-dark.png", DESK, "dark", dimensions=3)
            live_picture(browser, address, "live-phone.png", PHONE, "light")
            picture(browser, address, options, "app-dark.png", DESK, "dark", dimensions=3)
            picture(browser, address, options, "app-phone.png", PHONE, "light")


def picture(browser: Browser, address: str, options: argparse.Namespace, name: str, size: dict[str, int],
            scheme: str, dimensions: int = 2) -> None:
    """Open the film, stand in a segment, and take one picture."""
    page = visit(browser, address, size, scheme)
    page.get_by_role("tab", name="Explore", exact=True).click()
    page.locator(".vlj-sample").nth(options.film).click()
    page.wait_for_selector(".vlj-explore[data-state=ready]")
    page.wait_for_function("document.querySelector('.vlj-caption') && !document.querySelector('.vlj-unread')")
    page.wait_for_function("document.querySelector('.vlj-video').readyState > 1")
    page.add_style_tag(content=".vlj-video { filter: blur(22px) saturate(1.4) }")
    stand_in(page, options.segment)
    if dimensions == 3:
        page.get_by_role("button", name="3D").click()
        page.wait_for_timeout(4000)
    page.wait_for_timeout(4000)  # the player's own controls fade
    keep(page, name)


def live_picture(browser: Browser, address: str, name: str, size: dict[str, int], scheme: str,
                 dimensions: int = 2) -> None:
    """Play the sample film live until the curve has filled its half minute, and take one picture."""
    page = visit(browser, address, size, scheme)
    page.wait_for_selector(".vlj-live[data-ready]")
    page.add_style_tag(content=".vlj-eye, .vlj-shot { filter: blur(22px) saturate(1.4) }")
    page.locator(".vlj-source").select_option(index=1)
    page.locator(f"[data-dimensions='{dimensions}']").click()
    page.locator(".vlj-go").click()
    page.wait_for_function("parseInt(document.querySelector('[data-count=uniform]').textContent) > 22")
    page.mouse.move(2, 2)
    keep(page, name)


def visit(browser: Browser, address: str, size: dict[str, int], scheme: str) -> Page:
    """A page of the app in a window of its own."""
    page = browser.new_context(viewport=size, color_scheme=scheme, device_scale_factor=1).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address)
    return page


def keep(page: Page, name: str) -> None:
    """Take the picture and close the window."""
    page.screenshot(path=DOCS / name)
    print(f"wrote {DOCS / name}")
    page.context.close()


def stand_in(page: Page, segment: int) -> None:
    """Seek to the middle of a segment and take the pointer away."""
    count = page.locator(".vlj-caption").count()
    page.evaluate("""index => { const [a, b] = [0, 1].map((k) => document.querySelectorAll('.vlj-segment')[index + k]);
        const film = document.querySelector('.vlj-video'), at = (bar) => bar ? parseFloat(bar.style.left) / 100 : 1;
        film.currentTime = film.duration * (0.35 * at(a) + 0.65 * at(b)); }""", min(segment, count - 1))
    page.mouse.move(2, 2)


if __name__ == "__main__":
    main()
