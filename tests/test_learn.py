"""The Learn tab: its functions without a page, and its parts in a real browser, with the smoke model."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import App, serving, visitor
from playwright.sync_api import Page, expect

from app.engine import Engine
from app.learn import TRIPLETS, handlers, word_overlap
from app.server import serve
from app.store import Store
from vljepa.checkpoint import load


def engine_of(checkpoint: Path, root: Path) -> Engine:
    return Engine(load(checkpoint, "cpu"), "smoke-1", Store(root / "cache/explore"), [])


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


@pytest.mark.parametrize(("texts", "told"), [
    ([], "write 2 to 8"), (["one"], "write 2 to 8"), (["one", " "], "sentence 2 is empty"),
    (["one", "x" * 301], "longer than 300"), (["a"] * 9, "write 2 to 8"), ("words", "write 2 to 8")])
def test_what_cannot_be_compared_is_told_in_one_sentence(ask, texts, told):
    error = ask["compare"]({"texts": texts})["error"]
    assert told in error.lower() and error.endswith(".")


def test_typing_a_sentence_moves_its_dots(page):
    expect(page.locator(".vlj-pair")).to_have_count(3)
    before = page.locator(".vlj-pair title").all_text_contents()
    page.get_by_label("Sentence B", exact=True).fill("one red ball on a white ground")
    expect(page.locator(".vlj-scatter")).to_contain_text("one red ball on a white ground")
    assert page.locator(".vlj-pair title").all_text_contents() != before
    page.get_by_role("button", name="Add a sentence").click()
    page.get_by_label("Sentence D", exact=True).fill("${1}<img src=x onerror=alert(1)>")
    expect(page.locator(".vlj-pair")).to_have_count(6)
    assert page.locator(".vlj-learn img[src=x]").count() == 0


def test_exchanging_two_words_makes_the_negative_and_both_inequalities_are_judged(page):
    page.get_by_label("a · a sentence").fill("a cat sees the bird")
    page.locator(".vlj-words").get_by_role("button", name="cat").click()
    page.locator(".vlj-words").get_by_role("button", name="bird").click()
    expect(page.get_by_label("n · two words of a exchanged")).to_have_value("a bird sees the cat")
    verdicts = page.locator(".vlj-verdicts p")
    expect(verdicts).to_have_count(2)
    page.wait_for_timeout(400)
    for line in verdicts.all_inner_texts():
        left, right = (float(number) for number in re.findall(r"-?\d\.\d{3}", line))
        assert ("holds" in line) == (left > right)
    expect(page.locator(".vlj-triplet-list li")).to_have_count(6)


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
