"""Train it yourself: short runs that are watched, held and opened, on the shapes world and on a folder of one's own."""

import json
import shutil
import threading
import time
import zipfile
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np
import pytest
import torch
from test_app import film
from test_learn import engine_of
from torch import nn

from app.learn_film import film_own, film_world
from app.learn_pace import Pace, units_of_own, units_of_shapes
from app.learn_train import Training
from app.learn_worker import view_of
from visualizations.main_axes import MainAxes
from vljepa.arms.load import Arms
from vljepa.arms.short import PARTS, ShortRun, share_true, train_short, true_parts
from vljepa.baselines import read_reference
from vljepa.checkpoint import list_checkpoints, load
from vljepa.shapes import captions, clips
from vljepa.train.loop import Arm, Schedule, train, training
from vljepa.train.own import OwnRun, OwnSource, teach
from vljepa.train.own_data import Captioned, read_captioned, split
from vljepa.train.reins import Reins, Stopped, lead
from vljepa.train.telling import Done, Examples, Look, Loss, Stage
from vljepa.video import open_video

CPU = torch.device("cpu")
SCHEDULE = Schedule(steps=12, learning_rate=0.1, save_every=0, validate_every=6)
# words that the checkpoint knows, in meanings that are new to it
COLOURS = {"a ring": (220, 40, 40), "a flag": (40, 70, 220), "two boxes": (40, 170, 60)}


class Line(Arm):
    """An arm that learns one number."""

    def __init__(self):
        super().__init__(self.look)
        torch.manual_seed(0)
        self.layer, self.modes = nn.Linear(1, 1), []

    def loss(self, step):
        return (self.layer(torch.full((1, 1), 1.0 + step)) - 5).square().mean(), {}

    def look(self):
        self.modes.append(self.training)
        return {"found": 1.0}


def weight(arm):
    return arm.layer.weight.item()


def eventually(true, patience_s=120.0):
    until = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.05)


# --- the loop, and who holds its reins -------------------------------------------------------------------------------


def test_steps_taken_one_by_one_are_those_of_the_whole_run(tmp_path):
    whole, single, early = Line(), Line(), Line()
    train(whole, SCHEDULE, tmp_path / "whole", "a", CPU)
    told = list(training(single, SCHEDULE, tmp_path / "single", "a", CPU))
    assert [step for step, _ in told] == list(range(12))
    assert weight(single) == weight(whole)
    steps = training(early, SCHEDULE, tmp_path / "early", "a", CPU)
    next(steps)
    assert early.training
    steps.close()
    assert not early.training and weight(early) != weight(whole)
    assert not list(tmp_path.rglob("*.state.pt"))  # save_every is 0


def test_who_leads_looks_before_the_first_step_and_at_the_end_and_tells_all_of_it(tmp_path):
    told, arm = [], Line()
    taken = lead(arm, SCHEDULE, tmp_path, "own", Reins(), told.append, lambda: Look("own", 0, {"found": 1.0}, [], []))
    assert taken == 12
    assert [event.step for event in told if isinstance(event, Look)] == [0, 6, 12]
    assert [event.step for event in told if isinstance(event, Loss)] == list(range(1, 13))
    assert [event.count for event in told if isinstance(event, Done) and event.part == "own.step"][-1] == 12


def test_a_paused_run_waits_and_a_stopped_one_ends_with_a_look(tmp_path):
    reins, told = Reins(), []

    def tell(event):
        told.append(event)
        if isinstance(event, Loss) and event.step == 3:
            reins.pause()

    thread = threading.Thread(target=lead, args=(Line(), SCHEDULE, tmp_path, "own", reins, tell,
                                                 lambda: Look("own", 0, {"found": 1.0}, [], [])))
    thread.start()
    eventually(lambda: any(isinstance(event, Loss) and event.step == 3 for event in told))
    time.sleep(0.2)
    assert sum(isinstance(event, Loss) for event in told) == 3
    reins.stop()  # a paused run can be stopped, too
    thread.join(30)
    assert not thread.is_alive()
    assert (told[-1].step, type(told[-1])) == (3, Look)
    with pytest.raises(Stopped):
        reins.require()


