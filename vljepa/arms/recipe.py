"""Trains the five arms alike and ships them: `python -m vljepa arms train`. A killed run goes on where it was.

V-JEPA first: its encoder, frozen, is what the three arms that know text see (arXiv:2512.10942, section 3.2).
"""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from visualizations.landmark_map import fit_landmarks
from vljepa import checkpoint
from vljepa.arms.config import SHAPES, Budget
from vljepa.arms.data import Pool, build_pool, mixture, training_pools, word_tokenizer
from vljepa.arms.flow import FlowArm, FlowPainter, hide, scaled, to_frames
from vljepa.arms.joint import WithoutQueries
from vljepa.arms.scores import EmbeddingReader, HeldOut, Reader, TokenReader, held_out, reading_scores, world_prediction
from vljepa.arms.token_vlm import TokenVLM, TokenVLMArm, TokenVLMConfig
from vljepa.arms.vjepa import VJEPAArm, probe, set_statistics
from vljepa.model import VLJEPA
from vljepa.predictor import Predictor
from vljepa.readout import CaptionBank
from vljepa.shapes import clips, puzzles
from vljepa.shapes.language import CAPTION_QUERY, all_captions, paraphrase
from vljepa.train.contrastive import ContrastiveArm
from vljepa.train.decoding import DecoderArm
from vljepa.train.loop import Arm, timed_progress, train, training
from vljepa.tubelet_vit import STEPS, TubeletXEncoder

CPU = torch.device("cpu")
STATISTICS = 8003  # seed of the clips by which tokens are standardised
PROBED = (8001, 8002)  # seeds of the clips that the probe learns from and is tested on
WATCHED, MEASURED = 9001, 9101  # of the held-out clips: looked at while training, and for the last word alone
TEXT_ARMS = ("vljepa", "token_vlm", "joint")
REPEATED = TEXT_ARMS[:2]  # with several seeds
SENTENCES = 4096  # captions of training clips, among which an embedding is read out
SHARD = 600_000  # bytes of a file of weights at most
PICTURES = 20  # that are taken of a collapsing run, beside the one before its first step


def train_arms(budget: Budget, work: Path, out: Path) -> None:
    """Everything that the checkpoints hold; `out` gets a folder `shapes`, a VL-JEPA, and a folder `arms`."""
    vjepa = train_vjepa(budget, work)
    encoder = frozen_encoder(vjepa)
    save_arm(out / "arms", "vjepa", vjepa.predictor)
    pools = training_pools(encoder, budget.data_seed, budget.pool, timed_progress(), work)
    watched = watch(encoder, WATCHED, budget.watched)
    for name in TEXT_ARMS:
        made = train_text_arm(name, budget, pools, encoder, watched, budget.seed, work)
        ship_text_arm(name, made, out, pools, budget, work)
    train_collapsing(budget, pools, encoder, watched, work, out / "arms")
    save_arm(out / "arms", "flow", train_flow(budget, work))
    write_curves(work, budget, out / "arms")


