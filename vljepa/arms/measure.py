"""Compares the five arms: `python -m vljepa arms evaluate`, into benchmarks/arms.json and a page beside it.

On `shapes`: captions, questions and world prediction on clips that nothing was trained on and nobody looked at, for
every seed; what each arm costs. On photos, if there is data: `vljepa.arms.photos`.
"""

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from vljepa.arms.config import Budget
from vljepa.arms.data import training_pools
from vljepa.arms.flow import FlowPainter, hide, scaled
from vljepa.arms.recipe import (
    MEASURED,
    TEXT_ARMS,
    frozen_encoder,
    some_captions,
    train_flow,
    train_text_arm,
    train_vjepa,
    watch,
)
from vljepa.arms.scores import (
    EmbeddingReader,
    HeldOut,
    Reader,
    TokenReader,
    flow_world_prediction,
    reading_scores,
    rounded,
    vjepa_world_prediction,
    world_prediction,
)
from vljepa.arms.token_vlm import TokenVLM
from vljepa.arms.vjepa import VJEPAArm, probe
from vljepa.model import VLJEPA
from vljepa.predictor import Predictor
from vljepa.shapes import clips
from vljepa.shapes.language import CAPTION_QUERY
from vljepa.train.loop import timed_progress

CLIPS = 500  # held-out clips, and as many puzzles
REPEATS = 15


