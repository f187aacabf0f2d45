"""The flow-matching arm: the hidden part of a clip is painted from noise, in as many steps as one likes.

Rectified flow (Liu et al., arXiv:2209.03003): on the straight way from noise at t = 0 to pixels at t = 1. The network
says where the way ends, not its direction: wide patches need that (Li & He, arXiv:2511.13720).
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from vljepa.shapes import clips
from vljepa.shapes.clips import FRAMES
from vljepa.shapes.world import SIDE
from vljepa.train.loop import Arm
from vljepa.tubelet_vit import TUBE, Block

PATCH = 8  # pixels a patch is wide; it spans a tube of two frames
PLACES, STEPS = (SIDE // PATCH) ** 2, FRAMES // TUBE
PATCH_DIM = 3 * TUBE * PATCH**2
CLEAREST = 0.05  # 1 - t is not taken smaller: the error of the way is divided by it
HIDINGS = {"future": (2, 3), "middle": (1, 2), "past": (0, 1)}  # tubes that are hidden


class FlowPainter(nn.Module):
    """Patches, some of them noisy, and a time -> the clean patches."""

    def __init__(self, hidden: int = 96, layers: int = 3, heads: int = 4) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(PATCH_DIM, hidden), nn.Linear(hidden, PATCH_DIM)
        self.place = nn.Parameter(torch.randn(PLACES, hidden) * 0.1)
        self.time = nn.Parameter(torch.randn(STEPS, hidden) * 0.1)
        self.is_hidden = nn.Parameter(torch.randn(hidden) * 0.1)
        self.clock = nn.Sequential(nn.Linear(16, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.blocks = nn.ModuleList(Block(hidden, heads, 2 * hidden) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden)
        self.carry = nn.Linear(PATCH_DIM, hidden)

    def forward(
        self, patches: Float[Tensor, "batch tokens dim"], hidden: Bool[Tensor, "batch tokens"],
        t: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch tokens dim"]:
        """The clean patches, as far as `patches` and `t`, 0 (all noise) to 1, tell."""
        x = self.enter(patches) + (self.place + self.time[:, None]).flatten(0, 1)
        near = carried(patches, hidden)
        asked = self.is_hidden + self.clock(_waves(t))[:, None]  # the hidden ones are as noisy as the clock says
        x = x + hidden[..., None] * (asked + self.carry(near))
        for block in self.blocks:
            x = block(x)
        return self.leave(self.norm(x)) + near  # what is learned is how the hidden differs from what is beside it

    @torch.inference_mode()
    def paint(
        self, pixels: Float[Tensor, "batch 8 3 64 64"], hidden: Bool[Tensor, "batch tokens"], steps: int, seed: int
    ) -> Iterator[Float[Tensor, "batch 8 3 64 64"]]:
        """The clip after each of `steps` steps; the visible part stays as it is. ValueError below one step."""
        if steps < 1:
            raise ValueError(f"painting takes at least one step, got {steps}")
        known, mask, z = to_patches(pixels), hidden[..., None], begin(pixels, hidden, seed)
        for step in range(steps):
            t = step / steps
            clean = self(z, hidden, torch.full((len(z),), t)).float()
            z = torch.where(mask, z + (clean - z) / (1 - t) / steps, known)
            yield to_pixels(z).clamp(-1, 1)


class FlowArm(Arm):
    """The painter, trained on fresh clips at every step."""

    def __init__(
        self, painter: FlowPainter, batch: int, data_seed: int, validation: Callable[[], dict[str, float]]
    ) -> None:
        super().__init__(validation)
        self.painter = painter
        self._batch, self._data_seed = batch, data_seed

    def loss(self, step: int) -> tuple[Tensor, dict[str, Any]]:
        """Mean squared error of the way's direction in the hidden part of the clips of `step`."""
        rng = np.random.default_rng([self._data_seed, step, 2])
        shown = clips([self._data_seed, step, 3], self._batch)
        known = to_patches(scaled(torch.from_numpy(shown.frames)))
        hidden = draw_hidden(rng, self._batch)
        t = torch.from_numpy(1 / (1 + np.exp(-rng.normal(-0.4, 1.0, self._batch)))).float()
        noise = torch.randn(known.shape, generator=torch.Generator().manual_seed(step))
        mask, at = hidden[..., None], t[:, None, None]
        z = torch.where(mask, noise * (1 - at) + known * at, known)
        clean = self.painter(z, hidden, t).float()
        error = F.mse_loss(clean, known, reduction="none") / (1 - at).clamp_min(CLEAREST) ** 2
        return (error * mask).sum() / (mask.sum() * PATCH_DIM), {}


