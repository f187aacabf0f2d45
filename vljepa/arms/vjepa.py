"""The V-JEPA arm: from the visible part of a clip, predict the features of its hidden part (arXiv:2404.08471).

The features come from a slow copy of the encoder that gets no gradient, and each is brought to the same spread over
the batch: that is the defence against collapse. Without it (`collapse=True`) the cheapest way to predict features is to
have none, and the encoder takes it. Features of two depths are predicted: at this size the last layer alone forgets
colours.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vljepa.shapes import Clips, clips
from vljepa.train.loop import Arm
from vljepa.tubelet_vit import STEPS, Block, TubeletXEncoder

MOMENTUM = 0.99  # of the slow copy; it ends at one, as the schedule ends
PREDICTOR_DIM, PREDICTOR_LAYERS = 64, 2


class LatentPredictor(nn.Module):
    """Features of visible tokens -> features of hidden ones, asked for by their positions."""

    def __init__(self, dim: int, tokens: int) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(dim, PREDICTOR_DIM), nn.Linear(PREDICTOR_DIM, 2 * dim)
        self.position = nn.Parameter(torch.randn(tokens, PREDICTOR_DIM) * 0.1)
        self.blocks = nn.ModuleList(Block(PREDICTOR_DIM, 4, 2 * PREDICTOR_DIM) for _ in range(PREDICTOR_LAYERS))
        self.norm = nn.LayerNorm(PREDICTOR_DIM)

    def forward(
        self, visible: Float[Tensor, "batch visible dim"], kept: Int[Tensor, " visible"], hidden: Int[Tensor, " hidden"]
    ) -> Float[Tensor, "batch hidden features"]:
        """Predicted features, of both depths, at the positions `hidden`."""
        x = self.enter(visible)
        asked = self.position[hidden].to(x.dtype).expand(len(x), -1, -1)
        x = torch.cat([x + self.position[kept].to(x.dtype), asked], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.leave(self.norm(x[:, len(kept) :]))


class VJEPAArm(Arm):
    """The encoder, its slow copy and the latent predictor, trained on fresh clips at every step."""

    def __init__(
        self, encoder: TubeletXEncoder, steps: int, batch: int, data_seed: int,
        validation: Callable[["VJEPAArm"], dict[str, float]], collapse: bool = False,
    ) -> None:
        super().__init__(partial(validation, self))
        self.encoder = encoder.requires_grad_(True)
        self.target = copy.deepcopy(encoder).requires_grad_(False)
        self.predictor = LatentPredictor(encoder.config.hidden, STEPS * encoder.tokens_per_step)
        self._steps, self._batch, self._data_seed = steps, batch, data_seed
        self._collapse = collapse

    def loss(self, step: int) -> tuple[Tensor, dict[str, Any]]:
        """Mean absolute error of the predicted features; logs how much the features still vary."""
        self._follow(step)
        shown = clips([self._data_seed, step], self._batch)
        pixels = self.encoder.preprocess(torch.from_numpy(shown.frames))
        kept, hidden = draw_mask(np.random.default_rng([self._data_seed, step, 1]), self.encoder.places)
        predicted = self.predictor(self.encoder.encode(self.encoder.embed(pixels), kept), kept, hidden)
        seen = self.encoder.depths(pixels).float() if self._collapse else self.features(pixels)
        target = seen if self._collapse else standardised(seen)
        loss = F.l1_loss(predicted.float(), target[:, hidden])
        return loss, {"variance": spread(seen.detach())}

    def predict_hidden(
        self, pixels: Float[Tensor, "batch 8 3 height width"], kept: Int[Tensor, " kept"],
        hidden: Int[Tensor, " hidden"],
    ) -> Float[Tensor, "batch hidden features"]:
        """What the arm expects the slow copy to see at the positions `hidden`, standardised."""
        return self.predictor(self.encoder.encode(self.encoder.embed(pixels), kept), kept, hidden)

    @torch.no_grad()
    def features(self, pixels: Float[Tensor, "batch 8 3 height width"]) -> Float[Tensor, "batch tokens features"]:
        """The slow copy's features: what is predicted, and what the other arms build on."""
        return self.target.depths(pixels).float()

    def _follow(self, step: int) -> None:
        momentum = 0.0 if self._collapse else 1 - (1 - MOMENTUM) * (1 - step / self._steps)
        with torch.no_grad():
            for slow, quick in zip(self.target.parameters(), self.encoder.parameters(), strict=True):
                slow.lerp_(quick, 1 - momentum)


