"""What is asked of every arm on held-out clips: captions, questions, and what led from one image to another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from vljepa.arms.data import Pool
from vljepa.arms.flow import FlowPainter, hide, scaled, to_frames
from vljepa.arms.joint import joined
from vljepa.arms.token_vlm import TokenVLM
from vljepa.arms.vjepa import VJEPAArm, encode_clips, standardised
from vljepa.metrics import accuracy, cider
from vljepa.model import VLJEPA
from vljepa.shapes import Puzzles, Question, captions, questions
from vljepa.shapes.language import CAPTION_QUERY, CHANGE_QUERY
from vljepa.tubelet_vit import TubeletXEncoder

AT_ONCE = 128


@runtime_checkable
class Reader(Protocol):
    """What the arms that know text can be asked, whichever way they answer."""

    def say(self, tokens: Tensor) -> list[str]:
        """A caption of each clip."""

    def answer(self, tokens: Tensor, asked: Sequence[Question]) -> list[str]:
        """Each question's likeliest candidate."""

    def match_texts(self, pictures: Tensor, texts: Sequence[Sequence[str]]) -> Float[np.ndarray, "puzzle candidate"]:
        """How well each text fits what led from the first picture to the last; higher is better."""

    def match_clips(self, pictures: Tensor, candidates: Tensor) -> Float[np.ndarray, "puzzle candidate"]:
        """How well each clip shows what led from the first picture to the last."""


@dataclass(frozen=True)
class EmbeddingReader:
    """VL-JEPA, or with `joint` the joint-embedding arm, which has no query and puts the question into the text.

    `sentences` are what a caption is picked from.
    """

    model: VLJEPA
    sentences: Sequence[str]
    joint: bool = False

    def say(self, tokens: Tensor) -> list[str]:
        """The stored sentence nearest to each clip."""
        nearest = (self.predict(tokens, CAPTION_QUERY) @ self.model.embed_text(self.sentences).T).argmax(1)
        return [self.sentences[i] for i in nearest]

    def answer(self, tokens: Tensor, asked: Sequence[Question]) -> list[str]:
        """The candidate whose embedding is nearest."""
        predicted = self.predict(tokens, [q.text for q in asked])
        texts = sorted({self._text(q.text, c) for q in asked for c in q.candidates})
        known = dict(zip(texts, self.model.embed_text(texts), strict=True))
        return [q.candidates[int(np.argmax([p @ known[self._text(q.text, c)] for c in q.candidates]))]
                for p, q in zip(predicted, asked, strict=True)]

    def match_texts(self, pictures: Tensor, texts: Sequence[Sequence[str]]) -> Float[np.ndarray, "puzzle candidate"]:
        """Cosines with the texts' embeddings."""
        embedded = self.model.embed_text([t for four in texts for t in four]).reshape(len(texts), len(texts[0]), -1)
        return np.einsum("pd,pcd->pc", self.predict(pictures, CHANGE_QUERY), embedded)

    def match_clips(self, pictures: Tensor, candidates: Tensor) -> Float[np.ndarray, "puzzle candidate"]:
        """Cosines with what the candidates' own captions are predicted to be."""
        shown = self.predict(candidates.flatten(0, 1), CAPTION_QUERY).reshape(*candidates.shape[:2], -1)
        return np.einsum("pd,pcd->pc", self.predict(pictures, CHANGE_QUERY), shown)

    def predict(self, tokens: Tensor, query: str | Sequence[str]) -> Float[np.ndarray, "clip dim"]:
        """Unit embeddings of clips."""
        if not self.joint:
            return self.model.predict_windows(tokens.float(), query)
        with torch.inference_mode():
            parts = [F.normalize(self.model.predictor(part.float()), dim=-1) for part in tokens.split(AT_ONCE)]
        return torch.cat(parts).numpy()

    def _text(self, query: str, candidate: str) -> str:
        return joined(query, candidate) if self.joint else candidate


@dataclass(frozen=True)
class TokenReader:
    """The token VLM: what it writes, and how likely it finds what it is offered."""

    vlm: TokenVLM

    def say(self, tokens: Tensor) -> list[str]:
        """Written word by word."""
        return [text for part in tokens.split(AT_ONCE) for text in self.vlm.write(part.float(), CAPTION_QUERY)]

    def answer(self, tokens: Tensor, asked: Sequence[Question]) -> list[str]:
        """The candidate that it finds likeliest, word by word."""
        found = []
        for clip, question in zip(tokens, asked, strict=True):
            scores = self._likely(clip[None].expand(len(question.candidates), -1, -1, -1),
                                  [question.text] * len(question.candidates), question.candidates)
            found.append(question.candidates[int(scores.argmax())])
        return found

    def match_texts(self, pictures: Tensor, texts: Sequence[Sequence[str]]) -> Float[np.ndarray, "puzzle candidate"]:
        """Mean log-probability a word."""
        many = len(texts[0])
        flat = [t for four in texts for t in four]
        scores = self._likely(pictures.repeat_interleave(many, 0), [CHANGE_QUERY] * len(flat), flat)
        return scores.reshape(len(texts), many)

    def match_clips(self, pictures: Tensor, candidates: Tensor) -> Float[np.ndarray, "puzzle candidate"]:
        """How likely each candidate makes what was written about the pictures."""
        written = [t for part in pictures.split(AT_ONCE) for t in self.vlm.write(part.float(), CHANGE_QUERY)]
        many = candidates.shape[1]
        flat = [t for t in written for _ in range(many)]
        return self._likely(candidates.flatten(0, 1), [CAPTION_QUERY] * len(flat), flat).reshape(-1, many)

    def _likely(self, tokens: Tensor, queries: Sequence[str], texts: Sequence[str]) -> np.ndarray:
        parts = [self.vlm.log_likelihood(tokens[i : i + AT_ONCE].float(), queries[i : i + AT_ONCE],
                                         texts[i : i + AT_ONCE]) for i in range(0, len(texts), AT_ONCE)]
        return torch.cat(parts).numpy()


