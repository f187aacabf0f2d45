"""What the text arms are shown: clips encoded once by the frozen encoder, and what is asked and said of them.

All three draw the same batches in the same order: a batch depends on the seed and the step alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from vljepa.arms.vjepa import encode_clips
from vljepa.shapes import Clips, before_after, clips, questions, vocabulary
from vljepa.shapes.language import CAPTION_QUERY, CHANGE_QUERY, paraphrase
from vljepa.shapes.world import Motion
from vljepa.text import TextTokenizer
from vljepa.train.batches import Batch, Mixture, Part
from vljepa.tubelet_vit import TubeletXEncoder

CHUNK = 1024  # clips drawn together
CLIPS, CHANGES = 0, 1  # parts of the seeds, so that no clip is drawn twice
SHARES = {"caption": 0.30, "change": 0.34, "action": 0.12, "who": 0.08, "colour": 0.06, "presence": 0.06, "count": 0.04}


@dataclass(frozen=True)
class Pool:
    """Encoded clips and what happens in them: clip i is scene `i % CHUNK` of `motions[i // CHUNK]`."""

    tokens: Float[Tensor, "clips steps tokens dim"]
    motions: Sequence[Motion]

    def __len__(self) -> int:
        return len(self.tokens)

    def scene(self, i: int) -> tuple[Motion, int]:
        """The motion of clip `i` and its index there."""
        return self.motions[i // CHUNK], i % CHUNK


def word_tokenizer(words: Sequence[str] | None = None) -> TextTokenizer:
    """Whole words, lower case, marks left out; ids 0, 1 and 2 are pad, start and end."""
    listed = ["[PAD]", "[START]", "[END]", "[UNK]", *(vocabulary() if words is None else words)]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(listed)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(Regex("[^a-z ]"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return TextTokenizer(tokenizer, None)


def build_pool(
    encoder: TubeletXEncoder, draw: Callable[[list[int], int], Clips], seed: Sequence[int], count: int,
    progress: Callable[[str, int, int], None], cache: Path | None = None,
) -> Pool:
    """Draw and encode `count` clips. The tokens are kept in the file `cache`, the scenes are drawn anew each time."""
    kept = torch.from_numpy(np.load(cache)) if cache is not None and cache.exists() else None
    tokens, motions = [], []
    for first in range(0, count, CHUNK):
        shown = draw([*seed, first], min(CHUNK, count - first))
        motions.append(shown.motion)
        if kept is None:
            tokens.append(encode_clips(encoder, shown.frames))
        progress("drawing and encoding clips", min(first + CHUNK, count), count)
    whole = kept if kept is not None else torch.cat(tokens)
    if cache is not None and kept is None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        partial = cache.with_suffix(".partial.npy")
        np.save(partial, whole.numpy())
        partial.rename(cache)
    return Pool(whole, motions)


def training_pools(
    encoder: TubeletXEncoder, seed: int, count: int, progress: Callable[[str, int, int], None],
    work: Path | None = None,
) -> tuple[Pool, Pool]:
    """`count` clips, and `count` pairs of an image before and one after."""
    made = [build_pool(encoder, draw, [seed, part], count, progress,
                       None if work is None else work / f"pool{part}.{count}.npy")
            for part, draw in ((CLIPS, clips), (CHANGES, before_after))]
    return made[0], made[1]


@dataclass(frozen=True)
class Told:
    """Clips with a caption in any words; the same words in two clips are one text."""

    pool: Pool
    query: str

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        chosen = rng.permutation(len(self.pool))[:size]
        said = [paraphrase(*self.pool.scene(int(i)), rng) for i in chosen]
        texts, owners = np.unique(said, return_inverse=True)
        return Batch(self.pool.tokens[chosen], [self.query] * len(chosen), texts.tolist(), _owners(owners))


@dataclass(frozen=True)
class Asked:
    """Clips with a question of one kind; every answer of that kind stands as a negative."""

    pool: Pool
    kind: str

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        chosen, rows = [], []
        for i in rng.permutation(len(self.pool)):
            found = [q for q in questions(*self.pool.scene(int(i)), rng) if q.kind == self.kind]
            if found:
                chosen.append(i)
                rows.append(found[0])
            if len(rows) == size:
                break
        candidates = list(rows[0].candidates)
        owners = np.array([candidates.index(row.answer) for row in rows])
        return Batch(self.pool.tokens[chosen], [row.text for row in rows], candidates, _owners(owners),
                     closed=True)


def mixture(pools: tuple[Pool, Pool], batch: int) -> Mixture:
    """Captions, changes and questions in the shares that every text arm gets."""
    told, changed = pools
    sources = {"caption": Told(told, CAPTION_QUERY), "change": Told(changed, CHANGE_QUERY)}
    parts: list[Part] = [(name, sources.get(name) or Asked(told, name), share, batch) for name, share in SHARES.items()]
    return Mixture(parts)


def _owners(owners: np.ndarray) -> Int[Tensor, "batch 1"]:
    return torch.from_numpy(owners.astype(np.int64)).reshape(-1, 1)
