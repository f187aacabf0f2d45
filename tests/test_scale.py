"""Training on several processes: the gradients of one, a killed run that goes on exactly, shards read by place."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scale_worker import arm_of, gradients

import vljepa
from vljepa import checkpoint, public
from vljepa.bench_shared import write_video
from vljepa.train import paper
from vljepa.train.loop import Alone
from vljepa.train.shards import ByPlace, Order, Shards, StreamedBatches
from vljepa.train.smoke import draw_pictures

ROOT = Path(__file__).resolve().parent.parent


def torchrun(*words, processes=2, **options):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
               *map(str, words)]
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    return subprocess.Popen(command, cwd=ROOT, env=quiet, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            **options)


def finished(process, timeout_s=240):
    told, _ = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, told[-3000:]
    return told


def test_two_processes_with_half_a_batch_have_the_gradients_of_one_with_all_of_it(tmp_path):
    running = torchrun(ROOT / "tests/scale_worker.py", tmp_path)
    arm = arm_of(0, 1)
    loss, _ = arm.loss(0)
    loss.backward()
    wanted = gradients(arm)
    Alone().clip(arm)
    clipped = gradients(arm)
    finished(running)
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    assert wanted["log_temperature"].abs() > 0.01
    for strategy in ("ddp", "fsdp"):
        torch.testing.assert_close(found[strategy].pop("loss"), loss.detach(), atol=1e-5, rtol=1e-5)
        assert found[strategy].keys() == wanted.keys()
        for name, gradient in wanted.items():
            torch.testing.assert_close(found[strategy][name], gradient, atol=1e-5, rtol=1e-4, msg=f"{strategy} {name}")
            torch.testing.assert_close(found[f"{strategy} clipped"][name], clipped[name], atol=1e-5, rtol=1e-4)


def test_recomputing_activations_changes_no_gradient():
    torch.manual_seed(0)
    arms = [arm_of(0, 1), arm_of(0, 1)]
    arms[1].predictor.recompute = True
    arms[1].y_encoder.model.activation_checkpointing_enable({"use_reentrant": False})
    for arm in arms:
        arm.train()
        arm.loss(0)[0].backward()
    plain, recomputed = map(gradients, arms)
    for name, gradient in plain.items():
        torch.testing.assert_close(recomputed[name], gradient, atol=1e-6, rtol=1e-6)


def shard(path, samples):
    with tarfile.open(path, "w") as tar:
        for name, data in samples:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def png(picture):
    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three shards of drawn pictures and one film; one sample without its text, which is no sample."""
    root = tmp_path_factory.mktemp("shards")
    pictures, captions = draw_pictures(24, 5)
    write_video(root / "film.mp4", 3.0)
    for number in range(3):
        samples = []
        for i in range(8 * number, 8 * number + 8):
            said = {"captions": captions[i]} if i % 2 else {"caption": captions[i][0], "query": "What is it?"}
            samples += [(f"d/{i:04}.png", png(pictures[i])), (f"d/{i:04}.json", json.dumps(said).encode())]
        shard(root / f"{number}.tar", samples)
    shard(root / "3.tar", [("film.mp4", (root / "film.mp4").read_bytes()), ("film.txt", b"some bars\n"),
                           ("lonely.png", png(pictures[0]))])
    return root


@pytest.fixture(scope="module")
def model(smoke):
    return vljepa.load(smoke, device="cpu", dtype="float32")


def test_shards_are_read_by_place(data, model, tmp_path):
    shards = Shards(str(data / "*.tar"), model, tmp_path)
    assert len(shards) == 25
    pictures, captions = draw_pictures(24, 5)
    window = model.config.predictor.window_frames
    for i in (17, 2, 9):
        sample = shards[i]
        np.testing.assert_array_equal(sample.clip, np.stack([pictures[i]] * window))
        assert sample.text == (captions[i][i % 3] if i % 2 else captions[i][0])
        assert sample.query == (None if i % 2 else "What is it?")
    film = shards[24]
    assert film.text == "some bars"
    assert film.clip.shape == (window, 64, 64, 3)
    assert (film.clip[0] != film.clip[-1]).any()
    kept = list(tmp_path.iterdir())
    Shards(str(data / "*.tar"), model, tmp_path)
    assert list(tmp_path.iterdir()) == kept


@pytest.mark.parametrize(("members", "told"), [
    ([("a.png", b"no png"), ("a.txt", b"words")], "the photo does not decode"),
    ([("a.mp4", b"no film"), ("a.txt", b"words")], "cannot be used|not a video"),
    ([("a.png", b""), ("a.json", b"{}")], "sample 0, in bad.tar, cannot be used: 'caption'"),
    ([("a.png", b""), ("a.txt", b" ")], "its text is empty"),
])
def test_a_sample_that_is_none_is_named(members, told, model, tmp_path):
    shard(tmp_path / "bad.tar", members)
    with pytest.raises((ValueError, vljepa.VideoError), match=told):
        Shards(str(tmp_path / "*.tar"), model, tmp_path)[0]


