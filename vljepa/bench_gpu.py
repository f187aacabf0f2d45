"""`python -m vljepa bench gpu`: windows a second on a GPU, at laptop and at the paper's size, with random weights.

Weights do not change speed, shapes do, so nothing is fetched. For each size, all in one run:

- `live`: one new window at a time, from frames in memory to the embedding in memory, as a camera gives them
- `offline`: many windows at once, the best of some batch sizes; transfers are pinned and overlap with the model
- `encoder_share_of_peak`: the X-Encoder's operations a second over what the chip's maker states, where that is known,
  and `encoder_share_of_matmul` over what a plain matrix product reaches here
- `token_vlm`: the same X-Encoder with a causal Llama of twice the predictor's depth that writes a sentence a window
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from vljepa.config import EVERYDAY, PAPER, SMOKE, ModelConfig
from vljepa.cost import QUERY_TOKENS, flops_per_s, window_cost
from vljepa.errors import VLJEPAError
from vljepa.predictor import build_predictor
from vljepa.provenance import provenance, write_results
from vljepa.x_encoder import build_x_encoder

# the paper's live window is eight frames of open-vljepa's kind: 1,024 visual tokens
SIZES = {"everyday": EVERYDAY, "paper": replace(PAPER, predictor=replace(PAPER.predictor, window_frames=8)),
         "smoke": SMOKE}
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12, "RTX 4090": 165e12}  # dense bf16
BATCHES = (1, 4, 16, 64)
SENTENCE = 16  # tokens that the token VLM writes a window


def run(args: argparse.Namespace) -> None:
    """Measure, print, and write the JSON if asked. VLJEPAError where there is no GPU to measure on."""
    if args.device is None and not torch.cuda.is_available():
        raise VLJEPAError("there is no GPU here, so nothing was measured: run this on a machine with one")
    device = torch.device(args.device or "cuda")
    sizes = args.size or ("everyday", "paper")
    results = {name: measure(SIZES[name], device, args.seconds, args.compile) for name in sizes}
    for name, found in results.items():
        for key, value in found.items():
            print(f"{name}.{key:<32} {value:.4g}" if isinstance(value, float) else f"{name}.{key:<32} {value}")
    if args.json is not None:
        facts = {**provenance("random weights"), "device": device_name(device),
                 "matmul_flops_per_s": flops_per_s(str(device))}
        write_results(args.json, {**results, **facts})


def device_name(device: torch.device) -> str:
    """The graphics card's name, or CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


@dataclass
class Parts:
    """What runs for each window, with random weights in bfloat16."""

    config: ModelConfig
    device: torch.device
    x_encoder: Any
    predictor: Any
    vlm: nn.Module

    def frames(self, windows: int) -> Tensor:
        """New frames of some windows, uint8, in pinned memory: one each, or all of the window if clips are encoded."""
        side, per_step = self.config.x_encoder.image_size, self.x_encoder.frames_per_step
        count = 1 if per_step == 1 else self.config.predictor.window_frames
        made = torch.randint(0, 256, (windows, count, side, side, 3), dtype=torch.uint8)
        return made.pin_memory() if self.device.type == "cuda" else made

    @torch.inference_mode()
    def encode(self, frames: Tensor) -> Tensor:
        """Visual tokens of the new frames."""
        pixels = self.x_encoder.preprocess(frames.to(self.device, non_blocking=True))
        return self.x_encoder(pixels.bfloat16()).bfloat16()

    def window(self, tokens: Tensor) -> Tensor:
        """Whole windows: an encoder of frames has the older ones' tokens already."""
        steps = self.config.predictor.window_frames
        return tokens.expand(-1, steps, -1, -1) if self.x_encoder.frames_per_step == 1 else tokens

    @torch.inference_mode()
    def predict(self, frames: Tensor) -> Tensor:
        """From frames in memory to embeddings in memory."""
        query = torch.zeros(len(frames), QUERY_TOKENS, dtype=torch.long, device=self.device)
        return self.predictor(self.window(self.encode(frames)), query, query == 0).float().cpu()

    @torch.inference_mode()
    def write(self, frames: Tensor) -> Tensor:
        """From frames in memory to a sentence's tokens in memory, a word after the other."""
        seen = self.predictor.vis_proj(self.window(self.encode(frames)).flatten(1, 2))
        mask = torch.ones(seen.shape[:2], dtype=torch.long, device=self.device)
        return self.vlm.generate(  # type: ignore[operator]
            inputs_embeds=seen, attention_mask=mask, do_sample=False, max_new_tokens=SENTENCE,
            min_new_tokens=SENTENCE, pad_token_id=0).cpu()


