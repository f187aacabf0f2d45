"""What runs on a GPU gives what the CPU gives: films, live sessions, training. Only where there is a GPU.

None was at hand when this was written, so that only the same steps on a CPU have been seen to pass.
"""

import json

import numpy as np
import pytest
import torch
from test_scale import finished, png, shard, torchrun

import vljepa
from vljepa.bench_shared import write_video
from vljepa.colour_names import NAMES
from vljepa.train.batches import CaptionSource, Mixture, Photos, QuestionSource
from vljepa.train.contrastive import ContrastiveArm
from vljepa.train.decoding import DecoderArm
from vljepa.train.reading import ReaderArm
from vljepa.train.smoke import draw_pictures

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("gpu") / "film.mp4"
    write_video(path, 12.0)
    return path


@pytest.fixture(scope="module")
def shown(smoke, film):
    """Model and trajectory of the same film, by device."""
    models = {device: vljepa.load(smoke, device=device) for device in ("cpu", "cuda")}
    return {device: (model, model.embed(film).collect()) for device, model in models.items()}


def test_a_film_has_the_same_embeddings_cuts_and_sentences(shown, film):
    (on_cpu, slow), (on_gpu, fast) = shown["cpu"], shown["cuda"]
    assert on_gpu.device.type == "cuda"
    assert on_gpu.dtype == torch.bfloat16
    np.testing.assert_array_equal(slow.times_s, fast.times_s)
    assert (slow.embeddings * fast.embeddings).sum(1).min() > 0.98
    analyses = [vljepa.analyze(model, film, vljepa.CutSettings("count", 3)) for model in (on_cpu, on_gpu)]
    starts = [[segment.start_s for segment in analysis.segments] for analysis in analyses]
    np.testing.assert_allclose(*starts, atol=0.3)
    assert all(segment.caption for segment in analyses[1].segments)
    texts = ["a red ball", "two blue boxes on a white ground"]
    assert (on_cpu.embed_text(texts) * on_gpu.embed_text(texts)).sum(1).min() > 0.98
    assert on_gpu.decode(on_gpu.embed_text(texts), "bank")[0].similarity > 0.5


def test_a_live_session_runs_on_it(shown):
    model, trajectory = shown["cuda"]
    pictures, _ = draw_pictures(8, 3)
    with vljepa.LiveModel(model) as live, live.session() as session:
        seen, updates = -1, []
        for picture in pictures:
            session.offer(picture)
            events = session.wait(seen, timeout_s=20.0)
            assert events, "no answer within 20 s"
            seen = events[-1].index
            updates += [event for event in events if isinstance(event, vljepa.LiveUpdate)]
    assert len(updates) == len(pictures)
    assert trajectory.embeddings.shape[1] == len(updates[0].embedding)


def arms(smoke, device):
    """What the recipe trains, on drawn pictures, on one device, in float32 and without chance."""
    model = vljepa.load(smoke, device=device, dtype="float32")
    pictures, captions = draw_pictures(64, 5)
    tokens = model.encode_frames(pictures).clone()
    photos = Photos([tokens, tokens.flip(2)], model.config.predictor.window_frames)
    questions = [(i, "what colour is it", NAMES[i % len(NAMES)]) for i in range(64)]
    asked = QuestionSource(photos, questions, NAMES, model.config.x_encoder.colour_parts, turned=0.5)
    mixture = Mixture([("captions", CaptionSource(photos, captions), 0.5, 32), ("colours", asked, 0.5, 32)])
    alone = Mixture([("colours", asked, 1.0, 32)])
    said = [caption for three in captions for caption in three]
    yield ContrastiveArm(model, mixture, 0, dict).eval()
    yield ReaderArm(model, alone, mixture, 0, 0.05, dict).eval()
    yield DecoderArm(model, captions, 32, 0, dict, model.embed_text(said)).eval()


def test_every_arm_has_the_loss_and_gradients_that_it_has_on_a_cpu(smoke):
    for on_cpu, on_gpu in zip(arms(smoke, "cpu"), arms(smoke, "cuda"), strict=True):
        for step in range(4):
            losses = [arm.loss(step)[0] for arm in (on_cpu, on_gpu)]
            assert losses[1].device.type == "cuda"
            np.testing.assert_allclose(*(loss.item() for loss in losses), rtol=1e-2)
            norms = []
            for arm, loss in zip((on_cpu, on_gpu), losses, strict=True):
                arm.zero_grad()
                loss.backward()
                norms.append(torch.stack([p.grad.norm().cpu() for p in arm.parameters() if p.grad is not None]).norm())
            np.testing.assert_allclose(*(norm.item() for norm in norms), rtol=5e-2)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_the_recipe_of_the_papers_size_runs_on_it(smoke, strategy, tmp_path):
    pictures, captions = draw_pictures(24, 5)
    shard(tmp_path / "0.tar", [member for i in range(24) for member in (
        (f"{i:04}.png", png(pictures[i])), (f"{i:04}.json", json.dumps({"caption": captions[i][0]}).encode()))])
    finished(torchrun("-m", "vljepa", "train", "paper", "--shards", tmp_path / "*.tar", "--from", smoke, "--steps", 6,
                      "--batch", 8, "--save-every", 3, "--workers", 0, "--recompute", "--strategy", strategy,
                      "--work", tmp_path / "work", "--out", tmp_path / "out", processes=1))
    logged = [json.loads(line) for line in (tmp_path / "work/paper.log.jsonl").read_text().splitlines()]
    assert len(logged) == 6
    assert all(np.isfinite(row["loss"]) for row in logged)
    assert vljepa.load(tmp_path / "out", device="cuda").embed_text(["a red ball"]).shape == (1, 64)
