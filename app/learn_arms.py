"""The five trained arms as the Learn tab asks them: one clip and three answers, puzzles, a batch for InfoNCE."""

import base64
import threading
from typing import Any

import cv2
import numpy as np
import torch

from app.views import landmarks_view
from visualizations.landmark_map import place, place_text
from vljepa.arms.load import Arms
from vljepa.arms.scores import EmbeddingReader
from vljepa.arms.vjepa import encode_clips
from vljepa.shapes import captions, puzzles
from vljepa.shapes.language import CAPTION_QUERY, CHANGE_QUERY

FIRST_SEED = 500_000  # of the clips that are shown: far from those of training


class Lesson:
    """The arms, loaded at the first question and kept; one question at a time."""

    def __init__(self, arms: Arms | None = None) -> None:
        self.arms, self._lock = arms or Arms(), threading.Lock()

    def puzzle(self, seed: int) -> dict[str, Any]:
        """Two images and four actions that might lead from the first to the second."""
        made = puzzles([FIRST_SEED, seed], 1)
        return {"before": strip(made.pictures[0, :1]), "after": strip(made.pictures[0, -1:]),
                "texts": [captions(m, 0, 1)[0] for m in made.motions],
                "clips": [strip(frames) for frames in made.clips[0]]}

    def solve(self, seed: int) -> dict[str, Any]:
        """What is right, what VL-JEPA picks by text and by clip, and the arrow from before to after on the map."""
        made, model = puzzles([FIRST_SEED, seed], 1), self.arms.vljepa
        reader = EmbeddingReader(model, [])
        pictures = self.tokens(made.pictures)
        candidates = self.tokens(made.clips[0])[None]
        texts = [captions(m, 0, 1)[0] for m in made.motions]
        with self._lock:
            by_text = reader.match_texts(pictures, [texts])[0]
            by_clip = reader.match_clips(pictures, candidates)[0]
            stills = [np.repeat(made.pictures[:, [i]], 8, axis=1) for i in (0, -1)]
            ends = np.concatenate([model.predict(self.tokens(s), CAPTION_QUERY) for s in stills])
            change = model.predict(pictures, CHANGE_QUERY)
        return {"right": int(made.right[0]), "text": by_text.round(3).tolist(), "clip": by_clip.round(3).tolist(),
                "before_xy": self.placed(ends)[0], "after_xy": self.placed(ends)[1],
                "change_xy": self.placed(change)[0],
                "texts_xy": self.placed_texts(texts)}

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


def strip(frames: np.ndarray) -> str:
    """Frames side by side as a PNG in a data address."""
    done, png = cv2.imencode(".png", cv2.cvtColor(np.concatenate(list(frames), axis=1), cv2.COLOR_RGB2BGR))
    assert done
    return "data:image/png;base64," + base64.b64encode(png.tobytes()).decode()