def build(config: ModelConfig, device: torch.device) -> Parts:
    """All parts on the device."""
    from transformers import LlamaForCausalLM

    from vljepa.predictor import llama_config

    with torch.device(device):
        x_encoder = build_x_encoder(config.x_encoder).bfloat16()
        predictor = build_predictor(config.predictor, x_encoder.dim, x_encoder.tokens_per_step, config.embed_dim)
        described = llama_config(replace(config.predictor, layers=2 * config.predictor.layers))
        described.use_cache = True
        vlm = LlamaForCausalLM(described).bfloat16().eval()
    return Parts(config, device, x_encoder, predictor.bfloat16().eval().requires_grad_(False), vlm)


def measure(config: ModelConfig, device: torch.device, seconds: float, compiled: bool) -> dict[str, Any]:
    """Every figure of one size."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    parts, cost = build(config, device), window_cost(config)
    found: dict[str, Any] = {"gflop_per_window": cost.total / 1e9}
    found |= _speeds(parts, seconds, "")
    encoder_flops_per_s = found["encoder_windows_per_s"] * cost.x_encoder
    found["encoder_share_of_matmul"] = encoder_flops_per_s / flops_per_s(str(device))
    peak = next((peak for name, peak in PEAKS.items() if name in device_name(device)), None)
    if peak is not None:
        found["encoder_share_of_peak"] = encoder_flops_per_s / peak
    found["token_vlm_live_windows_per_s"] = _rate(parts.write, parts.frames(1), seconds)
    if device.type == "cuda":
        found["memory_gb"] = torch.cuda.max_memory_allocated(device) / 1e9
    if compiled:
        mode = "reduce-overhead" if device.type == "cuda" else "default"
        parts.x_encoder.forward = torch.compile(parts.x_encoder.forward, mode=mode)
        parts.predictor.forward = torch.compile(parts.predictor.forward, mode=mode)
        found |= _speeds(parts, seconds, "compiled_")
    return found


def _speeds(parts: Parts, seconds: float, prefix: str) -> dict[str, Any]:
    offline, batch = _best(parts.predict, parts, seconds)
    encoder, _ = _best(lambda frames: parts.encode(frames)[0, 0, 0, 0].item(), parts, seconds)
    return {f"{prefix}live_windows_per_s": _rate(parts.predict, parts.frames(1), seconds),
            f"{prefix}offline_windows_per_s": offline, f"{prefix}offline_batch": batch,
            f"{prefix}encoder_windows_per_s": encoder}


def _best(run: Callable[[Tensor], object], parts: Parts, seconds: float) -> tuple[float, int]:
    """The highest rate over the batch sizes that fit in memory, and its batch size."""
    rates: dict[int, float] = {}
    for batch in BATCHES:
        try:
            rates[batch] = _rate(run, parts.frames(batch), seconds / len(BATCHES))
        except torch.OutOfMemoryError:
            break
    if not rates:
        raise VLJEPAError("not even one window fits in this device's memory")
    best = max(rates, key=lambda batch: rates[batch])
    return rates[best], best


def _rate(run: Callable[[Tensor], object], frames: Tensor, seconds: float) -> float:
    """Windows a second, by the median of as many runs as fit; `run` must wait for its result."""
    run(frames)  # the first is slow
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        started = time.perf_counter()
        run(frames)
        times.append(time.perf_counter() - started)
    return len(frames) / median(times)
