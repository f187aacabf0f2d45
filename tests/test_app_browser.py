"""The app as people meet it: a real Chromium on a real server, with a model that knows colours."""

import base64
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import App, open_tab, serving, visitor
from playwright.sync_api import Page, expect
from test_app import HOSTILE, film, landmarks, sound_only
from test_live_engine import LiveColourModel

from app.assets import STATIC
from app.engine import Engine
from app.server import serve
from app.store import Store
from sample_media import SampleFilm
from vljepa.console import clock


class WatchedModel(LiveColourModel):
    """Writes down what it does, and works as slowly as a file tells: it lives in the server's process."""

    def __init__(self, root: Path) -> None:
        super().__init__(landmarks())
        self.root = root

    def embed(self, source, query=None, rate_hz=4.0):
        self.delay_s = float((self.root / "delay").read_text())
        self.note("embed")
        stream = super().embed(source, query, rate_hz)
        self.closed.clear()
        threading.Thread(target=lambda: self.closed.wait() and self.note("closed"), daemon=True).start()
        return stream

    def decode(self, embeddings, readout="decoder"):
        for _ in embeddings:
            time.sleep(float((self.root / "delay").read_text()))
            self.note("decode")
        return super().decode(embeddings, readout)

    def note(self, what: str) -> None:
        with (self.root / "notes").open("a") as notes:
            notes.write(f"{what}\n")


def serve_colours(root: Path) -> None:
    """What the server's process runs."""
    samples = [SampleFilm("colours", "Four colours", root / "colours.mp4", root / "colours.json")]
    engine = Engine(WatchedModel(root), "colours-1", Store(root / "cache/explore"), samples)
    engine.posters()
    serve(engine, "127.0.0.1", None)


class ColourApp(App):
    """The served app with the model that knows colours."""

    def noted(self, what: str) -> int:
        """How often the model did that so far."""
        return (self.root / "notes").read_text().split().count(what)

    def slow_down(self, delay_s: float) -> None:
        (self.root / "delay").write_text(str(delay_s))


@pytest.fixture(scope="module")
def app(tmp_path_factory) -> Iterator[ColourApp]:
    root = tmp_path_factory.mktemp("app")
    film(root / "colours.mp4", scenes=("red", "green", "blue", "white"), size=(320, 180))
    (root / "colours.json").write_text(json.dumps({"scenes": [{"start_s": start_s} for start_s in (0, 2, 4, 6)]}))
    (root / "notes").touch()
    (root / "delay").write_text("0")
    with serving(root, "-c", f"import test_app_browser as t; t.serve_colours(t.Path({str(root)!r}))") as served:
        yield ColourApp(served.address, root)


@pytest.fixture
def page(app, browser) -> Iterator[Page]:
    app.slow_down(0)
    yield from visitor(app, browser)


def open_sample(page: Page) -> None:
    page.get_by_role("button", name="Four colours").click()
    ready(page)


def upload(page: Page, path: Path) -> None:
    page.locator(".vlj-file").set_input_files(path)


def ready(page: Page) -> None:
    page.wait_for_selector(".vlj-explore[data-state=ready]")
    page.wait_for_function("document.querySelector('.vlj-caption') && !document.querySelector('.vlj-unread')")
    page.wait_for_function("document.querySelector('.vlj-plot:not([hidden])').data?.[3].x.length > 0")


def captions(page: Page) -> list[str]:
    return page.locator(".vlj-what").all_inner_texts()


def time_of(page: Page) -> float:
    return page.evaluate("document.querySelector('.vlj-video').currentTime")


def seeks_to(page: Page, seconds: float) -> None:
    page.wait_for_function(f"Math.abs(document.querySelector('.vlj-video').currentTime - {seconds}) < 0.1")


def slide(page: Page, name: str, value: float) -> None:
    page.locator(f"input[name={name}]").evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input', { bubbles: true })); }", value)


def complaint(page: Page) -> str:
    page.wait_for_selector(".vlj-explore .vlj-alert:not([hidden])")
    return page.locator(".vlj-explore .vlj-alert-text").inner_text()


