"""The Live page as a presenter meets it: a real Chromium whose camera is a file, and a model that knows colours."""

import json
import re
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from browsing import App, open_tab, serving, visitor
from playwright.sync_api import Browser, Page, expect, sync_playwright
from test_app import COLOURS, landmarks
from test_live_engine import LiveColourModel, scene

from app.browser import launch
from app.engine import Engine
from app.server import serve
from app.store import Store
from sample_media import SampleFilm
from sample_media.camera import FPS, encode_film

SCENE_S = 3.0
SCENES = ("red", "green", "blue", "white")
SOAK_S = 120.0
CAPTION = ".vlj-words p"


def camera(path: Path, seconds_each: float = SCENE_S) -> Path:
    """What Chromium's fake camera plays, over and over: 30 JPEGs a second."""
    with path.open("wb") as out:
        for colour in SCENES:
            _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(scene(colour, (320, 240)), cv2.COLOR_RGB2BGR))
            out.write(jpeg.tobytes() * round(30 * seconds_each))
    return path


def serve_live(root: Path) -> None:
    """What the server's process runs; it tells in a file who is live and how many pictures are kept."""
    samples = [SampleFilm("colours", "Four colours", root / "colours.mp4", root / "colours.mp4")]
    engine = Engine(LiveColourModel(landmarks()), "colours-1", Store(root / "cache/explore"), samples)
    engine.posters()
    engine.live.warm_up()

    def tell() -> None:
        while True:
            files = sum(1 for _ in engine.live.root.rglob("*.mjpeg"))
            told = {"sessions": len(engine.live.live.sessions), "files": files}
            (root / "told.part").write_text(json.dumps(told))
            (root / "told.part").replace(root / "told")
            time.sleep(0.1)

    threading.Thread(target=tell, daemon=True).start()
    serve(engine, "127.0.0.1", None)


@pytest.fixture(scope="module")
def app(tmp_path_factory) -> Iterator[App]:
    root = tmp_path_factory.mktemp("live")
    encode_film((scene(name, (320, 180)) for name in SCENES for _ in range(int(FPS * SCENE_S))), (320, 180),
                root / "colours.mp4", None)
    with serving(root, "-c", f"import test_live_browser as t; t.serve_live(t.Path({str(root)!r}))") as served:
        yield served


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    film = camera(tmp_path_factory.mktemp("camera") / "camera.mjpeg")
    with sync_playwright() as playwright:
        chromium = launch(playwright, "--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}")
        yield chromium
        chromium.close()


@pytest.fixture
def page(app, browser) -> Iterator[Page]:
    yield from visitor(app, browser, "live", permissions=["camera"])


def start(page: Page) -> None:
    page.locator(".vlj-go").click()
    moments(page, 3)


def drawn(page: Page) -> int:
    return page.evaluate("document.querySelector('.vlj-live').vljLive.drawn")


def moments(page: Page, more: int) -> None:
    """Wait until that many more moments were drawn."""
    page.wait_for_function(f"document.querySelector('.vlj-live').vljLive.drawn >= {drawn(page) + more}")


def caption(page: Page) -> str:
    page.wait_for_function(f"document.querySelector('{CAPTION}').textContent !== ''")
    return page.locator(CAPTION).inner_text()


def complaint(page: Page) -> str:
    page.wait_for_selector(".vlj-live .vlj-alert:not([hidden])")
    return page.locator(".vlj-live .vlj-alert-text").inner_text()


def told(app: App, **wanted: int) -> None:
    """Wait until the server says so of itself."""
    until = time.monotonic() + 30
    while (now := json.loads((app.root / "told").read_text())) | wanted != now:
        assert time.monotonic() < until, f"{now}, not {wanted}"
        time.sleep(0.1)


def count(page: Page, name: str) -> float:
    return float(page.locator(f"[data-count={name}]").inner_text().split()[0])


