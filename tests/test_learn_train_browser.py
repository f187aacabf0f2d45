"""Train it yourself in a real browser: a run is watched, paused, and opens in Explore as a checkpoint of its own."""

import json
import shutil
from collections.abc import Iterator

import pytest
from browsing import PATIENCE_MS, App, serving, visitor
from playwright.sync_api import Browser, Page, expect
from test_app import film

expect.set_options(timeout=PATIENCE_MS)
SHORT = {"what": "shapes", "arms": ["vljepa", "joint"], "shapes": {"clips": 512, "steps": 50, "seed": 1}}


@pytest.fixture(scope="module")
def app(smoke, tmp_path_factory) -> Iterator[App]:
    root = tmp_path_factory.mktemp("train-app")
    shutil.copytree(smoke, root / "checkpoints/smoke")
    film(root / "colours.mp4", size=(160, 120))
    with serving(root, "-c", f"import test_checkpoints_menu as t; t.serve_smoke(t.Path({str(root)!r}))",
                 VLJEPA_CACHE=str(root)) as served:
        yield served


@pytest.fixture
def page(app: App, browser: Browser) -> Iterator[Page]:
    for page in visitor(app, browser, "learn"):
        page.evaluate("(chosen) => localStorage.setItem('vljepa.train', chosen)", json.dumps(SHORT))
        page.reload()
        page.get_by_role("tab", name="Learn", exact=True).click()
        page.get_by_role("tab", name="Train it yourself").click()
        yield page


def steps(page: Page) -> list[str]:
    return page.locator(".vlj-train-steps small").all_text_contents()


def test_a_run_is_watched_and_held_and_what_it_trained_opens_in_explore(page: Page) -> None:
    expect(page.locator(".vlj-train-arms :checked")).to_have_count(2)  # what was chosen is remembered
    page.get_by_role("button", name="Start training").dblclick()
    expect(page.locator(".vlj-tiles-trained li")).to_have_count(8)
    expect(page.locator(".vlj-learn .vlj-alert-text").first).not_to_contain_text("running here already")
    page.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(1500)
    held = steps(page)
    page.wait_for_timeout(1500)
    assert steps(page) == held and any(not row.startswith("50 ") for row in held)
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".vlj-train-result")).to_contain_text("Puzzles solved: VL-JEPA", timeout=3 * PATIENCE_MS)
    assert steps(page) == ["50 of 50 steps"] * 2
    expect(page.locator(".vlj-estimate")).to_contain_text("Takes about")  # now it is known
    expect(page.locator(".vlj-score-chart svg, svg.vlj-score-chart")).to_contain_text("VL-JEPA")
    page.get_by_role("button", name="Joint embedding", exact=True).click()
    expect(page.locator(".vlj-look-step")).to_have_text("after 50 steps")
    expect(page.locator(".vlj-trained-said")).to_contain_text("for everybody who uses this app")
    page.get_by_role("button", name="Open in Explore").click()
    expect(page.locator(".vlj-choose b")).to_have_text("my-shapes")
    expect(page.locator(".vlj-explore .vlj-title")).to_have_text("A film of your shapes model's world")
    expect(page.locator(".vlj-explore .vlj-captions li").first).to_contain_text("0:00.0")
    page.locator(".vlj-choose").click()
    expect(page.locator(".vlj-menu-row[data-name=my-shapes]")).to_contain_text("what it says of a film is nonsense")