def test_an_upload_is_analysed_and_its_segments_lead_the_player(app, page):
    path = film(app.root / "mine.mp4", scenes=("blue", "red", "green"), size=(320, 180))
    upload(page, path)
    ready(page)
    assert page.locator(".vlj-title").inner_text() == "mine.mp4"
    assert [c.split()[0] for c in captions(page)] == ["blue", "red", "green"]
    page.locator(".vlj-segment").nth(1).click()
    seeks_to(page, 2.0)
    page.locator(".vlj-caption").nth(2).click()
    seeks_to(page, 4.0)
    expect(page.locator(".vlj-caption.vlj-now")).to_contain_text("green")
    page.wait_for_function(
        "document.querySelector('.vlj-video').textTracks[0].activeCues[0]?.text.startsWith('green')")
    assert page.get_by_role("status").first.inner_text().startswith("green")


def test_a_click_on_a_point_of_the_map_leads_the_player_too(page):
    open_sample(page)
    x, y = page.evaluate("""() => { const p = document.querySelector('[data-plot="2"]'), t = p.data[3], i = 13,
        l = p._fullLayout, b = p.getBoundingClientRect();
        return [b.left + l.xaxis._offset + l.xaxis.l2p(t.x[i]), b.top + l.yaxis._offset + l.yaxis.l2p(t.y[i])]; }""")
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y, steps=4)
    page.wait_for_function("document.querySelector('[data-plot=\"2\"] .hoverlayer').childElementCount > 0")
    page.mouse.click(x, y)
    page.wait_for_function("document.querySelector('.vlj-video').currentTime > 2 - 0.1")
    assert 2.0 <= time_of(page) < 4.0, "a green point, for the green scene"


def test_while_it_plays_the_cursor_moves_in_timeline_list_and_map(page):
    open_sample(page)
    picture = "document.querySelector('.vlj-trail').toDataURL()"
    before = page.evaluate(picture)
    page.locator("body").press("Space")
    page.wait_for_function("document.querySelector('.vlj-video').currentTime > 2.3")
    assert page.locator(".vlj-caption").nth(1).get_attribute("class").endswith("vlj-now")
    page.locator("body").press("Space")
    page.wait_for_function("document.querySelector('.vlj-video').paused")
    page.wait_for_timeout(200)
    at = float(page.locator(".vlj-explore .vlj-cursor").get_attribute("aria-valuenow"))
    assert at == pytest.approx(time_of(page), abs=0.1)
    assert page.evaluate(picture) != before


def test_arrow_keys_step_through_the_segments_and_the_focus_goes_along(page):
    open_sample(page)
    page.locator(".vlj-segment").first.focus()
    page.keyboard.press("ArrowRight")
    seeks_to(page, 2.0)
    page.keyboard.press("ArrowRight")
    seeks_to(page, 4.0)
    page.keyboard.press("ArrowLeft")
    seeks_to(page, 2.0)
    assert page.evaluate("document.activeElement.dataset.index") == "1"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_segments_that_were_too_short_are_told_beside_their_number(page):
    open_sample(page)
    slide(page, "value", 6)
    slide(page, "min_length_s", 4)
    expect(page.get_by_text(re.compile("^[1-5] of 6 long enough$"))).to_be_visible()
    slide(page, "min_length_s", 0)
    expect(page.get_by_text("6", exact=True).first).to_be_visible()


def test_sliders_cut_again_without_encoding_and_keep_the_map_as_it_was(app, page):
    open_sample(page)
    page.get_by_role("button", name="3D").click()
    page.wait_for_function("document.querySelector('[data-plot=\"3\"]').data?.[3].x.length > 0")
    plot = page.locator('[data-plot="3"]').element_handle()
    plot.evaluate("p => Plotly.relayout(p, { 'scene.camera.eye': { x: 0.3, y: 1.7, z: 0.4 } })")
    embedded, decoded = app.noted("embed"), app.noted("decode")
    slide(page, "value", 2)
    expect(page.locator(".vlj-segment")).to_have_count(2)
    page.wait_for_function("!document.querySelector('.vlj-unread')")
    assert page.locator("input[name=method][value=count]").is_checked()
    page.get_by_text("Seconds each").first.click()
    slide(page, "value", 2)
    expect(page.locator(".vlj-segment")).to_have_count(4)
    assert app.noted("embed") == embedded
    assert app.noted("decode") - decoded <= 2, "only what was new is decoded"
    assert plot.evaluate("p => p === document.querySelector('[data-plot=\"3\"]') && p.isConnected")
    eye = plot.evaluate("p => p._fullLayout.scene._scene.getCamera().eye")
    assert eye == pytest.approx({"x": 0.3, "y": 1.7, "z": 0.4})