def measure_arms(budget: Budget, work: Path) -> dict[str, Any]:
    """All of it, from the runs in `work`; what was not trained yet is trained first."""
    vjepa = train_vjepa(budget, work)
    encoder = frozen_encoder(vjepa)
    pools = training_pools(encoder, budget.data_seed, budget.pool, timed_progress(), work)
    watched, data = watch(encoder, MEASURED - 50, budget.watched), watch(encoder, MEASURED, CLIPS)
    sentences, readers, scores = some_captions(pools[0]), dict[str, Reader](), dict[str, list]()
    for seed in budget.seeds:
        for name in TEXT_ARMS:
            made = train_text_arm(name, budget, pools, encoder, watched, seed, work)
            reader = reader_of(name, made, sentences)
            readers.setdefault(name, reader)
            world = {f"world_{k}": v for k, v in world_prediction(reader, data).items()}
            scores.setdefault(name, []).append({**reading_scores(reader, data), **world})
    flow = train_flow(budget, work)
    found: dict[str, dict[str, Any]] = {name: spread_over_seeds(rows) for name, rows in scores.items()}
    found["vjepa"] = probe(vjepa.target, clips(1001, budget.probed), clips(1002, budget.probed // 2))
    top1 = {f"{name}_top1": found[name]["world_text"]["mean"] for name in TEXT_ARMS}
    top1 |= {f"{name}_clip_top1": found[name]["world_clip"]["mean"] for name in TEXT_ARMS}
    top1 |= {"vjepa_clip_top1": vjepa_world_prediction(vjepa, data)["clip"],
             "flow_clip_top1": flow_world_prediction(flow, data)["clip"], "chance": 25.0, "puzzles": CLIPS}
    return {"shapes": {"arms": found, "curves": curves(work, budget), "clips": CLIPS, "seeds": list(budget.seeds)},
            "world_prediction": rounded(top1, 2), "cost": costs(readers, vjepa, flow, data),
            "collapse": collapse(work), "budget": {"text_steps": budget.text.steps, "batch": budget.batch,
                                                   "vjepa_steps": budget.vjepa.steps, "flow_steps": budget.flow.steps}}


def reader_of(name: str, made: VLJEPA | TokenVLM, sentences: Sequence[str]) -> Reader:
    """How to ask one of the three arms that know text."""
    return TokenReader(made) if isinstance(made, TokenVLM) else EmbeddingReader(made, sentences, name == "joint")


def spread_over_seeds(rows: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over seeds (with n - 1) of each score."""
    return {key: rounded({"mean": float(np.mean([row[key] for row in rows])),
                          "std": float(np.std([row[key] for row in rows], ddof=1)) if len(rows) > 1 else 0.0})
            for key in rows[0]}


def curves(work: Path, budget: Budget) -> dict[str, list[dict[str, Any]]]:
    """CIDEr, action classification and world prediction against samples seen, mean and deviation over seeds."""
    found = {}
    for name in TEXT_ARMS:
        runs = [validated(work / f"{name}.{seed}.log.jsonl") for seed in budget.seeds]
        found[name] = [{"samples": (step + 1) * budget.batch,
                        **spread_over_seeds([{k: run[step][k] for k in run[step] if k in
                                              ("cider", "action", "world_prediction_text")} for run in runs])}
                       for step in runs[0]]
    return found


def validated(log: Path) -> dict[int, dict[str, Any]]:
    """The log's lines with a validation, by step."""
    rows = map(json.loads, log.read_text().splitlines())
    return {row["step"]: row for row in rows if "cider" in row}


def collapse(work: Path) -> dict[str, Any]:
    """How much features still vary at the end of each run, with and without its anti-collapse term."""
    last = {}
    for name in ("vjepa", "vjepa_collapse", "vljepa_collapse"):
        path = work / f"{name}.log.jsonl"
        if path.exists():
            last[name] = json.loads(path.read_text().splitlines()[-1])["variance"]
    return last


def costs(readers: dict[str, Reader], vjepa: VJEPAArm, flow: FlowPainter, data: HeldOut) -> dict[str, Any]:
    """Parameters, FLOPs and milliseconds on one clip: to encode it, to predict, to read out. Energy is not readable."""
    one = data.pool.tokens[:1].float()
    pixels = scaled(torch.from_numpy(data.puzzles.pictures[:1]))
    vl, joint, token = readers["vljepa"], readers["joint"], readers["token_vlm"]
    assert isinstance(vl, EmbeddingReader) and isinstance(joint, EmbeddingReader) and isinstance(token, TokenReader)
    predicted = vl.predict(one, CAPTION_QUERY)
    known = vl.model.embed_text(list(vl.sentences))
    answer = torch.inference_mode()(lambda: vjepa.target(pixels))
    masked = hide("future", 1)
    visible, hidden = torch.arange(32), torch.arange(32, 64)
    nearest = lambda: (predicted @ known.T).argmax()  # noqa: E731
    tasks: dict[str, dict[str, Callable[[], Any]]] = {
        "encoder": {"encode": answer},
        "vljepa": {"predict": lambda: vl.predict(one, CAPTION_QUERY), "read_out": nearest},
        "joint": {"predict": lambda: joint.predict(one, CAPTION_QUERY), "read_out": nearest},
        "token_vlm": {"read_out": lambda: token.vlm.write(one, CAPTION_QUERY)},
        "vjepa": {"predict": torch.inference_mode()(lambda: vjepa.predict_hidden(pixels, visible, hidden))},
        "flow": {f"read_out_{n}_steps": partial(_painted, flow, pixels, masked, n) for n in (1, 10, 50)},
    }
    sizes = {"encoder": count(vjepa.target), "vljepa": trainable(vl.model), "joint": trainable(joint.model),
             "token_vlm": count(token.vlm), "vjepa": count(vjepa.encoder) + count(vjepa.predictor), "flow": count(flow)}
    return {name: {"parameters_trained": sizes[name], **{part: cost(task) for part, task in parts.items()}}
            for name, parts in tasks.items()}


def _painted(flow: FlowPainter, pixels: torch.Tensor, hidden: torch.Tensor, steps: int) -> list[torch.Tensor]:
    return list(flow.paint(pixels, hidden, steps, 0))


def cost(task: Callable[[], Any]) -> dict[str, float]:
    """Median milliseconds and the FLOPs of matrix products and convolutions."""
    task()
    spans = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        task()
        spans.append(time.perf_counter() - began)
    with FlopCounterMode(display=False) as counter:
        task()
    return {"ms": round(1000 * float(np.median(spans)), 3), "mflop": round(counter.get_total_flops() / 1e6, 2)}


def count(module: torch.nn.Module) -> int:
    """Parameters of a module."""
    return sum(p.numel() for p in module.parameters())


def trainable(model: VLJEPA) -> int:
    """What the contrastive arms train: the predictor without its word embeddings, and the Y-Encoder."""
    assert isinstance(model.predictor, Predictor)
    return count(model.predictor) - model.predictor.embed_tokens.weight.numel() + count(model.y_encoder)
