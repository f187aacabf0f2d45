"""Training batches: what is shown, what is asked, and the distinct texts among which the answer must be found.

A batch comes from one source, because texts of another source are too easy as negatives. The batch of a step depends
on the seed and the step alone, so a resumed run sees what an uninterrupted one would.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vljepa.colour_names import NAMES, rename


@dataclass(frozen=True)
class Batch:
    """`texts` are distinct; prediction i must match the mean embedding of texts `owners[i]` (one or two of them).

    `closed` says that `texts` are all the answers there are, in no way a sample: the posterior over them is learned.
    """

    visual_tokens: Float[Tensor, "batch time tokens dim"]
    queries: list[str] | None  # None: query-free, as in the first stage
    texts: list[str]
    owners: Int[Tensor, "batch parts"]
    closed: bool = False
    soft: Float[Tensor, "batch texts"] | None = None  # closed: what a teacher thinks of each text, summing to 1


@runtime_checkable
class Source(Protocol):
    """Anything that makes a batch from a random generator."""

    def batch(self, rng: np.random.Generator, size: int) -> Batch: ...


@dataclass(frozen=True)
class Photos:
    """Encoded copies of the same photos: `copies[c][i]` are the visual tokens of photo i as copy c shows it.

    All on one device, and clips come from there: a GPU has room for them, and fetching them anew for each batch would
    cost it more time than the batch. On a CPU they may be maps of files.
    """

    copies: Sequence[Tensor]
    max_frames: int

    def clips(self, photos: np.ndarray, rng: np.random.Generator) -> Tensor:
        """Windows of one photo each: mostly one frame, at times several copies, as if a camera had moved."""
        frames = 1 if self.max_frames == 1 or rng.random() < 0.7 else int(rng.integers(2, self.max_frames + 1))
        copy = rng.integers(len(self.copies), size=(len(photos), frames))
        first = self.copies[0]
        clips = first.new_empty((len(photos), frames, *first.shape[1:]))
        for c, tokens in enumerate(self.copies):
            rows, times = np.nonzero(copy == c)
            order = np.argsort(photos[rows])  # in file order: the copies may be memory maps
            row, time, photo = (torch.from_numpy(i[order]) for i in (rows, times, photos[rows]))
            clips[row, time] = tokens[photo]
        return clips


@dataclass(frozen=True)
class CaptionSource:
    """Photos with several captions each; the target is one of them or the mean of two."""

    photos: Photos
    captions: Sequence[Sequence[str]]
    queries: Sequence[str] | None = None

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        chosen = rng.permutation(len(self.captions))[:size]
        parts = 2 if rng.random() < 0.3 else 1
        picked = [rng.permutation(len(self.captions[i]))[:parts] for i in chosen]
        texts = [self.captions[i][p] for i, ps in zip(chosen, picked, strict=True) for p in ps]
        owners = torch.arange(len(texts)).reshape(len(chosen), parts)
        return Batch(self.photos.clips(chosen, rng), _draw(self.queries, len(chosen), rng), texts, owners)


@dataclass(frozen=True)
class LabelSource:
    """Photos with a label each; the target is the label in one of a few phrasings, the same for a whole batch."""

    photos: Photos
    labels: Sequence[str]
    phrasings: Sequence[str]
    queries: Sequence[str] | None = None

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        chosen = rng.permutation(len(self.labels))[:size]
        phrasing = str(rng.choice(np.array(self.phrasings)))
        texts, owners = np.unique([phrasing.format(self.labels[i]) for i in chosen], return_inverse=True)
        return Batch(self.photos.clips(chosen, rng), _draw(self.queries, len(chosen), rng), texts.tolist(),
                     torch.from_numpy(owners).reshape(-1, 1))


@dataclass(frozen=True)
class QuestionSource:
    """Photos with a question and an answer each; every answer of that kind of question stands as a candidate.

    `turned` is the share of colour answers that are asked under other names: the eleven colour names change places in
    the visual tokens' last columns (in `colour_parts` squared parts) and in the answer alike. No such answer can be
    known by heart: the thing must be found and its colour read. `dropped_words` is the share of a question's words
    that are left out, for questions so few that they would be learned by heart. `soft` are a teacher's probabilities of
    the candidates for each question.
    """

    photos: Photos
    asked: Sequence[tuple[int, str, str]]  # photo, question, answer
    candidates: Sequence[str]
    colour_parts: int = 0
    turned: float = 0.0
    dropped_words: float = 0.0
    soft: np.ndarray | None = None

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        chosen = rng.permutation(len(self.asked))[:size]
        rows = [self.asked[i] for i in chosen]
        clips = self.photos.clips(np.array([photo for photo, _, _ in rows]), rng)
        answers = [answer for _, _, answer in rows]
        if self.turned:
            clips, answers = self._turn(clips, answers, rng)
        known = {text: i for i, text in enumerate(self.candidates)}
        owners = torch.tensor([[known[answer]] for answer in answers])
        queries = [self._worn(question, rng) for _, question, _ in rows]
        soft = None if self.soft is None else torch.from_numpy(self.soft[chosen])
        return Batch(clips, queries, list(self.candidates), owners, closed=True, soft=soft)

    def _turn(self, clips: Tensor, answers: list[str], rng: np.random.Generator) -> tuple[Tensor, list[str]]:
        order = np.tile(np.arange(len(NAMES)), (len(answers), 1))
        for i, answer in enumerate(answers):
            if answer in NAMES and rng.random() < self.turned:
                order[i] = rng.permutation(len(NAMES))
        said = [NAMES[order[i, NAMES.index(answer)]] if answer in NAMES else answer for i, answer in enumerate(answers)]
        return rename(clips, self.colour_parts, torch.from_numpy(order)), said

    def _worn(self, question: str, rng: np.random.Generator) -> str:
        if not self.dropped_words:
            return question
        kept = [word for word in question.split() if rng.random() >= self.dropped_words]
        return " ".join(kept) or question


@dataclass(frozen=True)
class MatchSource:
    """Photos with a label each, asked by name: half of the time the name is another photo's, and the answer "no"."""

    photos: Photos
    labels: Sequence[str]
    wordings: Sequence[str]

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        chosen = rng.permutation(len(self.labels))[:size]
        named = [self.labels[i if rng.random() < 0.5 else int(rng.integers(len(self.labels)))] for i in chosen]
        queries = [self.wordings[int(rng.integers(len(self.wordings)))].format(name) for name in named]
        owners = torch.tensor([[int(name == self.labels[i])] for name, i in zip(named, chosen, strict=True)])
        return Batch(self.photos.clips(chosen, rng), queries, ["no", "yes"], owners, closed=True)


@runtime_checkable
class Batches(Protocol):
    """Anything that has a batch for every step: a `Mixture`, or a stream of shards."""

    def at(self, seed: int, step: int) -> tuple[str, Callable[[], Batch]]: ...


Part = tuple[str, Source, float, int]  # name, source, weight, batch size


@dataclass(frozen=True)
class Mixture:
    """Sources with the share of steps that each gets, and its batch size."""

    parts: Sequence[Part]

    def at(self, seed: int, step: int) -> tuple[str, Callable[[], Batch]]:
        """The name of the source of one step, and a function that makes its batch."""
        rng = np.random.default_rng([seed, step])
        weights = np.array([weight for _, _, weight, _ in self.parts])
        name, source, _, size = self.parts[rng.choice(len(self.parts), p=weights / weights.sum())]
        return name, lambda: source.batch(rng, size)


def _draw(queries: Sequence[str] | None, count: int, rng: np.random.Generator) -> list[str] | None:
    return None if queries is None else [queries[i] for i in rng.integers(len(queries), size=count)]
