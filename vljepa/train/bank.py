"""Our own sentences: the caption bank and the map's landmarks, written by the Y-Decoder and a small grammar.

None of them may be a sentence of a data set: each is compared with all of those, spelling evened out, and dropped
if it is one. `tests` and the model card rely on that.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from sklearn.cluster import MiniBatchKMeans

from visualizations.landmark_map import Landmarks, fit_landmarks
from vljepa.model import VLJEPA
from vljepa.readout import CaptionBank, normalise
from vljepa.train.text_corpus import CRUDE, clean_sentence

LANDMARKS = 1_400


def build_bank(
    model: VLJEPA, embeddings: Float[np.ndarray, "sentences dim"], dataset: Sequence[str], objects: Sequence[str],
    actions: Sequence[str], seed: int, written: int = 10_000, kept: int = 3_000,
) -> CaptionBank:
    """Sentences spread over what `embeddings` cover, none of them in `dataset`, and one for each object and action.

    The decoder writes `written` of them, of which at most `kept` stay.
    """
    rng = np.random.default_rng(seed)
    pairs = rng.integers(len(embeddings), size=(written, 2))
    # between two sentences, but nearer to one: new things are said without leaving what can be said
    between = normalise(0.75 * embeddings[pairs[:, 0]] + 0.25 * embeddings[pairs[:, 1]])
    ours = _filtered(_write(model, between), dataset)
    spread = _spread(model.embed_text(ours), kept, seed) if ours else np.arange(0)
    texts = [ours[i] for i in spread] + _grammar(objects, actions, dataset)
    return CaptionBank(texts, model.embed_text(texts))


def build_landmarks(bank: CaptionBank, predicted: Float[np.ndarray, "photos dim"], seed: int) -> Landmarks:
    """The map: a spread-out part of the bank, its UMAP, and the centres of the two cones."""
    spread = _spread(bank.embeddings, LANDMARKS, seed)
    texts, embeddings = [bank.texts[i] for i in spread], bank.embeddings[spread]
    return fit_landmarks(texts, embeddings, predicted.mean(0), bank.embeddings.mean(0), seed)


def _write(model: VLJEPA, embeddings: Float[np.ndarray, "sentences dim"]) -> list[str]:
    batches = np.array_split(embeddings, max(1, len(embeddings) // 256))
    with torch.autocast(model.device.type, torch.bfloat16):
        return [text for batch in batches for text in model.write(batch, beams=1)]


def _filtered(written: Sequence[str], dataset: Sequence[str]) -> list[str]:
    known = {clean_sentence(s) for s in dataset}
    kept: dict[str, str] = {}
    for sentence in written:
        key = clean_sentence(sentence)
        words = key.split()
        stutters = any(a == b for a, b in pairwise(words))
        if 4 <= len(words) <= 16 and key not in known and not stutters and not CRUDE.search(key):
            kept.setdefault(key, sentence)
    return list(kept.values())


def _grammar(objects: Sequence[str], actions: Sequence[str], dataset: Sequence[str]) -> list[str]:
    known = {clean_sentence(s) for s in dataset}
    article = {label: "an" if label[0].lower() in "aeiou" else "a" for label in objects}
    sentences = [f"There is {article[label]} {label} here." for label in objects]
    sentences += [f"People are doing {label}." for label in actions]
    return [s for s in sentences if clean_sentence(s) not in known]


def _spread(embeddings: Float[np.ndarray, "sentences dim"], count: int, seed: int) -> np.ndarray:
    """Indices of at most `count` sentences, the nearest to each centre of a k-means."""
    if len(embeddings) <= count:
        return np.arange(len(embeddings))
    centres = MiniBatchKMeans(count, random_state=seed, n_init=1, batch_size=4096).fit(embeddings).cluster_centers_
    return np.unique((normalise(centres) @ embeddings.T).argmax(axis=1))
