"""`python -m vljepa evaluate text`: does the Y-Encoder tell meaning from wording? Beside MiniLM, untouched by training.

Triplets are made by rule from the captions of held-out photos (`vljepa.hard_negatives`). As in the paper's tables, one
counts if the two captions of the photo are nearer to each other than *either* is to the negative. The two inequalities
are also told alone: the negative is made from the first caption, so the first of them is the hard one.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from vljepa.composed_films import captioned_photos
from vljepa.config import YEncoderConfig
from vljepa.hard_negatives import RULES, Triplet, triplets
from vljepa.readout import normalise
from vljepa.text import TextTokenizer
from vljepa.y_encoder import YEncoder

Embed = Callable[[Sequence[str]], Float[np.ndarray, "texts dim"]]
TEXTS_AT_ONCE = 64


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Both encoders on the same triplets; ValueError if data or MiniLM's package is missing."""
    from vljepa.checkpoint import load

    untouched, model = minilm(), load(args.checkpoint, args.device)
    made = list(triplets([photo.captions for photo in captioned_photos(args.data, "flickr8k", args.split)]))
    return {"triplets": {rule: sum(t.rule == rule for t in made) for rule in RULES},
            "y_encoder": both_inequalities(model.embed_text, made), "minilm": both_inequalities(untouched, made),
            "split": args.split}


def both_inequalities(embed: Embed, made: Sequence[Triplet]) -> dict[str, dict[str, float]]:
    """For each rule and for `all` the percent of triplets that satisfy `first`, `second` and `both` inequalities.

    `first`: cos(first, second) > cos(first, negative); `second`: cos(first, second) > cos(second, negative).
    ValueError without triplets.
    """
    if not made:
        raise ValueError("there is no caption that any rule could change")
    a, b, n = (embed([getattr(t, name) for t in made]) for name in ("first", "second", "negative"))
    alike = (a * b).sum(axis=1)
    holds = {"first": alike > (a * n).sum(axis=1), "second": alike > (b * n).sum(axis=1)}
    holds["both"] = holds["first"] & holds["second"]
    rules = np.array([t.rule for t in made])
    groups = {rule: rules == rule for rule in RULES if (rules == rule).any()} | {"all": np.ones(len(made), dtype=bool)}
    return {rule: {name: round(100 * float(held[group].mean()), 2) for name, held in holds.items()}
            for rule, group in groups.items()}


def minilm() -> Embed:
    """MiniLM-L6-v2's own embeddings of texts, unit length; ValueError if its package is not installed."""
    from vljepa.train import start

    config = YEncoderConfig()
    encoder = YEncoder(config, config.hidden).eval()
    start.load_minilm(encoder)
    tokenizer = TextTokenizer(start.minilm_tokenizer(), config.max_tokens)

    @torch.inference_mode()
    def embed(texts: Sequence[str]) -> Float[np.ndarray, "texts dim"]:
        chunks = [tokenizer(texts[k : k + TEXTS_AT_ONCE]) for k in range(0, len(texts), TEXTS_AT_ONCE)]
        return normalise(np.concatenate([encoder(ids, mask).float().numpy() for ids, mask in chunks]))

    return embed
