"""The recipe of the `smoke` checkpoint: the whole pipeline in under a minute, on pictures it draws itself.

For tests and newcomers. Its X-Encoder is random, so it knows colours and little else; it says so in its name.
"""

from pathlib import Path

import cv2
import numpy as np
import torch

from vljepa import checkpoint
from vljepa.colour_names import NAMES
from vljepa.config import SMOKE
from vljepa.metrics import recall_at_k
from vljepa.model import VLJEPA
from vljepa.questions import training_questions
from vljepa.train.bank import build_bank
from vljepa.train.batches import CaptionSource, Mixture, Photos, QuestionSource
from vljepa.train.contrastive import ContrastiveArm
from vljepa.train.decoding import DecoderArm, train_tokenizer
from vljepa.train.loop import Schedule, train
from vljepa.x_encoder import FrameXEncoder

SEED = 0
Y_FACTOR = 1.0  # this Y-Encoder starts from nothing, so it must learn as fast as the rest
PRETRAIN = Schedule(steps=60, learning_rate=2e-3, save_every=30, validate_every=30)
FINETUNE = Schedule(steps=60, learning_rate=1e-3, save_every=30, validate_every=30)
DECODER = Schedule(steps=150, learning_rate=4e-3, save_every=75, validate_every=150)
COLOURS = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (40, 70, 220), "yellow": (240, 210, 40),
           "white": (245, 245, 245), "black": (15, 15, 15)}
SHAPES = ("ball", "box", "flag", "ring")
NUMBERS = ("one", "two", "three")


def train_smoke(work: Path, out: Path) -> VLJEPA:
    """Draw pictures, train both stages and the decoder, and write the checkpoint to `out`."""
    torch.manual_seed(SEED)
    pictures, captions = draw_pictures(320, SEED)
    sentences = [c for three in captions for c in three]
    questions = training_questions(captions, SEED)
    words = train_tokenizer(sentences + [q.text for q in questions] + [SMOKE.caption_query], 512)
    model = VLJEPA(SMOKE, words, words, train_tokenizer(sentences, 512)).eval()
    tokens = _tokens(model, pictures)

    def validation() -> dict[str, float]:
        predicted = model.predict(torch.from_numpy(tokens[256:]).float()[:, None])
        texts = model.embed_text([three[0] for three in captions[256:]])
        own = [[i] for i in range(len(texts))]
        return {"val_i2t_r1": 100 * recall_at_k(predicted @ texts.T, own, 1)}

    photos, known = Photos([torch.from_numpy(tokens[:256])], SMOKE.predictor.window_frames), captions[:256]
    source = CaptionSource(photos, known)
    train(ContrastiveArm(model, Mixture([("captions", source, 1.0, 128)]), SEED, validation, Y_FACTOR),
          PRETRAIN, work, "pretrain", model.device)
    asked = [(q.photo, q.text, q.answer) for q in questions if q.photo < 256 and q.kind == "colour"]
    colours = QuestionSource(photos, asked, NAMES, SMOKE.x_encoder.colour_parts, turned=0.5)
    mixture = Mixture([("captions", CaptionSource(photos, known, (SMOKE.caption_query,)), 0.7, 128),
                       ("colour", colours, 0.3, 128)])
    train(ContrastiveArm(model, mixture, SEED, validation, Y_FACTOR), FINETUNE, work, "finetune", model.device)
    model.requires_grad_(False).eval()

    embeddings = model.embed_text(sentences)
    predicted = model.predict(torch.from_numpy(tokens[256:]).float()[:, None])
    model.text_shift.copy_(torch.from_numpy(embeddings[256 * 3 :].mean(0) - predicted.mean(0)))
    train(DecoderArm(model, captions, 128, SEED, dict, embeddings), DECODER, work, "decoder", model.device)
    model.requires_grad_(False).eval()
    model.bank = build_bank(model, embeddings, sentences, [f"{c} {s}" for c in COLOURS for s in SHAPES], [], SEED,
                            written=200, kept=100)
    checkpoint.save(model, out)
    return model


def draw_pictures(count: int, seed: int) -> tuple[np.ndarray, list[list[str]]]:
    """`count` RGB pictures of 64 x 64, uint8, each of one to three things of one colour, and three captions each."""
    rng = np.random.default_rng(seed)
    pictures, captions = np.empty((count, 64, 64, 3), dtype=np.uint8), []
    for picture in pictures:
        colour, ground = rng.choice(list(COLOURS), 2, replace=False)
        shape, number = str(rng.choice(SHAPES)), int(rng.integers(1, 4))
        picture[:] = COLOURS[ground]
        for i in range(number):
            _draw(picture, shape, COLOURS[colour], (16 * (i + 1) + int(rng.integers(-4, 5)), int(rng.integers(20, 44))))
        thing = f"{NUMBERS[number - 1]} {colour} {shape}{'s' if number > 1 else ''}"
        place = f"on a {ground} ground"
        verb = "are" if number > 1 else "is"
        captions.append([f"{thing} {place}", f"there {verb} {thing} {place}", f"{thing} {verb} lying {place}"])
    return pictures, captions


def _draw(picture: np.ndarray, shape: str, colour: tuple[int, int, int], at: tuple[int, int]) -> None:
    x, y = at
    if shape in ("ball", "ring"):
        cv2.circle(picture, at, 9, colour, -1 if shape == "ball" else 3)
    elif shape == "box":
        cv2.rectangle(picture, (x - 8, y - 8), (x + 8, y + 8), colour, -1)
    else:
        cv2.fillPoly(picture, [np.array([[x - 9, y - 9], [x + 9, y], [x - 9, y + 9]])], colour)


def _tokens(model: VLJEPA, pictures: np.ndarray) -> np.ndarray:
    """Visual tokens, after setting the X-Encoder's own standardisation from these pictures."""
    with torch.no_grad():
        x_encoder = model.x_encoder
        assert isinstance(x_encoder, FrameXEncoder)
        for module in x_encoder.modules():
            if isinstance(module, torch.nn.Conv2d) and module.bias is not None:  # keep the signal's size
                torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                torch.nn.init.zeros_(module.bias)
        x_encoder.class_embeddings.normal_()
        raw = model.encode_frames(pictures).flatten(0, 1)
        learned = raw[:, : len(x_encoder.token_mean)]
        x_encoder.token_mean.copy_(learned.mean(0))
        x_encoder.token_std.copy_(learned.std(0).clamp_min(5e-3))
    return model.encode_frames(pictures).numpy()
