"""The five arms: what each predicts, that they draw the same batches, that they learn, and that collapse is seen."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from vljepa.arms.config import FULL, SHAPES
from vljepa.arms.data import CHUNK, Asked, Pool, Told, build_pool, mixture, word_tokenizer
from vljepa.arms.flow import FlowArm, FlowPainter, carried, hide, scaled, to_frames, to_patches, to_pixels
from vljepa.arms.joint import WithoutQueries, joined
from vljepa.arms.load import Arms
from vljepa.arms.measure import cost, spread_over_seeds
from vljepa.arms.recipe import (
    AlignedOnly,
    new_model,
    new_token_vlm,
    save_arm,
    train_collapsing,
    train_vjepa,
    untrained_encoder,
)
from vljepa.arms.scores import EmbeddingReader, TokenReader, held_out, reading_scores, world_prediction
from vljepa.arms.vjepa import VJEPAArm, draw_mask, probe, spread, standardised
from vljepa.shapes import before_after, clips, puzzles
from vljepa.shapes.language import CAPTION_QUERY, CHANGE_QUERY
from vljepa.train.contrastive import ContrastiveArm
from vljepa.train.loop import Schedule, train
from vljepa.tubelet_vit import STEPS, TubeletXEncoder
from vljepa.y_decoder import END

SHORT = Schedule(steps=3, learning_rate=1e-3, save_every=3, validate_every=3)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return TubeletXEncoder(SHAPES.x_encoder).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def pools(encoder):
    drawn = ((0, clips), (1, before_after))
    return tuple(build_pool(encoder, draw, [1, part], 48, lambda *_: None) for part, draw in drawn)


def pixels(count, seed=0):
    return scaled(torch.from_numpy(clips(seed, count).frames))


def test_the_encoder_gives_a_token_for_every_place_free_of_the_ground(encoder):
    tokens = encoder(pixels(2))
    assert tokens.shape == (2, 1, 16, 4 * 2 * SHAPES.x_encoder.hidden)
    torch.testing.assert_close(tokens.mean(2), torch.zeros(2, 1, tokens.shape[-1]), atol=1e-4, rtol=0)
    half = encoder(pixels(2)[:, :5])  # its first frame stands for what is missing
    full = torch.cat([pixels(2)[:, :1]] * 3 + [pixels(2)[:, :5]], dim=1)
    torch.testing.assert_close(half, encoder(full))


def test_tokens_that_are_not_kept_do_not_take_part(encoder):
    embedded = encoder.embed(pixels(2))
    kept = torch.tensor([0, 5, 40])
    changed = embedded.clone()
    changed[:, 7] += 100
    torch.testing.assert_close(encoder.encode(embedded, kept), encoder.encode(changed, kept))


def test_masks_hide_some_and_keep_some_and_share_nothing():
    for seed in range(40):
        kept, hidden = draw_mask(np.random.default_rng(seed), 4)
        assert len(kept) >= 10 and len(hidden) >= 10
        assert sorted([*kept.tolist(), *hidden.tolist()]) == list(range(64))


def test_vjepas_targets_get_no_gradient_and_follow_slowly():
    arm = VJEPAArm(TubeletXEncoder(SHAPES.x_encoder), 10, 4, 1, dict)
    before = arm.target.blocks[0].up.weight.clone()
    loss, said = arm.loss(0)
    loss.backward()
    assert all(p.grad is None for p in arm.target.parameters())
    assert arm.encoder.blocks[0].up.weight.grad.abs().sum() > 0
    with torch.no_grad():
        arm.encoder.blocks[0].up.weight.add_(1.0)
    arm.loss(1)
    moved = (arm.target.blocks[0].up.weight - before).mean().item()
    assert 0.005 < moved < 0.02  # a hundredth of the way
    assert said["variance"] > 0


def test_without_its_defences_vjepa_collapses_and_with_them_it_does_not(tmp_path):
    schedule = Schedule(steps=20, learning_rate=4e-3, save_every=100, validate_every=100)
    left = {}
    for collapse in (False, True):
        torch.manual_seed(0)
        arm = VJEPAArm(TubeletXEncoder(SHAPES.x_encoder), 20, 4, 1, lambda _: {}, collapse)
        train(arm, schedule, tmp_path, f"collapse{collapse}", CPU)
        said = [json.loads(line) for line in (tmp_path / f"collapse{collapse}.log.jsonl").read_text().splitlines()]
        left[collapse] = said[-1]["variance"] / said[0]["variance"]
    assert left[True] < 0.6 * left[False]


def test_collapse_is_recorded_with_and_without_its_defence(encoder, pools, tmp_path):
    tiny = Schedule(steps=6, learning_rate=3e-3, save_every=10, validate_every=10)
    budget = replace(FULL, vjepa=tiny, collapse=tiny, vjepa_batch=4, probed=8)
    torch.manual_seed(0)
    train_vjepa(budget, tmp_path)
    many = build_pool(encoder, clips, [5], 64, lambda *_: None)
    train_collapsing(budget, pools, encoder, held_out(encoder, many, puzzles(6, 2)), tmp_path, tmp_path / "out")
    told = json.loads((tmp_path / "out" / "collapse.json").read_text())
    assert told["steps"] == [0, 1, 2, 3, 4, 5, 6] and len(told["colour"]) == 64
    assert told["colour"][:3] == many.motions[0].start.colour[:3, 0].tolist()
    for run in ("vljepa_healthy", "vljepa_collapse"):
        assert np.shape(told[run]["xy"]) == (7, 64, 2) and len(told[run]["spread"]) == 7
        logged = [json.loads(line)["loss"] for line in (tmp_path / f"{run}.log.jsonl").read_text().splitlines()]
        np.testing.assert_allclose(told[run]["loss"], logged, atol=1e-3)
    assert told["vljepa_healthy"]["xy"][0] == told["vljepa_collapse"]["xy"][0]  # the same first weights
    assert told["vjepa"]["variance"][0] == told["vjepa_collapse"]["variance"][0]


def test_standardised_features_have_mean_zero_and_deviation_one():
    x = standardised(torch.randn(30, 8, 5) * 3 + 2)
    torch.testing.assert_close(x.mean((0, 1)), torch.zeros(5), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.std((0, 1)), torch.ones(5), atol=1e-2, rtol=0)
    assert spread(torch.ones(4, 3)) == 0


def test_the_text_arms_draw_the_same_clips_texts_and_order(pools):
    drawn = mixture(pools, 8)
    for step in range(6):
        (name, make), (again, remake) = drawn.at(5, step), WithoutQueries(drawn.parts).at(5, step)
        one, other = make(), remake()
        assert name == again
        torch.testing.assert_close(one.visual_tokens, other.visual_tokens)
        assert other.queries is None
        for i, query in enumerate(one.queries):
            assert other.texts[other.owners[i, 0]] == joined(query, one.texts[one.owners[i, 0]])


def test_a_question_batch_holds_every_answer_of_its_kind_and_the_right_one(pools):
    batch = Asked(pools[0], "count").batch(np.random.default_rng(0), 20)
    assert batch.texts == ["none", "one", "two"] and len(batch.queries) == 20
    told = Told(pools[0], CAPTION_QUERY).batch(np.random.default_rng(0), 20)
    assert len(set(told.texts)) == len(told.texts)


def test_a_pools_clips_know_their_scene():
    big = Pool(torch.zeros(CHUNK + 3, 4, 16, 192), [clips(0, 4).motion, clips(1, 4).motion])
    assert big.scene(CHUNK + 2) == (big.motions[1], 2)


def test_the_tokenizer_knows_every_word_and_spells_back():
    words = word_tokenizer()
    ids = words.ids(["Is there a red ball?"])[0]
    assert min(ids) > 3
    assert words.decode(ids) == "is there a red ball"
    assert words.ids(["xyzzy"]) == [[3]]


def test_the_token_vlm_has_about_twice_vljepas_trainable_size(encoder, pools):
    model = new_model(encoder, 1)
    arm = ContrastiveArm(model, mixture(pools, 8), 1, dict, 1.0)
    trained = sum(p.numel() for ps, _ in arm.groups() for p in ps)
    assert sum(p.numel() for p in new_token_vlm(1).parameters()) / trained == pytest.approx(2.0, abs=0.1)


def test_what_the_token_vlm_writes_step_by_step_is_what_it_finds_likeliest(pools):
    vlm = new_token_vlm(3).eval()
    tokens = pools[0].tokens[:3].float()
    queries = ["what happens?", "is there a red ball?", "describe the clip."]  # of different lengths
    ids = torch.stack(list(vlm.steps(tokens, queries)), dim=1)
    for row in range(3):  # alone, without padding and without kept keys
        alone = torch.stack(list(vlm.steps(tokens[row : row + 1], queries[row : row + 1])), dim=1)[0].tolist()
        mine = ids[row].tolist()
        end = alone.index(END) + 1 if END in alone else len(alone)
        assert mine[:end] == alone[:end]


def test_likelihood_does_not_depend_on_the_others_in_the_batch(pools):
    vlm, tokens = new_token_vlm(3).eval(), pools[0].tokens[:2].float()
    together = vlm.log_likelihood(tokens, ["what happens?", "how many things are there at first?"], ["it rests", "one"])
    alone = vlm.log_likelihood(tokens[:1], ["what happens?"], ["it rests"])
    torch.testing.assert_close(together[:1], alone, atol=1e-4, rtol=1e-4)


def test_patches_and_pixels_are_inverses_and_so_are_frames():
    x = torch.randn(2, 8, 3, 64, 64)
    torch.testing.assert_close(to_pixels(to_patches(x)), x)
    frames = clips(0, 2).frames
    np.testing.assert_array_equal(to_frames(scaled(torch.from_numpy(frames))), frames)


def test_painting_leaves_what_is_visible_and_is_the_same_for_a_seed():
    painter, seen = FlowPainter(), pixels(2)
    hidden = hide("future", 2)
    one, again, other = (list(painter.paint(seen, hidden, 3, seed))[-1] for seed in (1, 1, 2))
    torch.testing.assert_close(one, again)
    torch.testing.assert_close(one[:, :4], seen[:, :4])
    assert not torch.equal(one[:, 4:], other[:, 4:])
    assert len(list(painter.paint(seen, hidden, 7, 0))) == 7


def test_painting_begins_from_the_visible_patch_that_is_nearest_in_time():
    seen = pixels(1)
    tubes = to_patches(seen).unflatten(1, (4, -1))
    near = carried(to_patches(seen), hide("middle", 1)).unflatten(1, (4, -1))
    torch.testing.assert_close(near[:, 1:3], tubes[:, [0, 3]])
    assert not near[:, [0, 3]].any()  # visible ones need nothing carried to them
    assert not carried(to_patches(seen), torch.ones(1, 256, dtype=torch.bool)).any()


def test_bad_painting_is_refused_in_words():
    with pytest.raises(ValueError, match="at least one step, got 0"):
        list(FlowPainter().paint(pixels(1), hide("future", 1), 0, 0))
    with pytest.raises(ValueError, match="future, middle, past, got 'all'"):
        hide("all", 1)


def test_a_painter_that_knows_the_answer_reaches_it_in_one_step_or_many():
    seen, hidden = pixels(2), hide("middle", 2)

    class Knows(FlowPainter):
        def forward(self, *_):
            return to_patches(seen)

    for steps in (1, 9):
        torch.testing.assert_close(list(Knows().paint(seen, hidden, steps, 0))[-1], seen, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["vljepa", "token_vlm", "joint", "flow", "aligned"])
def test_every_arm_learns_from_its_own_loss(name, encoder, pools, tmp_path):
    from vljepa.arms.token_vlm import TokenVLMArm

    drawn, model = mixture(pools, 16), new_model(encoder, 1)
    arm = {"vljepa": lambda: ContrastiveArm(model, drawn, 1, dict, 1.0),
           "joint": lambda: ContrastiveArm(model, WithoutQueries(drawn.parts), 1, dict, 1.0),
           "aligned": lambda: AlignedOnly(model, drawn, 1, dict, 1.0),
           "token_vlm": lambda: TokenVLMArm(new_token_vlm(1), drawn, 1, dict),
           "flow": lambda: FlowArm(FlowPainter(), 4, 1, dict)}[name]()
    train(arm, replace(SHORT, steps=8, learning_rate=3e-3), tmp_path, name, CPU)
    with torch.autocast("cpu", torch.bfloat16):
        now = np.mean([arm.loss(step)[0].item() for step in range(8)])
    before = np.mean([json.loads(line)["loss"] for line in (tmp_path / f"{name}.log.jsonl").read_text().splitlines()])
    assert now < before


def test_readers_answer_from_their_candidates_and_puzzles_are_scored(encoder, pools):
    data = held_out(encoder, pools[0], puzzles(9, 12))
    model = new_model(encoder, 1)
    for reader in (EmbeddingReader(model, ["a red ball rests", "it goes"]), TokenReader(new_token_vlm(1).eval()),
                   EmbeddingReader(model, ["a red ball rests", "it goes"], joint=True)):
        scores = reading_scores(reader, data, ("count",))
        assert 0 <= scores["count"] <= 100
        assert set(world_prediction(reader, data)) == {"text", "clip"}


def test_a_model_that_says_the_same_of_everything_solves_no_puzzle(encoder, pools):
    data = held_out(encoder, pools[0], puzzles(9, 12))

    class Same:
        def match_texts(self, *_):
            return np.zeros((12, 4))

        match_clips = say = answer = match_texts

    assert world_prediction(Same(), data) == {"text": 0.0, "clip": 0.0}


def test_an_arm_too_large_for_one_file_is_saved_in_several(tmp_path):
    save_arm(tmp_path, "token_vlm", new_token_vlm(1))
    files = sorted(p.name for p in tmp_path.iterdir())
    assert files == [f"token_vlm-{part}.safetensors" for part in (1, 2, 3)]
    assert all(p.stat().st_size < 700_000 for p in tmp_path.iterdir())


def test_costs_and_error_bars_are_what_they_say():
    spread_ = spread_over_seeds([{"a": 1.0}, {"a": 3.0}])
    assert spread_ == {"a": {"mean": 2.0, "std": pytest.approx(1.414, abs=1e-3)}}
    weight = torch.zeros(100, 50)
    assert cost(lambda: torch.zeros(1, 100) @ weight)["mflop"] == pytest.approx(0.01)


def test_the_budget_is_common():
    assert FULL.repeat.steps < FULL.text.steps and len(FULL.repeat_seeds) >= 2
    assert CHANGE_QUERY != CAPTION_QUERY and STEPS == 4


def test_a_probe_reads_colours_even_from_random_features():
    found = probe(untrained_encoder(0), clips(1, 600), clips(2, 300))
    assert found["probe_colour"] > 25.0  # chance is one in eight


def test_every_shipped_arm_loads_and_the_written_ones_say_what_happens():
    arms = Arms()
    shown = held_out(arms.encoder, build_pool(arms.encoder, clips, [77], 60, lambda *_: None), puzzles(78, 60))
    joint = EmbeddingReader(arms.joint, [], joint=True)
    for reader in (EmbeddingReader(arms.vljepa, []), TokenReader(arms.token_vlm), joint):
        assert world_prediction(reader, shown)["text"] > 75.0  # chance is 25
    assert not arms.flow.training and not arms.latent.training
