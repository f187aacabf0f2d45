"""Choosing the checkpoint in the app: in a real browser, with real checkpoints, one of them fetched from a shelf."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from browsing import PATIENCE_MS, App, open_tab, serving, visitor
from playwright.sync_api import Browser, Page, expect
from test_app import film
from test_public import clip, keep_joint_embeddings

import vljepa
from app.checkpoints import handlers, identity
from app.engine import Engine, Source
from app.server import serve
from app.store import Store
from sample_media import SampleFilm
from vljepa import checkpoint, public
from vljepa.config import EVERYDAY, OPEN_VLJEPA, PAPER, SMOKE
from vljepa.cost import expected_hz, window_cost

expect.set_options(timeout=PATIENCE_MS)
FEW = 150  # sentences of the bank: as many as a map needs, embedded in no time


def serve_smoke(root: Path) -> None:
    """What the server's process runs: the app as it is, with a short film and a small bank for what it fetches."""
    sentences = public._sentences()[:FEW]
    public._sentences, public._photos = (lambda: sentences), lambda: list(clip(3))
    samples = [SampleFilm("colours", "Four colours", root / "colours.mp4", root / "colours.mp4")]
    engine = Engine(vljepa.load("smoke", "cpu"), identity("smoke")[0], Store(root / "explore"), samples)
    engine.warm_up()
    serve(engine, "127.0.0.1", None)


@pytest.fixture(scope="module")
def app(smoke, tmp_path_factory) -> Iterator[App]:
    root = tmp_path_factory.mktemp("menu")
    shutil.copytree(smoke, root / "checkpoints/smoke")
    keep_joint_embeddings(root / "hub")
    film(root / "colours.mp4", scenes=("red", "green", "blue", "white"), size=(320, 180))
    with serving(root, "-c", f"import test_checkpoints_menu as t; t.serve_smoke(t.Path({str(root)!r}))",
                 VLJEPA_CACHE=str(root), VLJEPA_HUB=str(root / "hub")) as served:
        yield served


@pytest.fixture
def page(app: App, browser: Browser) -> Iterator[Page]:
    yield from visitor(app, browser)


def switch(page: Page, name: str, verb: str = "Use") -> None:
    page.locator(".vlj-choose").click()
    page.get_by_role("button", name=f"{verb} {name}").click()
    in_use(page, name)


def in_use(page: Page, name: str) -> None:
    expect(page.locator(".vlj-choose b")).to_have_text(name)
    page.wait_for_selector(".vlj-checkpoints[data-ready]", state="attached")


def test_another_checkpoint_keeps_the_film_and_the_question(page: Page, app: App, browser: Browser) -> None:
    page.locator(".vlj-explore .vlj-sample").click()
    page.wait_for_selector(".vlj-explore[data-state=ready]")
    open_tab(page, "ask")
    box = page.get_by_label("Your question")
    box.fill("Is there a dog?")
    box.press("Enter")
    answer = page.locator(".vlj-ask .vlj-answer")
    expect(answer).to_contain_text("Is there a dog?")
    before = answer.inner_text()
    page.locator(".vlj-choose").click()
    rows = page.locator(".vlj-menu-row")
    expect(rows.filter(has_text="smoke")).to_contain_text("in use")
    expect(rows.filter(has_text="smoke")).to_contain_text("moments a second here")
    expect(rows.filter(has_text="everyday")).to_contain_text(re.compile(r"\d+ MB · writes captions · about"))
    community = rows.filter(has_text="open-vljepa")
    expect(community).to_contain_text("To fetch once, from cun-bjy/open-vljepa, facebook/vjepa2-vitl-fpc64-256")
    expect(community).to_contain_text("3.5 GB · picks captions from our sentences · about")
    expect(community).to_contain_text("Gemma Terms of Use")
    page.keyboard.press("Escape")
    expect(page.locator(".vlj-menu")).to_be_hidden()
    switch(page, "everyday")
    page.wait_for_selector(".vlj-ask[data-state=ready]")
    expect(box).to_have_value("Is there a dog?")
    expect(answer).to_contain_text("Is there a dog?")
    assert answer.inner_text() != before
    assert page.locator(".vlj-ask .vlj-title").inner_text() == "Four colours"
    other = next(visits := visitor(app, browser))  # another viewer's page goes on with whatever is chosen here
    other.locator(".vlj-explore .vlj-sample").click()
    other.wait_for_selector(".vlj-explore[data-state=ready]")
    switch(page, "smoke")
    in_use(other, "smoke")
    other.wait_for_selector(".vlj-explore[data-state=ready]")
    expect(other.locator(".vlj-changed-text")).to_have_text(
        "Somebody chose the checkpoint smoke for this app: the page began anew.")
    expect(page.locator(".vlj-changed")).to_be_hidden()  # whoever chose it knows
    open_tab(other, "live")
    other.locator(".vlj-live .vlj-source").select_option("film:colours")
    other.locator(".vlj-live .vlj-go").click()
    other.wait_for_selector(".vlj-live[data-state=running]")
    switch(page, "everyday")
    expect(other.locator(".vlj-changed-text")).to_have_text(
        "Somebody chose the checkpoint everyday for this app: Live began anew.")
    other.get_by_role("button", name="Dismiss this message").locator("visible=true").click()
    expect(other.locator(".vlj-changed")).to_be_hidden()
    assert list(visits) == []
    switch(page, "smoke")


