"""Three answers about one clip, painted, written and pointed at, and a fourth in features; each measured as given."""

import base64
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from app.learn_arms import FIRST_SEED, Lesson
from app.pictures import encode_jpeg, strip
from vljepa.arms.flow import HIDINGS, begin, hide, scaled, to_frames, to_pixels
from vljepa.readout import Caption
from vljepa.shapes import Clips, action_phrase, captions, clips, questions
from vljepa.shapes.clips import FPS, FRAMES
from vljepa.shapes.language import CAPTION_QUERY, CHANGE_QUERY, action_phrases, claims, words
from vljepa.tubelet_vit import STEPS, TUBE
from vljepa.y_decoder import END

MOST_STEPS = 50  # of painting
NEAREST = 3  # texts that are shown
REFERENCE, REFERENCES = [FIRST_SEED, 0, 1], 128  # clips over which V-JEPA's features are standardised: seed, count
MADE = TypeVar("MADE")


@dataclass(frozen=True)
class Asked:
    """A question as the student reads it and as models get it, and what is true; `candidates` is empty for a caption.

    `hides` names the part of the clip that is hidden from all, or is empty; `frames` are what the readers see.
    """

    kind: str
    text: str
    query: str
    frames: np.ndarray
    truth: str
    candidates: tuple[str, ...] = ()
    hides: str = ""

    @property
    def painted(self) -> str:
        """The part that is painted: what is hidden, or where all is shown the second half, for painting needs one."""
        return self.hides or "future"


@dataclass(frozen=True)
class Run(Generic[MADE]):
    """What was made, piece by piece, in how many milliseconds each, by how many passes through the networks."""

    made: list[MADE]
    spans_ms: list[float]
    passes: int
    mflop: float

    def cost(self) -> dict[str, Any]:
        """Passes, millions of FLOPs of matrix products and convolutions, and milliseconds, of all and of each piece."""
        return {"passes": self.passes, "mflop": round(self.mflop, 3), "ms": round(sum(self.spans_ms), 3),
                "spans_ms": [round(span, 3) for span in self.spans_ms]}


def measured(networks: Iterable[nn.Module], work: Callable[[], Iterable[MADE]]) -> Run[MADE]:
    """Do `work` twice: first to count its FLOPs, which also warms it up, then against the clock."""
    with FlopCounterMode(display=False) as counter:
        for _ in work():
            pass
    made, spans_ms, calls = [], [], [0]

    def count(*_: object) -> None:
        calls[0] += 1

    with ExitStack() as hooks:
        for network in networks:
            hooks.callback(network.register_forward_pre_hook(count).remove)
        began = time.perf_counter()
        for piece in work():
            now = time.perf_counter()
            made.append(piece)
            spans_ms.append(1000 * (now - began))
            began = time.perf_counter()
    return Run(made, spans_ms, calls[0], counter.get_total_flops() / 1e6)