def test_the_axes_of_a_map_turn_no_more_than_they_must():
    rng, axes = np.random.default_rng(0), MainAxes()
    points = rng.normal(size=(40, 6)) * [5, 3, 0.1, 0.1, 0.1, 0.1]
    first = axes.places(points)
    for flipped in (points * [-1, 1, 1, 1, 1, 1], points[:, [1, 0, 2, 3, 4, 5]]):
        np.testing.assert_allclose(np.abs(axes.places(flipped) - first).mean(), 0, atol=2.0)
    np.testing.assert_allclose(MainAxes().places(points).std(0), (points - points.mean(0)).std(0)[:2], rtol=0.02)


# --- the shapes world ------------------------------------------------------------------------------------------------


def test_the_parts_of_a_caption_are_right_or_wrong_each_by_itself():
    shown = clips(3, 40)
    for i in range(40):
        plain = captions(shown.motion, i)[0]
        assert true_parts(plain, shown.motion, i) == dict.fromkeys(PARTS, True)
        size = "big" if "small" in plain else "small"
        assert true_parts(plain.replace("small" if size == "big" else "big", size), shown.motion, i) == {
            "action": True, "colour": True, "shape": True, "size": False}
    assert share_true([{"a": True, "b": False}, {"a": True, "b": True}]) == 75.0
    assert not any(true_parts("", shown.motion, 0).values())


@pytest.mark.parametrize(("wrong", "told"), [
    ({"arms": ()}, "choose one or more"), ({"arms": ("flow",)}, "got flow"), ({"arms": ("joint", "joint")}, "choose"),
    ({"clips": 10}, "clips must be 64 to 8192, got 10"), ({"steps": 10**6}, "steps must be"), ({"seed": -1}, "seed")])
def test_a_run_that_cannot_be_is_refused_in_words(wrong, told):
    with pytest.raises(ValueError, match=told):
        ShortRun(**wrong)


def test_a_run_tells_what_it_learns_and_without_vl_jepa_nothing_is_kept(tmp_path):
    told = []
    run = ShortRun(("joint", "token_vlm"), clips=64, steps=6)
    assert not train_short(run, Arms().encoder, tmp_path, tmp_path / "out", Reins(), told.append)
    assert not (tmp_path / "out").exists()
    examples = next(event for event in told if isinstance(event, Examples))
    assert len(examples.pictures) == len(examples.truth) == 8 and len(examples.points) == 64
    assert examples.chance["puzzles"] == 25.0 and 5 < examples.chance["parts"] < 40
    assert [event.text for event in told if isinstance(event, Stage)][:2] == ["Drawing and encoding clips", "Training"]
    for arm, has_points in (("joint", True), ("token_vlm", False)):
        looks = [event for event in told if isinstance(event, Look) and event.arm == arm]
        assert [look.step for look in looks] == [0, 6]
        assert all(set(look.scores) == {"puzzles", "parts"} and len(look.said) == 8 for look in looks)
        assert all(bool(look.places) == has_points for look in looks)
        assert [event.step for event in told if isinstance(event, Loss) and event.arm == arm] == [1, 2, 3, 4, 5, 6]
    assert all(json.dumps(view_of(event)) for event in told)


def test_what_is_stopped_while_clips_are_drawn_never_trains(tmp_path):
    reins = Reins()
    with pytest.raises(Stopped):
        train_short(ShortRun(("joint",), clips=64, steps=6), Arms().encoder, tmp_path, tmp_path / "out", reins,
                    lambda event: reins.stop() if isinstance(event, Stage) else None)