def test_settings_are_undone_reset_and_remembered(page):
    open_sample(page)
    slide(page, "value", 3)
    expect(page.locator(".vlj-segment")).to_have_count(3)
    page.get_by_text("Bank", exact=True).click()
    expect(page.locator(".vlj-readout-fact")).to_have_text("Captions: nearest sentence of the bank")
    page.get_by_role("button", name="Undo the last change").click()
    expect(page.locator(".vlj-readout-fact")).to_have_text("Captions: written by the decoder")
    page.reload()
    open_tab(page, "explore")
    open_sample(page)
    expect(page.locator(".vlj-segment")).to_have_count(3)
    page.get_by_role("button", name="Reset all settings").click()
    expect(page.locator(".vlj-segment")).to_have_count(4)
    expect(page.locator(".vlj-ledger")).to_have_text("4 decodes instead of 8 at one a second: 50 % of decoding saved")


def test_other_cuts_are_compared_at_the_same_number_of_segments(page, app):
    open_sample(page)
    page.get_by_text("Compare with other cuts").click()
    expect(page.locator(".vlj-way-f1")).to_have_text(["F1 1.00", "F1 1.00", "F1 1.00", ""])
    expect(page.locator(".vlj-ways-note")).to_contain_text("the truth that comes with this sample")
    slide(page, "value", 1)
    expect(page.locator(".vlj-ways-note")).to_contain_text("there are no boundaries to compare")
    slide(page, "value", 2)
    expect(page.locator(".vlj-way-pixels .vlj-mark")).to_have_count(1)
    expect(page.locator(".vlj-ways-note")).not_to_contain_text("there are no boundaries to compare")
    expect(page.locator(".vlj-way-clock .vlj-way-f1")).to_have_text("F1 0.50")
    page.locator(".vlj-way-clock .vlj-mark").click()
    seeks_to(page, 4.0)
    (app.root / "mine.csv").write_text("start_s,note\n0,x\n1.5,<img onerror=alert(1)>\n")
    page.locator(".vlj-reference-file").set_input_files(app.root / "mine.csv")
    expect(page.locator(".vlj-ways-note")).to_contain_text("against mine.csv")
    expect(page.locator(".vlj-way-reference .vlj-mark")).to_have_count(1)
    (app.root / "bad.csv").write_text("nothing\n")
    page.locator(".vlj-reference-file").set_input_files(app.root / "bad.csv")
    expect(page.locator(".vlj-explore .vlj-alert-text")).to_contain_text("bad.csv has no column start_s")
    page.get_by_role("button", name="Reset all settings").click()


def sweep_of(page: Page, *colours: str) -> None:
    """Drop annotations of the sample film on the sweep's panel; each colour is what is said of two seconds."""
    rows = "".join(f"{2 * k},{2 * k + 2},{colour}\n" for k, colour in enumerate(colours))
    page.locator(".vlj-sweep").evaluate("""(panel, text) => {
      const files = new DataTransfer();
      files.items.add(new File([text], 'mine.csv', { type: 'text/csv' }));
      panel.dispatchEvent(new DragEvent('drop', { dataTransfer: files, bubbles: true, cancelable: true }));
    }""", f"start,end,text\n{rows}")


