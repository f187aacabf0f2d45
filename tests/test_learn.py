"""The Learn tab: its functions without a page, and its parts in a real browser, with the smoke model."""

import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import App, serving, visitor
from playwright.sync_api import Page, expect
from test_app import film

from app.engine import Engine
from app.learn import TRIPLETS, handlers, hard_negatives_passed, word_overlap
from app.server import serve
from app.store import Store
from sample_media import SampleFilm
from vljepa.checkpoint import load

SCENES = ({"start_s": 0.0, "caption": "All is red."}, {"start_s": 2.0, "caption": "All is green."},
          {"start_s": 4.0, "caption": "All is blue."})


def engine_of(checkpoint: Path, root: Path) -> Engine:
    media, truth = root / "colours.mp4", root / "colours.json"
    truth.write_text(json.dumps({"scenes": SCENES}))
    path = film(media, size=(160, 120))
    samples = [SampleFilm(name, title, path, truth) for name, title in
               (("again", "The same once more"), ("short", "Three colours"))]
    return Engine(load(checkpoint, "cpu"), "smoke-1", Store(root / "cache/explore"), samples)


def serve_smoke(checkpoint: Path, root: Path) -> None:
    """What the server's process runs."""
    serve(engine_of(checkpoint, root), "127.0.0.1", None)


@pytest.fixture(scope="module")
def ask(smoke, tmp_path_factory):
    return handlers(engine_of(smoke, tmp_path_factory.mktemp("learn")))


@pytest.fixture(scope="module")
def app(smoke, tmp_path_factory) -> Iterator[App]:
    root = tmp_path_factory.mktemp("learn-app")
    paths = f"t.Path({str(smoke)!r}), t.Path({str(root)!r})"
    with serving(root, "-c", f"import test_learn as t; t.serve_smoke({paths})") as served:
        yield served


@pytest.fixture
def page(app, browser) -> Iterator[Page]:
    yield from visitor(app, browser, "learn")