def test_it_starts_on_the_camera_counts_and_stops(page):
    assert page.locator(".vlj-go").inner_text() == "▶ Start", "the model is warm before the page says so"
    start(page)
    assert caption(page).split()[0] in SCENES
    page.wait_for_function("parseFloat(document.querySelector('[data-count=hz]').textContent) > 0")
    page.wait_for_function("parseInt(document.querySelector('[data-count=windows]').textContent) > 5")
    page.wait_for_function("parseInt(document.querySelector('[data-count=decodes]').textContent) >= 1")
    assert count(page, "lag") > 0
    aspect = page.evaluate("(eye => eye.videoWidth / eye.videoHeight)(document.querySelector('.vlj-eye'))")
    page.locator(".vlj-go").click()
    assert page.locator(".vlj-go").inner_text() == "▶ Start"
    page.wait_for_timeout(300)
    before = drawn(page)
    page.wait_for_timeout(700)
    assert drawn(page) == before, "after Stop nothing moves"
    assert page.evaluate("document.querySelector('.vlj-eye').srcObject") is None, "and the camera is off"
    still = page.locator(".vlj-shot").bounding_box()
    assert still["width"] / still["height"] == pytest.approx(aspect, rel=0.02), "what was seen last stays, in its shape"


# a camera that shows what the test paints, for as long as it likes
PAINTED = """(first) => { const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 240 });
    const context = canvas.getContext('2d');
    window.shown = first;
    setInterval(() => { for (const [part, top] of [[0.5, 0], [1, 120]]) {
      context.fillStyle = `rgb(${window.shown.map((value) => value * part)})`;
      context.fillRect(0, top, 320, 120); } }, 40);
    navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(); }"""


def test_the_caption_changes_at_boundaries_and_at_nothing_else(page):
    page.evaluate(PAINTED, COLOURS["red"])
    start(page)
    assert caption(page).startswith("red")
    page.evaluate("""() => { const words = document.querySelector('.vlj-words p'); window.seen = [];
        new MutationObserver(() => window.seen.push(words.textContent.split(' ')[0]))
          .observe(words, { childList: true, characterData: true, subtree: true }); }""")
    order = ["green", "blue", "white", "green", "red"]
    for k, colour in enumerate(order):
        moments(page, 12)  # the dot moves on, the caption stays
        assert page.evaluate("window.seen") == order[:k]
        page.evaluate("(colour) => { window.shown = colour; }", COLOURS[colour])
        page.wait_for_function(f"document.querySelector('{CAPTION}').textContent.startsWith('{colour}')")
    assert page.evaluate("window.seen") == order, "one for each scene, in their order"
    assert page.locator(".vlj-chip:visible").count() >= 2
    page.wait_for_function(f"document.querySelector('[data-count=decodes]').textContent === '{len(order) + 1}'")


def test_permission_refused_is_said_with_the_remedy_and_the_film_goes_instead(app, browser):
    for page in visitor(app, browser, "live"):
        boxes = """['.vlj-picture', '.vlj-flow'].map((name) => {
            const { y, height } = document.querySelector(name).getBoundingClientRect(); return [y, height]; })"""
        before = page.evaluate(boxes)
        page.locator(".vlj-go").click()
        assert "Allow it beside the address" in complaint(page)
        told, stage = (page.locator(f".vlj-live .vlj-{part}").bounding_box() for part in ("alert", "picture"))
        assert told == stage, "where the picture would be"
        assert page.evaluate(boxes) == before, "and nothing moves"
        page.get_by_role("button", name="Play the sample film").click()
        moments(page, 3)
        assert caption(page).split()[0] in SCENES
        assert page.locator(".vlj-live .vlj-alert").is_hidden()
        assert "begins again at its end" in page.locator(".vlj-loops").inner_text()


def test_a_source_that_failed_is_tried_again_from_where_its_picture_would_be(page, tmp_path):
    film = tmp_path / "later.mp4"
    page.locator(".vlj-source").select_option("server:")
    page.locator(".vlj-address").fill(str(film))
    page.locator(".vlj-go").click()
    assert "there is no file" in complaint(page).lower()
    encode_film((scene("blue", (320, 180)) for _ in range(int(FPS * SCENE_S))), (320, 180), film, None)
    page.get_by_role("button", name="Try again").click()
    moments(page, 3)
    assert page.locator(".vlj-live .vlj-alert").is_hidden() and page.locator(".vlj-loops").is_hidden()