def test_a_film_is_decoded_at_many_rates_and_the_chart_tells_the_values(page):
    open_sample(page)
    page.get_by_text("How seldom may it speak?").click()
    page.get_by_role("button", name="Decode sweep").click()
    expect(page.locator(".vlj-sweep-headline")).to_contain_text("needs 2.0 times fewer decodes than the clock at one a "
                                                                "second for the same coverage (1.000)")
    expect(page.locator(".vlj-sweep-score")).to_contain_text("Coverage: mean cosine of every moment")
    expect(page.locator(".vlj-sweep-chart .vlj-sweep-name")).to_have_count(4)
    dashes = page.locator(".vlj-sweep-chart polyline").evaluate_all(
        "lines => lines.map((line) => getComputedStyle(line).strokeDasharray !== 'none')")
    assert dashes == [True, False, True, False]
    chart = page.get_by_role("slider", name="Scores at a rate of decoding")
    expect(page.locator(".vlj-sweep-rate")).to_have_text("1 a second · 8 decodes")
    chart.focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".vlj-sweep-rate")).to_have_text("0.5 a second · 4 decodes")
    expect(chart).to_have_attribute("aria-valuetext", re.compile(r"4 in all: selective 1\.000; selective, pooled 1"))
    assert time_of(page) == 0, "the arrows belong to the chart"
    chart.hover(position={"x": 50, "y": 90})
    expect(page.locator(".vlj-sweep-rate")).to_have_text("2 a second · 16 decodes")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download CSV").click()
    assert waiting.value.suggested_filename == "Four-colours-coverage.csv"
    head, *rows = Path(waiting.value.path()).read_text().splitlines()
    assert head == "rate_hz,decodes,uniform,selective,uniform_pool,selective_pool"
    assert [row.split(",")[1] for row in rows] == ["16", "8", "6", "4", "3", "2", "2", "1", "1"]


def test_sentences_are_scored_against_annotations_that_can_be_taken_away(app, page):
    open_sample(page)
    sweep_of(page, "red", "green", "blue", "white")
    score = page.locator(".vlj-sweep-score")
    expect(score).to_contain_text("against mine.csv, 4 annotations; sentences written by the decoder")
    (app.root / "bad.csv").write_text("nothing\n")
    page.locator(".vlj-annotations-file").set_input_files(app.root / "bad.csv")
    expect(page.locator(".vlj-explore .vlj-alert-text")).to_contain_text("bad.csv is neither SRT, WebVTT nor JSON")
    expect(page.locator(".vlj-explore .vlj-alert")).to_be_in_viewport()
    expect(score).to_contain_text("against mine.csv")
    page.get_by_role("button", name="Forget them").click()
    expect(score).to_contain_text("It needs no annotations")
    page.get_by_text("Bank", exact=True).click()  # nothing is read by it yet
    page.wait_for_function("!document.querySelector('.vlj-unread')")
    app.slow_down(0.3)
    sweep_of(page, "red", "green")
    expect(page.locator(".vlj-sweep .vlj-stage")).to_contain_text("Reading sentences")
    page.get_by_role("button", name="Cancel the sweep").click()
    expect(page.locator(".vlj-sweep-work")).to_be_hidden()
    expect(page.get_by_role("button", name="Forget them")).to_be_hidden()
    app.slow_down(0)
    page.get_by_role("button", name="← Films").click()
    open_sample(page)
    expect(page.locator(".vlj-sweep-found")).to_be_hidden()
    page.get_by_role("button", name="Reset all settings").click()


def test_the_map_is_fitted_to_the_film_and_brought_back(page):
    open_sample(page)
    places = "document.querySelector('[data-plot=\"2\"]').data.map((trace) => Array.from(trace.x))"
    common = page.evaluate(places)
    page.get_by_role("button", name="Fit to film").click()
    page.get_by_role("button", name=re.compile("^Stop · [0-9]+ s$")).click()
    page.get_by_role("button", name="Fit to film").click()
    fitted = page.locator(".vlj-explore .vlj-fit[aria-pressed=true]")
    expect(fitted).to_be_visible(timeout=240_000)  # UMAP is compiled first
    own = page.evaluate(places)
    assert len(own[3]) == len(common[3]) == 32 and own[3] != common[3] and not own[0]
    page.get_by_role("button", name="3D").click()
    page.wait_for_function("document.querySelector('[data-plot=\"3\"]').data?.[3].x.length === 32")
    page.get_by_role("button", name="2D").click()
    page.get_by_role("button", name="Fit to film").click()
    expect(page.get_by_role("button", name="Fit to film")).to_have_attribute("aria-pressed", "false")
    page.wait_for_function(f"(was) => {{ const now = {places}[3]; return was.every((x, i) => x === now[i]); }}",
                           arg=common[3])


