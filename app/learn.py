"""The Learn tab: what a model should predict, to touch. Its parts, and the plain functions that its page calls."""

import json
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from app import learn_train
from app.engine import Engine
from app.learn_arms import Lesson
from app.learn_three import Three
from app.learn_walk import chosen, walks
from app.messages import Handler, in_one_sentence
from app.tab import tab
from visualizations.landmark_map import place_text
from vljepa.metrics import caption_tokens

STYLE = "learn.css"
MEASURED = Path(__file__).resolve().parent.parent / "benchmarks/text.json"
MOST_SENTENCES, LONGEST = 8, 300
# a sentence, the same said otherwise, and one of something else: what any sentence encoder should tell apart
ORDINARY = ("the lamp is turned off", "the room goes dark", "a dog runs along the beach")
# a sentence, the same said otherwise, and a hard negative: the first with two words exchanged
TRIPLETS = (
    ("a dog chases a man", "a man is being chased by a dog", "a man chases a dog"),
    ("a girl in a red coat holds a blue umbrella", "a girl holds a blue umbrella and wears a red coat",
     "a girl in a blue coat holds a red umbrella"),
    ("the white horse stands behind the black car", "behind the black car there is a white horse",
     "the black horse stands behind the white car"),
    ("people leave after the rain starts", "the rain starts and then people leave",
     "the rain starts after people leave"),
    ("two sheep followed one deer", "a single deer was followed by a pair of sheep", "one sheep followed two deer"),
    ("a man in water looks at a dog on land", "a dog stands on land while a man in water looks at it",
     "a man on land looks at a dog in water"),
)

# the same said twice: a batch of which each row must find its own column
PAIRS = (
    ("a dog runs along the beach", "a puppy races over the sand"),
    ("two men play guitar on a stage", "a pair of musicians performs for a crowd"),
    ("a child jumps into a swimming pool", "a boy leaps into the water"),
    ("a man climbs a steep rock", "a climber hangs on a cliff"),
    ("a woman rides a bicycle through the city", "a cyclist in a street"),
    ("players fight for the ball on a field", "a football match"),
    ("snow falls on a mountain village", "a cold winter day in the hills"),
    ("a cat sleeps on a sofa", "a pet rests on the couch"),
)
UNTRAINED_CONE = 1.0  # how far random points lie off the origin: untrained networks point all one way


def build(engine: Engine, published: Path) -> gr.HTML:
    """Add the tab's blocks to the surrounding `gr.Blocks`; `published` holds the page's files."""
    return tab("learn", handlers(engine), published)