def test_live_and_the_sentences_of_learn_go_on(page: Page) -> None:
    open_tab(page, "learn")
    page.get_by_role("tab", name="Meaning is geometry").click()
    first = page.get_by_label("Sentence A", exact=True)
    first.fill("a horse jumps over a fence")
    expect(page.locator(".vlj-learn svg text").first).to_be_visible()
    page.wait_for_function("sessionStorage.getItem('vljepa.sentences')?.includes('horse')")
    open_tab(page, "live")
    page.locator(".vlj-live .vlj-source").select_option("film:colours")
    page.locator(".vlj-live .vlj-go").click()
    page.wait_for_selector(".vlj-live[data-state=running]")
    page.wait_for_function("document.querySelector('.vlj-live').vljLive.drawn > 3")
    switch(page, "everyday")
    page.wait_for_selector(".vlj-live[data-state=running]")
    page.wait_for_function("document.querySelector('.vlj-live').vljLive.drawn > 3")
    expect(page.locator(".vlj-live .vlj-words p")).not_to_have_text("")
    open_tab(page, "learn")
    expect(first).to_have_value("a horse jumps over a fence")


def test_a_joint_embedding_is_fetched_and_says_what_it_cannot_do(page: Page) -> None:
    page.locator(".vlj-explore .vlj-sample").click()
    page.wait_for_selector(".vlj-explore[data-state=ready]")
    open_tab(page, "ask")
    page.get_by_label("Your question").fill("Is there a dog?")
    page.get_by_label("Your question").press("Enter")
    expect(page.locator(".vlj-ask .vlj-answer")).to_contain_text("Is there a dog?")
    switch(page, "clip", "Fetch and use")
    expect(page.locator(".vlj-ask .vlj-alert-text")).to_contain_text("takes no questions")
    expect(page.locator(".vlj-ask .vlj-modes [data-mode=question]")).to_be_disabled()
    box = page.get_by_label("What to look for")
    box.fill("a cat")
    box.press("Enter")
    expect(page.locator(".vlj-ask .vlj-answer")).to_contain_text("a cat")
    open_tab(page, "explore")
    expect(page.locator(".vlj-explore .vlj-caption").first).to_contain_text(".")
    expect(page.locator(".vlj-explore .vlj-readout-fact")).to_contain_text("nearest sentence of the bank")
    open_tab(page, "live")
    page.locator(".vlj-live .vlj-source").select_option("film:colours")
    page.locator(".vlj-live .vlj-go").click()
    page.wait_for_function("document.querySelector('.vlj-live').vljLive.drawn > 3")
    page.locator(".vlj-live .vlj-go").click()
    page.locator(".vlj-choose").click()
    page.get_by_role("button", name="Fetch and use open-vljepa").click()  # the shelf has no such thing
    expect(page.locator(".vlj-checkpoints .vlj-alert-text")).to_contain_text("VLJEPA_HUB names: copy")
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".vlj-choose b")).to_have_text("clip")
    open_tab(page, "explore")
    smoothing = page.locator(".vlj-explore input[name=smoothing_s]")
    smoothing.fill("0.5")  # whatever is remembered now, "by the bank" was nobody's wish
    switch(page, "smoke")
    page.wait_for_selector(".vlj-explore[data-state=ready]")
    expect(page.locator(".vlj-explore .vlj-readout-fact")).to_contain_text("written by the decoder")
    assert page.locator("input[name=readout][value=decoder]").is_checked()
    assert smoothing.input_value() == "0.5"


