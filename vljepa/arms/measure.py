"""Compares the five arms: `python -m vljepa arms evaluate`, into benchmarks/arms.json.

On `shapes`: captions, questions and world prediction on clips that nothing was trained on and nobody looked at, and
what each arm costs, and how much shorter runs differ by their seed. On photos, if there is data: `vljepa.arms.photos`.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
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
    REPEATED,
    TEXT_ARMS,
    WATCHED,
    frozen_encoder,
    some_captions,
    train_flow,
    train_text_arm,
    train_vjepa,
    untrained_encoder,
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


def measure_arms(budget: Budget, work: Path, names: Sequence[str] = TEXT_ARMS) -> dict[str, Any]:
    """All of it, from the runs in `work`; what was not trained yet is trained first.

    With fewer `names` only those of the arms that know text, and nothing is repeated.
    """
    vjepa, flow = train_vjepa(budget, work), train_flow(budget, work)
    encoder = frozen_encoder(vjepa)
    pools = training_pools(encoder, budget.data_seed, budget.pool, timed_progress(), work)
    watched, data = watch(encoder, WATCHED, budget.watched), watch(encoder, MEASURED, CLIPS)
    sentences = some_captions(pools[0])

    def trained(name: str, budget: Budget, seed: int, work: Path) -> Reader:
        return reader_of(name, train_text_arm(name, budget, pools, encoder, watched, seed, work), sentences)

    readers = {name: trained(name, budget, budget.seed, work) for name in names}
    found: dict[str, dict[str, Any]] = {name: rounded(scores(reader, data)) for name, reader in readers.items()}
    probed = clips(1001, budget.probed), clips(1002, budget.probed // 2)
    found["vjepa"] = probe(vjepa.target, *probed)
    found["untrained_encoder"] = probe(untrained_encoder(budget.data_seed), *probed)
    told = {"shapes": {"arms": found, "clips": CLIPS, "curves": curves(work, (budget.seed,), budget.batch, names)},
            "world_prediction": rounded(world_top1(found, names, vjepa, flow, data), 2),
            "cost": costs(readers, vjepa, flow, data), "collapse": collapse(work),
            "budget": {"text_steps": budget.text.steps, "batch": budget.batch, "vjepa_steps": budget.vjepa.steps,
                       "flow_steps": budget.flow.steps}}
    if set(names) < set(TEXT_ARMS):
        return told
    short, aside = replace(budget, text=budget.repeat), work / "repeats"
    repeated = {name: spread_over_seeds([scores(trained(name, short, seed, aside), data)
                                         for seed in budget.repeat_seeds]) for name in REPEATED}
    return told | {"repeats": {"arms": repeated, "seeds": list(budget.repeat_seeds), "steps": budget.repeat.steps,
                               "curves": curves(aside, budget.repeat_seeds, budget.batch, REPEATED)}}


def scores(reader: Reader, data: HeldOut) -> dict[str, float]:
    """CIDEr, percent of questions by kind, percent of puzzles by texts and by clips."""
    return {**reading_scores(reader, data), **{f"world_{k}": v for k, v in world_prediction(reader, data).items()}}


def world_top1(
    found: dict[str, dict[str, Any]], names: Sequence[str], vjepa: VJEPAArm, flow: FlowPainter, data: HeldOut
) -> dict[str, float]:
    """Percent of puzzles solved: by texts `ARM_top1`, by clips `ARM_clip_top1`, which every arm can try."""
    top1 = {f"{name}_top1": found[name]["world_text"] for name in names}
    top1 |= {f"{name}_clip_top1": found[name]["world_clip"] for name in names}
    return top1 | {"vjepa_clip_top1": vjepa_world_prediction(vjepa, data)["clip"],
                   "flow_clip_top1": flow_world_prediction(flow, data)["clip"], "chance": 25.0, "puzzles": CLIPS}


def reader_of(name: str, made: VLJEPA | TokenVLM, sentences: Sequence[str]) -> Reader:
    """How to ask one of the three arms that know text."""
    return TokenReader(made) if isinstance(made, TokenVLM) else EmbeddingReader(made, sentences, name == "joint")


def spread_over_seeds(rows: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over seeds (with n - 1) of each score."""
    return {key: rounded({"mean": float(np.mean([row[key] for row in rows])),
                          "std": float(np.std([row[key] for row in rows], ddof=1)) if len(rows) > 1 else 0.0})
            for key in rows[0]}


def curves(
    work: Path, seeds: Sequence[int], batch: int, names: Sequence[str] = TEXT_ARMS
) -> dict[str, list[dict[str, Any]]]:
    """CIDEr, action classification and world prediction against samples seen, mean and deviation over seeds."""
    found = {}
    for name in names:
        runs = [validated(work / f"{name}.{seed}.log.jsonl") for seed in seeds]
        found[name] = [{"samples": (step + 1) * batch,
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
    masked, visible, hidden = hide("future", 1), torch.arange(32), torch.arange(32, 64)
    tasks: dict[str, dict[str, Callable[[], Any]]] = {
        "encoder": {"encode": torch.inference_mode()(lambda: vjepa.target(pixels))},
        "vjepa": {"predict": torch.inference_mode()(lambda: vjepa.predict_hidden(pixels, visible, hidden))},
        "flow": {f"read_out_{n}_steps": partial(_painted, flow, pixels, masked, n) for n in (1, 10, 50)},
        **{name: tasks_of(reader, one) for name, reader in readers.items()},
    }
    sizes = {"encoder": count(vjepa.target), "vjepa": count(vjepa.encoder) + count(vjepa.predictor),
             "flow": count(flow), **{name: size_of(reader) for name, reader in readers.items()}}
    return {name: {"parameters_trained": sizes[name], **{part: cost(task) for part, task in parts.items()}}
            for name, parts in tasks.items()}


def tasks_of(reader: Reader, one: torch.Tensor) -> dict[str, Callable[[], Any]]:
    """What an arm does to say something of one encoded clip."""
    if isinstance(reader, TokenReader):
        return {"read_out": lambda: reader.vlm.write(one, CAPTION_QUERY)}
    assert isinstance(reader, EmbeddingReader)
    predicted, known = reader.predict(one, CAPTION_QUERY), reader.model.embed_text(list(reader.sentences))
    return {"predict": lambda: reader.predict(one, CAPTION_QUERY), "read_out": lambda: (predicted @ known.T).argmax()}


def size_of(reader: Reader) -> int:
    """The parameters that an arm trains."""
    if isinstance(reader, TokenReader):
        return count(reader.vlm)
    assert isinstance(reader, EmbeddingReader)
    return trainable(reader.model)


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
