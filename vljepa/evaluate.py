"""`python -m vljepa evaluate`: every figure of the model card, measured on held-out photos through the shipped model.

Flickr8k's test photos are for this alone: choose with `--split val`. Photos are read, squashed and encoded as the
library does it for video frames. `evaluate selective`, `boundaries` and `text` measure more (`vljepa.evaluate_parts`),
and `evaluate report` draws what they wrote.
"""

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from tqdm import tqdm

from sample_media import sample_films
from vljepa import evaluate_parts, metrics
from vljepa.ask import rank
from vljepa.calibration import calibration_error
from vljepa.composed_films import ComposedFilm, captioned_photos, compose_film
from vljepa.labels import QUERY as LABEL_QUERY
from vljepa.labels import label_embeddings
from vljepa.model import VLJEPA
from vljepa.moments import nearest
from vljepa.photo import read_photo
from vljepa.provenance import provenance, write_results
from vljepa.questions import Question, daquar_questions, evaluation_questions
from vljepa.stream import Trajectory
from vljepa.train.photos import load_photo_set

SEED = 0  # of the questions drawn; fixed, so that runs compare
PHOTOS_AT_ONCE = 64
CALIBRATED = ("presence", "colour", "count", "daquar")  # the kinds whose probabilities are checked
FILMS, SCENES = 5, 20


@dataclass(frozen=True)
class Photos:
    """Photos of one split as windows of visual tokens, and the rows that describe them."""

    rows: list[dict]
    tokens: Float[torch.Tensor, "photos time tokens dim"]


@dataclass(frozen=True)
class Answered:
    """What `vljepa.ask` said to one question: its kind, whether the first answer was right, how probable, if sure."""

    kind: str
    right: bool
    probability: float | None
    sure: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `evaluate`."""
    _add_common(parser)
    kinds = parser.add_subparsers(metavar=" | ".join(evaluate_parts.KINDS), dest="kind")
    evaluate_parts.add_parsers(kinds, _add_common)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, help="folder of data, laid out as the README says; needed")
    parser.add_argument("--json", type=Path, help="file that the results are written to")
    parser.add_argument("--checkpoint", default="everyday", help="name or folder (default: everyday)")
    parser.add_argument("--device", help="cpu or cuda (default: a GPU if there is one)")
    parser.add_argument("--split", choices=("test", "val"), default="test",
                        help="Flickr8k's split; choose on val, report on test")


def run(args: argparse.Namespace) -> None:
    """Measure, print a table, and write JSON if asked to. ValueError if data is missing."""
    from vljepa.checkpoint import load

    if args.kind:
        return evaluate_parts.run(args)
    if args.data is None:
        raise ValueError("evaluate needs --data DIR, the folder of data; the README says how it is laid out")
    model = load(args.checkpoint, args.device)
    results = evaluate(model, args.data, args.split)
    results["provenance"] = {**provenance(args.checkpoint), "split": args.split, "device": str(model.device),
                             "dtype": str(model.dtype)}
    for group, values in results.items():
        for key, value in values.items():
            print(f"{group + '.' + key:<42} {value:.3f}" if isinstance(value, float) else f"{group}.{key:<30} {value}")
    if args.json:
        write_results(args.json, results)
    return None


def evaluate(model: VLJEPA, data: Path, split: str = "test") -> dict[str, dict]:
    """All measures of the model card on Flickr8k's and DAQUAR's `split` and sports100's val; percent but for CIDEr."""
    flickr = encode(model, data, "flickr8k", split)
    sports = encode(model, data, "sports100", "val")
    captions = [row["captions"] for row in flickr.rows]
    predicted = model.predict_windows(flickr.tokens)
    results = {"retrieval": retrieval(model, predicted, captions), "caption": captioning(model, predicted, captions)}
    answered: list[Answered] = []
    # a joint embedding's answers are those nearest to the picture, whatever is asked: a floor, not an ability
    results["vqa"] = {"sees_the_question": model.answers_queries,
                      **question_answering(model, flickr, captions, answered),
                      **indoor_questions(model, data, split, answered), **calibration(model, answered)}
    results["classification"] = classification(model, sports)
    results["moments"] = finding_moments(model, data, split)
    return results


def encode(model: VLJEPA, data: Path, name: str, split: str) -> Photos:
    """Read and encode the photos of one split. ValueError if the list or a photo is missing."""
    path = data / f"{name}.jsonl"
    if not path.is_file():
        raise ValueError(f"evaluation needs {path}; the README says how the data folder is laid out")
    rows = [row for row in map(json.loads, path.read_text().splitlines()) if row["split"] == split]
    return Photos(rows, encode_files(model, [data / row["file"] for row in rows], f"{name} {split}"))


def encode_files(
    model: VLJEPA, files: Sequence[Path], job: str
) -> Float[torch.Tensor, "photos time tokens dim"]:
    """Photos as windows of visual tokens, in order; `job` is what the progress bar says."""
    tokens = []
    with ThreadPoolExecutor(2) as pool:
        for start in tqdm(range(0, len(files), PHOTOS_AT_ONCE), desc=job, mininterval=2.0):
            chunk = files[start : start + PHOTOS_AT_ONCE]
            tokens.append(model.encode_photos(np.stack(list(pool.map(lambda f: model.fit(read_photo(f)), chunk)))))
    return torch.cat(tokens)