def test_a_film_of_the_world_knows_what_happens_in_it(tmp_path):
    path = film_world(1, tmp_path / "world.mp4")
    told = (tmp_path / "world.json").read_text()
    assert len(read_reference("world.json", told)) == 7
    assert json.loads(told)["scenes"][0]["caption"].startswith("the ")
    with open_video(path) as video:
        assert video.info.seconds == pytest.approx(24, abs=0.2)


# --- a folder of one's own -------------------------------------------------------------------------------------------


def draw(folder: Path, count: int = 36) -> dict[str, str]:
    """`count` pictures of one colour each, and the word for it by file."""
    rng, said = np.random.default_rng(0), {}
    for i in range(count):
        word = list(COLOURS)[i % len(COLOURS)]
        picture = np.clip(np.array(COLOURS[word]) + rng.integers(-25, 26, (48, 64, 3)), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"picture {i}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        said[f"picture {i}.png"] = word
    return said


def write_table(folder: Path, said: dict[str, str]) -> None:
    rows = "".join(f'"{file}","{caption}"\n' for file, caption in said.items())
    (folder / "captions.csv").write_text("file,caption\n" + rows, encoding="utf-8")


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    write_table(folder, draw(folder))
    return folder


def test_three_layouts_of_a_folder_read_alike(tmp_path):
    said = draw(tmp_path, 12)
    for file, caption in said.items():
        (tmp_path / file).with_suffix(".txt").write_text(f"{caption}\n\n  a  picture\n")
    beside = {one.path.name: one.captions for one in read_captioned(tmp_path).captioned}
    rows = [{"file": file, "captions": [caption, "a picture"]} for file, caption in said.items()]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    listed = {one.path.name: one.captions for one in read_captioned(tmp_path).captioned}
    write_table(tmp_path, said)
    with (tmp_path / "captions.csv").open("a") as table:
        table.writelines(f"{file},a picture\n" for file in said)
    assert beside == listed == {one.path.name: one.captions for one in read_captioned(tmp_path).captioned}
    assert beside["picture 1.png"] == ("a flag", "a picture")


@pytest.mark.parametrize(("files", "told"), [
    ({}, "holds no captions: put a captions.csv"),
    ({"captions.csv": "name,text\na.png,b\n"}, "must begin with a line that names the columns file and caption, but it "
                                               "begins with name, text"),
    ({"captions.csv": "file,caption\nlost.png,a flag\n"}, "has 0: add more. 1 file that is listed is not there and is "
                                                           "left out: lost.png"),
    ({"captions.csv": "file,caption\nnotes.pdf,a flag\n"}, "neither a photo nor a video"),
    ({"captions.csv": b"file,caption\n\xff\xfe,x\n"}, "is no UTF-8 text"),
    ({"captions.csv": "file,caption\npicture 0.png,a flag\n"}, "12 captioned photos or clips at least, and .* has 1"),
    ({"captions.csv": "file,caption\n" + "".join(f"picture {i}.png,same\n" for i in range(12))}, "the same caption"),
    ({"a.jsonl": "{broken"}, "a.jsonl must hold a JSON object a line"),
    ({"a.jsonl": '{"captions": ["a flag"]}'}, "a.jsonl must hold a JSON object a line with file"),
])
def test_a_folder_that_will_not_do_is_told_in_one_sentence(tmp_path, files, told):
    draw(tmp_path, 12)
    for name, text in files.items():
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=told) as error:
        read_captioned(tmp_path)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="there is no folder"):
        read_captioned(tmp_path / "nowhere")


def test_listed_files_that_are_not_there_are_left_out_and_counted(tmp_path):
    said = draw(tmp_path, 14)
    write_table(tmp_path, said)
    assert read_captioned(tmp_path).note == ""
    first, second = list(said)[3:5]
    (tmp_path / first).unlink()
    listed = read_captioned(tmp_path)
    assert {one.path.name for one in listed.captioned} == set(said) - {first}
    assert listed.note == f"1 file that is listed is not there and is left out: {first}"
    (tmp_path / second).unlink()
    told = f"2 files that are listed are not there and are left out, the first is {first}"
    assert read_captioned(tmp_path).note == told
    (tmp_path / list(said)[5]).unlink()
    with pytest.raises(ValueError, match=f"has 11: add more. {told.replace('2', '3')}"):
        read_captioned(tmp_path)


