"""Learn, "Collapse": the recorded runs, and the page that moves through them in a real browser."""

import json
from collections.abc import Iterator

import pytest
from browsing import App, serving, visitor
from playwright.sync_api import Page, expect
from test_learn import engine_of, open_part

from app.learn import handlers
from app.learn_arms import Lesson
from app.server import serve
from vljepa.arms.load import Arms
from vljepa.checkpoint import SHIPPED
from vljepa.shapes.world import COLOURS

RECORDED = SHIPPED / "arms" / "collapse.json"


def serve_shapes(root) -> None:
    """What the server's process runs."""
    serve(engine_of(SHIPPED / "shapes", root), "127.0.0.1", None)


def test_the_shipped_record_holds_a_picture_for_each_step_and_one_run_collapses(tmp_path):
    told = handlers(engine_of(SHIPPED / "shapes", tmp_path))["collapse"]({})
    assert [colour["name"] for colour in told["colours"]] == list(COLOURS)
    assert len(told["colour"]) == 64 and set(told["colour"]) <= set(range(len(COLOURS)))
    for run in ("vljepa_healthy", "vljepa_collapse"):
        assert len(told["steps"]) == len(told[run]["xy"]) == len(told[run]["spread"]) == len(told[run]["loss"]) + 1
        assert all(len(picture) == 64 for picture in told[run]["xy"])
    healthy, collapsed = told["vljepa_healthy"]["spread"], told["vljepa_collapse"]["spread"]
    assert healthy[0] == collapsed[0]  # the same first weights
    assert collapsed[-1] < 0.25 * collapsed[0] < healthy[-1]
    assert told["vljepa_collapse"]["loss"][-1] < 0.01  # perfect, and worthless
    assert told["vjepa_collapse"]["variance"][-1][1] < 0.2 * told["vjepa"]["variance"][-1][1]
    assert RECORDED.stat().st_size < 60_000


def test_a_missing_record_is_told_in_one_sentence(tmp_path):
    (tmp_path / "arms").mkdir()
    error = handlers(engine_of(SHIPPED / "shapes", tmp_path), Lesson(Arms(tmp_path)))["collapse"]({})["error"]
    assert "collapse.json is missing" in error and error.endswith(".")


@pytest.fixture(scope="module")
def app(tmp_path_factory) -> Iterator[App]:
    root = tmp_path_factory.mktemp("collapse-app")
    with serving(root, "-c", f"import pathlib, test_learn_collapse as t; t.serve_shapes(pathlib.Path({str(root)!r}))"
                 ) as served:
        yield served


@pytest.fixture
def page(app, browser) -> Iterator[Page]:
    yield from visitor(app, browser, "learn", reduced_motion="reduce")


@pytest.fixture
def lively(app, browser) -> Iterator[Page]:
    yield from visitor(app, browser, "learn")


def extent(page: Page, run: str) -> float:
    """The width of a run's marks, in the units of the map."""
    return page.locator(f"[data-run={run}] svg").evaluate(
        "(svg) => { const x = [...svg.querySelectorAll('path')].map((p) => Number(/\\(([-\\d.]+)/.exec("
        "p.getAttribute('transform'))[1])); return Math.max(...x) - Math.min(...x); }")


def test_the_slider_leads_by_key_from_alike_to_one_cloud_and_one_point(page):
    open_part(page, "Collapse")
    told, slider = json.loads(RECORDED.read_text()), page.get_by_role("slider", name="Training step")
    expect(page.locator(".vlj-mark-of-colour")).to_have_count(2 * 64 + 8)
    expect(slider).to_have_attribute("aria-valuetext", "step 0 of 160")  # reduced motion: nothing plays by itself
    assert extent(page, "vljepa_healthy") == extent(page, "vljepa_collapse")
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", f"step {told['steps'][1]} of 160")
    slider.press("End")
    assert extent(page, "vljepa_collapse") < 0.2 * extent(page, "vljepa_healthy")
    for run in ("vljepa_healthy", "vljepa_collapse"):
        expect(page.locator(f"[data-run={run}] dt").first).to_have_text(f"{told[run]['spread'][-1]:.3f}")
    expect(page.get_by_label("Marks: the colour of the thing")).to_contain_text("purple")
    expect(page.locator("polyline.vlj-line-bad")).to_have_count(2)


def test_it_plays_by_itself_until_it_is_paused(lively):
    open_part(lively, "Collapse")
    button = lively.locator(".vlj-run")
    expect(button).to_have_text("Pause")
    lively.wait_for_function("Number(document.querySelector('.vlj-scrub input').value) > 8")
    button.click()
    expect(button).to_have_text("Play")
    stopped = lively.get_by_role("slider", name="Training step").input_value()
    lively.wait_for_timeout(300)
    assert lively.get_by_role("slider", name="Training step").input_value() == stopped