def open_part(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def walked(ask) -> dict:
    """The film of the walkthrough, once it is watched."""
    for _ in range(600):
        view = ask["walk"]({})
        if "stage" not in view:
            return view
        time.sleep(0.1)
    raise AssertionError("the film was never watched")


def test_the_film_is_watched_once_and_has_a_caption_for_each_part(ask):
    assert "not watched yet" in ask["walk_own"]({"boundaries_s": []})["error"]
    view = walked(ask)
    assert view["done"] and view["title"] == "Three colours" and view["window"] == 3
    assert [scene["caption"] for scene in view["truth"]] == [scene["caption"] for scene in SCENES]
    assert view["segments"][0]["start_s"] == 0 and view["segments"][-1]["end_s"] == pytest.approx(view["seconds"])
    assert all(part["caption"] for part in view["segments"])
    assert len(base64.b64decode(view["stripes"])) == 4 * view["directions"] * view["steps"]


def test_the_lesson_begins_with_the_film_that_the_model_understands_and_offers_the_others(ask):
    assert [film["name"] for film in ask["hello"]({})["films"]] == ["short", "again"]
    assert walked(ask)["name"] == "short"
    assert "no sample film called 'none'" in ask["walk"]({"film": "none"})["error"]
    assert "not watched yet" in ask["walk_own"]({"film": "again", "boundaries_s": []})["error"], "each film by itself"


def test_a_students_boundaries_are_scored_against_the_truth_and_each_part_is_read(ask):
    walked(ask)
    right = ask["walk_own"]({"boundaries_s": [4.2, 1.9]})
    assert right["f1"] == 1.0 and right["decodes"] == 3 and len(right["segments"]) == 3
    assert all(part["caption"] for part in right["segments"])
    assert ask["walk_own"]({"boundaries_s": [0.5]})["f1"] == 0.0
    for wrong in ([7.0], ["2"], [-1], None, [1.0] * 41, [float("nan")]):
        assert "boundar" in ask["walk_own"]({"boundaries_s": wrong})["error"]


def test_a_students_sentence_is_compared_with_what_the_model_saw(ask):
    view = walked(ask)
    own = ask["walk_say"]({"index": 0, "text": view["segments"][0]["caption"]})
    assert own["cosine"] == pytest.approx(view["segments"][0]["similarity"], abs=1e-3)
    assert "write a sentence" in ask["walk_say"]({"index": 0, "text": " "})["error"].lower()
    assert "longer than 300" in ask["walk_say"]({"index": 0, "text": "x" * 301})["error"]
    for index in (99, -1, None, "0"):
        assert "parts of the film" in ask["walk_say"]({"index": index, "text": "one red ball"})["error"]


def test_boundaries_are_placed_moved_taken_away_and_compared(page):
    open_part(page, "Watch much")
    lane = page.locator("[data-lane=own]")
    expect(page.locator("[data-lane=model] .vlj-part-bar").first).to_be_visible()
    lane.scroll_into_view_if_needed()
    box = lane.bounding_box()
    for share in (0.33, 0.5, 0.66):
        lane.click(position={"x": box["width"] * share, "y": 12})
    handles = lane.locator(".vlj-handle")
    expect(handles).to_have_count(3)
    handles.nth(1).focus()
    page.keyboard.press("Delete")
    expect(handles).to_have_count(2)
    page.get_by_role("button", name="Undo").click()
    expect(handles).to_have_count(3)
    handles.nth(1).click()  # a click takes it away, too
    page.locator(".vlj-compare-own").click()
    expect(page.locator(".vlj-result")).to_contain_text("You: F1 100 %")
    expect(page.locator("[data-lane=truth]")).to_be_visible()
    page.reload()
    page.get_by_role("tab", name="Learn", exact=True).click()
    expect(handles).to_have_count(2)


def test_another_film_is_watched_and_keeps_boundaries_of_its_own(page):
    open_part(page, "Watch much")
    handles = page.locator("[data-lane=own] .vlj-handle")
    expect(page.locator("[data-lane=model] .vlj-part-bar").first).to_be_visible()
    page.get_by_role("button", name="Boundary here").scroll_into_view_if_needed()
    page.locator("[data-lane=own]").click(position={"x": 200, "y": 12})
    expect(handles).to_have_count(1)
    page.get_by_role("button", name="The same once more").click()
    expect(page.get_by_role("button", name="The same once more")).to_have_attribute("aria-pressed", "true")
    expect(handles).to_have_count(0)
    page.get_by_role("button", name="Three colours").click()
    expect(handles).to_have_count(1)


def test_a_complaint_goes_when_something_went_well_after_it(page):
    open_part(page, "Watch much")
    page.get_by_role("button", name="How close?").click()
    alert = page.locator(".vlj-learn .vlj-alert")
    expect(alert).to_contain_text("Write a sentence first.")
    page.get_by_role("button", name="Dismiss this message").locator("visible=true").click()
    expect(alert).to_be_hidden()
    page.get_by_role("button", name="How close?").click()
    expect(alert).to_be_visible()
    page.get_by_role("button", name="The same once more").click()
    expect(alert).to_be_hidden()


def test_the_chosen_part_is_in_sight_and_the_row_fades_where_it_goes_on(app, browser):
    for page in visitor(app, browser, "learn", viewport={"width": 390, "height": 844}):
        row = page.locator(".vlj-parts")
        expect(row).to_have_attribute("data-more", "right")
        page.get_by_role("tab", name="What happened?").click()
        expect(row).to_have_attribute("data-more", "left right")
        pill = page.get_by_role("tab", name="What happened?").bounding_box()
        assert pill["x"] >= 36 and pill["x"] + pill["width"] <= 390 - 36, "clear of both fading ends"
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_steps_light_up_what_they_tell_of_and_words_are_compared(page):
    open_part(page, "Watch much")
    for lit in (".vlj-window", ".vlj-window", ".vlj-stripes", ".vlj-curve", ".vlj-counts"):
        expect(page.locator(".vlj-lit").filter(has=page.locator(lit)).or_(page.locator(f"{lit}.vlj-lit")).first
               ).to_be_visible()
        if page.locator(".vlj-after").is_enabled():
            page.locator(".vlj-after").click()
    page.get_by_label("Your sentence for this part").fill("${1}<img src=x onerror=alert(1)>")
    page.get_by_role("button", name="How close?").click()
    expect(page.locator(".vlj-closeness")).to_have_count(2)
    assert page.locator(".vlj-learn img[src=x]").count() == 0


def test_word_overlap_is_shared_words_over_all_words():
    found = word_overlap(["a red ball", "A red box!", "two dogs"])
    assert found[0, 1] == pytest.approx(2 / 4)
    assert found[0, 2] == 0 and found[1, 1] == 1


def test_pairs_have_the_models_own_cosines(ask, smoke):
    texts = ["one red ball", "there is one red ball", "two blue rings"]
    view = ask["compare"]({"texts": texts})
    embedded = load(smoke, "cpu").embed_text(texts)
    np.testing.assert_allclose(view["cosine"], embedded @ embedded.T, atol=1e-3)


def test_a_triplet_has_all_three_cosines(ask):
    view = ask["triplet"]({"rows": [["one red ball", "a red ball", "one red ball"]]})["rows"][0]
    assert view["one"] == pytest.approx(1.0, abs=1e-3)
    assert view["pair"] == pytest.approx(view["other"], abs=1e-3)


def test_every_hard_negative_has_the_words_of_its_sentence():
    for sentence, paraphrase, negative in TRIPLETS:
        assert sorted(sentence.split()) == sorted(negative.split()) and negative != sentence
        assert paraphrase not in (sentence, negative)


def test_the_share_of_hard_negatives_is_the_one_that_was_measured_of_this_checkpoint():
    measured = json.loads((Path(__file__).parent.parent / "benchmarks/text.json").read_text())
    found = hard_negatives_passed(measured["checkpoint"])
    assert found == {"percent": measured["y_encoder"]["all"]["both"], "of": sum(measured["triplets"].values())}
    assert hard_negatives_passed("another") is None


@pytest.mark.parametrize(("texts", "told"), [
    ([], "write 2 to 8"), (["one"], "write 2 to 8"), (["one", " "], "sentence 2 is empty"),
    (["one", "x" * 301], "longer than 300"), (["a"] * 9, "write 2 to 8"), ("words", "write 2 to 8")])
def test_what_cannot_be_compared_is_told_in_one_sentence(ask, texts, told):
    error = ask["compare"]({"texts": texts})["error"]
    assert told in error.lower() and error.endswith(".")


def test_typing_a_sentence_moves_its_dots(page):
    open_part(page, "Meaning is geometry")
    expect(page.locator(".vlj-pair")).to_have_count(3)
    before = page.locator(".vlj-pair title").all_text_contents()
    page.get_by_label("Sentence B", exact=True).fill("one red ball on a white ground")
    expect(page.locator(".vlj-scatter")).to_contain_text("one red ball on a white ground")
    assert page.locator(".vlj-pair title").all_text_contents() != before
    page.get_by_role("button", name="Add a sentence").click()
    page.get_by_label("Sentence D", exact=True).fill("${1}<img src=x onerror=alert(1)>")
    expect(page.locator(".vlj-pair")).to_have_count(6)
    assert page.locator(".vlj-learn img[src=x]").count() == 0
    for name in "EFGH":  # 28 pairs, many of them in one place
        page.get_by_role("button", name="Add a sentence").click()
        page.get_by_label(f"Sentence {name}", exact=True).fill(f"{name} {name} {name}")
    expect(page.locator(".vlj-pair")).to_have_count(28)
    heights = page.locator(".vlj-dot-name").evaluate_all("names => names.map((one) => Number(one.getAttribute('y')))")
    assert max(heights) <= 256, "no name of a pair stands on the axis and its numbers"


def test_exchanging_two_words_makes_the_negative_and_both_inequalities_are_judged(page):
    open_part(page, "Meaning is geometry")
    page.get_by_label("a · a sentence").fill("a cat sees the bird")
    page.locator(".vlj-words").get_by_role("button", name="cat").click()
    page.locator(".vlj-words").get_by_role("button", name="bird").click()
    expect(page.get_by_label("n · means something else")).to_have_value("a bird sees the cat")
    verdicts = page.locator(".vlj-verdicts p")
    expect(verdicts).to_have_count(2)
    page.wait_for_timeout(400)
    for line in verdicts.all_inner_texts():
        left, right = (float(number) for number in re.findall(r"-?\d\.\d{3}", line))
        assert ("holds" in line) == (left > right)
    expect(page.locator(".vlj-ordinary li")).to_have_count(1)
    expect(page.locator(".vlj-hard li")).to_have_count(6)
    page.locator(".vlj-hard button").first.click()
    expect(page.get_by_label("n · means something else")).to_have_value(TRIPLETS[0][2])


def test_the_batch_is_embedded_by_the_model_and_its_rows_have_length_one(ask, smoke):
    view = ask["batch"]({})
    np.testing.assert_allclose(view["trained"][0], load(smoke, "cpu").embed_text(view["rows"]), atol=2e-3)
    for state in ("trained", "untrained"):
        for side in view[state]:
            np.testing.assert_allclose(np.linalg.norm(side, axis=1), 1.0, atol=2e-3)
            assert len(side) == len(view["rows"]) == len(view["columns"]) == 8


def test_gradient_steps_lower_the_loss_and_the_temperature_is_felt(page):
    open_part(page, "InfoNCE you can touch")
    expect(page.locator(".vlj-cell")).to_have_count(64)
    loss = page.locator(".vlj-gauges dd").first
    before = float(loss.inner_text())
    page.get_by_role("button", name="Take 20").click()
    after = float(loss.inner_text())
    assert after < before
    page.locator("[name=temperature]").evaluate(
        "(input) => { input.value = 0.4; input.dispatchEvent(new Event('input', { bubbles: true })); }")
    assert float(loss.inner_text()) > after
    page.get_by_role("button", name="Start again").click()
    assert "0 steps" in page.locator(".vlj-gauges").inner_text()


def test_parts_are_chosen_by_arrow_keys_and_remembered(page):
    open_part(page, "Meaning is geometry")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="InfoNCE you can touch")).to_be_focused()
    page.reload()
    page.get_by_role("tab", name="Learn", exact=True).click()
    expect(page.get_by_role("heading", name="InfoNCE you can touch")).to_be_visible()


