"""The controlled comparison on photos: VL-JEPA against a token VLM of twice its trainable size, all else alike.

Flickr8k's training photos through the frozen X-Encoder of `everyday`; the same batches in the same order, the same
steps (arXiv:2512.10942, section 4.3). VL-JEPA's targets are the embeddings of `everyday`'s Y-Encoder, which rests;
its captions are read out twice: by that checkpoint's Y-Decoder, and as the nearest training caption. Classification is
zero-shot.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from vljepa.arms.scores import rounded
from vljepa.arms.token_vlm import TokenVLM, TokenVLMArm, TokenVLMConfig
from vljepa.checkpoint import load
from vljepa.config import PredictorConfig
from vljepa.evaluate import encode
from vljepa.metrics import cider
from vljepa.model import VLJEPA
from vljepa.predictor import Predictor
from vljepa.readout import CaptionBank, normalise
from vljepa.train.batches import CaptionSource, Mixture, Photos
from vljepa.train.decoding import train_tokenizer
from vljepa.train.loop import Arm, Schedule, train
from vljepa.train.losses import info_nce

SCHEDULE = Schedule(steps=300, learning_rate=1.5e-3, weight_decay=0.05, save_every=100, validate_every=75)
BATCH, SEEDS = 128, (1, 2)
PREDICTOR = PredictorConfig(hidden=192, layers=2, heads=6, key_value_heads=6, mlp=384, vocabulary=8, window_frames=1,
                            dropout=0.1, drop_tokens=0.0)
VOCABULARY, BANK = 3000, 5000
WATCHED, MEASURED, CLASSIFIED = 200, 500, 200  # photos
CPU = torch.device("cpu")


class PhotoArm(Arm):
    """VL-JEPA on photos: a predictor without a query, targets that rest."""

    def __init__(self, visual_dim: int, tokens: int, known: dict[str, int], embedded: Tensor, mixture: Mixture,
                 seed: int, validation: Any) -> None:
        super().__init__(partial(validation, self))
        torch.manual_seed(seed)
        self.predictor = Predictor(PREDICTOR, visual_dim, tokens, embedded.shape[1])
        self.predictor.embed_tokens.requires_grad_(False)
        self._known, self._embedded, self._mixture = known, embedded, mixture
        self._seed = seed

    def loss(self, step: int) -> tuple[Tensor, dict[str, Any]]:
        """InfoNCE between predictions and the captions' embeddings."""
        _, make = self._mixture.at(self._seed, step)
        batch = make()
        predicted = F.normalize(self.predictor(batch.visual_tokens.float()).float(), dim=-1)
        targets = self._embedded[[self._known[text] for text in batch.texts]]
        mean = F.normalize(targets[batch.owners].mean(1), dim=-1)
        return info_nce(predicted, mean, torch.arange(len(mean)), 0.05), {}

    @torch.inference_mode()
    def predict(self, tokens: Float[Tensor, "photos 1 tokens dim"]) -> Float[np.ndarray, "photos embed"]:
        """Unit embeddings of photos."""
        return np.concatenate([F.normalize(self.predictor(part.float()), dim=-1).numpy() for part in tokens.split(128)])


def compare_on_photos(data: Path, work: Path) -> dict[str, Any]:
    """CIDEr and zero-shot classification of both, against samples seen; the last word on Flickr8k's test photos."""
    model = load("everyday", "cpu")
    sets = {split: _encoded(model, data, "flickr8k", split, work) for split in ("train", "val", "test")}
    sports = _encoded(model, data, "sports100", "val", work)
    rows, tokens = sets["train"]
    captions = [row["captions"] for row in rows]
    flat = sorted({caption for five in captions for caption in five})
    embedded = torch.from_numpy(_kept(work / "photo_captions.npy", lambda: model.embed_text(flat)))
    known = {caption: i for i, caption in enumerate(flat)}
    drawn = Mixture([("flickr8k", CaptionSource(Photos([tokens[:, 0]], 1), captions), 1.0, BATCH)])
    rng = np.random.default_rng(0)
    bank = rng.permutation(len(flat))[:BANK]
    readers = _Readers(model, CaptionBank([flat[i] for i in bank], embedded.numpy()[bank]), embedded.numpy().mean(0),
                       tokens[:1000])
    chosen = rng.permutation(len(sports[0]))[:CLASSIFIED]
    scenes = ([sports[0][i] for i in chosen], sports[1][chosen])
    words = train_tokenizer(flat, VOCABULARY)
    found: dict[str, list[dict[str, Any]]] = {"vljepa": [], "token_vlm": []}
    sizes: dict[str, int] = {}
    watched = _first(sets["val"], WATCHED)
    for seed in SEEDS:
        arm = PhotoArm(tokens.shape[-1], tokens.shape[-2], known, embedded, drawn, seed,
                       lambda a: readers.of_embeddings(a, watched, scenes))
        train(arm, SCHEDULE, work, f"photos_vljepa.{seed}", CPU)
        torch.manual_seed(seed)
        vlm = TokenVLM(TokenVLMConfig(tokens.shape[-1], tokens.shape[-2], 1, VOCABULARY, hidden=192, layers=4, heads=6,
                                      mlp=384), words)
        token_arm = TokenVLMArm(vlm, drawn, seed, partial(readers.of_tokens, vlm, watched, scenes))
        train(token_arm, SCHEDULE, work, f"photos_token_vlm.{seed}", CPU)
        tested = _first(sets["test"], MEASURED)
        found["vljepa"].append(readers.of_embeddings(arm.eval(), tested, scenes))
        found["token_vlm"].append(readers.of_tokens(vlm.eval(), tested, scenes))
        sizes = {"vljepa": sum(p.numel() for p in arm.parameters() if p.requires_grad),
                 "token_vlm": sum(p.numel() for p in vlm.parameters())}
    return _report(found, sizes, work)