def test_no_camera_and_no_safe_address_are_told_apart(app, browser):
    for page in visitor(app, browser, "live"):
        page.evaluate("""() => { navigator.mediaDevices.getUserMedia = async () => {
            throw new DOMException('', 'NotFoundError') }; }""")
        page.locator(".vlj-go").click()
        assert "No camera was found" in complaint(page)
        page.evaluate("Object.defineProperty(window, 'isSecureContext', { value: false })")
        page.locator(".vlj-go").click()
        expect(page.locator(".vlj-live .vlj-alert-text")).to_contain_text("safe address")


def test_a_camera_that_was_unplugged_comes_back_by_itself(page):
    start(page)
    page.evaluate("""() => { const [track] = document.querySelector('.vlj-eye').srcObject.getVideoTracks();
        track.stop(); track.dispatchEvent(new Event('ended')); }""")
    assert "plug it in again" in complaint(page)
    page.evaluate("navigator.mediaDevices.dispatchEvent(new Event('devicechange'))")
    page.wait_for_selector(".vlj-live .vlj-alert", state="hidden")
    moments(page, 3)


def test_the_source_is_switched_while_it_runs(app, page):
    start(page)
    windows = drawn(page)
    page.locator(".vlj-source").select_option("film:colours")
    page.wait_for_function("document.querySelector('.vlj-eye').src.endsWith('colours.mp4')")
    moments(page, 3)
    page.locator(".vlj-source").select_option("server:")
    page.locator(".vlj-address").fill("/no/such/film.mp4")
    page.locator(".vlj-address").press("Enter")
    page.locator(".vlj-address").blur()
    assert "there is no file" in complaint(page).lower()
    page.locator(".vlj-address").fill(str(app.root / "colours.mp4"))
    page.locator(".vlj-address").blur()
    page.wait_for_function("document.querySelector('.vlj-shot').src.startsWith('data:image/jpeg')")
    moments(page, 3)
    assert drawn(page) > windows, "the same session went on"


def test_zoom_and_turn_survive_every_update_and_nothing_is_mounted_anew(page):
    start(page)
    box = page.locator(".vlj-cloud").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    words = "[...document.querySelectorAll('.vlj-cloud canvas')].at(0).toDataURL()"
    page.evaluate("window.front = [...document.querySelectorAll('.vlj-cloud canvas')].at(-1)")
    for dimensions in ("2", "3"):
        page.locator(f"[data-dimensions='{dimensions}']").click()
        fresh = page.evaluate(words)
        page.mouse.move(*middle)
        page.mouse.wheel(0, -300)
        page.mouse.down()
        page.mouse.move(middle[0] + 60, middle[1] + 25, steps=3)
        moments(page, 2)  # updates while the pointer is down disturb nothing
        page.mouse.move(middle[0] + 90, middle[1] + 40, steps=3)
        page.mouse.up()
        moved = page.evaluate(words)
        assert moved != fresh
        moments(page, 4)
        assert page.evaluate(words) == moved
    assert page.evaluate("window.front === [...document.querySelectorAll('.vlj-cloud canvas')].at(-1)")


def test_a_map_is_fitted_to_the_session_and_given_up_again_while_the_view_stays(page):
    start(page)
    moments(page, 15)
    box = page.locator(".vlj-cloud").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -200)
    page.mouse.move(2, 2)
    background = "[...document.querySelectorAll('.vlj-cloud canvas')].at(0).toDataURL()"
    before = page.evaluate(background)
    page.get_by_text("Advanced").click()
    page.get_by_role("button", name="Fit the map to this session").click()
    page.wait_for_selector(".vlj-own[data-state=fitting]")
    moments(page, 5)  # the stream is not held up
    page.wait_for_selector(".vlj-own[data-state=fitted]", timeout=180_000)
    moments(page, 3)
    page.wait_for_timeout(1200)  # the points are on their way
    assert page.evaluate(background) != before, "the session instead of the sentences"
    page.get_by_role("button", name="Shared map").click()
    page.wait_for_selector(".vlj-own", state="hidden")
    page.wait_for_function(f"{background} === {json.dumps(before)}")
    page.locator("body").press("m")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector(".vlj-own", state="hidden")
    moments(page, 3)
    assert page.evaluate(background) == before
    page.locator("body").press("m")
    expect(page.locator(".vlj-own-seconds")).to_have_text("1 s")
    page.locator(".vlj-go").click()
    page.wait_for_selector(".vlj-own", state="hidden")
    assert page.locator(".vlj-fit").text_content() == "Fit the map to this session", "Stop ends it"


