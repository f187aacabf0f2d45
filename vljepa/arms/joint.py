"""The joint-embedding arm: a clip and its text are aligned, nothing is predicted from a query (CLIP, arXiv:2103.00020).

The same network and loss as VL-JEPA. A question is no input here; it is part of the text, beside its answer.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from vljepa.shapes.language import CAPTION_QUERY, CHANGE_QUERY
from vljepa.train.batches import Batch, Mixture


@dataclass(frozen=True)
class WithoutQueries(Mixture):
    """A mixture whose queries become part of the texts; otherwise it draws what a `Mixture` of these parts does."""

    def at(self, seed: int, step: int) -> tuple[str, Callable[[], Batch]]:
        """The name of the source of one step, and a function that makes its batch."""
        name, make = Mixture.at(self, seed, step)
        return name, lambda: without_query(make())


def without_query(batch: Batch) -> Batch:
    """The same clips, each with one text: its caption, or its question and answer together."""
    assert batch.queries is not None
    own = batch.owners[:, 0].tolist()
    said = [joined(query, batch.texts[owner]) for query, owner in zip(batch.queries, own, strict=True)]
    texts, owners = np.unique(said, return_inverse=True)
    return replace(batch, queries=None, texts=texts.tolist(), owners=torch.from_numpy(owners.astype(np.int64))[:, None],
                   closed=False)


def joined(query: str, answer: str) -> str:
    """A caption stands for itself; an answer needs its question."""
    return answer if query in (CAPTION_QUERY, CHANGE_QUERY) else f"{query} {answer}"
