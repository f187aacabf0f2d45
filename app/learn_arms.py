"""The five trained arms as the Learn tab asks them: puzzles, places on the map, and how a run collapses."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch

from app.pictures import strip
from app.views import landmarks_view
from visualizations.landmark_map import place, place_text
from vljepa.arms.load import Arms
from vljepa.arms.scores import EmbeddingReader
from vljepa.arms.vjepa import encode_clips
from vljepa.shapes import Puzzles, captions, puzzles
from vljepa.shapes.language import CAPTION_QUERY, CHANGE_QUERY
from vljepa.shapes.world import COLOURS

TOLD = TypeVar("TOLD")
FIRST_SEED = 500_000  # of the clips that are shown: far from those of training


class Lesson:
    """The arms, loaded at the first question and kept; one question at a time, on one core.

    Networks this small are no faster on two, and where other work wants a core the two wait for each other.
    """

    def __init__(self, arms: Arms | None = None) -> None:
        self.arms, self._worker = arms or Arms(), one_core()

    def alone(self, task: Callable[[], TOLD]) -> TOLD:
        """What `task` returns or raises, once those before it are done."""
        return self._worker.submit(task).result()

    def puzzle(self, seed: int) -> dict[str, Any]:
        """Two images and four actions that might lead from the first to the second."""
        made = puzzles([FIRST_SEED, seed], 1)
        return {"before": strip(made.pictures[0, :1]), "after": strip(made.pictures[0, -1:]),
                "texts": [captions(m, 0, 1)[0] for m in made.motions],
                "clips": [strip(frames) for frames in made.clips[0]]}

    def solve(self, seed: int) -> dict[str, Any]:
        """What is right, what VL-JEPA picks by text and by clip, and the arrow from before to after on the map."""
        return self.alone(lambda: self._solved(puzzles([FIRST_SEED, seed], 1)))

    def _solved(self, made: Puzzles) -> dict[str, Any]:
        model = self.arms.vljepa
        reader = EmbeddingReader(model, [])
        pictures = self.tokens(made.pictures)
        candidates = self.tokens(made.clips[0])[None]
        texts = [captions(m, 0, 1)[0] for m in made.motions]
        by_text = reader.match_texts(pictures, [texts])[0]
        by_clip = reader.match_clips(pictures, candidates)[0]
        stills = [np.repeat(made.pictures[:, [i]], 8, axis=1) for i in (0, -1)]
        ends = np.concatenate([model.predict(self.tokens(s), CAPTION_QUERY) for s in stills])
        change = model.predict(pictures, CHANGE_QUERY)
        return {"right": int(made.right[0]), "text": by_text.round(3).tolist(), "clip": by_clip.round(3).tolist(),
                "before_xy": self.placed(ends)[0], "after_xy": self.placed(ends)[1],
                "change_xy": self.placed(change)[0],
                "texts_xy": self.placed_texts(texts)}

    def collapse(self) -> dict[str, Any]:
        """The recorded runs with and without an anti-collapse term, and the colours that their points stand for."""
        return {**self.arms.collapse, "colours": [{"name": name, "rgb": rgb} for name, rgb in COLOURS.items()]}

    def background(self) -> dict[str, Any] | None:
        """The shapes map."""
        return landmarks_view(self.arms.vljepa.landmarks)

    def tokens(self, frames: np.ndarray) -> torch.Tensor:
        """Visual tokens of clips through the shared frozen encoder."""
        return encode_clips(self.arms.encoder, frames).float()

    def placed(self, embeddings: np.ndarray) -> list[list[float]]:
        """Where predictions lie on the map."""
        assert self.arms.vljepa.landmarks is not None
        return place(self.arms.vljepa.landmarks, embeddings).round(3).tolist()

    def placed_texts(self, texts: list[str]) -> list[list[float]]:
        """Where sentences lie on the map."""
        assert self.arms.vljepa.landmarks is not None
        return place_text(self.arms.vljepa.landmarks, self.arms.vljepa.embed_text(texts)).round(3).tolist()


def one_core() -> ThreadPoolExecutor:
    """A worker whose torch keeps to one core; that of other threads stays as it was."""
    threads = torch.get_num_threads()

    def start() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # from here on this thread keeps its number, whatever others set

    worker = ThreadPoolExecutor(1, "vljepa-lesson", initializer=start)
    worker.submit(int).result()
    torch.set_num_threads(threads)  # what threads started from now on begin with
    return worker
