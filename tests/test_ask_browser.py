"""The Ask tab as people meet it: a real Chromium on a real server, with a model that can be asked about colours."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from asked_colours import AskedColours
from browsing import PATIENCE_MS, App, open_tab, serving, visitor
from playwright.sync_api import Page, expect
from test_app import film

from app.engine import Engine
from app.server import serve
from app.store import Store
from sample_media import SampleFilm

expect.set_options(timeout=PATIENCE_MS)
TIME = "document.querySelector('.vlj-ask .vlj-video').currentTime"
HOSTILE = "<img src=x onerror=alert(1)> ${alert(2)} {{3}}"


class NotedColours(AskedColours):
    """Writes down how often it watched a film and how often it predicted."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.notes = root / "notes"

    def embed(self, source, query=None, rate_hz=4.0):
        self.delay_s = float((self.notes.parent / "delay").read_text())
        self.note("embed")
        return super().embed(source, query, rate_hz)

    def predict(self, visual_tokens, query=None):
        self.note("predict")
        return super().predict(visual_tokens, query)

    def note(self, what: str) -> None:
        with self.notes.open("a") as notes:
            notes.write(f"{what}\n")


def serve_asked_colours(root: Path) -> None:
    """What the server's process runs."""
    samples = [SampleFilm("colours", "Four colours", root / "colours.mp4", root / "colours.mp4")]
    engine = Engine(NotedColours(root), "colours-1", Store(root / "cache/explore"), samples)
    engine.posters()
    serve(engine, "127.0.0.1", None)


@pytest.fixture(scope="module")
def app(tmp_path_factory) -> Iterator[App]:
    root = tmp_path_factory.mktemp("ask")
    film(root / "colours.mp4", scenes=("red", "green", "blue", "white"), size=(320, 180))
    (root / "notes").touch()
    (root / "delay").write_text("0")
    with serving(root, "-c", f"import test_ask_browser as t; t.serve_asked_colours(t.Path({str(root)!r}))") as served:
        yield served


@pytest.fixture
def page(app, browser) -> Iterator[Page]:
    yield from visitor(app, browser, "ask")


def noted(app: App, what: str) -> int:
    return (app.root / "notes").read_text().split().count(what)


def tab(page: Page):
    return page.locator(".vlj-ask")


def open_sample(page: Page) -> None:
    tab(page).get_by_role("button", name="Four colours").click()
    ready(page)


def ready(page: Page) -> None:
    page.wait_for_selector(".vlj-ask[data-state=ready]")
    expect(tab(page).locator(".vlj-segment")).to_have_count(4)


def ask(page: Page, text: str, mode: str = "question") -> None:
    tab(page).locator(f".vlj-modes [data-mode={mode}]").click()
    tab(page).locator(".vlj-box").fill(text)
    page.keyboard.press("Enter")


def headline(page: Page):
    return tab(page).locator(".vlj-headline b")


def answered(page: Page, text: str) -> None:
    expect(tab(page).locator(".vlj-asked")).to_have_text(text)
    expect(tab(page).locator(".vlj-answer")).to_have_attribute("aria-busy", "false")


def seeks_to(page: Page, seconds: float, within: float = 0.15) -> None:
    page.wait_for_function(f"Math.abs({TIME} - {seconds}) < {within}")


def complaint(page: Page):
    return tab(page).locator(".vlj-alert:not([hidden]) .vlj-alert-text")


def test_a_question_shows_its_answer_its_times_its_star_and_seeks_to_the_evidence(page):
    open_sample(page)
    ask(page, "Is it green?")
    answered(page, "“Is it green?”")
    expect(headline(page)).to_have_text("Yes")
    page.wait_for_function(f"{TIME} >= 2 && {TIME} < 4")
    expect(tab(page).locator(".vlj-when-chip")).to_have_text("0:02–0:04")
    expect(tab(page).locator(".vlj-band")).to_have_text(["no", "yes", "no"])
    expect(tab(page).locator(".vlj-overlay b")).to_have_text("Yes")
    assert tab(page).locator(".vlj-row .vlj-cosine").first.inner_text() == "1.000"
    assert "Is it green?" in tab(page).locator('[data-plot="2"]').get_attribute("aria-label")
    assert tab(page).get_by_role("status").first.inner_text().startswith("no")  # of the whole film
    tab(page).locator(".vlj-band").nth(2).click()
    page.wait_for_function(f"{TIME} >= 4")
    expect(headline(page)).to_have_text("No")
    tab(page).locator(".vlj-peak").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_function(f"{TIME} < 4")