def test_a_double_click_on_stop_stops_and_keeps_what_was_seen(page):
    start(page)
    page.locator(".vlj-go").dblclick()
    page.wait_for_timeout(700)
    expect(page.locator(".vlj-live")).to_have_attribute("data-state", "stopped")
    expect(page.locator(".vlj-keep")).to_be_visible()
    page.wait_for_timeout(600)
    start(page)


def test_a_map_is_fitted_although_the_film_ends_meanwhile(page, app):
    page.locator(".vlj-source").select_option("server:")
    page.locator(".vlj-address").fill(str(app.root / "colours.mp4"))
    start(page)
    moments(page, 8)
    page.locator("body").press("m")
    page.wait_for_selector(".vlj-own[data-state=fitting]")
    expect(page.locator(".vlj-said-state")).to_have_text("colours.mp4 is over.", timeout=60_000)
    page.wait_for_selector(".vlj-own[data-state=fitted]", timeout=180_000)


def test_smoothing_is_set_while_it_runs_and_remembered(page):
    start(page)
    page.get_by_text("Advanced").click()
    slider = page.get_by_role("slider", name="Smoothing")
    with page.expect_request(lambda request: '"window_s":2' in (request.post_data or "").replace(" ", "")):
        slider.fill("2")
        slider.dispatch_event("change")
    moments(page, 3)
    page.reload()
    open_tab(page, "live")
    page.get_by_text("Advanced").click()
    expect(slider).to_have_value("2")
    expect(slider).to_have_attribute("aria-valuetext", "2 s")


def test_a_point_of_the_trail_tells_its_time_and_its_caption(page):
    start(page)
    first = caption(page)
    page.locator("body").press("Space")
    page.wait_for_selector(".vlj-live[data-state=frozen]")
    found = page.evaluate("""() => { const front = [...document.querySelectorAll('.vlj-cloud canvas')].at(-1);
        const { width, height } = front.getBoundingClientRect(), tip = document.querySelector('.vlj-cloud-tip');
        for (let y = 4; y < height; y += 9) for (let x = 4; x < width; x += 9) {
          const event = new PointerEvent('pointermove', { bubbles: true });
          Object.defineProperties(event, { offsetX: { value: x }, offsetY: { value: y } });
          front.dispatchEvent(event);
          if (!tip.hidden && /^0:/.test(tip.firstChild.textContent)) return tip.innerText;
        } return ''; }""")
    assert found.split("\n")[1].split()[0] == first.split()[0] or found.split("\n")[1].split()[0] in SCENES


def test_space_freezes_and_the_arrows_look_back(page):
    start(page)
    page.wait_for_function("document.querySelectorAll('.vlj-chip:not([hidden])').length >= 2")
    caption(page)
    page.locator("body").press("Space")
    page.wait_for_selector(".vlj-live[data-state=frozen]")
    page.wait_for_timeout(500)
    before = drawn(page)
    now = page.locator(".vlj-badge").inner_text()
    page.locator("body").press("Shift+ArrowLeft")
    page.locator("body").press("Shift+ArrowLeft")
    assert page.locator(".vlj-badge").inner_text() != now
    page.wait_for_selector(".vlj-shot:not([hidden])")
    assert drawn(page) == before
    page.locator("body").press("Space")
    page.wait_for_selector(".vlj-live[data-state=running]")
    moments(page, 3)
    assert page.locator(".vlj-badge").is_hidden()


def test_the_threshold_is_dragged_held_and_automatic_again(page):
    start(page)
    handle = page.locator(".vlj-handle")
    expect(handle).to_have_attribute("aria-valuetext", re.compile(r"^\d\.\d\d, automatic$"))
    box = handle.bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 11)
    page.mouse.down()
    page.mouse.move(box["x"] + 10, box["y"] - 100, steps=4)
    page.mouse.up()
    high = float(handle.get_attribute("aria-valuenow"))
    assert high > 0.9
    moments(page, 3)
    page.wait_for_function(f"Math.abs(document.querySelector('.vlj-handle').ariaValueNow - {high}) < 0.001")
    page.reload()
    open_tab(page, "live")
    start(page)
    expect(handle).to_have_attribute("aria-valuetext", f"{high:.2f}")
    page.locator("body").press("a")
    expect(handle).to_have_attribute("aria-valuetext", re.compile("automatic$"))