def test_keys_are_listed_and_a_file_may_be_dropped_anywhere(page, app):
    open_sample(page)
    page.keyboard.press("?")
    expect(page.get_by_text("to the previous and the next segment")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_text("to the previous and the next segment")).to_be_hidden()
    data = base64.b64encode((app.root / "colours.mp4").read_bytes()).decode()
    page.evaluate("""(data) => {
      const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
      const files = new DataTransfer();
      files.items.add(new File([bytes], 'dropped.mp4', { type: 'video/mp4' }));
      const drop = { dataTransfer: files, bubbles: true, cancelable: true };
      document.body.dispatchEvent(new DragEvent('dragover', drop));
      document.body.dispatchEvent(new DragEvent('drop', drop));
    }""", data)
    expect(page.locator(".vlj-title")).to_have_text("dropped.mp4")
    ready(page)


def test_every_download_is_a_valid_file_with_the_films_name(page):
    open_sample(page)
    contents = {}
    for kind in ("JSON", "SRT", "VTT", "CSV", "NPZ", "EDL", "Chapters"):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=kind).click()
        assert waiting.value.suggested_filename.startswith("Four-colours-")
        contents[kind] = Path(waiting.value.path())
    told = json.loads(contents["JSON"].read_text())
    assert [s["end_s"] for s in told["segments"]] == [2.0, 4.0, 6.0, 8.0]
    assert contents["VTT"].read_text().startswith("WEBVTT")
    assert contents["SRT"].read_text().count("-->") == 4
    assert len(contents["CSV"].read_text().splitlines()) == 5
    assert np.load(contents["NPZ"], allow_pickle=False)["embeddings"].shape == (32, 8)


def test_hostile_names_queries_and_captions_are_only_text(app, page):
    path = film(app.root / "plain.mp4", scenes=("red", "white"), size=(320, 180))
    hostile = app.root / HOSTILE.replace("/", "")
    path.rename(hostile)
    upload(page, hostile)
    ready(page)
    page.locator(".vlj-explore").get_by_text("Advanced", exact=True).click()
    page.locator(".vlj-explore input[name=query]").fill("${alert(1)}<img src=x onerror=alert(2)>")
    page.get_by_role("button", name="Watch again").click()
    page.wait_for_function("document.querySelector('.vlj-meta').textContent.includes('query')")
    ready(page)
    assert page.locator(".vlj-title").inner_text() == HOSTILE
    assert "<img src=x onerror=alert(2)>" in page.locator(".vlj-meta").inner_text()
    assert captions(page)[0] == "red <b>${1}"
    assert page.locator(".vlj-explore img[src=x], .vlj-caption b").count() == 0
    assert "&lt;b&gt;" in page.evaluate("document.querySelector('.vlj-video').textTracks[0].cues[0].text")


def test_bad_files_are_told_in_one_sentence_and_the_app_goes_on(app, page):
    (app.root / "empty.mp4").write_bytes(b"")
    (app.root / "words.mp4").write_text("These are words. " * 99)
    sound_only(app.root / "song.m4a")
    for name, reason in {"empty.mp4": "empty", "words.mp4": "not a video", "song.m4a": "no moving picture"}.items():
        upload(page, app.root / name)
        expect(page.locator(".vlj-explore .vlj-alert-text")).to_contain_text(reason)
        assert complaint(page).startswith(name)
        assert page.locator(".vlj-start").is_visible()
    open_sample(page)
    assert page.locator(".vlj-explore .vlj-alert").is_hidden()


def test_a_truncated_film_is_shown_as_far_as_it_goes(app, page):
    whole = film(app.root / "whole.mkv", scenes=("red", "green", "blue", "white"), size=(640, 480))
    (app.root / "torn.mkv").write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    upload(page, app.root / "torn.mkv")
    ready(page)
    assert "cut off" in complaint(page)
    expect(page.locator(".vlj-explore .vlj-meta")).to_have_text(re.compile(r"^0:0[3-6] of 0:08 readable · 640 × 480"))


def test_cancel_stops_the_work_and_the_film_can_be_opened_again(app, page):
    app.slow_down(0.1)
    closed = app.noted("closed")
    path = film(app.root / "long.mp4", scenes=("red", "green"), seconds_each=15, size=(320, 180))
    upload(page, path)
    page.wait_for_function("document.querySelector('.vlj-explore .vlj-stage').textContent.startsWith('Watching')")
    page.get_by_role("button", name="Cancel").click()
    assert page.locator(".vlj-start").is_visible()
    until = time.monotonic() + 5
    while app.noted("closed") == closed and time.monotonic() < until:
        page.wait_for_timeout(50)
    assert app.noted("closed") == closed + 1, "the model still watches"
    app.slow_down(0)
    upload(page, path)
    ready(page)


