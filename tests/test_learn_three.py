"""Learn, "Three answers": what each arm answers and what that is said to have cost, and the page in a real browser.

The token VLM here has random weights; the other arms are the shipped ones.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from browsing import App, serving, visitor
from playwright.sync_api import Page, expect
from test_learn import engine_of, open_part
from torch import nn

import app.learn
from app.learn_arms import Lesson
from app.learn_three import MOST_STEPS, Three, asked_of, drawn, judged
from app.server import serve
from vljepa.arms.data import word_tokenizer
from vljepa.arms.flow import scaled
from vljepa.arms.load import Arms
from vljepa.arms.recipe import new_token_vlm, save_arm
from vljepa.arms.scores import EmbeddingReader
from vljepa.checkpoint import SHIPPED
from vljepa.shapes import questions

SEED = 4  # a pink box goes into a basket


def arms_without_vlm(root: Path) -> Path:
    """A folder with the shipped arms, but no token VLM."""
    (root / "arms").mkdir(parents=True)
    (root / "shapes").symlink_to(SHIPPED / "shapes")
    for file in (SHIPPED / "arms").iterdir():
        if not file.name.startswith("token_vlm"):
            (root / "arms" / file.name).symlink_to(file)
    return root


def serve_arms(root: Path, arms: Path) -> None:
    """What the server's process runs: the app with those arms."""
    app.learn.Lesson = lambda: Lesson(Arms(arms))
    serve(engine_of(SHIPPED / "shapes", root), "127.0.0.1", None)


@pytest.fixture(scope="module")
def lesson(tmp_path_factory) -> Lesson:
    root = arms_without_vlm(tmp_path_factory.mktemp("arms"))
    save_arm(root / "arms", "token_vlm", new_token_vlm(1))
    return Lesson(Arms(root))


@pytest.fixture(scope="module")
def three(lesson) -> Three:
    return Three(lesson)


def test_a_clip_can_be_asked_of_its_hidden_parts_and_of_all_that_is_true_of_it(three):
    view = three.clip(SEED)
    hidden = {question["kind"]: question["hidden"] for question in view["questions"]}
    assert hidden["between"] == [2, 3, 4, 5] and hidden["next"] == [4, 5, 6, 7] and hidden["action"] == []
    wanted = {q.kind for q in questions(drawn(SEED).motion, 0, np.random.default_rng(0))}
    assert hidden.keys() == wanted | {"between", "next", "caption"}


def test_painting_goes_from_noise_through_one_pass_a_step_and_costs_as_much_more(three):
    one, ten = (three.paint(SEED, "between", steps) for steps in (1, 10))
    assert (one["passes"], ten["passes"]) == (1, 10)
    assert len(ten["pictures"]) == len(ten["spans_ms"]) + 1 == 11
    assert ten["mflop"] == pytest.approx(10 * one["mflop"], rel=1e-3)
    assert ten["ms"] == pytest.approx(sum(ten["spans_ms"]), abs=0.01) and min(ten["spans_ms"]) > 0
    assert one["psnr"] > 15  # noise has about 8
    frames = drawn(SEED).frames[0].astype(float)
    error = np.mean([(frames[i] - frames[near]) ** 2 for i, near in ((2, 1), (3, 1), (4, 6), (5, 6))])
    assert one["still"] == pytest.approx(10 * np.log10(255**2 / error), abs=0.06)


@pytest.mark.parametrize("steps", [0, MOST_STEPS + 1])
def test_an_impossible_number_of_steps_is_refused(three, steps):
    with pytest.raises(ValueError, match=f"1 to 50 steps, got {steps}"):
        three.paint(SEED, "next", steps)


@pytest.mark.parametrize("kind", ["caption", "action", "next"])
def test_the_token_vlm_is_shown_word_by_word_as_it_writes(three, lesson, kind):
    view, asked = three.write(SEED, kind), asked_of(SEED, kind)[0]
    vlm, model = lesson.arms.token_vlm, lesson.arms.vljepa
    tokens = model.encode_clips(torch.from_numpy(asked.frames)[None])
    assert view["text"] == vlm.write(tokens, asked.query)[0] == " ".join(word for word in view["words"] if word)
    assert view["passes"] == len(view["spans_ms"]) == len(view["words"]) + view["ended"]
    assert view["encoder"]["passes"] == 1 and view["mflop"] > 1


def test_vljepa_points_in_one_pass_and_reads_what_evaluation_reads(three, lesson):
    point = three.point(SEED, "action")
    assert point["passes"] == 1 == point["encoder"]["passes"] and len(point["spans_ms"]) == 1
    model, asked = lesson.arms.vljepa, asked_of(SEED, "action")[0]
    tokens = model.encode_clips(torch.from_numpy(asked.frames)[None])
    predicted = model.predict(tokens, asked.query)
    assert point["xy"] == lesson.placed(predicted)[0]
    question = next(q for q in questions(drawn(SEED).motion, 0, np.random.default_rng(0)) if q.kind == "action")
    question = replace(question, text=asked.query)  # asked in the same of its wordings
    read = three.read(SEED, "action")
    assert [read["nearest"][0]["text"]] == EmbeddingReader(model, []).answer(tokens, [question])
    assert read["of"] == len(question.candidates) and read["sentence"] is None
    caption = three.read(SEED, "caption")
    whole = model.predict(model.encode_clips(torch.from_numpy(drawn(SEED).frames)), "describe the clip.")
    assert caption["sentence"]["text"] == model.decode(whole, "decoder")[0].text
    assert caption["nearest"][0]["text"] == model.decode(whole, "bank")[0].text
    assert caption["passes"] > 3  # a decoder's words, one after another