def test_slash_reaches_the_box_and_arrows_bring_back_what_was_asked(page):
    open_sample(page)
    ask(page, "Is it green?")
    answered(page, "“Is it green?”")
    ask(page, "Is it blue?")
    answered(page, "“Is it blue?”")
    tab(page).locator(".vlj-segment").first.focus()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.className") == "vlj-box"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert tab(page).locator(".vlj-box").input_value() == "Is it green?"
    page.keyboard.press("Enter")
    answered(page, "“Is it green?”")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+z")
    answered(page, "“Is it blue?”")
    assert tab(page).locator(".vlj-box").input_value() == "Is it blue?"
    tab(page).locator(".vlj-past", has_text="green").click()
    answered(page, "“Is it green?”")


def test_a_part_is_chosen_by_a_segment_a_drag_or_numbers_and_the_answer_follows(page):
    open_sample(page)
    ask(page, "Is it green?")
    answered(page, "“Is it green?”")
    tab(page).locator(".vlj-segment").nth(2).click()
    expect(tab(page).locator(".vlj-part span")).to_have_text("0:04.0–0:06.0")
    expect(headline(page)).to_have_text("No")
    tab(page).locator(".vlj-part").click()
    expect(tab(page).locator(".vlj-part")).to_be_hidden()
    box = tab(page).locator(".vlj-curve").bounding_box()
    x, y = (lambda second: box["x"] + box["width"] * second / 8), box["y"] + 20
    page.mouse.move(x(2.2), y)
    page.mouse.down()
    page.mouse.move(x(3.0), y, steps=4)
    page.mouse.move(x(3.8), y)
    page.mouse.up()
    expect(tab(page).locator(".vlj-part span")).to_have_text("0:02.2–0:03.8")
    expect(headline(page)).to_have_text("Yes")
    expect(tab(page).locator(".vlj-when-shown [data-shown=part]")).to_have_text("This part")
    tab(page).locator(".vlj-second > .vlj-advanced summary").click()
    tab(page).locator("input[name=to]").fill("90")
    tab(page).locator("input[name=to]").press("Tab")
    expect(complaint(page)).to_contain_text("must lie within the video's 0 to 8.00 s")
    tab(page).locator("input[name=to]").fill("")
    tab(page).locator("input[name=from]").fill("")
    tab(page).locator("input[name=from]").press("Tab")
    expect(tab(page).locator(".vlj-part")).to_be_hidden()


def test_labels_are_scored_as_they_change_without_touching_the_film(app, page):
    open_sample(page)
    tab(page).locator(".vlj-modes [data-mode=label]").click()
    tab(page).locator(".vlj-box").fill("red, green, blue")
    page.keyboard.press("Enter")
    expect(tab(page).locator(".vlj-heat-row")).to_have_count(3)
    embedded, predicted = noted(app, "embed"), noted(app, "predict")
    tab(page).locator(".vlj-box").fill("white")
    page.keyboard.press("Enter")
    expect(tab(page).locator(".vlj-heat-row")).to_have_count(4)
    expect(tab(page).locator(".vlj-segment")).to_have_text(["red", "green", "blue", "white"])
    tab(page).get_by_role("button", name="Remove label red").click()
    expect(tab(page).locator(".vlj-heat-row")).to_have_count(3)
    tab(page).get_by_text("Several may hold").click()
    expect(tab(page).locator(".vlj-rows li")).to_have_count(3)
    assert (noted(app, "embed"), noted(app, "predict")) == (embedded, predicted)
    tab(page).locator(".vlj-segment").last.click()
    expect(headline(page)).to_have_text("White")


