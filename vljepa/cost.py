"""What a window costs: its floating-point operations, counted on a model without weights, and what a device can do."""

import time
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from vljepa.config import ModelConfig
from vljepa.predictor import build_predictor
from vljepa.x_encoder import build_x_encoder

QUERY_TOKENS = 8
# the share of a plain matrix product's speed that a model reaches: transformers are made of them, convolutions are not
SHARE = {"efficientnet_lite": 0.15}
USUAL_SHARE = 0.5
SIDE = 1024  # of the matrices that are multiplied to see what a device can do


@dataclass(frozen=True)
class WindowCost:
    """Floating-point operations (a multiplication and an addition are two) of one new window of a stream."""

    x_encoder: int
    predictor: int

    @property
    def total(self) -> int:
        """Of both parts."""
        return self.x_encoder + self.predictor


def window_cost(config: ModelConfig) -> WindowCost:
    """What each step of a stream costs: an encoder of frames sees the new one alone, one of clips the whole window."""
    return _cost(str(sorted(config.to_dict().items())), _Held(config))


class _Held:
    """Carries what cannot be hashed past a cache whose other key names it."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)


@cache
def _cost(name: str, held: _Held) -> WindowCost:
    assert name, "what the cache tells configurations apart by"
    # named colours are counted out of the pixels, at next to no cost
    config = replace(held.config, x_encoder=replace(held.config.x_encoder, colour_parts=0))
    side, window = config.x_encoder.image_size, config.predictor.window_frames
    with torch.device("meta"):
        x_encoder = build_x_encoder(config.x_encoder)
        frames = 1 if x_encoder.frames_per_step == 1 else window
        seen, tokens = _counted(x_encoder, torch.empty(1, frames, 3, side, side))
        steps = window // x_encoder.frames_per_step
        predictor = build_predictor(config.predictor, x_encoder.dim, x_encoder.tokens_per_step, config.embed_dim).eval()
        query = torch.zeros(1, QUERY_TOKENS, dtype=torch.long)
        windows = torch.empty(1, steps, *tokens.shape[2:])
        predicted, _ = _counted(predictor, windows, query, torch.ones_like(query, dtype=torch.bool))
    return WindowCost(seen, predicted)


def _counted(module: torch.nn.Module, *inputs: Tensor) -> tuple[int, Tensor]:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        out = module(*inputs)
    return counter.get_total_flops(), out


def expected_hz(config: ModelConfig, device: torch.device) -> float:
    """Windows a second to expect there: a guess from the arithmetic, right to a factor of two or so."""
    share = SHARE.get(config.x_encoder.architecture, USUAL_SHARE)
    return share * flops_per_s(str(device)) / window_cost(config).total


@cache
def flops_per_s(device: str) -> float:
    """Floating-point operations a second of a matrix product there, in the type that the device is fast at."""
    from vljepa.checkpoint import fast_dtype

    target = torch.device(device)
    a = torch.ones(SIDE, SIDE, device=target, dtype=fast_dtype(target))
    best = 0.0
    for _ in range(4):  # the first is slow
        started = time.perf_counter()
        (a @ a)[0, 0].item()  # waits for an accelerator
        best = max(best, 2 * SIDE**3 / (time.perf_counter() - started))
    return best