def test_a_tenth_is_held_out_and_stays_so_when_the_folder_grows():
    many = [Captioned(Path(f"{i}.jpg"), (str(i),)) for i in range(500)]
    train_, held = split(many, 1000)
    assert 25 <= len(held) <= 75 and len(train_) + len(held) == 500
    grown_train, grown_held = split([*many, *(Captioned(Path(f"new {i}.jpg"), ("x",)) for i in range(300))], 1000)
    assert set(held) <= set(grown_held) and set(train_) <= set(grown_train)
    few_train, few_held = split(many[:12], 12)
    assert (len(few_train), len(few_held)) == (8, 4)
    assert sum(map(len, split(many, 100))) == 100


def test_a_text_of_several_files_stands_in_a_batch_once_and_clips_keep_their_order():
    shown = [torch.full((4, 2, 3), float(i)) + torch.arange(4)[:, None, None] / 10 for i in range(6)]
    source = OwnSource(shown, [["one", "1"] if i % 2 else ["two"] for i in range(6)], "what?", 3)
    lengths = set()
    for seed in range(30):
        batch = source.batch(np.random.default_rng(seed), 6)
        assert len(set(batch.texts)) == len(batch.texts)
        lengths.add(batch.visual_tokens.shape[1])
        for window, owner in zip(batch.visual_tokens[..., 0, 0], batch.owners[:, 0], strict=True):
            assert batch.texts[owner] in (("one", "1") if int(window[0]) % 2 else ("two",))
            assert (window.diff() >= 0).all() and len(window.int().unique()) == 1
    assert lengths == {1, 3}


def test_a_checkpoint_learns_what_its_words_are_to_mean(smoke, own, tmp_path, monkeypatch):
    monkeypatch.setattr("vljepa.train.own.LEARNING_RATE", 2e-3)  # so small a model takes larger steps
    told = []
    model = load(smoke, "cpu", torch.float32)
    sentence = model.bank.texts[0]
    assert teach(OwnRun(str(own), steps=30), model, tmp_path, tmp_path / "out", Reins(), told.append)
    looks = [event for event in told if isinstance(event, Look)]
    examples = next(event for event in told if isinstance(event, Examples))
    assert examples.chance["found"] == pytest.approx(100 / 3)
    assert looks[-1].scores["found"] == 100.0 > looks[0].scores["found"]
    assert len(looks[-1].places) == len(looks[-1].targets) == len(examples.points)
    taught = load(tmp_path / "out", "cpu")
    assert (taught.name, taught.readouts) == ("my-photos", ("bank",))
    assert sentence in taught.bank.texts and set(COLOURS) <= set(taught.bank.texts)
    pictures = [[np.full((64, 64, 3), rgb, dtype=np.uint8)] for rgb in COLOURS.values()]
    said = [np.stack([one.embed_clip(picture) for picture in pictures]) @ one.embed_text(list(COLOURS)).T
            for one in (taught, load(smoke, "cpu"))]
    assert said[0].argmax(1).tolist() == [0, 1, 2] != said[1].argmax(1).tolist()