def test_opening_again_is_instant_and_needs_no_model(app, page):
    open_sample(page)
    embedded = app.noted("embed")
    page.get_by_role("button", name="← Films").click()
    started = time.perf_counter()
    open_sample(page)
    assert time.perf_counter() - started < 5
    assert app.noted("embed") == embedded


def test_player_map_timeline_and_list_fit_one_screen(page):
    open_sample(page)
    for part in ("player", "map", "list", "timeline"):
        box = page.locator(f".vlj-{part}").bounding_box()
        assert box["y"] + box["height"] <= 800, part
        assert box["x"] + box["width"] <= 1280, part


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(app, browser, scheme):
    for page in visitor(app, browser, viewport={"width": 390, "height": 844}, color_scheme=scheme):
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        open_sample(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        tab, facts = (page.locator(s).first.bounding_box() for s in ("button[role=tab]", ".vlj-facts"))
        assert tab["y"] >= facts["y"] + facts["height"] - 1 or tab["y"] + tab["height"] <= facts["y"] + 1
        colour = page.evaluate("getComputedStyle(document.querySelector('.vlj-map')).backgroundColor")
        assert colour == {"light": "rgb(255, 255, 255)", "dark": "rgb(24, 27, 37)"}[scheme]


def test_light_and_dark_can_be_switched_and_are_remembered(page):
    dark = "document.body.classList.contains('dark')"
    before = page.evaluate(dark)
    page.get_by_role("button", name="Switch between light and dark").click()
    assert page.evaluate(dark) != before
    page.reload()
    open_tab(page, "explore")
    page.wait_for_function(f"{dark} !== {json.dumps(before)}")


def test_two_viewers_do_not_wait_for_each_other(app, browser, page):
    open_sample(page)
    for other in visitor(app, browser):
        open_sample(other)
        slide(other, "value", 2)
        expect(other.locator(".vlj-segment")).to_have_count(2)
        expect(page.locator(".vlj-segment")).to_have_count(4)


def test_everything_that_can_be_pressed_has_a_name(page):
    open_sample(page)
    nameless = page.evaluate("""() => [...document.querySelectorAll('.vlj-explore, .vlj-top')]
        .flatMap((part) => [...part.querySelectorAll('button, input')])
        .filter((n) => !(n.ariaLabel || n.textContent.trim() || n.labels?.[0]?.textContent.trim()))
        .map((n) => n.outerHTML)""")
    assert nameless == []


def test_the_command_starts_the_real_model_and_reads_a_sample_film(smoke, browser, tmp_path):
    with serving(tmp_path, "-m", "app", "--checkpoint", str(smoke), VLJEPA_CACHE=str(tmp_path)) as real:
        for page in visitor(real, browser):
            assert "smoke" in page.locator(".vlj-facts").inner_text()
            page.locator(".vlj-sample").last.click()
            ready(page)
            assert all(captions(page))
            page.locator(".vlj-help summary").click()
            assert "no landmark sentences" in page.locator(".vlj-map-help").inner_text()


def test_an_unknown_checkpoint_is_one_line_and_a_status():
    command = [sys.executable, "-m", "app", "--checkpoint", "nonesuch"]
    told = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent)
    assert told.returncode == 2
    assert told.stderr.splitlines()[-1].startswith("error: no checkpoint named 'nonesuch'")
    assert "Traceback" not in told.stderr


def test_the_page_and_the_command_line_round_a_time_alike(browser):
    seconds = [*np.arange(0.0, 130.0, 0.0625).tolist(), *np.arange(3590.0, 3610.0, 0.01).tolist()]
    page = browser.new_page()
    page.goto("about:blank")
    told = page.evaluate("""async ([source, seconds]) => {
        const { clockTime } = await import('data:text/javascript,' + encodeURIComponent(source));
        return seconds.map((second) => [clockTime(second, true), clockTime(second)]);
    }""", [(STATIC / "lib.js").read_text(encoding="utf-8"), seconds])
    page.close()
    assert told == [[clock(second), clock(second)[:-2]] for second in seconds]