def test_a_text_is_found_as_numbered_moments_and_more_like_one_are_listed(page):
    open_sample(page)
    ask(page, "blue", "search")
    answered(page, "“blue”")
    seeks_to(page, 4.0, 2.0)
    expect(tab(page).locator(".vlj-moment").first).to_contain_text("0:04.0–0:06.0")
    expect(tab(page).locator(".vlj-peak")).to_have_text(["1", "2", "3", "4"])
    tab(page).locator(".vlj-moment").first.hover()
    tab(page).locator(".vlj-like").first.click()
    answered(page, "More like the chosen moment")
    expect(tab(page).locator(".vlj-moment")).to_have_count(3)


def test_a_film_opened_in_one_tab_is_open_in_the_other_at_the_same_second(page):
    open_sample(page)
    tab(page).locator(".vlj-segment").nth(2).click()
    seeks_to(page, 4.0)
    open_tab(page, "explore")
    page.wait_for_selector(".vlj-explore[data-state=ready]")
    page.wait_for_function("Math.abs(document.querySelector('.vlj-explore .vlj-video').currentTime - 4) < 0.1")
    page.locator(".vlj-explore .vlj-segment").nth(1).click()
    page.get_by_role("button", name="Ask about this segment").click()
    expect(tab(page).locator(".vlj-part span")).to_have_text("0:02.0–0:04.0")
    seeks_to(page, 2.0)
    open_tab(page, "explore")
    page.locator(".vlj-explore").get_by_role("button", name="← Films").click()
    open_tab(page, "ask")
    assert tab(page).locator(".vlj-start").is_visible()


@pytest.mark.parametrize("dimensions", ["2", "3"])
def test_a_map_drawn_while_its_tab_is_out_of_sight_fills_its_box_once_it_is_seen(page, dimensions):
    tab(page).locator(f"[data-dimensions='{dimensions}']").evaluate("(button) => button.click()")
    open_tab(page, "explore")
    page.locator(".vlj-explore").get_by_role("button", name="Four colours").click()
    page.wait_for_selector(".vlj-explore[data-state=ready]")
    drawn = f"document.querySelector('.vlj-ask [data-plot=\"{dimensions}\"]')._fullLayout"
    page.wait_for_function(f"Boolean({drawn})")
    open_tab(page, "ask")
    box = tab(page).locator(f"[data-plot='{dimensions}']").bounding_box()
    for side in ("width", "height"):
        page.wait_for_function(f"Math.abs({drawn}.{side} - {box[side]}) < 1")


def test_a_question_asked_too_early_is_answered_once_the_film_is_watched(app, page):
    ask(page, "Is it red?")
    expect(complaint(page)).to_contain_text("Choose a film first")
    (app.root / "delay").write_text("0.05")
    fresh = film(app.root / "fresh.mp4", scenes=("green", "red"), size=(320, 180))
    tab(page).locator(".vlj-file").set_input_files(fresh)
    page.wait_for_selector(".vlj-ask[data-state=working]")
    ask(page, "Is it green?")
    (app.root / "delay").write_text("0")
    answered(page, "“Is it green?”")
    expect(tab(page).locator(".vlj-band")).to_have_text(["yes", "no"])


@pytest.mark.parametrize(("mode", "text", "reason"), [
    ("question", "", "question is empty"), ("search", " ", "is empty"), ("question", "why " * 60, "too long"),
    ("search", "x" * 10_000, "10,000 characters"),
])
def test_bad_input_is_one_sentence_and_nothing_is_lost(page, mode, text, reason):
    open_sample(page)
    ask(page, "Is it green?")
    answered(page, "“Is it green?”")
    ask(page, text, mode)
    expect(complaint(page)).to_contain_text(reason)
    assert tab(page).locator(".vlj-box").input_value() == text
    tab(page).locator(".vlj-modes [data-mode=question]").click()
    answered(page, "“Is it green?”")