def test_puzzles_are_solved_better_than_by_chance_and_have_an_arrow(ask):
    right = 0
    for seed in range(12):
        view = ask["solve"]({"seed": seed})
        right += int(np.argmax(view["text"])) == view["right"]
        assert len(view["texts_xy"]) == len(view["text"]) == len(view["clip"]) == 4
    assert right >= 6  # chance is three


def test_a_puzzle_is_answered_by_key_and_the_truth_is_shown(page):
    open_part(page, "What happened?")
    expect(page.locator(".vlj-option")).to_have_count(4)
    page.locator(".vlj-tally").click()
    page.keyboard.press("2")
    expect(page.locator(".vlj-right")).to_have_count(1)
    expect(page.locator(".vlj-option").nth(1)).to_contain_text("you")
    expect(page.locator(".vlj-map-arrow")).to_be_visible()
    expect(page.locator(".vlj-tally")).to_contain_text("of 1")
    page.get_by_role("button", name="Clips", exact=True).click()
    expect(page.locator(".vlj-option .vlj-strip")).to_have_count(4)
    page.get_by_role("button", name="Next puzzle").click()
    expect(page.locator(".vlj-right")).to_have_count(0)


@pytest.mark.parametrize(("before", "after"), [([0, 0], [0, 0]), ([0, 0], [0.01, 0.005]), ([0, 0], [1, 0.4]),
                                               ([1, 1], [1, 1]), ([-1, -1], [-1, -1])])
def test_the_change_on_the_map_is_an_arrow_however_close_the_places(page, before, after):
    long = page.evaluate("""async ([before, after]) => {
        const entry = performance.getEntriesByType('resource').find(({ name }) => name.endsWith('learn_draw.js'));
        const { SmallMap } = await import(entry.name);
        const node = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
        node.setAttribute('viewBox', '0 0 640 300');
        document.body.append(node);
        const xy = btoa(String.fromCharCode(...new Uint8Array(new Float32Array([-1, -1, 1, 1]).buffer)));
        new SmallMap(node, { xy, words: [] }).change(before, after, [['B', 'before'], ['A', 'after']]);
        const at = (c, axis) => Number(c.getAttribute(axis));
        const inside = [...node.querySelectorAll('.vlj-end-mark circle')].every((c) => at(c, 'cx') > 8
            && at(c, 'cx') < 632 && at(c, 'cy') > 8 && at(c, 'cy') < 292);
        const length = node.querySelector('.vlj-way').getTotalLength();
        node.remove();
        return inside ? length : -1;
    }""", [before, after])
    assert long > 50  # pixels of a picture of 640