def train_vjepa(budget: Budget, work: Path, collapse: bool = False) -> VJEPAArm:
    """The V-JEPA arm, or with `collapse` a short run of it without its defences."""
    torch.manual_seed(budget.data_seed)
    learned, tested = clips(PROBED[0], budget.probed), clips(PROBED[1], budget.probed // 2)
    schedule = budget.collapse if collapse else budget.vjepa
    arm = VJEPAArm(TubeletXEncoder(SHAPES.x_encoder), schedule.steps, budget.vjepa_batch, budget.data_seed,
                   lambda a: probe(a.target, learned, tested), collapse)
    train(arm, schedule, work, "vjepa_collapse" if collapse else "vjepa", CPU)
    return arm


def untrained_encoder(seed: int) -> TubeletXEncoder:
    """Random weights, with which V-JEPA's are compared."""
    torch.manual_seed(seed)
    return TubeletXEncoder(SHAPES.x_encoder).eval().requires_grad_(False)


def frozen_encoder(vjepa: VJEPAArm) -> TubeletXEncoder:
    """What the arms that know text see the world through: V-JEPA's slow copy, its tokens standardised."""
    encoder = vjepa.target.eval().requires_grad_(False)
    set_statistics(encoder, clips(STATISTICS, 512))
    return encoder


def new_model(encoder: TubeletXEncoder, seed: int) -> VLJEPA:
    """A VL-JEPA of the arms' size with that encoder; the rest is random."""
    torch.manual_seed(seed)
    words = word_tokenizer()
    model = VLJEPA(SHAPES, words, words, words)
    model.x_encoder.load_state_dict(encoder.state_dict())
    # read as they are, for they do not train; and texts that differ in a word must differ from the start
    assert isinstance(model.predictor, Predictor)
    nn.init.normal_(model.predictor.embed_tokens.weight, std=0.5)
    nn.init.normal_(model.y_encoder.get_parameter("model.embeddings.word_embeddings.weight"), std=0.5)
    return model.eval()


def new_token_vlm(seed: int) -> TokenVLM:
    """A token VLM with twice VL-JEPA's trainable size, with random weights."""
    torch.manual_seed(seed)
    words = word_tokenizer()
    return TokenVLM(TokenVLMConfig(2 * SHAPES.x_encoder.hidden * STEPS, SHAPES.x_encoder.grid**2, 1,
                                   SHAPES.predictor.vocabulary), words)


def train_text_arm(
    name: str, budget: Budget, pools: tuple[Pool, Pool], encoder: TubeletXEncoder, watched: HeldOut, seed: int,
    work: Path,
) -> VLJEPA | TokenVLM:
    """One of the three arms that know text, on the batches that `seed` orders, the same for all three."""
    def validation(reader: Reader) -> dict[str, float]:
        return {**reading_scores(reader, watched, ("action",)), **_prefixed(world_prediction(reader, watched))}

    arm, made = text_arm(name, pools, encoder, seed, budget.batch, validation)
    train(arm, budget.text, work, f"{name}.{seed}", CPU)
    return made.requires_grad_(False).eval()


def text_arm(
    name: str, pools: tuple[Pool, Pool], encoder: TubeletXEncoder, seed: int, batch: int,
    validation: Callable[[Reader], dict[str, float]],
) -> tuple[Arm, VLJEPA | TokenVLM]:
    """What trains one of the three arms that know text, and the model that it trains, with random weights.

    `validation` is asked what to measure, with the model ready to be read. ValueError on another name.
    """
    if name not in TEXT_ARMS:
        raise ValueError(f"an arm that knows text is one of {', '.join(TEXT_ARMS)}, got {name!r}")
    drawn, sentences, joint = mixture(pools, batch), some_captions(pools[0]), name == "joint"
    if name == "token_vlm":
        vlm = new_token_vlm(seed)
        return TokenVLMArm(vlm, drawn, seed, partial(validation, TokenReader(vlm))), vlm
    model = new_model(encoder, seed)
    reader = EmbeddingReader(model, sentences, joint)
    return ContrastiveArm(model, WithoutQueries(drawn.parts) if joint else drawn, seed, partial(validation, reader),
                          1.0), model


def train_flow(budget: Budget, work: Path) -> FlowPainter:
    """The flow-matching arm; watched by the error of what it paints, in ten steps, of twenty hidden futures."""
    torch.manual_seed(budget.data_seed)
    painter, seen = FlowPainter(), clips(WATCHED + 5, 20)
    truth = scaled(torch.from_numpy(seen.frames))

    def validation() -> dict[str, float]:
        with torch.autocast("cpu", torch.bfloat16):
            painted = list(painter.paint(truth, hide("future", 20), 10, 0))[-1]
        error = (to_frames(painted)[:, 4:].astype(float) - seen.frames[:, 4:]) ** 2
        return {"psnr": float(10 * np.log10(255**2 / error.mean()))}

    train(FlowArm(painter, budget.flow_batch, budget.data_seed, validation), budget.flow, work, "flow", CPU)
    return painter.eval().requires_grad_(False)


class AlignedOnly(ContrastiveArm):
    """VL-JEPA without its anti-collapse term: a prediction is pulled to its text, and nothing is pushed apart."""

    def loss(self, step: int) -> tuple[torch.Tensor, dict]:
        """Mean distance between predictions and their texts; logs how much the predictions still vary."""
        _, make = self._mixture.at(self._seed, step)
        batch, (model,) = make(), self._model
        assert batch.queries is not None
        predicted = self.predictor(batch.visual_tokens.float(), *model.query_tokenizer(batch.queries))
        predicted = nn.functional.normalize(predicted.float(), dim=-1)
        targets = self.embed_texts(batch.texts)[batch.owners[:, 0]]
        return 1 - (predicted * targets).sum(-1).mean(), {"variance": float(predicted.detach().std(0).mean())}


def train_collapsing(
    budget: Budget, pools: tuple[Pool, Pool], encoder: TubeletXEncoder, watched: HeldOut, work: Path, out: Path,
) -> None:
    """The runs without an anti-collapse term beside the same runs with it, as `collapse.json`.

    After each of `steps`: where the predictions for 64 held-out clips lie, on the two main axes of the healthy run's
    end, how much they vary, and the mean loss since the step before.
    """
    train_vjepa(budget, work, collapse=True)
    held, snapshots = watched.pool.tokens[:64].float(), dict[str, list[np.ndarray]]()
    every = max(1, budget.collapse.steps // PICTURES)
    for name, kind in (("vljepa_healthy", ContrastiveArm), ("vljepa_collapse", AlignedOnly)):
        (work / f"{name}.state.pt").unlink(missing_ok=True)  # a resumed run would lack its first pictures
        model = new_model(encoder, 1)
        seen = snapshots.setdefault(name, [model.predict_windows(held, CAPTION_QUERY)])

        def picture(model: VLJEPA = model, seen: list[np.ndarray] = seen) -> dict[str, float]:
            seen.append(model.predict_windows(held, CAPTION_QUERY))
            return {"spread": float(seen[-1].std(0).mean())}

        schedule = replace(budget.collapse, validate_every=every)
        train(kind(model, mixture(pools, budget.vjepa_batch), 1, picture, 1.0), schedule, work, name, CPU)
    end = snapshots["vljepa_healthy"][-1]
    axes = np.linalg.svd(end - end.mean(0), full_matrices=False)[2][:2]
    told: dict[str, Any] = {name: {"xy": [((s - end.mean(0)) @ axes.T).astype(float).round(3).tolist() for s in seen],
                   "spread": [round(float(s.std(0).mean()), 5) for s in seen],
                   "loss": _means([row["loss"] for row in _logged(work, name)], every)}
            for name, seen in snapshots.items()}
    told["steps"] = [min(every * i, budget.collapse.steps) for i in range(len(snapshots["vljepa_healthy"]))]
    told["colour"] = [int(watched.pool.scene(i)[0].start.colour[watched.pool.scene(i)[1], 0]) for i in range(64)]
    for name in ("vjepa", "vjepa_collapse"):
        told[name] = {"variance": [[row["step"] + 1, row["variance"]] for row in _logged(work, name)[:200:4]]}
    out.mkdir(parents=True, exist_ok=True)
    (out / "collapse.json").write_text(json.dumps(told, separators=(",", ":")) + "\n")


def _logged(work: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (work / f"{name}.log.jsonl").read_text().splitlines()]


def _means(values: list[float], every: int) -> list[float]:
    """The mean of each `every` values; what is left over at the end is left out."""
    return np.array(values[: len(values) // every * every]).reshape(-1, every).mean(1).round(4).tolist()


def watch(encoder: TubeletXEncoder, seed: int, count: int) -> HeldOut:
    """`count` held-out clips and as many puzzles of unseen combinations."""
    pool = build_pool(encoder, clips, [seed], count, lambda *_: None)
    return held_out(encoder, pool, puzzles(seed + 1, count, unseen=True))


def some_captions(pool: Pool) -> list[str]:
    """Different captions of training clips, in any words."""
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(pool))[: 2 * SENTENCES]
    return sorted({paraphrase(*pool.scene(int(i)), rng) for i in chosen})[:SENTENCES]


def ship_text_arm(
    name: str, made: VLJEPA | TokenVLM, out: Path, pools: tuple[Pool, Pool], budget: Budget, work: Path
) -> None:
    """Save what the app shows: VL-JEPA as a whole checkpoint with decoder, bank and map; the others as weights."""
    if isinstance(made, TokenVLM):
        save_arm(out / "arms", name, made)
        return
    if name == "joint":
        parts = nn.ModuleDict({"predictor": made.predictor, "y_encoder": made.y_encoder})
        save_arm(out / "arms", name, parts)
        return
    add_readouts(made, pools[0], budget, work)
    checkpoint.save(made, out / "shapes")


def add_readouts(
    model: VLJEPA, pool: Pool, budget: Budget, work: Path, between: Callable[[], object] = lambda: None
) -> None:
    """The Y-Decoder, trained on text alone, the bank of plain captions, the shift between the cones, and the map.

    `between` is called between the decoder's steps.
    """
    texts = list(all_captions())
    embedded = model.embed_text(texts)
    rng = np.random.default_rng(0)
    sample = rng.permutation(len(pool))[:1024]
    predicted = model.predict_windows(pool.tokens[sample].float(), CAPTION_QUERY)
    said = [paraphrase(*pool.scene(int(i)), rng) for i in sample]
    model.text_shift.copy_(torch.from_numpy(model.embed_text(said).mean(0) - predicted.mean(0)))
    arm = DecoderArm(model, [[t] for t in texts], 256, 0, dict, embedded)
    for _ in training(arm, budget.decoder, work, "decoder", CPU):
        between()
    model.requires_grad_(False).eval()
    kept = rng.permutation(len(texts))[:2400]
    model.bank = CaptionBank([texts[i] for i in kept], embedded[kept])
    spread = kept[:900]
    model.landmarks = fit_landmarks([texts[i] for i in spread], embedded[spread], predicted.mean(0), embedded.mean(0),
                                    0)


def save_arm(folder: Path, name: str, module: nn.Module) -> None:
    """Write an arm's weights in half precision, `NAME.safetensors`, or several numbered files if they are large."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.detach().to(torch.float16).contiguous() for k, v in module.state_dict().items()
               if k != "model.lm_head.weight"}
    shards: list[dict] = [{}]
    for key, tensor in tensors.items():
        size = sum(t.numel() * 2 for t in shards[-1].values())
        if size and size + tensor.numel() * 2 > SHARD:
            shards.append({})
        shards[-1][key] = tensor
    for old in folder.glob(f"{name}*.safetensors"):
        old.unlink()
    for index, shard in enumerate(shards):
        save_file(shard, folder / (f"{name}.safetensors" if len(shards) == 1 else f"{name}-{index + 1}.safetensors"))


def write_curves(work: Path, budget: Budget, folder: Path) -> None:
    """The log of each arm, thinned to what a chart shows, as `curves.json`; every validation is kept."""
    curves = {}
    for name in ("vjepa", "flow", *(f"{arm}.{budget.seed}" for arm in TEXT_ARMS)):
        rows = [json.loads(line) for line in (work / f"{name}.log.jsonl").read_text().splitlines()]
        stride, plain = max(1, len(rows) // 150), rows[0].keys()
        curves[name] = [row for i, row in enumerate(rows) if i % stride == 0 or row.keys() - plain]
    (folder / "curves.json").write_text(json.dumps(curves) + "\n")


def _prefixed(values: dict[str, float]) -> dict[str, float]:
    return {f"world_prediction_{k}": v for k, v in values.items()}


