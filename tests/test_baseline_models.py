"""Every evaluation, and whatever can be asked, on stand-ins of open-vljepa, CLIP and SigLIP 2."""

import numpy as np
import pytest
from test_evaluate import folder  # noqa: F401 - fixtures
from test_public import load, reference, shelf, small  # noqa: F401

from vljepa import evaluate
from vljepa.ask import ask
from vljepa.bench_shared import write_video
from vljepa.config import ModelConfig
from vljepa.labels import classify
from vljepa.live import LiveCaption, LiveModel, LiveUpdate
from vljepa.moments import find
from vljepa.watched import watch

JOINT = ("clip", "siglip2")
NAMES = ("open-vljepa", *JOINT)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", NAMES)
def test_every_figure_of_the_evaluation_is_measured(name, folder, monkeypatch):  # noqa: F811
    monkeypatch.setattr(evaluate, "FILMS", 1)
    monkeypatch.setattr(evaluate, "_sample_scenes_found", lambda _: [True])  # drawing those films takes long
    found = evaluate.evaluate(load(name), folder)
    assert 0 <= found["retrieval"]["i2t_r1"] <= 100
    assert found["retrieval"]["photos"] == 60
    assert 0 <= found["classification"]["sports100"] <= 100
    assert np.isfinite(found["caption"]["cider_bank"])
    assert {"presence", "blank_presence", "daquar_top1"} <= found["vqa"].keys()
    assert found["vqa"]["sees_the_question"] == (name not in JOINT)
    assert found["moments"]["queries"] == 61


@pytest.mark.parametrize("name", NAMES)
def test_a_film_is_asked_labelled_and_searched(name, small):  # noqa: F811
    write_video(small / "film.mp4", 6.0)
    film = watch(load(name), small / "film.mp4", 4.0)
    assert classify(film, ["a cat", "a dog"]).similarities
    assert find(film.model, film.trajectory, "a boy runs").moments
    if name in JOINT:
        with pytest.raises(ValueError, match="no predictor that takes a question: choose another"):
            ask(film, "what is the dog")
    else:
        assert ask(film, "what is the dog", ["cat", "dog"]).answers[0].text in ("cat", "dog")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", NAMES)
def test_a_live_session_tells_moments_and_sentences(name):
    model = load(name)
    assert isinstance(model.config, ModelConfig)
    rng = np.random.default_rng(0)
    with LiveModel(model) as live, live.session() as session:
        for k in range(12):
            session.offer(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8), k / 4)
            session.wait(k - 1, 20.0)
        events = session.updates()
    assert any(isinstance(event, LiveUpdate) for event in events)
    assert any(isinstance(event, LiveCaption) for event in events)
