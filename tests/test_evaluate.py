"""`python -m vljepa evaluate` on a folder of drawn pictures, and the shipped checkpoint on real ones where they are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import vljepa
from visualizations.landmark_map import Landmarks
from vljepa import checkpoint, evaluate
from vljepa.calibration import KINDS, Calibration, Presence, Scale
from vljepa.photo import read_photo, squash
from vljepa.questions import Question
from vljepa.train.photos import load_photo_set
from vljepa.train.smoke import draw_pictures
from vljepa.train.text_corpus import all_sentences, clean_sentence

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("VLJEPA_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The layout that the README documents, with pictures the smoke recipe draws."""
    root = tmp_path_factory.mktemp("data")
    pictures, captions = draw_pictures(60, seed=7)
    for i, picture in enumerate(pictures):
        cv2.imwrite(str(root / f"{i}.png"), picture[..., ::-1])
    # the questions' rules know dogs and shirts, not rings: dress the captions so that there is something to ask
    dressed = [[f"a dog beside {c}" if i % 2 else f"a man in a red shirt on a beach beside {c}" for c in three]
               for i, three in enumerate(captions)]
    flickr = [{"file": f"{i}.png", "split": "test", "captions": dressed[i]} for i in range(60)]
    sports = [{"file": f"{i}.png", "split": "val", "label": ("red ball", "blue box", "green flag")[i % 3]}
              for i in range(30)]
    indoor = [{"file": f"{i}.png", "question": "what colour is the ball in the image", "answer": answer}
              for i in range(60) for answer in (("red", "red, blue")[i % 2],)]
    for name, rows in (("flickr8k", flickr), ("sports100", sports), ("daquar_qa", indoor)):
        (root / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


def test_the_command_writes_every_figure_with_where_it_came_from(folder, smoke, tmp_path):
    out = tmp_path / "metrics.json"
    command = [sys.executable, "-m", "vljepa", "evaluate", "--data", folder, "--checkpoint", f"{smoke}", "--json", out]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found = json.loads(out.read_text())
    assert {"i2t_r1", "t2i_r1"} <= set(found["retrieval"])
    assert {"cider", "cider_bank"} <= set(found["caption"])
    assert {"presence", "blank_presence", "questions_presence"} <= set(found["vqa"])
    assert {"daquar_top1", "blank_daquar"} <= set(found["vqa"])
    assert found["vqa"]["answers_daquar"] == 2
    assert found["classification"]["labels"] == 3
    assert found["retrieval"]["photos"] == 60
    assert "ece" not in found["vqa"]  # this checkpoint has no calibration
    assert found["moments"]["films"] == evaluate.FILMS
    assert 0 <= found["moments"]["right_scene_first"] <= 100
    provenance = found["provenance"]
    assert provenance["command"].startswith("python -m vljepa evaluate --data")
    assert provenance["machine"]
    assert str(folder.parent) not in out.read_text()


def test_missing_data_is_one_line(smoke, tmp_path):
    command = [sys.executable, "-m", "vljepa", "evaluate", "--data", tmp_path, "--checkpoint", f"{smoke}"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "flickr8k.jsonl" in run.stderr


def test_a_blank_clip_cannot_answer_whether_a_thing_is_there(folder, smoke):
    """The same grey frame for yes and no: language alone, and the questions are balanced for each object."""
    model = vljepa.load(smoke, device="cpu")
    photos = evaluate.encode(model, folder, "flickr8k", "test")
    found = evaluate.question_answering(model, photos, [row["captions"] for row in photos.rows])
    assert found["blank_presence"] == pytest.approx(50.0)


def test_an_answer_counts_only_where_it_is_nearest_of_all(smoke):
    """Asked with the answer that the model itself ranks first, all questions are right; with any other, none."""
    model = vljepa.load(smoke, device="cpu")
    tokens = evaluate.grey_clip(model).expand(2, -1, -1, -1)
    answers = ["red", "blue", "red and blue"]
    first = answers[int(np.argmax(model.predict(tokens[:1], "What colour is it?")[0] @ model.embed_text(answers).T))]
    for answer in answers:
        asked = [Question(i, "colour", "What colour is it?", answer, tuple(answers)) for i in range(2)]
        assert evaluate.ranked_first(model, tokens, asked, answers) == (answer == first)


@pytest.mark.skipif(not (DATA / "flickr8k.jsonl").exists(), reason="needs the training data beside the checkout")
def test_the_shipped_checkpoint_finds_real_photos_by_their_captions():
    """Part of the validation photos, so that a broken weight or a swapped channel shows."""
    model = vljepa.load("everyday")
    rows = [r for r in map(json.loads, (DATA / "flickr8k.jsonl").read_text().splitlines()) if r["split"] == "val"][:150]
    side = model.config.x_encoder.image_size
    tokens = model.encode_frames(np.stack([squash(read_photo(DATA / row["file"]), side) for row in rows]))[:, None]
    found = evaluate.retrieval(model, model.predict_windows(tokens), [row["captions"] for row in rows])
    assert found["i2t_r1"] > 50
    assert found["t2i_r1"] > 45


@pytest.mark.skipif(not (DATA / "flickr8k.jsonl").exists(), reason="needs the training data beside the checkout")
def test_our_own_sentences_are_in_no_data_set():
    """The shipped bank and landmarks against every sentence that was trained or is measured on."""
    flickr = load_photo_set(DATA, "flickr8k")
    known = {clean_sentence(sentence) for sentence in all_sentences(flickr, DATA)}
    folder = checkpoint.SHIPPED / "everyday"
    ours = (folder / "bank.txt").read_text().splitlines() + Landmarks.load(folder / "landmarks.safetensors").texts
    assert len(known) > 150_000
    assert not [sentence for sentence in ours if clean_sentence(sentence) in known]


def test_probabilities_are_checked_the_way_they_are_given(folder, smoke):
    """`vqa.ece` is of the very probabilities that `vljepa.ask` gives, and sure answers are counted as it says."""
    model = vljepa.load(smoke, device="cpu")
    scales = {kind: Scale(0.05, 0.9, 100, 0.0) for kind in KINDS}
    model.calibration = Calibration("", "made up", scales, Presence(1.0, 0.0, 100, 0.0))
    photos = evaluate.encode(model, folder, "flickr8k", "test")
    answered: list[evaluate.Answered] = []
    evaluate.question_answering(model, photos, [row["captions"] for row in photos.rows], answered)
    found = evaluate.calibration(model, answered)
    measured = [a for a in answered if a.kind in evaluate.CALIBRATED]
    assert all(a.probability is not None for a in measured)
    bins = [[a for a in measured if k / 10 < a.probability <= (k + 1) / 10] for k in range(10)]
    by_hand = sum(abs(sum(a.probability - a.right for a in some)) for some in bins) / len(measured)
    assert found["ece"] == pytest.approx(by_hand)
    assert found["sure"] == pytest.approx(100 * sum(a.probability >= 0.9 for a in measured) / len(measured))