@pytest.fixture
def cache(smoke, tmp_path, monkeypatch) -> Path:
    """A cache with two checkpoints that differ."""
    for name in ("first", "second"):
        model = vljepa.load(smoke, device="cpu", dtype="float32")
        object.__setattr__(model.config, "name", name)
        if name == "second":
            model.predictor.out_proj.bias.data += 0.05
        checkpoint.save(model, tmp_path / "checkpoints" / name, torch.float32)
    monkeypatch.setenv("VLJEPA_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def engine(cache) -> Iterator[Engine]:
    engine = Engine(vljepa.load("first", device="cpu"), identity("first")[0], Store(cache / "store"))
    yield engine
    engine.live.shut_down()


def done(engine, call, name):
    job = engine.jobs.get(call["switch"]({"name": name})["job"])
    assert job.finished.wait(120)
    return call["switching"]({"job": job.token})


def test_whatever_is_kept_is_kept_per_checkpoint(cache, engine):
    call, before, live = handlers(engine), engine.fingerprint, engine.live
    film(cache / "film.mp4", size=(64, 64))
    job = engine.open(Source(cache / "film.mp4", "film.mp4"), None, 4.0)
    assert job.finished.wait(60)
    first = job.result
    assert done(engine, call, "second")["done"]
    assert (engine.model.name, engine.live, engine.live.model) == ("second", live, engine.model)
    assert engine.fingerprint != before
    with pytest.raises(ValueError, match="no longer open"):
        engine.film(first.key)
    job = engine.open(engine.source(first.key), None, 4.0)
    assert job.finished.wait(60)
    assert job.result.key != first.key
    assert abs(job.result.trajectory.embeddings - first.trajectory.embeddings).max() > 1e-3
    assert [row["name"] for row in call["listing"]({})["rows"] if row["current"]] == ["second"]
    assert call["using"]({})["name"] == "second"
    assert json.dumps(call["listing"]({}))


def test_what_cannot_be_used_leaves_the_one_in_use(cache, engine, monkeypatch):
    call = handlers(engine)
    (cache / "checkpoints/second/predictor.safetensors").write_bytes(b"x")
    assert "predictor.safetensors" in done(engine, call, "second")["error"]
    assert "There is no checkpoint 'nobody'" in call["switch"]({"name": "nobody"})["error"]
    (cache / "checkpoints/second/config.json").write_text("{}")
    broken = [row for row in call["listing"]({})["rows"] if row.get("broken")]
    assert [row["name"] for row in broken] == ["second"]
    assert "config.json" in broken[0]["notice"]
    monkeypatch.setenv("VLJEPA_HUB", str(cache / "shelf"))
    assert "no openai/clip-vit-base-patch32 in" in done(engine, call, "clip")["error"]
    with engine.switching:
        assert "another switch is under way" in done(engine, call, "first")["error"].lower()
    engine.closed_to_switch = "the terminal only"
    assert "terminal only" in call["switch"]({"name": "first"})["error"]
    assert engine.model.name == "first"


def test_a_switch_can_be_cancelled(engine, monkeypatch):
    call = handlers(engine)

    def load(name, _):
        call["stop"]({"job": next(iter(engine.jobs._jobs))})
        return vljepa.load(name, device="cpu")

    monkeypatch.setattr("app.checkpoints.load", load)
    assert done(engine, call, "second")["cancelled"]
    assert engine.model.name == "first"


def test_the_cost_of_a_window_is_what_the_arithmetic_says():
    """ViT-L on 1,024 tokens: 24 layers of 8 d^2 + 4 d m a token and 4 N^2 d for attention, and the patches."""
    tokens, d, mlp = 1024, 1024, 4096
    vit = 24 * (tokens * (8 * d * d + 4 * d * mlp) + 4 * tokens**2 * d) + tokens * 2 * 3 * 2 * 16 * 16 * d
    assert window_cost(OPEN_VLJEPA).x_encoder == pytest.approx(vit, rel=0.01)
    assert window_cost(PAPER).x_encoder > 2 * window_cost(OPEN_VLJEPA).x_encoder
    # Lite2 at 260 pixels: 0.87 billion multiplications by its authors' table
    assert window_cost(EVERYDAY).x_encoder == pytest.approx(2 * 0.87e9 * (256 / 260) ** 2, rel=0.1)
    # ViT-B/32 at 224: 4.4 billion multiplications by the same count
    assert window_cost(public.PUBLIC["clip"].expected()).x_encoder == pytest.approx(2 * 4.4e9, rel=0.05)
    assert expected_hz(SMOKE, torch.device("cpu")) > expected_hz(EVERYDAY, torch.device("cpu")) > 0
