"""The four parts: what a mask, a pad or a query must and must not change."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import vljepa
from vljepa.colour_names import NAMES, column_count, rename
from vljepa.config import EVERYDAY, PAPER, SMOKE, ModelConfig, PredictorConfig, XEncoderConfig, YEncoderConfig
from vljepa.predictor import LOOK, ColourReader, Predictor
from vljepa.text import pad
from vljepa.x_encoder import build_x_encoder
from vljepa.y_decoder import END, START, Repetition, YDecoder
from vljepa.y_encoder import YEncoder


@pytest.fixture
def predictor():
    torch.manual_seed(0)
    return Predictor(replace(SMOKE.predictor, drop_tokens=0.0), visual_dim=12, tokens_per_step=5, embed_dim=16).eval()


def windows(batch=2, steps=3):
    return torch.randn(batch, steps, 5, 12, generator=torch.Generator().manual_seed(1))


def test_the_predictor_looks_both_ways(predictor):
    """With a causal mask the first visual token could not see the query, and the mean would hide it only in part."""
    seen = {}
    predictor.layers[-1].register_forward_hook(lambda *called: seen.update(out=called[2]))
    one, other = torch.tensor([[5, 6]]), torch.tensor([[5, 7]])
    outputs = []
    for query in (one, other):
        predictor(windows(1), query, torch.ones_like(query, dtype=torch.bool))
        outputs.append(seen["out"][0, 0])
    assert not torch.allclose(outputs[0], outputs[1])


def test_padding_of_a_query_changes_nothing(predictor):
    visual, query = windows(1), torch.tensor([[5, 6, 7]])
    alone = predictor(visual, query, torch.ones_like(query, dtype=torch.bool))
    padded, mask = torch.tensor([[5, 6, 7, 0, 0, 0]]), torch.tensor([[True] * 3 + [False] * 3])
    torch.testing.assert_close(predictor(visual, padded, mask), alone, atol=1e-5, rtol=1e-5)


def test_a_query_changes_the_prediction(predictor):
    visual, query = windows(1), torch.tensor([[5, 6, 7]])
    mask = torch.ones_like(query, dtype=torch.bool)
    assert not torch.allclose(predictor(visual, query, mask), predictor(visual, query.flip(1), mask), atol=1e-4)
    assert not torch.allclose(predictor(visual, query, mask), predictor(visual), atol=1e-4)


def test_rows_of_a_batch_do_not_touch(predictor):
    visual = windows(3)
    together = predictor(visual)
    torch.testing.assert_close(torch.cat([predictor(v[None]) for v in visual]), together, atol=1e-5, rtol=1e-5)


def test_time_and_place_matter(predictor):
    visual = windows(1)
    assert not torch.allclose(predictor(visual), predictor(visual.flip(1)), atol=1e-4)
    assert not torch.allclose(predictor(visual), predictor(visual.flip(2)), atol=1e-4)


def test_the_last_step_of_a_short_window_counts_as_now(predictor):
    """Gradients of a one-step window reach the last time vector alone."""
    predictor(windows(1, steps=1)).sum().backward()
    reached = predictor.time.grad.abs().sum(1) > 0
    assert reached.tolist() == [False, False, True]


def test_the_colour_reader_says_what_stands_where_it_looks():
    """A place of 2 x 2 parts, one of which it is made to look for: only the colour there is said, whatever its name."""
    reader = ColourReader(hidden=4, embed_dim=11, parts=2, widths=(3, 5), dropout=0.0).eval()
    reader.names.data = torch.eye(11)
    reader.ask.weight.data.zero_()
    reader.ask.bias.data = F.one_hot(torch.tensor(0), LOOK).float()
    reader.deep.weight.data.zero_()
    reader.fine.weight.data = torch.zeros(5, LOOK)
    reader.fine.weight.data[2, 0] = 200.0  # it looks for whatever has feature 2
    fine, names = torch.zeros(4, 5), torch.zeros(4, 11)
    fine[1, 2] = 1.0
    for part, name in enumerate(("grey", "red", "green", "blue")):
        names[part, NAMES.index(name)] = 1.0

    def said():
        columns = torch.cat([torch.zeros(3), fine.flatten(), names.flatten()])[None, None]
        return reader(torch.zeros(1, 4), torch.zeros(1, 4), columns)[0]

    assert reader.columns == 3 + 4 * 5 + 4 * 11
    assert NAMES[int(said().argmax())] == "red"
    names[1] = names[1].roll(1)
    assert NAMES[int(said().argmax())] == NAMES[NAMES.index("red") + 1]
    reader.heed.bias.data.fill_(-30.0)
    assert said().abs().max() < 1e-6


def test_the_colour_reader_spreads_deep_features_over_the_fine_parts():
    reader = ColourReader(hidden=4, embed_dim=11, parts=4, widths=(3, 5), dropout=0.0).eval()
    deep = torch.arange(4.0).repeat_interleave(3)[None, None]  # 2 x 2 of them, each thrice its number
    near = reader._near(deep, torch.ones(1, 3), 2)
    assert near.reshape(4, 4).tolist() == [[0, 0, 3, 3], [0, 0, 3, 3], [6, 6, 9, 9], [6, 6, 9, 9]]


def test_a_predictor_with_named_colours_sees_them_through_the_reader_alone():
    torch.manual_seed(0)
    columns = column_count(2, (3, 5))
    sizes = {"visual_dim": 12 + columns, "tokens_per_step": 5, "embed_dim": 16}
    seeing = Predictor(replace(SMOKE.predictor, drop_tokens=0.0), **sizes, colour_parts=2, part_widths=(3, 5)).eval()
    tokens = torch.rand(1, 2, 5, 12 + columns)
    turned = rename(tokens, 2, torch.arange(10, -1, -1)[None])
    with torch.no_grad():
        assert not torch.allclose(seeing(tokens), seeing(turned))
        seeing.colours = None
        torch.testing.assert_close(seeing(tokens), seeing(turned))


def test_the_y_encoder_ignores_padding():
    torch.manual_seed(0)
    encoder = YEncoder(SMOKE.y_encoder, 16).eval()
    tokens, mask = pad([[5, 6, 7], [8, 9, 10, 11, 12]])
    together = encoder(tokens, mask)
    torch.testing.assert_close(encoder(*pad([[5, 6, 7]])), together[:1], atol=1e-5, rtol=1e-5)


def test_the_decoder_is_causal():
    """Changing a later word must not change the loss of earlier ones."""
    torch.manual_seed(0)
    decoder = YDecoder(SMOKE.y_decoder, 16).eval()
    embedding, short = torch.randn(1, 16), torch.tensor([[START, 5, 6, END]])
    losses = [decoder.loss(embedding, torch.tensor([[START, 5, 6, last, END]]))
              for last in (7, 8)]
    assert losses[0] != losses[1]
    hidden = [decoder.model.model(inputs_embeds=decoder.model.model.embed_tokens(torch.tensor([[START, 5, last]])))
              .last_hidden_state[0, :2] for last in (7, 8)]
    torch.testing.assert_close(hidden[0], hidden[1])
    assert torch.isfinite(decoder.loss(embedding, short))


def test_the_decoder_learns_a_sentence_from_its_embedding():
    torch.manual_seed(0)
    decoder = YDecoder(SMOKE.y_decoder, 16)
    embeddings, sentences = torch.eye(16)[:2], torch.tensor([[START, 5, 6, END], [START, 7, 8, END]])
    optimiser = torch.optim.Adam(decoder.parameters(), 1e-2)
    for _ in range(40):
        optimiser.zero_grad()
        decoder.loss(embeddings, sentences).backward()
        optimiser.step()
    tokens, _ = decoder.eval().generate(embeddings, beams=2)
    assert tokens[:, 0, :2].tolist() == [[5, 6], [7, 8]]


def test_the_frame_encoder_gives_a_grid_and_the_whole_frame():
    torch.manual_seed(0)
    encoder = build_x_encoder(SMOKE.x_encoder)
    frames = torch.randint(0, 256, (2, 3, 64, 64, 3), dtype=torch.uint8)
    tokens = encoder(encoder.preprocess(frames))
    assert tokens.shape == (2, 3, 2 * 2 + 1, encoder.dim)
    alone = encoder(encoder.preprocess(frames[:1, 1:2]))
    torch.testing.assert_close(alone[0, 0], tokens[0, 1], atol=1e-4, rtol=1e-4)


def test_a_grid_cell_sees_its_own_corner_most():
    torch.manual_seed(0)
    encoder = build_x_encoder(SMOKE.x_encoder)
    frame = torch.full((1, 1, 64, 64, 3), 127, dtype=torch.uint8)
    marked = frame.clone()
    marked[:, :, :8, :8] = 255
    change = (encoder(encoder.preprocess(marked)) - encoder(encoder.preprocess(frame))).abs().sum(-1)[0, 0]
    assert change[0] == change[:4].max()


def test_everyday_is_efficientnet_lite2():
    encoder = build_x_encoder(EVERYDAY.x_encoder)
    shapes = {name: tuple(p.shape) for name, p in encoder.named_parameters()}
    assert shapes["head.weight"] == (1280, 352, 1, 1)
    assert sum(len(stage) for stage in encoder.stages) == 21
    # the Lite2 of the TPU repository has 6.09 million parameters; its batch norms are folded in here
    assert sum(p.numel() for p in encoder.parameters()) == pytest.approx(6.09e6, rel=0.01)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_clip_encoder_gives_a_step_for_every_two_frames(steps):
    config = XEncoderConfig(architecture="vjepa2", image_size=32, hidden=24, layers=1, heads=2)
    encoder = build_x_encoder(config)
    frames = torch.randint(0, 256, (1, steps, 32, 32, 3), dtype=torch.uint8)
    assert encoder(encoder.preprocess(frames)).shape == (1, (steps + 1) // 2, 4, 24)


def test_the_paper_size_is_the_same_classes_smaller_here():
    """Stand-ins of the published architectures, built from configuration, in the shapes the paper names."""
    y_encoder = YEncoder(YEncoderConfig(architecture="gemma3", hidden=48, layers=2, heads=3, key_value_heads=1, mlp=64,
                                        vocabulary=100), PAPER.embed_dim).eval()
    assert y_encoder(*pad([[3, 4, 5]])).shape == (1, 1536)
    predictor = Predictor(PredictorConfig(hidden=64, layers=1, heads=4, key_value_heads=1, mlp=64, vocabulary=100,
                                          learned_positions=False), 24, 4, PAPER.embed_dim).eval()
    assert predictor(torch.randn(1, 2, 4, 24)).shape == (1, 1536)
    assert PAPER.predictor.hidden, PAPER.predictor.layers == (2048, 8)


@pytest.mark.parametrize("config", [EVERYDAY, PAPER, SMOKE], ids=lambda c: c.name)
def test_a_config_survives_a_round_trip(config):
    assert ModelConfig.from_dict(config.to_dict()) == config


def test_a_config_refuses_what_it_does_not_know():
    values = SMOKE.to_dict()
    values["predictor"]["hiden"] = 3
    with pytest.raises(ValueError, match="no hiden"):
        ModelConfig.from_dict(values)
    del values["predictor"]["hiden"], values["y_encoder"]
    with pytest.raises(ValueError, match="incomplete"):
        ModelConfig.from_dict(values)
    with pytest.raises(ValueError, match="must divide"):
        PredictorConfig(hidden=10, heads=3)


def test_pad_stacks_on_the_right():
    ids, mask = pad([[1, 2], [3]])
    np.testing.assert_array_equal(ids, [[1, 2], [3, 0]])
    np.testing.assert_array_equal(mask, [[True, True], [True, False]])


def test_saying_a_content_word_again_costs_and_a_function_word_not():
    content = torch.tensor([False, True, True, False])
    scores = torch.zeros(2, 5)  # the vocabulary is larger than the tokenizer
    found = Repetition(content, 2.0)(torch.tensor([[1, 3, 1], [4, 4, 4]]), scores)
    assert found.tolist() == [[0, -2, 0, 0, 0], [0, 0, 0, 0, 0]]
    assert Repetition(content, 2.0)(torch.zeros(2, 0, dtype=torch.long), scores).tolist() == scores.tolist()


def test_content_tokens_are_words_and_neither_function_words_nor_pieces():
    tokenizer = vljepa.load("everyday").decoder_tokenizer
    content = tokenizer.content().tolist()
    for text, expected in (("dog", True), ("motorcycle", True), ("a", False), ("with", False), (",", False)):
        assert [content[i] for i in tokenizer.ids([text])[0] if i > 3] == [expected], text
