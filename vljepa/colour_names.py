"""Which of the eleven basic colour names a pixel has: soft shares of each, in CIELAB, from written prototypes.

The eleven are Berlin and Kay's; describing pixels by them, softly, is van de Weijer et al.'s idea (Learning color names
for real-world applications, 2009). The prototypes are ours: a few shades of each name, as photographs show them.
"""

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

NAMES = ("black", "white", "grey", "brown", "red", "orange", "yellow", "green", "blue", "purple", "pink")
_SHADES = """
000000 16161a 24262c 2a2522
ffffff ebebeb f6f1e8 dde4ec
808080 a8a8a8 585858 8a929c 9c958c bebebe 454545
8b4513 5c3a21 7b5b3e 3d2817 a0764a b08d66 c8ad88 6b4a3a
ff0000 c81e1e 8b0000 dc3c3c a02830 e04030 641420
ff8000 e86a17 ffa040 f07020 d86c2c
ffff00 f0d020 e8e060 ffe066 c8b400 f2e89a
00c000 006400 3a7d2c 7fb34d 556b2f 2e5b3a 9acd32 80b080 1e3a24 40d0a0
0000ff 1e3c8c 4682c8 87b4e6 101c50 5b7fb0 00a0dc 30507a a8c8e8 40b8c8
800080 5a2d82 9b59c0 b090d0 4b2060 9080c8
ff69b4 ffb6c1 e75480 f4a0b8 ff1493 d8889c f8d0d8
"""  # one line for each of NAMES, sRGB
_WIDTH = 9.0  # of a prototype, in CIELAB units: neighbouring names blend over about twice as many
_LEVELS = 32  # of each channel in the table


def name_shares(pixels: UInt8[Tensor, "*shape 3"]) -> Float[Tensor, "*shape 11"]:
    """The share of each of `NAMES` in each sRGB pixel, summing to 1. On a table of 32 x 32 x 32 colours."""
    step = 256 // _LEVELS
    red, green, blue = (pixels // step).long().unbind(-1)
    return _table().to(pixels.device)[(red * _LEVELS + green) * _LEVELS + blue]


def part_columns(
    maps: Float[Tensor, "batch channels height width"], grid: int, parts: int
) -> Float[Tensor, "batch tokens columns"]:
    """Columns that tell each visual token what `maps` say there: the grid's cells row by row, then the whole frame.

    A token has `parts` x `parts` parts, row by row, each with all channels in order: their means over the part.
    """
    fine = F.adaptive_avg_pool2d(maps, grid * parts).unflatten(3, (grid, parts)).unflatten(2, (grid, parts))
    cells = fine.permute(0, 2, 4, 3, 5, 1).flatten(1, 2).flatten(2)  # (B, grid^2, parts^2 C)
    whole = F.adaptive_avg_pool2d(maps, parts).flatten(2).mT.flatten(1)
    return torch.cat([cells, whole[:, None]], dim=1)


def cell_columns(
    pixels: UInt8[Tensor, "batch height width 3"], grid: int, parts: int
) -> Float[Tensor, "batch tokens columns"]:
    """`part_columns` of the eleven names: the square root of a name's share of a part, so that a small spot shows."""
    return part_columns(name_shares(pixels).movedim(-1, 1), grid, parts).sqrt()


def column_count(parts: int, widths: tuple[int, int]) -> int:
    """How many columns each token ends with: features of the two `widths` (strides 32 and 16), then the names."""
    return (parts // 2) ** 2 * widths[0] + parts**2 * (widths[1] + len(NAMES))


def rename(
    tokens: Float[Tensor, "batch time tokens dim"], parts: int, order: Int[Tensor, "batch 11"]
) -> Float[Tensor, "batch time tokens dim"]:
    """Visual tokens whose last columns are `cell_columns`, with name k's shares under name `order[k]` instead."""
    columns = parts**2 * len(NAMES)
    named = tokens[..., -columns:].unflatten(-1, (parts**2, len(NAMES)))
    source = order.to(tokens.device).argsort(1)[:, None, None, None].expand(named.shape)
    renamed = tokens.clone()
    renamed[..., -columns:] = named.gather(-1, source).flatten(-2)
    return renamed


_TABLE: list[Tensor] = []


def _table() -> Float[Tensor, "colours 11"]:
    if not _TABLE:
        level = (torch.arange(_LEVELS) + 0.5) / _LEVELS
        _TABLE.append(_shares(torch.cartesian_prod(level, level, level)))
    return _TABLE[0]


def _shares(srgb: Float[Tensor, "colours 3"]) -> Float[Tensor, "colours 11"]:
    lab, nearest = _cielab(srgb), []
    for line in _SHADES.split("\n")[1:-1]:
        shades = torch.tensor([list(bytes.fromhex(shade)) for shade in line.split()]) / 255.0
        nearest.append(torch.cdist(lab, _cielab(shades)).amin(1))
    distance = torch.stack(nearest, dim=-1)
    return (-0.5 * (distance / _WIDTH).square()).softmax(-1)


def _cielab(srgb: Float[Tensor, "colours 3"]) -> Float[Tensor, "colours 3"]:
    """CIE 1976 L*a*b* under D65, of sRGB in [0, 1]."""
    linear = torch.where(srgb > 0.04045, ((srgb + 0.055) / 1.055) ** 2.4, srgb / 12.92)
    to_xyz = torch.tensor([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ (to_xyz / to_xyz.sum(1, keepdim=True)).T  # white becomes (1, 1, 1)
    f = torch.where(xyz > (6 / 29) ** 3, xyz.clamp_min(1e-9) ** (1 / 3), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = f.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-1)