@dataclass(frozen=True)
class HeldOut:
    """Clips and puzzles that nothing was trained on, encoded; the puzzles' actors are of unseen combinations."""

    pool: Pool
    references: list[list[str]]
    asked: dict[str, list[tuple[int, Question]]]  # by kind: clip and question
    puzzles: Puzzles
    pictures: Float[Tensor, "puzzle steps tokens dim"]
    candidates: Float[Tensor, "puzzle candidate steps tokens dim"]
    texts: list[list[str]]


def held_out(encoder: TubeletXEncoder, pool: Pool, made: Puzzles) -> HeldOut:
    """Ask questions of the clips, put the candidate actions into words, encode the puzzles."""
    rng, asked = np.random.default_rng(0), dict[str, list[tuple[int, Question]]]()
    for i in range(len(pool)):
        for question in questions(*pool.scene(i), rng):
            asked.setdefault(question.kind, []).append((i, question))
    candidates = encode_clips(encoder, made.clips.reshape(-1, *made.clips.shape[2:]))
    texts = [[captions(motion, i, 1)[0] for motion in made.motions] for i in range(len(made.right))]
    return HeldOut(pool, [captions(*pool.scene(i)) for i in range(len(pool))], asked, made,
                   encode_clips(encoder, made.pictures), candidates.unflatten(0, made.clips.shape[:2]), texts)


def reading_scores(reader: Reader, data: HeldOut, kinds: Sequence[str] | None = None) -> dict[str, float]:
    """CIDEr of captions, and percent of questions answered right, by kind."""
    found = {"cider": cider(reader.say(data.pool.tokens), data.references)}
    for kind in data.asked if kinds is None else kinds:
        rows = data.asked[kind]
        answers = reader.answer(data.pool.tokens[[i for i, _ in rows]], [q for _, q in rows])
        found[kind] = 100 * accuracy(answers, [q.answer for _, q in rows])
    return found


def world_prediction(reader: Reader, data: HeldOut) -> dict[str, float]:
    """Percent of puzzles in which the right action is the best match of four, as texts and as clips."""
    return {"text": text_prediction(reader, data),
            "clip": _top1(reader.match_clips(data.pictures, data.candidates), data)}


def text_prediction(reader: Reader, data: HeldOut) -> float:
    """World prediction by texts alone."""
    return _top1(reader.match_texts(data.pictures, data.texts), data)


def vjepa_world_prediction(arm: VJEPAArm, data: HeldOut) -> dict[str, float]:
    """The same with clips for V-JEPA: the features it expects between the pictures, against each candidate's."""
    places = arm.encoder.tokens_per_step
    kept = torch.cat([torch.arange(places), torch.arange(3 * places, 4 * places)])
    hidden = torch.arange(places, 3 * places)
    shown = data.puzzles
    expected = _in_parts(lambda x: arm.predict_hidden(x, kept, hidden), shown.pictures)
    offered = shown.clips.reshape(-1, *shown.clips.shape[2:])
    seen = _in_parts(lambda x: standardised(arm.features(x))[:, hidden], offered)
    away = (seen.unflatten(0, shown.clips.shape[:2]) - expected[:, None]).abs().mean((2, 3))
    return {"clip": _top1(-away.numpy(), data)}


def flow_world_prediction(painter: FlowPainter, data: HeldOut, steps: int = 10, most: int = 200) -> dict[str, float]:
    """The same for flow matching: the frames it paints between the pictures, against each candidate's pixels.

    Each frame's own mean colour is taken off first, for the light means nothing. The first `most` puzzles.
    """
    shown = data.puzzles
    pictures, offered = shown.pictures[:most], shown.clips[:most]
    painted = _in_parts(lambda x: list(painter.paint(x, hide("middle", len(x)), steps, 0))[-1], pictures, 50)
    painted_ = _flat(to_frames(painted))
    away = [((_flat(offered[:, k]) - painted_)[:, 2:6] ** 2).mean((1, 2, 3, 4)) for k in range(offered.shape[1])]
    return {"clip": 100 * float((np.stack(away, 1).argmin(1) == shown.right[:most]).mean())}


def _flat(frames: np.ndarray) -> np.ndarray:
    light = frames.astype(np.float32)
    return light - light.mean((2, 3), keepdims=True)


def _in_parts(function: Callable[[Tensor], Tensor], frames: np.ndarray, at_once: int = AT_ONCE) -> Tensor:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        return torch.cat([function(scaled(torch.from_numpy(frames[i : i + at_once]))).float()
                          for i in range(0, len(frames), at_once)])


def _top1(scores: Float[np.ndarray, "puzzle candidate"], data: HeldOut) -> float:
    """Percent right; a tie with a wrong candidate is wrong, so that a collapsed model does not score."""
    rows = np.arange(len(scores))
    own = scores[rows, data.puzzles.right][:, None]
    return 100 * float(((scores >= own).sum(1) == 1).mean())


def rounded(values: dict[str, Any], digits: int = 3) -> dict[str, Any]:
    """The same numbers, short."""
    return {k: round(v, digits) if isinstance(v, float) else v for k, v in values.items()}