def test_a_second_viewer_is_served_beside_the_first(app, browser, page):
    start(page)
    for other in visitor(app, browser, "live", permissions=["camera"]):
        start(other)
        moments(other, 5)
        moments(page, 5)
        told(app, sessions=2)
    told(app, sessions=1)


def test_a_page_that_closes_takes_its_session_and_its_pictures_along(app, browser):
    for page in visitor(app, browser, "live", permissions=["camera"]):
        start(page)
        told(app, sessions=1, files=1)
    told(app, sessions=0, files=0)


def test_hostile_words_are_only_words(page):
    page.get_by_text("Advanced").click()
    page.locator("input[name=query]").fill("${alert(1)}<img src=x onerror=alert(2)>")
    page.get_by_role("button", name="Ask").click()
    start(page)
    assert caption(page).endswith("<b>${1}")  # as the model says it
    page.wait_for_selector(".vlj-chip:not([hidden])")
    page.locator(".vlj-source").select_option("server:")
    page.locator(".vlj-address").fill("/tmp/<img src=x onerror=alert(3)>")
    page.locator(".vlj-address").blur()
    assert "<img src=x" in complaint(page)
    assert page.locator(".vlj-live b:text('${1}'), .vlj-live img[src=x]").count() == 0


def test_an_app_that_does_not_answer_is_waited_for(app, page):
    start(page)
    page.route("**/component_server**", lambda route: route.abort())
    assert "goes on by itself" in complaint(page)
    page.unroute("**/component_server**")
    page.wait_for_selector(".vlj-live .vlj-alert", state="hidden")
    moments(page, 3)
    app.complaints[:] = [c for c in app.complaints if "net::ERR_FAILED" not in c]


def test_a_session_is_downloaded_and_sent_to_explore(page):
    start(page)
    page.wait_for_function("document.querySelectorAll('.vlj-chip:not([hidden])').length >= 3")
    page.get_by_text("Advanced").click()
    contents = {}
    for kind in ("JSON", "SRT", "VTT", "CSV", "NPZ"):
        with page.expect_download() as waiting:
            page.locator(f"[data-file={kind.lower()}]").first.click()
        contents[kind] = Path(waiting.value.path())
    assert len(json.loads(contents["JSON"].read_text())["segments"]) >= 3
    assert contents["VTT"].read_text().startswith("WEBVTT")
    assert np.load(contents["NPZ"], allow_pickle=False)["embeddings"].shape[1] == 8
    page.locator(".vlj-keep-too").click()
    page.wait_for_selector(".vlj-explore[data-state=ready]")
    page.wait_for_function("document.querySelector('.vlj-explore .vlj-video').readyState > 0")
    assert page.locator(".vlj-title").inner_text().startswith("Live session")
    expect(page.locator(".vlj-ledger")).to_contain_text("made live")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_nothing_overlaps_or_overflows(app, browser, tmp_path, scheme, size):
    context = {"viewport": {"width": size[0], "height": size[1]}, "color_scheme": scheme, "permissions": ["camera"]}
    for page in visitor(app, browser, "live", **context):
        start(page)
        caption(page)
        page.screenshot(path=tmp_path / f"live-{scheme}-{size[0]}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        parts = [page.locator(f".vlj-live > {part}").bounding_box()
                 for part in (".vlj-bar-live", ".vlj-scene", ".vlj-flow", ".vlj-counters")]
        for above, below in pairwise(parts):
            assert above["y"] + above["height"] <= below["y"] + 1
        if size[0] == 1280:
            assert parts[-1]["y"] + parts[-1]["height"] <= size[1], "one screen holds it all"
        shown = page.evaluate("[...document.querySelectorAll('.vlj-bar-live > *')].filter((n) => n.matches("
                              "'button:not([hidden]), label, details, input:not([hidden])')).length")
        assert shown <= 5, "with 2D/3D at most six controls"
        colour = page.evaluate("getComputedStyle(document.querySelector('.vlj-flow')).backgroundColor")
        assert colour == {"light": "rgb(255, 255, 255)", "dark": "rgb(24, 27, 37)"}[scheme]