def handlers(engine: Engine, lesson: Lesson | None = None) -> dict[str, Handler]:
    """What the page can call, by name. Each takes one dictionary and returns one; a failure returns `error`.

    `lesson` asks other arms than the shipped ones.
    """
    lesson, films = lesson or Lesson(), walks(engine)
    three = Three(lesson)

    def hello(_: dict[str, Any]) -> dict[str, Any]:
        """What the page needs once."""
        return {"checkpoint": engine.model.name, "ordinary": ORDINARY, "triplets": TRIPLETS,
                "films": [{"name": name, "title": walk.sample.title} for name, walk in films.items()],
                "measured": hard_negatives_passed(engine.model.name), "limits": [MOST_SENTENCES, LONGEST]}

    def shapes_map(_: dict[str, Any]) -> dict[str, Any]:
        """The map of the shapes world's sentences."""
        return {"landmarks": lesson.background()}

    def puzzle(request: dict[str, Any]) -> dict[str, Any]:
        """Two images and four actions."""
        return lesson.puzzle(whole(request, "seed"))

    def solve(request: dict[str, Any]) -> dict[str, Any]:
        """What is right, and what the model picks."""
        return lesson.solve(whole(request, "seed"))

    def batch(_: dict[str, Any]) -> dict[str, Any]:
        """Eight pairs for the InfoNCE matrix: by the model, and as random points in a cone, as before any training."""
        embedded = [engine.model.embed_text([pair[side] for pair in PAIRS]) for side in (0, 1)]
        rng, shape = np.random.default_rng(0), embedded[0].shape
        untrained = [unit(rng.normal(size=shape) + UNTRAINED_CONE) for _ in range(2)]
        return {"rows": [a for a, _ in PAIRS], "columns": [b for _, b in PAIRS],
                "trained": [x.round(4).tolist() for x in embedded],
                "untrained": [x.round(4).tolist() for x in untrained]}

    def compare(request: dict[str, Any]) -> dict[str, Any]:
        """Every pair of the sentences: the words they share, and the cosine of their embeddings."""
        texts = sentences(request.get("texts"), 2)
        embedded = engine.model.embed_text(texts)
        landmarks = engine.model.landmarks
        return {"overlap": word_overlap(texts).round(4).tolist(), "cosine": (embedded @ embedded.T).round(4).tolist(),
                "places": None if landmarks is None else place_text(landmarks, embedded).round(4).tolist()}

    def triplet(request: dict[str, Any]) -> dict[str, Any]:
        """The three cosines of (sentence, paraphrase, negative), for each triplet that is sent."""
        rows = [sentences(row, 3) for row in request.get("rows") or []]
        embedded = engine.model.embed_text([t for row in rows for t in row]).reshape(len(rows), 3, -1)
        one, other, negative = embedded.transpose(1, 0, 2)
        return {"rows": [{"pair": float(a), "one": float(b), "other": float(c)} for a, b, c in
                         zip((one * other).sum(1), (one * negative).sum(1), (other * negative).sum(1), strict=True)]}

    def walk(request: dict[str, Any]) -> dict[str, Any]:
        """A sample film as the model watches it; how far that is, until it is done."""
        return chosen(films, request.get("film")).view()

    def walk_own(request: dict[str, Any]) -> dict[str, Any]:
        """The film cut at the student's boundaries."""
        return chosen(films, request.get("film")).own(request.get("boundaries_s"))

    def walk_say(request: dict[str, Any]) -> dict[str, Any]:
        """How near a sentence is to a part of the film."""
        return chosen(films, request.get("film")).say(request.get("index"), request.get("text"))

    def three_clip(request: dict[str, Any]) -> dict[str, Any]:
        """A clip and what can be asked of it."""
        return three.clip(whole(request, "seed"))

    def three_paint(request: dict[str, Any]) -> dict[str, Any]:
        """Flow matching paints the hidden part."""
        return three.paint(whole(request, "seed"), str(request.get("kind")), whole(request, "steps"))

    def three_write(request: dict[str, Any]) -> dict[str, Any]:
        """The token VLM writes."""
        return three.write(whole(request, "seed"), str(request.get("kind")))

    def three_point(request: dict[str, Any]) -> dict[str, Any]:
        """VL-JEPA points."""
        return three.point(whole(request, "seed"), str(request.get("kind")))

    def three_read(request: dict[str, Any]) -> dict[str, Any]:
        """VL-JEPA's point in words."""
        return three.read(whole(request, "seed"), str(request.get("kind")))

    def three_features(request: dict[str, Any]) -> dict[str, Any]:
        """V-JEPA predicts features of the hidden part."""
        return three.features(whole(request, "seed"), str(request.get("kind")))

    def collapse(_: dict[str, Any]) -> dict[str, Any]:
        """The recorded runs with and without an anti-collapse term."""
        return lesson.collapse()

    functions = (hello, walk, walk_own, walk_say, three_clip, three_paint, three_write, three_point, three_read,
                 three_features, compare, triplet, batch, collapse, shapes_map, puzzle, solve)
    return {function.__name__: in_one_sentence(function) for function in functions} | learn_train.handlers(engine)


def hard_negatives_passed(checkpoint: str) -> dict[str, float] | None:
    """Which `percent` `of` how many triplets with a hard negative the text encoder passes, from both sides, as
    `python -m vljepa evaluate text` measured it; None for a checkpoint that was not measured."""
    measured = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.is_file() else {}
    if measured.get("checkpoint") != checkpoint:
        return None
    return {"percent": measured["y_encoder"]["all"]["both"], "of": sum(measured["triplets"].values())}


def whole(request: dict[str, Any], name: str) -> int:
    """A whole number from 0 to a million. ValueError if it is none."""
    value = request.get(name)
    if not isinstance(value, int) or not 0 <= value <= 1_000_000:
        raise ValueError(f"{name} must be a whole number from 0 to 1000000, got {value!r}")
    return value


def sentences(texts: Any, least: int) -> list[str]:
    """The texts as they may be embedded. ValueError names the one that is empty or too long, or that too few came."""
    if not isinstance(texts, list) or not least <= len(texts) <= MOST_SENTENCES:
        raise ValueError(f"write {least} to {MOST_SENTENCES} sentences to compare them")
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"sentence {number} is empty: write something, or take it away")
        if len(text) > LONGEST:
            raise ValueError(f"sentence {number} is longer than {LONGEST} characters: shorten it")
    return [text.strip() for text in texts]


def word_overlap(texts: list[str]) -> np.ndarray:
    """Shared words over all words of each pair (Jaccard), 0 to 1, square."""
    words = [set(caption_tokens(text).split()) for text in texts]
    return np.array([[len(a & b) / max(1, len(a | b)) for b in words] for a in words])


def unit(rows: np.ndarray) -> np.ndarray:
    """Each row at length one."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