def retrieval(model: VLJEPA, predicted: Float[np.ndarray, "photos dim"], captions: Sequence[list[str]]) -> dict:
    """Recall in percent: image to text among all captions, text to image among all photos."""
    texts = model.embed_text([c for five in captions for c in five])
    ends = np.cumsum([len(five) for five in captions])
    positives = [list(range(end - len(five), end)) for end, five in zip(ends, captions, strict=True)]
    owners = [[i] for i, five in enumerate(captions) for _ in five]
    similarity = predicted @ texts.T
    recall = {f"{side}_r{k}": 100 * metrics.recall_at_k(matrix, right, k)
              for side, matrix, right in (("i2t", similarity, positives), ("t2i", similarity.T, owners))
              for k in (1, 5, 10)}
    return {**recall, "photos": len(captions), "texts": len(texts)}


def captioning(model: VLJEPA, predicted: Float[np.ndarray, "photos dim"], captions: Sequence[list[str]]) -> dict:
    """CIDEr of both read-outs against the photo's captions."""
    found = {}
    for readout in model.readouts:
        batches = np.array_split(predicted, max(1, len(predicted) // PHOTOS_AT_ONCE))
        written = [c.text for b in tqdm(batches, desc=readout, mininterval=2.0) for c in model.decode(b, readout)]
        found["cider" if readout == "decoder" else f"cider_{readout}"] = metrics.cider(written, captions)
    return {**found, "photos": len(captions), "tokenisation": "vljepa.metrics.caption_tokens"}


def question_answering(
    model: VLJEPA, photos: Photos, captions: Sequence[list[str]], answered: "list[Answered] | None" = None
) -> dict:
    """Percent right among candidate answers, the same on a grey clip, and the best blind guess, by kind.

    Each question goes the way of `vljepa.ask`; `answered` is added what that said.
    """
    grey = grey_clip(model)
    found: dict[str, float | int] = {}
    for kind in ("presence", "colour", "count", "action", "where"):
        questions = evaluation_questions(captions, kind, SEED)
        if not questions:  # few photos may give none of a kind
            continue
        shown = photos.tokens[[q.photo for q in questions]]
        answers = ask_each(model, shown, questions)
        found[kind] = 100 * sum(a.right for a in answers) / len(answers)
        if answered is not None:
            answered += answers
        found[f"blank_{kind}"] = 100 * share_right(model, grey.expand(len(questions), -1, -1, -1), questions)
        found[f"majority_{kind}"] = 100 * metrics.majority_baseline([q.answer for q in questions])
        found[f"questions_{kind}"] = len(questions)
    return found


def indoor_questions(model: VLJEPA, data: Path, split: str, answered: "list[Answered] | None" = None) -> dict:
    """DAQUAR, split by photo: percent of questions whose answer is ranked first among *all* answers of the data set.

    Several things asked for at once are one answer, right only as a whole and in its order ("books and lamp"); numbers
    are spelled out. Words that mean the same count as wrong ("photo" for "picture").
    """
    photo_set = load_photo_set(data, "daquar_qa")
    files = [photo_set.files[i] for i in photo_set.indices(split)]
    answers = sorted({q.answer for q in daquar_questions(photo_set.rows, photo_set.files)})
    asked = daquar_questions(photo_set.rows, files)
    if not asked:
        return {}
    tokens, grey = encode_files(model, [data / file for file in files], f"daquar {split}"), grey_clip(model)
    shown = tokens[[q.photo for q in asked]]
    if answered is not None:  # among the answers of the question's kind, as a user would give candidates
        answered += [replace(a, kind="daquar") for a in ask_each(model, shown, asked)]
    return {"daquar_top1": 100 * ranked_first(model, shown, asked, answers),
            "blank_daquar": 100 * ranked_first(model, grey.expand(len(asked), -1, -1, -1), asked, answers),
            "majority_daquar": 100 * metrics.majority_baseline([q.answer for q in asked]),
            "questions_daquar": len(asked), "answers_daquar": len(answers), "photos_daquar": len(files)}


def ranked_first(
    model: VLJEPA, windows: Float[torch.Tensor, "n time tokens dim"], questions: list[Question], answers: Sequence[str]
) -> float:
    """Share of questions, each about its own window, whose right answer is the nearest of all `answers`."""
    predicted = model.predict_windows(windows, [q.text for q in questions])
    right = np.array([answers.index(q.answer) for q in questions])
    return metrics.accuracy_over_candidates(predicted, model.embed_text(answers), right)


def grey_clip(model: VLJEPA) -> Float[torch.Tensor, "1 time tokens dim"]:
    """A window in which nothing can be seen."""
    side = model.config.x_encoder.image_size
    return model.encode_photos(np.full((1, side, side, 3), 127, dtype=np.uint8))


def ask_each(
    model: VLJEPA, windows: Float[torch.Tensor, "n time tokens dim"], questions: list[Question]
) -> "list[Answered]":
    """Each question, about its own window, through `vljepa.ask`'s ranking with its candidates given."""
    predicted = model.predict_windows(windows, [q.text for q in questions])
    vocabulary = sorted({c for q in questions for c in q.candidates})
    embedded = dict(zip(vocabulary, model.embed_text(vocabulary), strict=True))
    found = []
    for question, embedding in zip(questions, predicted, strict=True):
        texts = list(question.candidates)
        ranked, sure = rank(model, question.text, texts, np.stack([embedded[t] for t in texts]), embedding)
        found.append(Answered(question.kind, ranked[0].text == question.answer, ranked[0].probability, sure))
    return found


def calibration(model: VLJEPA, answered: "Sequence[Answered]") -> dict:
    """Expected calibration error of the first answer's probability, over all kinds and for each, a fraction.

    Also how often an answer was sure, and how often a sure one was right, in percent. Nothing without a calibration.
    """
    if model.calibration is None or not answered:
        return {}
    measured = [a for a in answered if a.kind in CALIBRATED]
    found: dict[str, float] = {}
    groups = {"ece": measured, **{f"ece_{kind}": [a for a in measured if a.kind == kind] for kind in CALIBRATED}}
    for name, some in groups.items():
        if some:
            found[name] = calibration_error(np.array([a.probability for a in some]), np.array([a.right for a in some]))
    sure = [a for a in measured if a.sure]
    return {**found, "sure": 100 * len(sure) / len(measured),
            "right_when_sure": 100 * sum(a.right for a in sure) / max(1, len(sure))}


def finding_moments(model: VLJEPA, data: Path, split: str) -> dict:
    """Percent of scenes that come first when a film is searched for the scene's own caption, by `vljepa.moments`.

    `FILMS` films of 20 captioned photos of `split` each, every caption of every scene, and the sample film with its
    titles. A moment is right if its middle lies in the scene.
    """
    photos = captioned_photos(data, "flickr8k", split)
    films = [compose_film(photos, SCENES, seed=seed) for seed in range(FILMS)] if len(photos) >= SCENES else []
    hits, sample = [hit for film in films for hit in _scenes_found(model, film)], _sample_scenes_found(model)
    return {"right_scene_first": 100 * float(np.mean([*hits, *sample])), "composed_films": 100 * float(np.mean(hits)),
            "sample_film": 100 * float(np.mean(sample)), "films": len(films), "queries": len(hits) + len(sample)
            } if hits else {}


def _scenes_found(model: VLJEPA, film: ComposedFilm) -> list[bool]:
    trajectory = model.embed(film).collect()
    return [scene.start_s <= _middle_of_first(model, trajectory, caption) < scene.end_s
            for scene in film.scenes for caption in scene.photo.captions]


def _sample_scenes_found(model: VLJEPA) -> list[bool]:
    film = sample_films()[0]
    trajectory = model.embed(film.path).collect()
    scenes = json.loads(film.truth.read_text(encoding="utf-8"))["scenes"]
    middles = [_middle_of_first(model, trajectory, scene["caption"]) for scene in scenes]
    # a photo may come twice: either time is right
    same = [[s for s in scenes if s["caption"] == scene["caption"]] for scene in scenes]
    return [any(s["start_s"] <= middle < s["end_s"] for s in alike)
            for alike, middle in zip(same, middles, strict=True)]


def _middle_of_first(model: VLJEPA, trajectory: Trajectory, caption: str) -> float:
    """The middle, in seconds, of the moment found first; a caption too long for the model is cut, as for retrieval."""
    best = nearest(trajectory, model.embed_text([caption])[0], most=1).moments[0]
    return (best.start_s + best.end_s) / 2


def classification(model: VLJEPA, photos: Photos) -> dict:
    """Percent of sports100's val photos whose label, as a text in several prompts, is nearest of the 100."""
    labels = sorted({row["label"] for row in photos.rows})
    candidates = label_embeddings(model, labels)
    right = np.array([labels.index(row["label"]) for row in photos.rows])
    predicted = model.predict_windows(photos.tokens, LABEL_QUERY)
    return {"sports100": 100 * metrics.accuracy_over_candidates(predicted, candidates, right),
            "photos": len(right), "labels": len(labels)}


def share_right(model: VLJEPA, windows: Float[torch.Tensor, "n time tokens dim"], questions: list[Question]) -> float:
    """Share of questions, each about its own window, whose right answer is the nearest of its candidates."""
    predicted = model.predict_windows(windows, [q.text for q in questions])
    vocabulary = sorted({c for q in questions for c in q.candidates})
    embedded = dict(zip(vocabulary, model.embed_text(vocabulary), strict=True))
    answers = [q.candidates[int(np.argmax([p @ embedded[c] for c in q.candidates]))]
               for p, q in zip(predicted, questions, strict=True)]
    return metrics.accuracy(answers, [q.answer for q in questions])