def test_only_the_truth_is_judged_right():
    for seed in range(6):
        for asked in asked_of(seed):
            assert judged(asked, seed, asked.truth)["right"]
            for candidate in asked.candidates:
                assert judged(asked, seed, candidate)["right"] == (candidate == asked.truth)
    caption = asked_of(SEED, "caption")[0]
    assert not judged(caption, SEED, "the big pink")["right"]  # true as far as it goes
    assert judged(caption, SEED, caption.truth.replace("pink", "red"))["claims"]["colour"] is False


def test_a_predictor_that_knows_the_features_has_a_cosine_of_one(tmp_path, lesson):
    knowing = Three(Lesson(Arms(arms_without_vlm(tmp_path / "knowing"))))
    encoder, (mean, deviation) = lesson.arms.encoder, knowing._usual

    class Knows(nn.Module):
        def forward(self, _visible, _kept, hidden):
            depths = encoder.depths(scaled(torch.from_numpy(drawn(SEED).frames))).float()
            return ((depths - mean) / deviation)[:, hidden]

    assert 0 < knowing.features(SEED, "between")["mean"] < 0.999
    knowing._lesson.arms.__dict__["latent"] = Knows()
    view = knowing.features(SEED, "between")
    np.testing.assert_allclose(view["cosine"], np.ones((2, 16)), atol=1e-3)
    assert view["frames"] == [[3, 4], [5, 6]] and view["still"] < view["mean"]


def test_questions_run_on_one_core_and_other_threads_keep_theirs(lesson):
    before = torch.get_num_threads()
    assert lesson.alone(torch.get_num_threads) == 1
    assert torch.get_num_threads() == before


def test_bad_requests_are_told_in_one_sentence(tmp_path):
    ask = app.learn.handlers(engine_of(SHIPPED / "shapes", tmp_path), Lesson(Arms(arms_without_vlm(tmp_path / "arms"))))
    assert "The arm token_vlm is missing" in ask["three_write"]({"seed": SEED, "kind": "action"})["error"]
    assert "can be asked between, next" in ask["three_point"]({"seed": SEED, "kind": "weather"})["error"]
    assert "whole number" in ask["three_clip"]({"seed": -1})["error"]
    assert "1 to 50 steps" in ask["three_paint"]({"seed": SEED, "kind": "next", "steps": 51})["error"]


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[App]:
    root = tmp_path_factory.mktemp("three-app")
    arms = arms_without_vlm(root / "arms")
    code = f"import test_learn_three as t; t.serve_arms(t.Path({str(root)!r}), t.Path({str(arms)!r}))"
    with serving(root, "-c", code) as app:
        yield app


@pytest.fixture
def page(served, browser) -> Iterator[Page]:
    yield from visitor(served, browser, "learn")


def test_one_clip_is_painted_written_and_pointed_at_each_in_its_column(page, served):
    open_part(page, "Three answers")
    painted, written, point, features = (page.locator(f"[data-arm={name}]") for name in
                                         ("paint", "write", "point", "features"))
    expect(written).to_contain_text("The arm token_vlm is missing")  # in its own column, and the others go on
    expect(painted).to_contain_text("step 10 of 10")
    expect(painted).to_contain_text("it can only paint")
    expect(point.locator(".vlj-landed")).to_be_visible()
    expect(features.locator(".vlj-tile")).to_have_count(32)
    expect(page.locator(".vlj-readout")).to_be_hidden()
    page.get_by_role("button", name="Read it out").click()
    expect(page.locator(".vlj-nearest li")).to_have_count(3)

    torch.manual_seed(0)
    save_arm(served.root / "arms" / "arms", "token_vlm", new_token_vlm(1))
    page.get_by_text("What happened in between?").first.click()
    expect(page.locator(".vlj-thumbs .vlj-veiled")).to_have_count(4)
    expect(written.locator(".vlj-token").first).to_contain_text("ms")
    words = set(word_tokenizer().decode(range(200)).split())
    assert {word.split("\n")[0] for word in written.locator(".vlj-token").all_inner_texts()} <= words | {""}
    expect(page.locator(".vlj-readout")).to_be_hidden()

    page.get_by_label("Steps from noise to picture").fill("1")
    expect(painted).to_contain_text("step 1 of 1")
    expect(painted.locator("dt").first).to_have_text("1")
    page.get_by_role("button", name="20 × slower").click()
    expect(page.locator(".vlj-pace-said")).to_contain_text("20 times slower")
    page.get_by_role("button", name="Another clip").click()
    expect(written.locator(".vlj-end")).not_to_have_text("▍")
    expect(page.locator(".vlj-race .vlj-past")).to_have_count(page.locator(".vlj-race .vlj-race-pass").count())