def begin(
    pixels: Float[Tensor, "batch 8 3 64 64"], hidden: Bool[Tensor, "batch tokens"], seed: int
) -> Float[Tensor, "batch tokens dim"]:
    """The patches that painting begins with: noise where they are hidden."""
    known = to_patches(pixels)
    noise = torch.randn(known.shape, generator=torch.Generator().manual_seed(seed))
    return torch.where(hidden[..., None], noise, known)


def carried(
    patches: Float[Tensor, "batch tokens dim"], hidden: Bool[Tensor, "batch tokens"]
) -> Float[Tensor, "batch tokens dim"]:
    """For each hidden patch the visible one of its place that is nearest in time; zeros elsewhere."""
    unseen = hidden.unflatten(1, (STEPS, PLACES))
    moments = torch.arange(STEPS)
    away = (moments[:, None] - moments).abs()[None, :, :, None] + STEPS * unseen[:, None]  # (B, to, from, places)
    source = away.argmin(2)[..., None].expand(-1, -1, -1, patches.shape[-1])
    near = patches.unflatten(1, (STEPS, PLACES)).gather(1, source)
    return (near * (unseen & ~unseen.all(1, keepdim=True))[..., None]).flatten(1, 2)


def scaled(frames: Tensor) -> Float[Tensor, "batch time 3 height width"]:
    """uint8 RGB (..., height, width, 3) -> float in -1 to 1, (..., 3, height, width)."""
    return frames.movedim(-1, -3).contiguous().float().div_(127.5).sub_(1.0)


def to_frames(pixels: Float[Tensor, "batch time 3 height width"]) -> np.ndarray:
    """The inverse of `scaled`, as an array."""
    return ((pixels + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).movedim(-3, -1).numpy()


def hide(what: str, batch: int) -> Bool[Tensor, "batch tokens"]:
    """Which patches are hidden: the `future`, `middle` or `past` half of every clip. ValueError on another word."""
    if what not in HIDINGS:
        raise ValueError(f"what is hidden must be one of {', '.join(HIDINGS)}, got {what!r}")
    mask = torch.zeros(STEPS, PLACES, dtype=torch.bool)
    mask[list(HIDINGS[what])] = True
    return mask.flatten().expand(batch, -1)


def draw_hidden(rng: np.random.Generator, batch: int) -> Bool[Tensor, "batch tokens"]:
    """For each clip: its future, middle or past, or a window of it at all times."""
    mask = np.zeros((batch, STEPS, SIDE // PATCH, SIDE // PATCH), dtype=bool)
    for clip in mask:
        kind = rng.random()
        if kind < 0.75:
            clip[list(tuple(HIDINGS.values())[int(kind * 4)])] = True
        else:
            top, left = rng.integers(0, 5, 2)
            clip[:, top : top + 4, left : left + 4] = True
    return torch.from_numpy(mask.reshape(batch, -1))


def to_patches(pixels: Float[Tensor, "batch 8 3 64 64"]) -> Float[Tensor, "batch tokens dim"]:
    """Tubes of `PATCH` x `PATCH` pixels, in the order step, row, column."""
    x = pixels.unflatten(1, (STEPS, TUBE)).unflatten(4, (-1, PATCH)).unflatten(6, (-1, PATCH))
    return x.permute(0, 1, 4, 6, 2, 3, 5, 7).flatten(4).flatten(1, 3)  # (B, steps rows columns, tube 3 P P)


def to_pixels(patches: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch 8 3 64 64"]:
    """The inverse of `to_patches`."""
    side = SIDE // PATCH
    x = patches.unflatten(2, (TUBE, 3, PATCH, PATCH)).unflatten(1, (STEPS, side, side))
    return x.permute(0, 1, 4, 5, 2, 6, 3, 7).flatten(6, 7).flatten(4, 5).flatten(1, 2)


def _waves(t: Float[Tensor, " batch"]) -> Float[Tensor, "batch 16"]:
    angles = t[:, None] * torch.logspace(0, 1.8, 8) * torch.pi
    return torch.cat([angles.sin(), angles.cos()], dim=1)