class Three:
    """Asks the arms of `lesson` about its clips, one arm at a time, so that none disturbs another's clock."""

    def __init__(self, lesson: Lesson) -> None:
        self._lesson = lesson

    def clip(self, seed: int) -> dict[str, Any]:
        """A clip, its frames side by side, and what can be asked of it."""
        return {"frames": strip(drawn(seed).frames[0]), "count": FRAMES, "fps": FPS, "most_steps": MOST_STEPS,
                "questions": [{"kind": asked.kind, "text": asked.text, "choices": len(asked.candidates),
                               "hidden": frames_of(asked.hides), "painted": frames_of(asked.painted)}
                              for asked in asked_of(seed)]}

    def paint(self, seed: int, kind: str, steps: int) -> dict[str, Any]:
        """The hidden part of a clip, from noise through each of 1 to 50 `steps` of flow matching.

        `still` is the PSNR of the nearest visible frames in its place: as if nothing moved.
        """
        if not 1 <= steps <= MOST_STEPS:
            raise ValueError(f"painting takes 1 to {MOST_STEPS} steps, got {steps}")
        asked, shown = asked_of(seed, kind)[0], drawn(seed).frames
        pixels, hidden = scaled(torch.from_numpy(shown)), hide(asked.painted, 1)

        def work() -> Run[torch.Tensor]:
            painter = self._lesson.arms.flow
            return measured([painter], lambda: painter.paint(pixels, hidden, steps, seed))

        run, part = self._lesson.alone(work), frames_of(asked.painted)
        stages = [to_pixels(begin(pixels, hidden, seed)).clamp(-1, 1), *run.made]
        painted = [to_frames(stage)[0, part] for stage in stages]
        return {"pictures": [photo(frames) for frames in painted], "truth": strip(shown[0, part]),
                "psnr": round(psnr(painted[-1], shown[0, part]), 1),
                "still": round(psnr(shown[0, [nearest(i, part, FRAMES) for i in part]], shown[0, part]), 1),
                **run.cost()}

    def write(self, seed: int, kind: str) -> dict[str, Any]:
        """What the token VLM writes, word by word."""
        asked = asked_of(seed, kind)[0]

        def work() -> dict[str, Any]:
            vlm = self._lesson.arms.token_vlm
            seen = self._see(asked)
            run = measured([vlm.model], lambda: vlm.steps(seen.made[0], [asked.query]))
            ids = [int(token[0]) for token in run.made]
            ended = END in ids
            text = vlm.tokenizer.decode(ids[: ids.index(END)] if ended else ids)
            return {"words": [vlm.tokenizer.decode([i]) for i in ids if i != END], "ended": ended,
                    "encoder": seen.cost(), **run.cost(), **judged(asked, seed, text)}

        return self._lesson.alone(work)

    def point(self, seed: int, kind: str) -> dict[str, Any]:
        """Where VL-JEPA's one pass leads on the map."""
        asked = asked_of(seed, kind)[0]

        def work() -> dict[str, Any]:
            seen = self._see(asked)
            run = self._predict(asked, seen)
            return {"xy": self._lesson.placed(run.made[0])[0], "encoder": seen.cost(), **run.cost()}

        return self._lesson.alone(work)

    def read(self, seed: int, kind: str) -> dict[str, Any]:
        """The point in words: a question's nearest answers; or the nearest stored captions, and the decoder's sentence.

        A caption is read from where predictions are moved to where sentences lie, as everywhere in the app.
        """
        asked = asked_of(seed, kind)[0]

        def work() -> dict[str, Any]:
            predicted = self._predict(asked, self._see(asked)).made[0]
            texts, cosines, run = self._chosen(asked, predicted) if asked.candidates else self._told(predicted)
            best = np.argsort(-cosines, kind="stable")[:NEAREST]
            closest = [{"cosine": round(float(cosines[i]), 3), **judged(asked, seed, texts[i])} for i in best]
            sentence = None if asked.candidates else judged(asked, seed, run.made[0][0].text)
            # the map is of captions: an answer has no place of its own there
            truth_xy = None if asked.candidates else self._lesson.placed_texts([asked.truth])[0]
            return {"nearest": closest, "sentence": sentence, "of": len(texts), "truth": asked.truth,
                    "truth_xy": truth_xy, **run.cost()}

        return self._lesson.alone(work)

    def features(self, seed: int, kind: str) -> dict[str, Any]:
        """V-JEPA: how well it predicts the features of the hidden part, as a cosine for each tube and place.

        `still` is the mean cosine if each hidden tube were like the nearest visible one: as if nothing moved there.
        """
        tubes = HIDINGS[asked_of(seed, kind)[0].painted]
        pixels = scaled(torch.from_numpy(drawn(seed).frames))
        near = [nearest(tube, tubes, STEPS) for tube in tubes]

        def work() -> dict[str, Any]:
            encoder, predictor = self._lesson.arms.encoder, self._lesson.arms.latent
            is_hidden = torch.isin(torch.arange(STEPS), torch.tensor(tubes)).repeat_interleave(encoder.tokens_per_step)
            kept, hidden = torch.nonzero(~is_hidden)[:, 0], torch.nonzero(is_hidden)[:, 0]
            # the first block stands for the encoder, whose parts are called one by one
            run = measured([encoder.blocks[0], predictor], lambda: [
                predictor(encoder.encode(encoder.embed(pixels), kept), kept, hidden)])
            mean, deviation = self._usual
            truth = ((encoder.depths(pixels).float() - mean) / deviation).unflatten(1, (STEPS, -1))[0]
            cosine = torch.cosine_similarity(run.made[0].unflatten(1, (len(tubes), -1))[0], truth[list(tubes)], dim=-1)
            still = torch.cosine_similarity(truth[near], truth[list(tubes)], dim=-1)
            return {"cosine": cosine.numpy().astype(float).round(3).tolist(), "side": encoder.places,
                    "frames": [[TUBE * tube + 1, TUBE * tube + TUBE] for tube in tubes],
                    "mean": round(float(cosine.mean()), 3), "still": round(float(still.mean()), 3),
                    "numbers": run.made[0].shape[-1], **run.cost()}

        return self._lesson.alone(torch.inference_mode()(work))

    @cached_property
    def _usual(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation of the features, by which targets are standardised, as in training over a batch."""
        encoder = self._lesson.arms.encoder
        seen = encoder.depths(scaled(torch.from_numpy(clips(REFERENCE, REFERENCES).frames))).float()
        return seen.mean((0, 1)), seen.std((0, 1)) + 1e-3

    def _see(self, asked: Asked) -> Run[torch.Tensor]:
        """Visual tokens by the frozen encoder that both readers share."""
        model = self._lesson.arms.vljepa
        return measured([model.x_encoder], lambda: [model.encode_clips(torch.from_numpy(asked.frames)[None])])

    def _predict(self, asked: Asked, seen: Run[torch.Tensor]) -> Run[np.ndarray]:
        model = self._lesson.arms.vljepa
        return measured([model.predictor], lambda: [model.predict(seen.made[0], asked.query)])

    def _chosen(self, asked: Asked, predicted: np.ndarray) -> tuple[list[str], np.ndarray, Run[Any]]:
        """The answers, their cosines with the point, and what it took to embed them."""
        model, texts = self._lesson.arms.vljepa, list(asked.candidates)
        run = measured([model.y_encoder], lambda: [model.embed_text(texts)])
        return texts, run.made[0] @ predicted[0], run

    def _told(self, predicted: np.ndarray) -> tuple[list[str], np.ndarray, Run[list[Caption]]]:
        """The stored captions, their cosines with the point, and the decoder's sentence with what it took."""
        model = self._lesson.arms.vljepa
        assert model.y_decoder is not None and model.bank is not None
        run = measured([model.y_decoder.model, model.y_encoder], lambda: [model.decode(predicted, "decoder")])
        return model.bank.texts, model.bank.embeddings @ model.as_text(predicted)[0], run


@lru_cache(maxsize=64)
def drawn(seed: int) -> Clips:
    """The one clip of that seed."""
    return clips([FIRST_SEED, seed], 1)


def asked_of(seed: int, kind: str | None = None) -> list[Asked]:
    """What can be asked of a clip, or only the question of that `kind`; ValueError if there is none."""
    motion, frames = drawn(seed).motion, drawn(seed).frames[0]
    caption, half = captions(motion, 0, 1)[0], FRAMES // 2
    ends = frames[[0] * half + [FRAMES - 1] * half]  # the image before and the one after, as in training
    begun = frames[[*range(half), *[half - 1] * half]]  # readers know whole clips only: the last image seen stays
    every = [Asked("between", "What happened in between?", CHANGE_QUERY, ends, caption, hides="middle"),
             Asked("next", "What happens next?", "what happens?", begun, action_phrase(motion, 0),
                   action_phrases(), "future"),
             Asked("caption", "Describe the clip.", CAPTION_QUERY, frames, caption),
             *(Asked(q.kind, q.text[:1].upper() + q.text[1:], q.text, frames, q.answer, q.candidates)
               for q in questions(motion, 0, np.random.default_rng([FIRST_SEED, seed])))]
    found = [asked for asked in every if kind in (None, asked.kind)]
    if not found:
        raise ValueError(f"this clip can be asked {', '.join(asked.kind for asked in every)}, not {kind}")
    return found


def frames_of(part: str) -> list[int]:
    """The numbers of a part's frames, from 0; of the empty name none."""
    return [TUBE * tube + i for tube in HIDINGS.get(part, ()) for i in range(TUBE)]


def nearest(place: int, hidden: Collection[int], count: int) -> int:
    """Of `count` places in a row the visible one nearest to a hidden one; of two the earlier."""
    return min(set(range(count)) - set(hidden), key=lambda other: (abs(other - place), other))


def judged(asked: Asked, seed: int, text: str) -> dict[str, Any]:
    """What was said, whether it is true, and what is true; of a caption each claim by itself."""
    if asked.candidates:
        return {"text": text, "truth": asked.truth, "claims": {}, "right": words(text) == words(asked.truth)}
    said = claims(text, drawn(seed).motion, 0)
    whole = {"colour", "shape", "action"} <= said.keys()
    return {"text": text, "truth": asked.truth, "claims": said, "right": whole and all(said.values())}


def photo(frames: np.ndarray) -> str:
    """Frames side by side as a JPEG in a data address: noise would make a large PNG."""
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(np.concatenate(list(frames), axis=1))).decode()


def psnr(frames: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal to noise in decibels: higher is nearer to the true pixels."""
    error = float(((frames.astype(float) - truth) ** 2).mean())
    return float(10 * np.log10(255**2 / max(error, 1e-9)))