def _report(found: dict[str, list[dict[str, Any]]], sizes: dict[str, int], work: Path) -> dict[str, Any]:
    from vljepa.arms.measure import spread_over_seeds, validated

    curves = {}
    for name in found:
        runs = [validated(work / f"photos_{name}.{seed}.log.jsonl") for seed in SEEDS]
        curves[name] = [{"samples": (step + 1) * BATCH,
                         **spread_over_seeds([{k: v for k, v in run[step].items()
                                               if k.startswith("cider") or k == "sports100"} for run in runs])}
                        for step in runs[0]]
    return {"test": {name: spread_over_seeds(rows) for name, rows in found.items()}, "curves": curves,
            "parameters_trained": sizes, "steps": SCHEDULE.steps, "batch": BATCH, "seeds": list(SEEDS),
            "photos_tested": MEASURED, "photos_classified": CLASSIFIED}


class _Readers:
    """How both are asked."""

    def __init__(self, model: VLJEPA, bank: CaptionBank, text_mean: np.ndarray, some: Tensor) -> None:
        self._model, self._bank, self._text_mean, self._some = model, bank, text_mean, some

    def of_embeddings(
        self, arm: PhotoArm, photos: tuple[list, Tensor], scenes: tuple[list, Tensor]
    ) -> dict[str, float]:
        """Read out by the decoder and by the bank; labels by nearness."""
        references = [row["captions"] for row in photos[0]]
        shift = self._text_mean - arm.predict(self._some).mean(0)
        as_text = normalise(arm.predict(photos[1]) + shift)
        written = [t for part in np.array_split(self._bank.project(as_text), max(1, len(as_text) // 64))
                   for t in self._model.write(part)]
        labels = sorted({row["label"] for row in scenes[0]})
        prompts = self._model.embed_text([f"people doing {label}" for label in labels])
        picked = (arm.predict(scenes[1]) @ (prompts - prompts.mean(0)).T).argmax(1)
        return rounded({"cider": cider(written, references),
                        "cider_bank": cider([c.text for c in self._bank.nearest(as_text)], references),
                        "sports100": _right(picked, labels, scenes[0])})

    def of_tokens(self, vlm: TokenVLM, photos: tuple[list, Tensor], scenes: tuple[list, Tensor]) -> dict[str, float]:
        """Captions as it writes them; labels by how likely it finds them."""
        references = [row["captions"] for row in photos[0]]
        written = [t for part in photos[1].split(100) for t in vlm.write(part.float())]
        labels = sorted({row["label"] for row in scenes[0]})
        prompts = [f"people doing {label}" for label in labels]
        many = len(prompts)
        scores = np.stack([vlm.log_likelihood(photo[None].float().expand(many, -1, -1, -1), None, prompts).numpy()
                           for photo in scenes[1]])
        # a label that is likely whatever is shown says nothing: its mean is taken off, as VL-JEPA's prompts' is
        picked = (scores - scores.mean(0)).argmax(1)
        return rounded({"cider": cider(written, references), "sports100": _right(picked, labels, scenes[0])})


def _right(picked: np.ndarray, labels: list[str], rows: list[dict]) -> float:
    return 100 * float(np.mean([labels[p] == row["label"] for p, row in zip(picked, rows, strict=True)]))


def _first(photos: tuple[list, Tensor], count: int) -> tuple[list, Tensor]:
    return photos[0][:count], photos[1][:count]


def _encoded(model: VLJEPA, data: Path, name: str, split: str, work: Path) -> tuple[list[dict], Tensor]:
    """The rows of one split and their photos' tokens, one-frame windows, float16."""
    import json

    kept = work / f"photo_tokens.{name}.{split}.npy"
    if not kept.exists():
        return (lambda shown: (shown.rows, torch.from_numpy(_kept(kept, lambda: shown.tokens.half().numpy()))))(
            encode(model, data, name, split))
    rows = [row for row in map(json.loads, (data / f"{name}.jsonl").read_text().splitlines()) if row["split"] == split]
    return rows, torch.from_numpy(np.load(kept))


def _kept(path: Path, make: Any) -> np.ndarray:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npy")
        np.save(partial, make())
        partial.rename(path)
    return np.load(path)