def test_one_answer_and_five_hundred_labels_and_hostile_ones(page):
    open_sample(page)
    tab(page).locator(".vlj-more").fill("red")
    ask(page, "Which colour?")
    expect(complaint(page)).to_contain_text("at least 2 different answers")
    tab(page).locator(".vlj-modes [data-mode=label]").click()
    labels = ["green", HOSTILE, "猫 🐈", "green", *(f"thing {i}" for i in range(500))]
    tab(page).locator(".vlj-box").fill(", ".join(labels))
    page.keyboard.press("Enter")
    expect(complaint(page)).to_contain_text("“green” is there already")
    expect(tab(page).locator(".vlj-chips-rest")).to_have_text("and 443 more")
    expect(tab(page).locator(".vlj-choices-name")).to_have_text("503 labels")
    expect(tab(page).locator(".vlj-heat-row")).to_have_count(40)
    assert HOSTILE in tab(page).locator(".vlj-chip").nth(1).inner_text()
    assert page.locator(".vlj-ask img[src=x]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    tab(page).get_by_role("button", name="Clear every label").click()
    expect(tab(page).locator(".vlj-choices-name")).to_have_text("Labels")
    expect(tab(page).locator(".vlj-chip:not(.vlj-preset)")).to_have_count(0)
    expect(tab(page).locator(".vlj-clear")).to_be_hidden()


@pytest.mark.parametrize(("mode", "box", "each"), [("label", ".vlj-box", "label"), ("question", ".vlj-more", "answer")])
def test_commas_alone_are_told(page, mode, box, each):
    open_sample(page)
    tab(page).locator(f".vlj-modes [data-mode={mode}]").click()
    tab(page).locator(box).fill(",,,")
    expect(complaint(page)).to_contain_text(f"“,,,” names no {each}: type a word.")


def test_the_blank_picture_is_answered_on_request_and_marked_on_the_bars(page):
    open_sample(page)
    ask(page, "Is it green?")
    answered(page, "“Is it green?”")
    tab(page).locator(".vlj-second > .vlj-advanced summary").click()
    tab(page).locator("input[name=blank]").check()
    expect(tab(page).locator(".vlj-notes")).to_contain_text("Without any picture")
    expect(tab(page).locator(".vlj-measure em:not([hidden])")).to_have_count(2)


def test_results_are_downloaded_as_json_and_csv(page):
    open_sample(page)
    ask(page, "Is it green?")
    answered(page, "“Is it green?”")
    kept = {}
    for kind in ("JSON", "CSV"):
        with page.expect_download() as waiting:
            tab(page).get_by_role("button", name=kind, exact=True).click()
        assert waiting.value.suggested_filename == f"Four-colours-question.{kind.lower()}"
        kept[kind] = Path(waiting.value.path()).read_text()
    assert json.loads(kept["JSON"])["question"] == "Is it green?"
    rows = list(csv.DictReader(io.StringIO(kept["CSV"])))
    assert {float(row["time_s"]) for row in rows if float(row["yes"]) > 0.5} <= {2 + k / 4 for k in range(8)}


def test_two_viewers_see_their_own_answers_and_settings_are_remembered(app, browser, page):
    open_sample(page)
    ask(page, "Is it green?")
    answered(page, "“Is it green?”")
    for other in visitor(app, browser, "ask"):
        open_sample(other)
        assert tab(other).locator(".vlj-past").count() == 0
        assert tab(other).locator(".vlj-reply").is_hidden()
        ask(other, "Is it blue?")
        answered(other, "“Is it blue?”")
        answered(page, "“Is it green?”")
    page.reload()
    open_tab(page, "ask")
    assert tab(page).locator(".vlj-box").input_value() == "Is it green?"
    open_sample(page)
    expect(tab(page).locator(".vlj-past")).to_have_text(["Is it green?"])


def test_everything_that_can_be_pressed_has_a_name_and_at_most_six_controls_show(page):
    open_sample(page)
    ask(page, "Is it green?")
    answered(page, "“Is it green?”")
    nameless = page.evaluate("""() => [...document.querySelectorAll('.vlj-ask :is(button, input, textarea)')]
        .filter((n) => !(n.ariaLabel || n.textContent.trim() || n.labels?.[0]?.textContent.trim()))
        .map((n) => n.outerHTML)""")
    assert nameless == []
    shown = page.evaluate("""() => ['.vlj-modes', '.vlj-box', '.vlj-go', '.vlj-choices', '.vlj-several', '.vlj-where',
        '.vlj-part', '.vlj-second > .vlj-advanced'].filter((name) =>
        document.querySelector(`.vlj-query ${name}`).offsetParent).length""")
    assert shown <= 6


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling_in_any_mode(app, browser, scheme):
    size = {"width": 390, "height": 844}
    for page in visitor(app, browser, "ask", viewport=size, color_scheme=scheme, reduced_motion="reduce"):
        open_sample(page)
        for mode, text in (("question", "Is it green?"), ("search", "blue"), ("label", "red, green, blue, white")):
            ask(page, text, mode)
            expect(tab(page).locator(".vlj-reply")).to_be_visible()
            expect(tab(page).locator(".vlj-answer")).to_have_attribute("aria-busy", "false")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, mode


def test_a_library_is_indexed_searched_and_opened_at_the_right_second(app, page):
    folder = app.root / "videos"
    folder.mkdir()
    film(folder / "one.mp4", scenes=("red", "green"), size=(320, 180))
    film(folder / "two.mp4", scenes=("white", "blue"), size=(320, 180))
    (folder / "torn.mp4").write_bytes(b"no video")
    tab(page).locator(".vlj-modes [data-mode=search]").click()
    tab(page).locator("[data-where=library]").click()
    tab(page).locator(".vlj-lib-path").fill(str(app.root / "library.duckdb"))
    tab(page).locator(".vlj-lib-more summary").click()
    tab(page).locator(".vlj-lib-folder").fill(str(folder))
    tab(page).get_by_role("button", name="Index", exact=True).click()
    expect(complaint(page)).to_contain_text("2 videos indexed, 0 unchanged, 1 unreadable: torn.mp4")
    expect(tab(page).locator(".vlj-lib-facts")).to_have_text("2 videos · 4 moments · 1 unreadable")
    ask(page, "blue", "search")
    first = tab(page).locator(".vlj-hit").first
    expect(first.locator(".vlj-hit-title")).to_have_text("two.mp4")
    page.wait_for_function("document.querySelector('.vlj-ask .vlj-hit img').naturalWidth > 0")
    first.locator(".vlj-hit-open").click()
    page.wait_for_selector(".vlj-ask[data-state=ready]")
    expect(tab(page).locator(".vlj-title")).to_have_text("two.mp4")
    seeks_to(page, 2.0)
    answered(page, "“blue”")
    first.hover()
    first.locator(".vlj-like").click()
    expect(tab(page).locator(".vlj-hits-head")).to_contain_text("Moments like two.mp4")
    expect(tab(page).locator(".vlj-hit")).to_have_count(3)
    tab(page).locator(".vlj-lib-path").fill(str(app.root / "notes"))
    tab(page).locator(".vlj-lib-path").press("Tab")
    expect(complaint(page)).to_contain_text("is not a library")


def test_the_answer_follows_the_live_stream(app, browser):
    for page in visitor(app, browser, "ask"):
        assert tab(page).locator("[data-where=live]").is_hidden()
        open_tab(page, "live")
        live = page.locator(".vlj-live")
        live.locator(".vlj-source").select_option("film:colours")
        live.locator(".vlj-go").click()
        page.wait_for_function("document.querySelector('.vlj-live').vljLive.drawn > 3")
        open_tab(page, "ask")
        tab(page).locator("[data-where=live]").click()
        ask(page, "Is it green?")
        expect(headline(page)).to_have_text("Yes")
        expect(headline(page)).to_have_text("No")
        expect(headline(page)).to_have_text("Yes")
        assert tab(page).locator(".vlj-mirror").get_attribute("src").startswith("data:image/jpeg")
        tab(page).locator("[data-where=film]").click()
        assert tab(page).locator(".vlj-start").is_visible()