def test_a_longer_caption_moves_nothing(page):
    start(page)
    caption(page)
    page.locator("body").press("Space")
    boxes = """['.vlj-picture', '.vlj-cloud', '.vlj-flow', '.vlj-counters'].map((name) => {
        const { x, y, width, height } = document.querySelector(name).getBoundingClientRect();
        return [x, y, width, height]; })"""
    before = page.evaluate(boxes)
    page.evaluate(f"document.querySelector('{CAPTION}').textContent = 'a very long sentence '.repeat(12)")
    assert page.evaluate(boxes) == before
    words, picture = (page.locator(s).bounding_box() for s in (CAPTION, ".vlj-picture"))
    assert words["y"] >= picture["y"]


def test_stage_mode_fills_the_screen_with_a_caption_of_44_pixels(page):
    start(page)
    caption(page)
    page.locator("body").press("f")
    page.wait_for_function("document.fullscreenElement?.matches('.vlj-live')")
    page.wait_for_function(f"getComputedStyle(document.querySelector('{CAPTION}')).fontSize === '44px'")
    moments(page, 3)
    page.locator("body").press("f")
    page.wait_for_function("document.fullscreenElement === null")


def test_a_message_about_a_file_is_read_to_its_end_beside_every_button(page):
    page.locator(".vlj-source").select_option("server:")
    said = page.locator(".vlj-said-state")
    said.evaluate("(node) => { node.textContent = 'sample-videos__car-detection.mp4 is over.'; }")
    page.locator(".vlj-keep").evaluate("(button) => { button.hidden = false; }")
    assert said.evaluate("(node) => node.scrollWidth <= node.clientWidth")
    assert said.bounding_box()["height"] <= 36, "two lines, so that nothing moves"


def test_the_stage_of_a_phone_has_room_for_the_whole_sentence(app, browser):
    for page in visitor(app, browser, "live", viewport={"width": 390, "height": 844}, permissions=["camera"]):
        start(page)
        page.locator("body").press("f")
        page.wait_for_function("document.fullscreenElement?.matches('.vlj-live')")
        page.locator("body").press("Space")
        long = "A person in a black shirt is looking at something on a wall beside a white table."
        page.locator(CAPTION).evaluate("(words, text) => { words.textContent = text; }", long)
        assert page.locator(CAPTION).evaluate("(words) => words.scrollHeight <= words.clientHeight + 2")


def test_everything_has_a_name_and_help_is_a_key_away(page):
    nameless = page.evaluate("""() => ['button', 'input', 'select']
        .flatMap((kind) => [...document.querySelectorAll(`.vlj-live ${kind}`)])
        .filter((n) => !(n.ariaLabel || n.title || n.textContent.trim() || n.labels?.[0]?.textContent.trim()))
        .filter((n) => !n.matches('.vlj-chip')).map((n) => n.outerHTML)""")
    assert nameless == []
    page.locator("body").press("?")
    assert page.get_by_role("heading", name="Keys").is_visible()
    page.get_by_role("button", name="Close").click()
    assert page.locator(CAPTION).get_attribute("aria-live") == "polite"


def test_two_minutes_with_the_real_model_leave_no_trace(smoke, browser, tmp_path):
    begun = time.monotonic()
    with serving(tmp_path, "-m", "app", "--checkpoint", str(smoke), VLJEPA_CACHE=str(tmp_path)) as real:
        import psutil

        process = psutil.Process(real.process.pid)
        for page in visitor(real, browser, "live", permissions=["camera"]):
            start(page)
            page.evaluate("window.canvas = document.querySelector('.vlj-cloud canvas')")
            while time.monotonic() - begun < SOAK_S / 2:
                page.wait_for_timeout(1000)
            before, moved = process.memory_info().rss, drawn(page)
            while time.monotonic() - begun < SOAK_S:
                page.wait_for_timeout(1000)
            assert process.memory_info().rss < 1.1 * before
            assert drawn(page) > moved + 20
            assert page.evaluate("window.canvas === document.querySelector('.vlj-cloud canvas')")