def test_what_is_no_shard_is_told(model, tmp_path):
    with pytest.raises(ValueError, match="there are no shards at"):
        Shards(str(tmp_path / "*.tar"), model, tmp_path)
    (tmp_path / "a.tar").write_bytes(b"x" * 2000)
    with pytest.raises(ValueError, match="not a tar file"):
        Shards(str(tmp_path / "*.tar"), model, tmp_path)
    shard(tmp_path / "a.tar", [("a.png", b"")])
    with pytest.raises(ValueError, match="hold no sample"):
        Shards(str(tmp_path / "*.tar"), model, tmp_path)


def test_each_epoch_shows_each_sample_once_to_one_process():
    orders = [Order(samples=10, batch=4, seed=1, rank=rank, world=2) for rank in (0, 1)]
    for epoch in range(3):
        seen = [i for step in (2 * epoch, 2 * epoch + 1) for order in orders for i in order.at(step)]
        assert len(seen) == len(set(seen)) == 8
    assert orders[0].at(0) + orders[1].at(0) == Order(10, 4, 1).at(0)
    assert Order(10, 4, 1).at(0) != Order(10, 4, 1).at(2)
    for wrong in ({"batch": 5, "world": 2}, {"batch": 12}):
        with pytest.raises(ValueError, match="must divide by the"):
            Order(**{"samples": 10, "seed": 0, "batch": 4, **wrong})


def test_a_jump_reads_what_was_to_come(data, model, tmp_path):
    shards = Shards(str(data / "[012].tar"), model, tmp_path)
    def batches(workers=0):
        return StreamedBatches(ByPlace(shards, Order(len(shards), 6, 2), workers), model)
    through, resumed = batches(workers=1), batches()
    steps = [through.at(0, step)[1]() for step in range(6)]
    for step in (4, 5):
        batch = resumed.at(0, step)[1]()
        assert batch.texts == steps[step].texts
        torch.testing.assert_close(batch.visual_tokens, steps[step].visual_tokens)
    assert len({tuple(batch.texts) for batch in steps}) == 6


def losses(folder):
    path = folder / "paper.log.jsonl"
    return [json.loads(line)["loss"] for line in path.read_text().splitlines()] if path.exists() else []


def kill_one(command, folder, steps, which):
    """Run a command on two processes and kill one of them once the log in `folder` has that many steps."""
    killed = torchrun(*command, start_new_session=True)
    while len(losses(folder)) < steps:
        assert killed.poll() is None, killed.stdout.read()
        time.sleep(0.02)
    children = subprocess.run(["ps", "--ppid", str(killed.pid), "-o", "pid="], capture_output=True, text=True,
                              check=True).stdout.split()
    os.kill(int(children[which]), signal.SIGKILL)
    killed.communicate(timeout=120)
    assert killed.returncode != 0


def test_a_killed_process_ends_the_run_which_then_goes_on_to_the_same_losses(data, smoke, tmp_path):
    def command(name, *more):
        return ("-m", "vljepa", "train", "paper", "--shards", data / "[012].tar", "--validation-shards",
                data / "[01].tar", "--from", smoke, "--steps", 12, "--batch", 8, "--learning-rate", "1e-3",
                "--save-every", 4, "--workers", 0, "--device", "cpu", "--strategy", "fsdp", "--work", tmp_path / name,
                "--out", tmp_path / f"{name}-checkpoint", "--tensorboard", tmp_path / "board", *more)

    finished(torchrun(*command("whole")))
    kill_one(command("killed"), tmp_path / "killed", steps=6, which=-1)
    assert 6 <= len(losses(tmp_path / "killed")) < 12
    finished(torchrun(*command("killed")))
    assert len(losses(tmp_path / "whole")) == 12
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    last = json.loads((tmp_path / "whole/paper.log.jsonl").read_text().splitlines()[-1])
    assert {"val_v2t_r1", "val_t2v_r1", "temperature", "alignment"} <= last.keys()
    assert list((tmp_path / "board").glob("events*"))
    before, after = (vljepa.load(folder, device="cpu", dtype="float32")
                     for folder in (smoke, tmp_path / "whole-checkpoint"))
    assert (before.embed_text(["a red ball"]) != after.embed_text(["a red ball"])).any()
    assert after.bank.texts == before.bank.texts


def test_what_was_trained_can_speak_and_has_a_name_and_a_map_of_its_own(smoke, tmp_path, monkeypatch):
    sentences, centres = ["a red ball", "a blue box", "two flags"], []
    monkeypatch.setattr(public, "_sentences", lambda: sentences)
    monkeypatch.setattr(public, "_photos", lambda: list(draw_pictures(3, 0)[0]))
    monkeypatch.setattr("vljepa.train.bank.build_landmarks", lambda *given, **_: centres.append(given))
    start = vljepa.load(smoke, device="cpu", dtype="float32")
    start.bank = None
    checkpoint.save(start, tmp_path / "bare", torch.float32)
    start.y_encoder.projector.bias.data += 0.1
    trained = {f"{part}.{name}": tensor for part in ("predictor", "y_encoder")
               for name, tensor in getattr(start, part).state_dict().items()}
    torch.save({"module": trained}, tmp_path / "state.pt")
    paper.write(tmp_path / "bare", tmp_path / "state.pt", tmp_path / "mine")
    mine = vljepa.load(tmp_path / "mine", device="cpu", dtype="float32")
    assert mine.name == "mine"
    assert mine.bank.texts == sentences
    np.testing.assert_allclose(mine.bank.embeddings, mine.embed_text(sentences), atol=0.02)  # kept in half precision
    assert len(centres) == 1
