"""Probabilities: fitted by known cases, kept with the weights they belong to, and what they do to answers."""

import json
import shutil

import cv2
import numpy as np
import pytest

import vljepa
from vljepa import CheckpointError, checkpoint
from vljepa.__main__ import main
from vljepa.calibration import (
    KINDS,
    THIN,
    Calibration,
    Presence,
    Scale,
    asks_yes_or_no,
    calibration_error,
    fit_presence,
    fit_scale,
    kind_of,
    reliable_from,
    softmax,
)
from vljepa.train.smoke import draw_pictures


@pytest.fixture
def copy(smoke, tmp_path):
    return shutil.copytree(smoke, tmp_path / "copy")


def a_calibration(fingerprint):
    return Calibration(fingerprint, "made up", {kind: Scale(0.05, 0.5, 100, 0.01) for kind in KINDS},
                       Presence(1.0, -2.0, 100, 0.01))


def test_the_temperature_that_made_the_answers_is_found_again():
    random = np.random.default_rng(0)
    similarity = random.normal(0, 0.1, (3000, 5))
    right = np.array([random.choice(5, p=softmax(s / 0.07)) for s in similarity])
    found = fit_scale(list(similarity), right)
    assert found.temperature == pytest.approx(0.07, rel=0.1)
    assert found.ece < 0.03
    assert found.questions == 3000


def test_questions_may_have_different_numbers_of_candidates():
    found = fit_scale([np.array([1.0, 0.0]), np.array([0.0, 0.5, 1.0])] * 20, np.array([0, 2] * 20))
    assert found.temperature < 0.2
    assert found.sure_at <= 1


def test_the_calibration_error_by_hand():
    confidence, correct = np.array([0.95, 0.95, 0.55, 0.55]), np.array([1, 1, 1, 0])
    assert calibration_error(confidence, correct) == pytest.approx(0.5 * 0.05 + 0.5 * 0.05)
    assert calibration_error(np.ones(4), np.ones(4)) == 0
    assert calibration_error(np.ones(4), np.zeros(4)) == 1
    with pytest.raises(ValueError, match="needs a result"):
        calibration_error(np.zeros(0), np.zeros(0))


def test_answers_are_sure_where_they_were_reliable():
    """The 40 firmer answers are all right, the 40 weaker ones all wrong: 3 of 4 are right down to the 53rd."""
    confidence = 1 - np.arange(80) / 250
    right = np.arange(80) < 40
    assert reliable_from(confidence, right) == pytest.approx(confidence[52])
    assert reliable_from(confidence / 2, right) == THIN
    assert reliable_from(confidence, np.arange(80) % 2 == 0) > 1


def test_presence_is_a_logistic_curve():
    random = np.random.default_rng(0)
    z = random.normal(0, 2, 8000)
    present = (random.random(8000) < 1 / (1 + np.exp(-(1.5 * z - 1)))).astype(int)
    found = fit_presence(z, present)
    assert (found.slope, found.offset) == pytest.approx((1.5, -1.0), abs=0.15)
    assert found.ece < 0.03


@pytest.mark.parametrize(("question", "answers", "is_open", "kind"), [
    ("Is there a dog?", ["Yes", "no"], False, "yes or no"), ("What colour is it?", ["red", "mauve"], False, "colour"),
    ("Which one?", ["red", "gray"], False, "colour"), ("How many dogs are there?", ["a few", "many"], False, "count"),
    ("The number?", ["two", "3"], False, "count"), ("What is it?", ["a dog", "a cat"], False, "other"),
    ("What is it?", ["dog", "cat"], True, "open"), ("What colour is it?", ["red", "blue"], True, "colour"),
])
def test_each_question_has_its_scale(question, answers, is_open, kind):
    assert kind_of(question, answers, is_open) == kind


def test_a_choice_is_not_a_yes_or_no():
    assert asks_yes_or_no("Is there a dog?")
    assert not asks_yes_or_no("Is it a dog or a cat?")
    assert not asks_yes_or_no("What is it?")