def draw_mask(rng: np.random.Generator, places: int) -> tuple[Int[Tensor, " kept"], Int[Tensor, " hidden"]]:
    """Which tokens a batch may see and which it must predict: whole moments, whole places, or tokens at random.

    What is hidden at one moment is mostly visible at another, so that what a thing looks like can be carried over.
    """
    hidden = np.zeros((STEPS, places, places), dtype=bool)
    kind = rng.random()
    if kind < 0.4:
        hidden[rng.permutation(STEPS)[: int(rng.integers(1, 3))]] = True
    elif kind < 0.6:
        top, left = rng.integers(0, places - 1, 2)
        hidden[:, top : top + 2, left : left + 3] = True
    else:
        hidden = rng.random(hidden.shape) < 0.6
    flat = torch.from_numpy(hidden.reshape(-1))
    return torch.nonzero(~flat)[:, 0], torch.nonzero(flat)[:, 0]


def standardised(features: Float[Tensor, "batch tokens features"]) -> Float[Tensor, "batch tokens features"]:
    """Each feature with mean 0 and deviation 1 over the batch and its tokens."""
    mean, std = features.mean((0, 1)), features.std((0, 1))
    return (features - mean) / (std + 1e-3)


def spread(features: Float[Tensor, "... dim"]) -> float:
    """Mean standard deviation of a feature over all tokens: near zero once everything looks the same."""
    return float(features.flatten(0, -2).float().std(0).mean())


@torch.no_grad()
def encode_clips(
    encoder: TubeletXEncoder, frames: np.ndarray, at_once: int = 128
) -> Float[Tensor, "clips steps tokens dim"]:
    """Tokens of many clips, float16, for arms that build on the frozen encoder."""
    parts = []
    for first in range(0, len(frames), at_once):
        pixels = encoder.preprocess(torch.from_numpy(frames[first : first + at_once]))
        with torch.autocast("cpu", torch.bfloat16):
            parts.append(encoder(pixels).to(torch.float16))
    return torch.cat(parts)


@torch.no_grad()
def set_statistics(encoder: TubeletXEncoder, shown: Clips) -> None:
    """Let the encoder standardise its tokens by those of some clips."""
    encoder.token_mean.zero_()
    encoder.token_std.fill_(1.0)
    tokens = encode_clips(encoder, shown.frames).float().flatten(0, 2)
    encoder.token_mean.copy_(tokens.mean(0))
    encoder.token_std.copy_(tokens.std(0).clamp_min(1e-3))


def probe(encoder: TubeletXEncoder, train: Clips, test: Clips) -> dict[str, float]:
    """How much a linear map of what varies among the clip's tokens knows of it: percent right.

    Their deviation, for their mean is zero: the encoder takes it off each frame.
    """
    seen = [encode_clips(encoder, part.frames).float().std((1, 2)).numpy() for part in (train, test)]
    mean, std = seen[0].mean(0), seen[0].std(0) + 1e-4
    inputs = [np.hstack([(x - mean) / std, np.ones((len(x), 1), np.float32)]) for x in seen]
    found = {}
    for name, label in (("colour", lambda m: m.start.colour[:, 0]), ("shape", lambda m: m.start.shape[:, 0]),
                        ("action", lambda m: m.action)):
        answers = [label(part.motion) for part in (train, test)]
        wanted = np.eye(int(answers[0].max()) + 1)[answers[0]]
        gram = inputs[0].T @ inputs[0] + 10.0 * np.eye(inputs[0].shape[1])
        weights = np.linalg.solve(gram, inputs[0].T @ wanted)
        found[f"probe_{name}"] = 100 * float(((inputs[1] @ weights).argmax(1) == answers[1]).mean())
    return found
