"""A model that can be asked about colours, for the tests of the Ask tab: its tokens are mean colours."""

from types import SimpleNamespace

import cv2
import numpy as np
import torch
from test_app import COLOURS, ColourModel, landmarks, unit

from vljepa.calibration import KINDS, Calibration, Presence, Scale

YES, NO = np.eye(8, dtype=np.float32)[[6, 7]]
CALIBRATION = Calibration("colours-weights", "made up", {kind: Scale(0.05, 0.75, 100, 0.0) for kind in KINDS},
                          Presence(1.0, -2.0, 100, 0.0))


class Words:
    """A tokenizer that takes a word for a token and knows no emoji."""

    max_tokens = 60

    def lengths(self, texts):
        return [len(text.split()) for text in texts]

    def unknown(self, texts):
        return [any(ord(letter) > 0x1F000 for letter in text) for text in texts]


class AskedColours(ColourModel):
    """Answers "is it red?" by what the picture's colour is, and any other question with its colour's name."""

    answers_queries, calibration, text_tokenizer, query_tokenizer = True, CALIBRATION, Words(), Words()
    config = SimpleNamespace(rate_hz=4.0, caption_query="Which colour?", embed_dim=8,
                             predictor=SimpleNamespace(window_frames=1),
                             x_encoder=SimpleNamespace(image_size=16, fit="squash"))
    dtype, x_encoder = torch.float32, SimpleNamespace(frames_per_step=1)

    def __init__(self, with_map=True, delay_s=0.0):
        super().__init__(landmarks() if with_map else None, delay_s)
        self.predicted = []

    def query_tokens(self, queries):
        if any(len(query.split()) > 30 for query in queries if query):
            raise ValueError("a query may have 30 tokens with this checkpoint: ask in fewer words")

    def encode_photos(self, frames):
        return torch.from_numpy(frames).float().mean(dim=(1, 2)).reshape(len(frames), 1, 1, 3)

    def fit(self, image):
        return cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA)

    def fill(self, clips):
        return clips

    def encode_clips(self, clips):
        return clips.float().mean(dim=(2, 3))[:, :, None]

    def encode_frames(self, frames):
        return torch.from_numpy(frames).float().mean(dim=(1, 2)).reshape(len(frames), 1, 3)

    def predict(self, visual_tokens, query=None):
        self.predicted.append(query)
        colours = visual_tokens[:, -1].reshape(-1, 3).float().numpy()
        queries = query if isinstance(query, list) else [query] * len(colours)
        return np.stack([self.answer(colour, one) for colour, one in zip(colours, queries, strict=True)])

    def answer(self, colour, query):
        asked = next((name for name in COLOURS if name in (query or "").lower()), None)
        if asked is None:
            return unit(colour)
        nearest = min(COLOURS, key=lambda name: np.abs(np.array(COLOURS[name]) - colour).sum())
        grey = np.ptp(colour) < 1 and colour[0] < 200
        return (YES + NO) / np.sqrt(2) if grey else YES if nearest == asked else NO

    def embed_text(self, texts):
        own = {"yes": YES, "no": NO}
        return np.stack([own[t] if t in own else super(AskedColours, self).embed_text([t.split()[-1]])[0]
                         for t in texts])
