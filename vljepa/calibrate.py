"""`python -m vljepa calibrate`: fit the temperatures of a checkpoint on validation data and store them with it.

Run it again whenever the weights change: a calibration names the weights it was fitted to, and others refuse it. Each
question goes the way that `vljepa.ask` takes it. Flickr8k's and DAQUAR's validation photos only; nothing of test.
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from torch import Tensor

from vljepa.calibration import Calibration, Presence, Scale, fit_presence, fit_scale, kind_of
from vljepa.questions import ACTIONS, KINDS, PLACES, Kind, Question, daquar_questions, evaluation_questions

if TYPE_CHECKING:
    from vljepa.evaluate import Photos
    from vljepa.model import VLJEPA

SEED = 0
FEW = 5  # candidates of the questions that are fitted a second time as a user would ask them


@dataclass(frozen=True)
class _Asked:
    """One question with the similarity of each candidate and which of them is right."""

    kind: str
    similarity: Float[np.ndarray, " answers"]
    right: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `calibrate`."""
    parser.add_argument("--data", type=Path, required=True, help="folder of data, laid out as the README says")
    parser.add_argument("--checkpoint", default="everyday", help="name or folder (default: everyday)")
    parser.add_argument("--device", help="cpu or cuda (default: a GPU if there is one)")


def run(args: argparse.Namespace) -> None:
    """Fit, store, and print what was found. ValueError if data is missing."""
    from vljepa.checkpoint import load, save_calibration

    model = load(args.checkpoint, args.device, calibrated=False)
    calibration = calibrate(model, args.data)
    written = save_calibration(calibration, args.checkpoint)
    print(f"{'kind':10}  {'temperature':>11}  {'sure from':>9}  {'error':>6}  questions")
    for kind, scale in calibration.scales.items():
        sure = f"{scale.sure_at:.2f}" if scale.sure_at <= 1 else "never"
        print(f"{kind:10}  {scale.temperature:11.4f}  {sure:>9}  {scale.ece:6.3f}  {scale.questions}")
    print(f"Stored in {written}.")


def calibrate(model: "VLJEPA", data: Path) -> Calibration:
    """All scales, from the validation questions and labels that `data` gives; ValueError if it gives too few."""
    from vljepa.evaluate import encode, encode_files
    from vljepa.train.photos import load_photo_set

    flickr = encode(model, data, "flickr8k", "val")
    captions = [row["captions"] for row in flickr.rows]
    indoor = load_photo_set(data, "daquar_qa")
    files = [indoor.files[i] for i in indoor.indices("val")]
    rooms = encode_files(model, [data / file for file in files], "daquar_qa val")
    outdoor = [q for kind in KINDS for q in evaluation_questions(captions, kind, SEED)]
    asked = [*_asked(model, flickr.tokens, outdoor), *_asked(model, rooms, daquar_questions(indoor.rows, files))]
    scales = {kind: _scale(kind, [a for a in asked if a.kind == kind])
              for kind in ("yes or no", "colour", "count", "other", "open")}
    labels, presence = _labels(model, flickr, captions)
    return Calibration(model.fingerprint, "Flickr8k val; DAQUAR val, split by photo",
                       {**scales, "label": labels}, presence)


def _asked(
    model: "VLJEPA", tokens: Float[Tensor, "photos time tokens dim"], questions: Sequence[Question]
) -> Iterator[_Asked]:
    """Each question with its candidates; those of many also with few; and open ones over the built-in answers."""
    from vljepa.texts import known_embeddings
    from vljepa.vocabulary import built_in_answers

    if not questions:
        return
    random = np.random.default_rng(SEED)
    predicted = model.predict_windows(tokens[[q.photo for q in questions]], [q.text for q in questions])
    embedded = _embedded(model, questions)
    for question, embedding in zip(questions, predicted, strict=True):
        candidates, right = list(question.candidates), question.candidates.index(question.answer)
        similarity = np.stack([embedded[c] for c in candidates]) @ embedding
        yield _Asked(kind_of(question.text, candidates), similarity, right)
        if len(candidates) > FEW:
            others = random.choice([i for i in range(len(candidates)) if i != right], FEW - 1, replace=False)
            yield _Asked(kind_of(question.text, candidates), similarity[[right, *others]], 0)
        built_in = built_in_answers(question.text)
        if kind_of(question.text, built_in, is_open=True) == "open" and question.answer in built_in:
            yield _Asked("open", known_embeddings(model, built_in) @ embedding, built_in.index(question.answer))


def _embedded(model: "VLJEPA", questions: Sequence[Question]) -> dict[str, Float[np.ndarray, " dim"]]:
    texts = sorted({c for q in questions for c in q.candidates})
    return dict(zip(texts, model.embed_text(texts), strict=True))


def _scale(kind: str, asked: Sequence[_Asked]) -> Scale:
    if len(asked) < 20:
        raise ValueError(f"a calibration needs 20 validation questions of the kind {kind!r} at least, "
                         f"and the data gives {len(asked)}")
    return fit_scale([a.similarity for a in asked], np.array([a.right for a in asked]))


def _labels(model: "VLJEPA", photos: "Photos", captions: Sequence[list[str]]) -> tuple[Scale, Presence]:
    """Actions and places as labels of which one holds; the things of presence questions as labels that hold or not."""
    from vljepa.labels import QUERY, label_embeddings, standing_out

    predicted = model.predict_windows(photos.tokens, QUERY)
    asked: list[_Asked] = []
    kinds: dict[Kind, tuple[str, ...]] = {"action": ACTIONS, "where": PLACES}
    for kind, labels in kinds.items():
        embeddings = label_embeddings(model, labels)
        asked += [_Asked("label", embeddings @ predicted[q.photo], labels.index(q.answer))
                  for q in evaluation_questions(captions, kind, SEED)]
    questions = evaluation_questions(captions, "presence", SEED)
    things = [re.sub(r"^(Is|Are) there ((any|some) )?|\?$", "", q.text) for q in questions]
    names = sorted(set(things))
    z = standing_out(model, predicted, label_embeddings(model, names))
    chosen = z[[q.photo for q in questions], [names.index(thing) for thing in things]]
    return _scale("label", asked), fit_presence(chosen, np.array([int(q.answer == "yes") for q in questions]))