def test_clips_are_learned_from_too_and_a_film_of_them_is_one_of_them(smoke, tmp_path):
    said = draw(tmp_path, 12)
    for name in ("red", "blue"):
        film(tmp_path / f"{name}.mp4", scenes=(name,), size=(64, 64), seconds_each=1.0)
        said[f"{name}.mp4"] = {"red": "a ring", "blue": "a flag"}[name]
    write_table(tmp_path, said)
    told = []
    run = OwnRun(str(tmp_path), steps=6)
    assert teach(run, load(smoke, "cpu", torch.float32), tmp_path / "work", tmp_path / "out", Reins(), told.append)
    done = [event for event in told if isinstance(event, Done) and event.part == "file"]
    assert done[-1].count == done[-1].total == 14
    clips_alone = [Captioned(tmp_path / "red.mp4", ("a ring",))]
    assert film_own(clips_alone, [], 0, tmp_path / "try.mp4") == tmp_path / "red.mp4"
    train_, held = run.read()
    made = film_own(held, train_, 0, tmp_path / "photos.mp4")
    with open_video(made) as video:
        assert (video.info.width, video.info.height) == (640, 360)


# --- how long it takes -----------------------------------------------------------------------------------------------


def test_arms_run_beside_each_other_and_the_rest_one_after_another(tmp_path):
    pace = Pace(tmp_path / "pace.json")
    units = {"start": 1, "clip": 100, "file": 10, "a.step": 10, "a.look": 2, "b.step": 10}
    assert not pace.knows(units)
    for part, each_s in {"start": 3, "clip": 0.1, "file": 0.4, "a.step": 1, "a.look": 5, "b.step": 0.5}.items():
        pace.learn(part, each_s)
    assert pace.knows(units) and not pace.unknown(units) and pace.unknown({**units, "a.map": 1})
    assert pace.seconds(units, on=2) == pytest.approx(3 + 10 + 2 + 20)  # b runs beside a
    assert pace.seconds(units, on=1) == pytest.approx(3 + 10 + 4 + 25)


def test_what_is_left_follows_the_pace_of_this_run_and_is_remembered(tmp_path):
    pace = Pace(tmp_path / "pace.json")
    pace.learn("clip", 0.1)
    assert pace.left_s({"clip": 100}, {"clip": 10}, 50.0) == pytest.approx(9)  # too early to tell
    assert pace.left_s({"clip": 100}, {"clip": 80}, 24.0) == pytest.approx(3 * 2)
    pace.keep({"clip": 80}, 24.0)
    again = Pace(tmp_path / "pace.json")
    assert (again.each_s, again.stretch) == ({"clip": 0.1}, pytest.approx(3))
    (tmp_path / "pace.json").write_text("damaged")
    assert Pace(tmp_path / "pace.json").each_s == {}
    assert "vljepa.map" not in units_of_shapes(ShortRun(("joint",))) and units_of_own(20, 5)["file"] == 20


# --- as the app holds it ---------------------------------------------------------------------------------------------

TINY = {"what": "shapes", "arms": ["joint"], "clips": 64, "steps": 2000, "seed": 1}


@pytest.fixture
def ours(smoke, tmp_path, monkeypatch):
    monkeypatch.setenv("VLJEPA_CACHE", str(tmp_path))
    held = Training(engine_of(smoke, tmp_path))
    yield held
    held.close()


def test_a_run_is_started_once_paused_watched_and_stopped(ours):
    assert ours.view({}) == {"run": None}
    begun = ours.start(TINY)
    with pytest.raises(ValueError, match="a training is running here already"):
        ours.start(TINY)
    assert ours.estimate(TINY)["seconds"] is None  # unknown here, and nothing is measured beside a run
    eventually(lambda: ours.view({})["steps"].get("joint", 0) >= 2)
    ours.hold({"run": begun["run"], "action": "pause"})
    time.sleep(0.5)
    paused = ours.view({})
    time.sleep(0.5)
    again = ours.view({"run": begun["run"], "seen": paused["seen"]})
    assert again["state"] == "paused" and again["events"] == []
    assert again["elapsed_s"] == pytest.approx(paused["elapsed_s"])
    assert [event["kind"] for event in paused["events"]].count("examples") == 1
    ours.hold({"run": begun["run"], "action": "resume"})
    eventually(lambda: ours.view({})["steps"]["joint"] > paused["steps"]["joint"])
    with pytest.raises(ValueError, match="action must be one of"):
        ours.hold({"run": begun["run"], "action": "kill"})
    ours.hold({"run": begun["run"], "action": "stop"})
    eventually(lambda: ours.view({})["state"] == "stopped")
    ended = ours.view({})
    assert ended["events"][-1]["kind"] == "look" and ended["events"][-1]["step"] == ended["steps"]["joint"]
    assert not ended["kept"] and not ended["error"]
    with pytest.raises(ValueError, match="nothing to open"):
        ours.open({"run": begun["run"]})
    with pytest.raises(ValueError, match="that training is over"):
        ours.hold({"run": begun["run"], "action": "pause"})
    assert ours.pace.knows(units_of_shapes(ShortRun(("joint",))))
    assert ours.estimate({**TINY, "steps": 100})["seconds"] > 0


