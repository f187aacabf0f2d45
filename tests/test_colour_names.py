"""Named colours in the visual tokens: what a person would call a pixel, where it is, and under which name it stands."""

import numpy as np
import pytest
import torch

from vljepa.colour_names import NAMES, cell_columns, column_count, name_shares, rename
from vljepa.config import XEncoderConfig
from vljepa.x_encoder import FrameXEncoder, build_x_encoder

SAID = {"black": (12, 12, 14), "white": (248, 247, 244), "grey": (128, 128, 128), "brown": (110, 70, 40),
        "red": (205, 30, 35), "orange": (245, 130, 20), "yellow": (250, 225, 40), "green": (40, 140, 50),
        "blue": (35, 80, 190), "purple": (110, 40, 140), "pink": (250, 130, 180)}


@pytest.mark.parametrize("name", NAMES)
def test_a_plain_colour_has_its_name(name):
    shares = name_shares(torch.tensor(SAID[name], dtype=torch.uint8))
    assert NAMES[int(shares.argmax())] == name
    assert shares.sum().item() == pytest.approx(1.0, abs=1e-5)


def test_every_colour_of_the_cube_has_shares_that_sum_to_one():
    level = torch.arange(0, 256, 15, dtype=torch.uint8)
    shares = name_shares(torch.cartesian_prod(level, level, level))
    torch.testing.assert_close(shares.sum(-1), torch.ones(len(shares)), atol=1e-4, rtol=0)
    assert (shares >= 0).all()


def test_a_red_square_on_grey_reads_red_in_its_part_of_its_cell():
    picture = np.full((1, 64, 64, 3), 128, dtype=np.uint8)
    picture[0, 16:24, 40:48] = SAID["red"]  # of 4 x 4 cells: row 1, column 2; of its 2 x 2 parts: the upper right
    shares = cell_columns(torch.from_numpy(picture), grid=4, parts=2).square().unflatten(-1, (4, 11))[0]
    red = shares[..., NAMES.index("red")]
    assert red[1 * 4 + 2, 1].item() == pytest.approx(1.0, abs=0.02)
    red[1 * 4 + 2, 1] = 0.0
    assert red[:16].max() < 0.02
    assert red[16, 1].item() == pytest.approx(64 / 32**2, abs=0.02)  # the whole frame's upper right
    assert red[16, [0, 2, 3]].max() < 0.02


def test_the_x_encoder_gives_them_beside_what_it_learned():
    config = XEncoderConfig(image_size=64, grid=2, width=0.25, depth=0.5, classes=16, class_dim=48, colour_parts=2)
    torch.manual_seed(0)
    encoder = build_x_encoder(config)
    assert isinstance(encoder, FrameXEncoder)
    frame = np.full((1, 1, 64, 64, 3), SAID["blue"], dtype=np.uint8)
    tokens = encoder(encoder.preprocess(torch.from_numpy(frame)))[0, 0]
    named = tokens[:, -44:].unflatten(-1, (4, 11)).square()
    deep, fine = encoder.part_widths
    assert tokens.shape == (5, encoder.dim)
    assert encoder.dim == len(encoder.token_mean) + column_count(2, encoder.part_widths)
    at_stride_16 = tokens[:4, -44 - 4 * fine : -44].unflatten(-1, (4, fine))
    torch.testing.assert_close(at_stride_16.mean(-1), torch.zeros(4, 4), atol=1e-4, rtol=0)  # each place standardised
    assert deep + 4 * fine + 44 == encoder.dim - len(encoder.token_mean)
    assert (named[..., NAMES.index("blue")] > 0.9).all()


def test_renaming_moves_every_share_to_its_new_name_and_nothing_else():
    tokens = torch.rand(2, 1, 3, 7 + 4 * 11)
    order = torch.stack([torch.arange(11), torch.randperm(11, generator=torch.Generator().manual_seed(1))])
    moved = rename(tokens, 2, order)
    assert torch.equal(moved[0], tokens[0])  # each name to itself
    assert torch.equal(moved[..., :7], tokens[..., :7])
    before, after = (t[1, 0, :, 7:].unflatten(-1, (4, 11)) for t in (tokens, moved))
    for old, new in enumerate(order[1].tolist()):
        assert torch.equal(after[..., new], before[..., old])