def test_a_calibration_is_kept_with_its_checkpoint_and_checked(copy):
    model = vljepa.load(copy, device="cpu")
    assert model.calibration is None
    checkpoint.save_calibration(a_calibration(model.fingerprint), copy)
    again = vljepa.load(copy, device="cpu")
    assert again.calibration == a_calibration(model.fingerprint)
    assert again.fingerprint == model.fingerprint  # so that libraries and kept films stay good
    path = copy / "calibration.json"
    path.write_text(path.read_text().replace("0.05", "0.06"))
    with pytest.raises(CheckpointError, match=r"calibration\.json .*damaged"):
        vljepa.load(copy, device="cpu")


def test_a_calibration_of_other_weights_is_refused(copy):
    with pytest.raises(CheckpointError, match="changed while they were calibrated"):
        checkpoint.save_calibration(a_calibration("another"), copy)
    model = vljepa.load(copy, device="cpu")
    checkpoint.save_calibration(a_calibration(model.fingerprint), copy)
    text = (copy / "calibration.json").read_text().replace(model.fingerprint, "another")
    (copy / "calibration.json").write_text(text)
    described = json.loads((copy / "config.json").read_text())
    described["sha256"]["calibration.json"] = checkpoint._sha256(copy / "calibration.json")
    (copy / "config.json").write_text(json.dumps(described))
    with pytest.raises(CheckpointError, match=r"fitted to other weights: run `python -m vljepa calibrate`"):
        vljepa.load(copy, device="cpu")
    assert vljepa.load(copy, device="cpu", calibrated=False).calibration is None


def test_new_weights_drop_the_old_calibration(copy):
    model = vljepa.load(copy, device="cpu")
    checkpoint.save_calibration(a_calibration(model.fingerprint), copy)
    checkpoint.save(vljepa.load(copy, device="cpu"), copy)
    assert not (copy / "calibration.json").exists()
    assert vljepa.load(copy, device="cpu").calibration is None


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"temperature": -1.0}])
def test_impossible_scales_are_refused(wrong):
    with pytest.raises(ValueError, match="must be above 0"):
        Scale(**({"temperature": 1.0, "sure_at": 0.5, "questions": 1, "ece": 0.0} | wrong))


def test_the_command_fits_every_scale_from_validation_photos(copy, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    pictures, _ = draw_pictures(80, seed=3)
    for i, picture in enumerate(pictures):
        cv2.imwrite(str(data / f"{i}.png"), picture[..., ::-1])
    told = (["two dogs are running on a beach", "two dogs run on the beach", "dogs on a beach"],
            ["a man in a red shirt is riding a bicycle on a street", "a man with a red shirt rides a bicycle",
             "a man in a red shirt on a bicycle"])
    flickr = [{"file": f"{i}.png", "split": "val", "captions": told[i % 2]} for i in range(80)]
    rooms = [{"file": f"{i}.png", "question": f"what is on the {'table' if i % 3 else 'floor'} in the image{i} ?",
              "answer": ("lamp", "bed", "sofa", "door", "box", "cup", "book")[i % 7]} for i in range(80)]
    for name, rows in (("flickr8k", flickr), ("daquar_qa", rooms)):
        (data / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["calibrate", "--data", str(data), "--checkpoint", str(copy)]) == 0, capsys.readouterr().err
    assert "yes or no" in capsys.readouterr().out
    found = vljepa.load(copy, device="cpu").calibration
    assert set(found.scales) == set(KINDS)
    assert all(scale.questions >= 20 for scale in found.scales.values())
    assert str(data.parent) not in (copy / "calibration.json").read_text()


def test_too_little_data_is_told(copy, tmp_path, capsys):
    assert main(["calibrate", "--data", str(tmp_path), "--checkpoint", str(copy)]) == 2
    assert "flickr8k.jsonl" in capsys.readouterr().err


def test_an_option_that_a_later_version_adds_leaves_the_calibration_good(copy):
    config = copy / "config.json"
    described = json.loads(config.read_text())
    del described["model"]["predictor"]["drop_tokens"]  # as a file from before that option has it
    config.write_text(json.dumps(described))
    checkpoint.save_calibration(a_calibration(checkpoint.load(copy, "cpu").fingerprint), copy)
    assert checkpoint.load(copy, "cpu").calibration is not None
    assert "drop_tokens" not in json.loads(config.read_text())["model"]["predictor"]