def test_what_has_learned_nothing_yet_is_stopped_at_once_and_what_dies_says_so(ours):
    begun = ours.start(TINY)
    ours.hold({"run": begun["run"], "action": "stop"})
    eventually(lambda: ours.view({})["state"] == "stopped", 30)
    ours.start(TINY)
    ours._run.kill()
    eventually(lambda: ours.view({})["state"] == "failed", 30)
    assert "ended unexpectedly" in ours.view({})["error"]


def test_a_folder_is_looked_into_and_its_words_are_taught_and_used(ours, own, smoke, tmp_path):
    asked = {"what": "photos", "folder": str(own), "files": 36, "steps": 8, "seed": 1}
    assert ours.about()["base"] == "everyday"  # the checkpoint in use is in no folder where it is found by name
    shutil.copytree(smoke, tmp_path / "checkpoints/smoke")
    assert ours.about()["base"] == "smoke"
    found = ours.look(asked)
    assert (found["photos"], found["clips"], found["captions"]) == (36, 0, 36)
    assert found["held"] >= 4 and found["note"] == ""
    for wrong, told in (({"files": 1}, "files must be 12 to 2000, got 1"), ({"folder": ""}, "no folder was given"),
                        ({"folder": "/nowhere/at/all"}, "there is no folder /nowhere/at/all")):
        with pytest.raises(ValueError, match=told):
            ours.start({**asked, **wrong})
    begun = ours.start(asked)
    eventually(lambda: ours.view({})["state"] == "done")
    assert ours.view({})["kept"] and "my-photos" in {info.name for info in list_checkpoints()}
    with zipfile.ZipFile(unquote(ours.zipped(begun)["url"].removeprefix("/gradio_api/file="))) as kept:
        assert {"config.json", "bank.txt", "predictor.safetensors"} <= set(kept.namelist())
    opened = ours.open(begun)
    assert ours.engine.jobs.get(opened["job"]).finished.wait(60)
    assert ours.engine.model.name == "my-photos" and ours.engine.sample(opened["source"]["sample"]).path.is_file()
    assert len(ours.engine.sample_reference(opened["source"]["sample"])) == 7
    assert ours.open(begun)["job"] is None  # it is in use already
    ours.engine.live.shut_down()


def test_others_may_watch_and_nobody_trains_what_anybody_may_reach(ours, own):
    ours.engine.alone = False
    begun = ours.start(TINY)
    assert ours.view({"key": begun["key"]})["mine"] and not ours.view({"key": "guessed"})["mine"]
    with pytest.raises(ValueError, match="somebody else has started"):
        ours.hold({"run": begun["run"], "key": "guessed", "action": "stop"})
    ours.hold({"run": begun["run"], "key": begun["key"], "action": "stop"})
    with pytest.raises(Exception, match="folders are on the computer that runs the app"):
        ours.look({"folder": str(own), "files": 36, "steps": 8, "seed": 1})
    ours.engine.closed_to_switch = "the terminal only"
    with pytest.raises(Exception, match="nothing is trained here"):
        ours.start(TINY)
