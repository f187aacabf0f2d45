"""Training: batches that hold the right answer, a resume that changes nothing, and a smoke run that learns."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from vljepa.colour_names import NAMES
from vljepa.config import SMOKE
from vljepa.model import VLJEPA
from vljepa.text import TextTokenizer
from vljepa.train.bank import _filtered
from vljepa.train.batches import CaptionSource, LabelSource, Mixture, Photos, QuestionSource
from vljepa.train.decoding import train_tokenizer
from vljepa.train.loop import Arm, Schedule, train
from vljepa.train.photos import load_photo_set, virtual_camera
from vljepa.train.reading import ReaderArm
from vljepa.train.teacher import soft_answers
from vljepa.train.text_corpus import clean_sentence


def photos(count=10, copies=2):
    """Copy c of photo i holds the number 100 c + i in every place."""
    tokens = [torch.full((count, 3, 4), 100.0 * c).half() + torch.arange(count).half()[:, None, None]
              for c in range(copies)]
    return Photos(tokens, max_frames=3)


def shown(batch):
    """Which photo each clip shows; all of its frames must be of one."""
    numbers = batch.visual_tokens[..., 0, 0].numpy() % 100
    assert (numbers == numbers[:, :1]).all()
    return numbers[:, 0].astype(int)


def test_a_caption_belongs_to_the_photo_it_stands_beside():
    source = CaptionSource(photos(), [[f"photo {i} a", f"photo {i} b"] for i in range(10)])
    for seed in range(20):
        batch = source.batch(np.random.default_rng(seed), 6)
        for photo, owners in zip(shown(batch), batch.owners, strict=True):
            assert all(batch.texts[o].startswith(f"photo {photo} ") for o in owners)


def test_a_label_stands_in_a_batch_once():
    source = LabelSource(photos(), ["cat", "dog"] * 5, ["a photo of a {}"])
    batch = source.batch(np.random.default_rng(0), 8)
    assert sorted(batch.texts) == ["a photo of a cat", "a photo of a dog"]
    for photo, (owner,) in zip(shown(batch), batch.owners, strict=True):
        assert batch.texts[owner] == f"a photo of a {('cat', 'dog')[photo % 2]}"


def test_a_question_comes_with_its_photo_and_all_candidates():
    asked = [(i, f"what is in photo {i}?", ("yes", "no")[i % 2]) for i in range(10)]
    batch = QuestionSource(photos(), asked, ["no", "yes"]).batch(np.random.default_rng(0), 5)
    assert batch.texts == ["no", "yes"]
    for photo, query, (owner,) in zip(shown(batch), batch.queries, batch.owners, strict=True):
        assert query == f"what is in photo {photo}?"
        assert batch.texts[owner] == ("yes", "no")[photo % 2]


def test_a_turned_colour_question_is_answered_by_what_its_tokens_show():
    """Photo i is of colour i all over; whatever the names become, the answer is the one that the columns say."""
    tokens = np.zeros((11, 3, 5 + 11), dtype=np.float16)
    tokens[np.arange(11), :, 5 + np.arange(11)] = 1.0
    asked = [(i, f"What colour is thing {i}?", NAMES[i]) for i in range(11)]
    source = QuestionSource(Photos([torch.from_numpy(tokens)], 1), asked, NAMES, colour_parts=1, turned=0.5)
    true = 0
    for seed in range(20):
        batch = source.batch(np.random.default_rng(seed), 11)
        assert batch.closed
        for clip, query, (owner,) in zip(batch.visual_tokens, batch.queries, batch.owners, strict=True):
            assert clip[0, 0, 5:].argmax() == owner
            true += NAMES[owner] == NAMES[int(query.split()[-1][:-1])]
    assert 0.4 < true / 220 < 0.7  # half of them stay as they are, and one in eleven of the rest


def test_words_are_dropped_from_a_question_but_never_all():
    asked = [(0, "What is on the table?", "lamp")]
    source = QuestionSource(photos(), asked, ["lamp"], dropped_words=0.5)
    said = {source.batch(np.random.default_rng(seed), 1).queries[0] for seed in range(40)}
    assert len(said) > 10
    assert all(said)


def test_a_question_brings_what_its_teacher_thinks():
    asked = [(i, f"what is in photo {i}?", ("yes", "no")[i % 2]) for i in range(10)]
    soft = np.stack([np.arange(10) / 10, 1 - np.arange(10) / 10], axis=1).astype(np.float32)
    batch = QuestionSource(photos(), asked, ["no", "yes"], soft=soft).batch(np.random.default_rng(0), 5)
    np.testing.assert_allclose(batch.soft[:, 0].numpy(), shown(batch) / 10, rtol=1e-6)


def test_the_teacher_knows_wording_and_photos_it_was_not_fitted_to():
    """The answer is told by a word for half of the questions, by the photo for the rest; never is it the same photo."""
    rng = np.random.default_rng(0)
    pictures = rng.normal(size=(600, 80)).astype(np.float32)
    pictures[:, 0] *= 8
    asked = [(i, "what is the animal", "dog") if rng.random() < 0.5 else
             (i, "what is there", "lamp" if pictures[i, 0] > 0 else "bed") for i in (np.arange(6000) % 600).tolist()]
    answers = ["bed", "dog", "lamp"]
    soft = soft_answers(asked, answers, pictures, seed=0)
    np.testing.assert_allclose(soft.sum(1), 1.0, rtol=1e-4)
    right = soft.argmax(1) == [answers.index(answer) for _, _, answer in asked]
    dogs = np.array([answer == "dog" for _, _, answer in asked])
    assert right[dogs].mean() > 0.95
    assert right[~dogs].mean() > 0.7  # by frequency alone: half of them


def test_the_reader_learns_where_to_look_and_when_to_speak_and_nothing_else_moves():
    """The thing asked for has a feature of its own in one part of one cell; its colour stands there."""
    torch.manual_seed(0)
    words = train_tokenizer(["what colour is it?", "who is there?", *NAMES], 64)
    model = VLJEPA(SMOKE, words, words, words).eval()
    rng, x_encoder = np.random.default_rng(0), model.x_encoder
    tokens = rng.normal(size=(66, x_encoder.tokens_per_step, x_encoder.dim)).astype(np.float32)
    tokens[..., -44:] = 0.0
    for i in range(66):
        place, part = rng.integers(4), rng.integers(4)
        tokens[i, place, -44 - (4 - part) * x_encoder.part_widths[1]] = 12.0
        for other in range(4):
            tokens[i, :, -44 + 11 * other + rng.integers(11)] = 1.0
        tokens[i, place, -44:].reshape(4, 11)[part] = np.eye(11)[i % 11]
    asked = [(i, "what colour is it?", NAMES[i % 11]) for i in range(66)]
    shown = Photos([torch.from_numpy(tokens)], 1)
    colours = Mixture([("colour", QuestionSource(shown, asked, NAMES), 1.0, 66)])
    elsewhere = [(i, "who is there?", "red") for i in range(66)]
    others = Mixture([("who", QuestionSource(shown, elsewhere, ["red"]), 1.0, 66)])
    arm = ReaderArm(model, colours, others, 0, 0.05, dict)
    before = {name: p.clone() for name, p in model.named_parameters() if "colours" not in name}
    optimiser, said = torch.optim.Adam(arm.reader.parameters(), 1e-2), []
    for step in range(120):
        loss, numbers = arm.loss(step)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        said.append(numbers)
    assert said[-1]["reading"] < 0.5 * said[0]["reading"]
    assert said[-1]["heeding"] < 0.5 * said[0]["heeding"]
    for name, weight in model.named_parameters():
        assert name not in before or torch.equal(weight, before[name])


def test_a_mixture_depends_on_seed_and_step_alone():
    source = CaptionSource(photos(), [[f"{i} a", f"{i} b"] for i in range(10)])
    mixture = Mixture([("one", source, 0.5, 4), ("other", source, 0.5, 6)])
    names, sizes = set(), set()
    for step in range(20):
        (name, make), (again, remake) = mixture.at(3, step), mixture.at(3, step)
        batch = make()
        assert name == again
        assert batch.texts == remake().texts
        names.add(name)
        sizes.add(len(batch.visual_tokens))
    assert names == {"one", "other"}
    assert sizes == {4, 6}


class Line(Arm):
    """An arm with one parameter, a dropout and data that depend on the step."""

    def __init__(self):
        super().__init__(lambda: {"weight": self.weight.sum().item()})
        self.weight = nn.Parameter(torch.tensor([2.0, -1.0]))
        self.dropout = nn.Dropout(0.5)
        self.killed_at = None

    def loss(self, step):
        if step == self.killed_at:
            raise KeyboardInterrupt
        x = torch.from_numpy(np.random.default_rng(step).normal(size=(8, 2)).astype(np.float32))
        return (self.dropout(x) @ self.weight).pow(2).mean(), {}


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder / "line.log.jsonl").read_text().splitlines()]


def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path):
    schedule, cpu = Schedule(steps=12, learning_rate=0.1, save_every=4, validate_every=6), torch.device("cpu")
    whole, broken, resumed = Line(), Line(), Line()
    train(whole, schedule, tmp_path / "whole", "line", cpu)
    broken.killed_at = 10
    with pytest.raises(KeyboardInterrupt):
        train(broken, schedule, tmp_path / "killed", "line", cpu)
    train(resumed, schedule, tmp_path / "killed", "line", cpu)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    torch.testing.assert_close(resumed.weight, whole.weight)


def test_the_mean_of_the_weights_is_what_stays_also_after_a_kill(tmp_path):
    def seen(schedule, name, killed_at=None):
        arm, weights = Line(), []
        arm.killed_at = killed_at
        arm.validate = lambda: weights.append(arm.weight.detach().clone()) or {}
        try:
            train(arm, schedule, tmp_path / name, "line", torch.device("cpu"))
        except KeyboardInterrupt:
            return seen(schedule, name)
        return arm.weight.detach(), weights

    schedule = Schedule(steps=9, learning_rate=0.1, save_every=4, validate_every=1, mean=0.5)
    kept, steps = seen(schedule, "whole")
    expected = torch.tensor([2.0, -1.0])
    for step, weight in enumerate(steps):
        expected = torch.lerp(expected, weight, 1 - min(0.5, (step + 1) / (step + 9)))
    torch.testing.assert_close(kept, expected)
    assert not torch.allclose(kept, steps[-1])
    torch.testing.assert_close(seen(schedule, "killed", killed_at=6)[0], kept)


def test_the_rate_warms_up_and_falls_to_zero():
    schedule = Schedule(steps=100, learning_rate=1.0, warmup=0.1)
    rates = [schedule.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] < 0.001
    assert rates.index(max(rates)) in (9, 10)


def test_the_smoke_run_learned_something(smoke):
    log = (smoke.parent / "work" / "finetune.log.jsonl").read_text().splitlines()
    first, last = json.loads(log[0]), json.loads(log[-1])
    assert {"loss", "alignment", "uniformity", "temperature", "source", "val_i2t_r1"} <= set(last)
    assert last["val_i2t_r1"] > 2 * 100 / 64  # of 64 pictures; chance is one
    assert last["uniformity"] < -0.5  # no collapse
    assert first["step"] == 0


def test_missing_training_data_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"flickr8k\.jsonl.*README"):
        load_photo_set(tmp_path, "flickr8k")


def test_daquar_photos_are_on_one_side_of_the_split_only(tmp_path):
    rows = [{"file": f"daquar/{i % 50}.webp", "split": ("train", "val")[i % 3 == 0], "question": "q", "answer": "a"}
            for i in range(200)]
    (tmp_path / "daquar_qa.jsonl").write_text("\n".join(map(json.dumps, rows)))
    photo_set = load_photo_set(tmp_path, "daquar_qa")
    sides = [set(photo_set.indices(split)) for split in ("train", "val", "test")]
    assert sum(len(side) for side in sides) == len(set.union(*sides)) == 50
    assert all(sides)


def test_the_virtual_camera_is_deterministic_and_stays_a_photo():
    photo = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    views = [virtual_camera(photo, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(views[0], views[1])
    assert views[0].dtype == np.uint8
    assert views[0].shape != views[2].shape or (views[0] != views[2]).any()


def test_the_bank_drops_what_a_data_set_says():
    known = ["A dog runs, fast across the grass ."]
    written = ["A dog runs, fast across the grass.", "A cat sleeps on a warm chair.", "A cat sleeps on a warm chair",
               "A a dog on grass today.", "Too short."]
    assert _filtered(written, known) == ["A cat sleeps on a warm chair."]
    assert clean_sentence(known[0]) == "a dog runs, fast across the grass"


def test_the_decoder_tokenizer_keeps_its_first_ids_and_spells_back(tmp_path):
    sentences = ["a dog runs on the grass", "two children play with a ball"] * 5
    tokenizer = train_tokenizer(sentences, 100)
    tokenizer.save(tmp_path / "tokenizer.json")
    again = TextTokenizer.from_file(tmp_path / "tokenizer.json", None)
    for sentence in sentences[:2]:
        ids = again.ids([sentence])[0]
        assert min(ids) > 2
        assert again.decode(ids) == sentence
