"""What can be said and asked of a clip: paraphrased captions, questions with their answers and candidates."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vljepa.shapes.world import (
    ACTIONS,
    APPEAR,
    COLLIDE,
    COLOURS,
    CONTAINERS,
    ENTER,
    SHAPES,
    SIZES,
    TURN,
    Motion,
)

SIZE_WORDS = {"small": ("small", "little"), "big": ("big", "large")}
SHAPE_WORDS = {"ball": ("ball", "disc"), "box": ("box", "square"), "triangle": ("triangle",),
               "diamond": ("diamond", "rhombus"), "star": ("star",), "ring": ("ring", "hoop"),
               "cross": ("cross", "plus"), "heart": ("heart",)}
COLOUR_WORDS = {colour: (colour,) for colour in COLOURS} | {"purple": ("purple", "violet")}
VERBS = {"rest": ("stays where it is", "does not move", "rests"),
         "appear": ("appears", "shows up", "comes into view"),
         "leave": ("leaves", "goes away", "moves out of the picture"),
         "left": ("moves to the left", "slides left", "goes leftwards"),
         "right": ("moves to the right", "slides right", "goes rightwards"),
         "up": ("moves up", "rises", "goes upwards"),
         "down": ("moves down", "sinks", "goes downwards"),
         "collide": ("bumps into", "hits", "runs into"),
         "enter": ("goes into", "enters", "drops into"),
         "turn": ("turns", "becomes", "changes its colour to")}
NUMBERS = ("none", "one", "two")
ASKED = {"action": ("what happens?", "what is the action shown?"),
         "colour": ("what colour is the {} at the end?", "which colour has the {} in the end?"),
         "who": ("what moves or changes?", "which thing does something?"),
         "count": ("how many things are there at first?", "how many things does it begin with?"),
         "presence": ("is there {}?", "do you see {}?")}
CHANGE_QUERY = "what led from the first picture to the last?"
CAPTION_QUERY = "describe the clip."


@dataclass(frozen=True)
class Question:
    """A question about one clip, its answer, and all answers that could have been right."""

    kind: str
    text: str
    answer: str
    candidates: tuple[str, ...]


def thing(shape: int, colour: int, size: int | None = None, rng: np.random.Generator | None = None) -> str:
    """A thing in words, as "small red ball"; with `rng` in any of its words."""
    words = [] if size is None else [_pick(SIZE_WORDS[tuple(SIZES)[size]], rng)]
    words += [_pick(COLOUR_WORDS[tuple(COLOURS)[colour]], rng), _pick(SHAPE_WORDS[SHAPES[shape]], rng)]
    return " ".join(words)


def captions(motion: Motion, index: int, count: int = 4, seed: int = 0) -> list[str]:
    """`count` captions of one clip: the plain one first, then paraphrases, some of which name the bystander."""
    plain = _caption(motion, index, None, False)
    rng = np.random.default_rng([seed, index])
    return [plain, *(_caption(motion, index, rng, rng.random() < 0.4) for _ in range(count - 1))]


def paraphrase(motion: Motion, index: int, rng: np.random.Generator) -> str:
    """One caption in any words."""
    return _caption(motion, index, rng, rng.random() < 0.3)


def action_phrase(motion: Motion, index: int) -> str:
    """What happens, without what it happens to: the answer to "what happens?"."""
    action = int(motion.action[index])
    if action == COLLIDE:
        return "it bumps into something"
    return f"it {_verb(motion, index, None)}"


def action_phrases() -> tuple[str, ...]:
    """Every answer to "what happens?"."""
    kinds = [VERBS[name][0] for name in ACTIONS[:COLLIDE]] + ["bumps into something"]
    kinds += [f"{VERBS['enter'][0]} the {name}" for name in CONTAINERS]
    return tuple(f"it {kind}" for kind in (*kinds, *(f"turns {colour}" for colour in COLOURS)))


def questions(motion: Motion, index: int, rng: np.random.Generator) -> list[Question]:
    """A question of each kind that makes sense for the clip."""
    start, end = motion.start, motion.end
    shape, colour = int(start.shape[index, 0]), int(start.colour[index, 0])
    asked = [_question("action", "", action_phrase(motion, index), action_phrases(), rng),
             _question("who", "", thing(shape, colour), all_things(), rng),
             _question("count", "", NUMBERS[int(start.present[index].sum())], NUMBERS, rng)]
    if not start.present[index, 1] or start.shape[index, 1] != shape:
        asked.append(_question("colour", SHAPES[shape], tuple(COLOURS)[int(end.colour[index, 0])], tuple(COLOURS), rng))
    named, there = _named(motion, index, rng)
    asked.append(_question("presence", f"{_article('a', named)} {named}", "yes" if there else "no", ("no", "yes"), rng))
    return asked


@lru_cache(maxsize=1)
def all_things() -> tuple[str, ...]:
    """Every pair of colour and shape in its plain words."""
    return tuple(thing(s, c) for s in range(len(SHAPES)) for c in range(len(COLOURS)))


@lru_cache(maxsize=1)
def all_captions() -> tuple[str, ...]:
    """Every plain caption there can be: the sentences among which an embedding is read out."""
    actors = [thing(s, c, z) for s in range(len(SHAPES)) for c in range(len(COLOURS)) for z in range(len(SIZES))]
    verbs = [VERBS[name][0] for name in ACTIONS[:COLLIDE]]
    verbs += [f"{VERBS['enter'][0]} the {name}" for name in CONTAINERS]
    verbs += [f"{VERBS['turn'][0]} {colour}" for colour in COLOURS]
    verbs += [f"{VERBS['collide'][0]} the {other}" for other in all_things()]
    return tuple(f"the {actor} {verb}" for actor in actors for verb in verbs)


@lru_cache(maxsize=1)
def vocabulary() -> tuple[str, ...]:
    """Every word of every caption, question and answer, in order."""
    texts = [w for group in (SIZE_WORDS, SHAPE_WORDS, COLOUR_WORDS, VERBS, ASKED) for ws in group.values() for w in ws]
    texts += [*NUMBERS, "yes no it something the a an near while looks on", CHANGE_QUERY, CAPTION_QUERY, *CONTAINERS]
    return tuple(sorted({w for text in texts for w in words(text)}))


def words(text: str) -> list[str]:
    """The words of a text: lower case, marks apart from them left out."""
    return "".join(c if c.isalpha() else " " for c in text.lower()).split()


def claims(text: str, motion: Motion, index: int) -> dict[str, bool]:
    """Which claims of a caption, in any of our words, are true of a clip; what it does not say is not in it.

    "The small red ball moves up" of a big red ball that sinks: size False, colour True, shape True, action False.
    """
    said, truth = _parsed(text), _parsed(_caption(motion, index, None, False))
    start = motion.start
    if start.present[index, 1]:
        truth["other"] = thing(int(start.shape[index, 1]), int(start.colour[index, 1]))
    return {name: truth.get(name) == value for name, value in said.items()}


def _parsed(text: str) -> dict[str, str]:
    """A caption's parts in their plain words: size, colour, shape, action and, in passing, the other thing."""
    plain = {word: first for table in (SIZE_WORDS, COLOUR_WORDS, SHAPE_WORDS) for first, ws in table.items()
             for word in ws}
    said = [plain.get(word, word) for word in words(text) if word not in ("a", "an", "the")]
    found: dict[str, str] = {}
    for name, table in (("size", SIZE_WORDS), ("colour", COLOUR_WORDS), ("shape", SHAPE_WORDS)):
        if said and said[0] in table:
            found[name] = said.pop(0)
    cut = next((i for i, word in enumerate(said) if word in ("near", "while")), len(said))
    said, other = said[:cut], [word for word in said[cut + 1 :] if word not in ("looks", "on")]
    if said:
        found["action"] = _plain_action(" ".join(said))
    return found | ({"other": " ".join(other)} if other else {})


def _plain_action(said: str) -> str:
    """What happens, its verb replaced by its name: "hits red ball" becomes "collide red ball"."""
    known = [(verb.replace("the ", ""), name) for name, verbs in VERBS.items() for verb in verbs]
    fitting = [(len(verb), verb, name) for verb, name in known if f"{said} ".startswith(f"{verb} ")]
    if not fitting:
        return said
    _, verb, name = max(fitting)
    return f"{name}{said[len(verb) :]}"


def _caption(motion: Motion, index: int, rng: np.random.Generator | None, context: bool) -> str:
    start = motion.start
    article = "the" if rng is None or rng.random() < 0.5 else "a"
    named_size = rng is None or rng.random() < 0.7
    actor = thing(int(start.shape[index, 0]), int(start.colour[index, 0]),
                  int(start.size[index, 0]) if named_size else None, rng)
    text = f"{_article(article, actor)} {actor} {_verb(motion, index, rng)}"
    if context and start.present[index, 1] and motion.action[index] != COLLIDE:
        other = thing(int(start.shape[index, 1]), int(start.colour[index, 1]), None, rng)
        one = f"{_article('a', other)} {other}"
        text += _pick((f" near {one}", f" while {one} looks on"), rng)
    return text


def _verb(motion: Motion, index: int, rng: np.random.Generator | None) -> str:
    action, start = int(motion.action[index]), motion.start
    name = "turn" if action >= TURN else ACTIONS[action]
    verb = _pick(VERBS[name], rng)
    if action >= TURN:
        return f"{verb} {_pick(COLOUR_WORDS[tuple(COLOURS)[action - TURN]], rng)}"
    if action == COLLIDE:
        return f"{verb} the {thing(int(start.shape[index, 1]), int(start.colour[index, 1]), None, rng)}"
    if action == ENTER:
        return f"{verb} the {tuple(CONTAINERS)[int(start.container[index]) - 1]}"
    return verb


def _named(motion: Motion, index: int, rng: np.random.Generator) -> tuple[str, bool]:
    """A thing to ask for and whether it is there at some time; half of those that are not share a word with one."""
    start, end = motion.start, motion.end
    there = {(int(state.shape[index, s]), int(state.colour[index, s]))
             for state in (start, end) for s in (0, 1) if state.present[index, s]}
    present = sorted(there)
    shape, colour = present[int(rng.integers(len(present)))]
    if rng.random() < 0.5:
        return thing(shape, colour), True
    while (shape, colour) in there:
        if rng.random() < 0.5:
            shape = int(rng.integers(len(SHAPES)))
        else:
            colour = int(rng.integers(len(COLOURS)))
    return thing(shape, colour), False


def _question(kind: str, about: str, answer: str, candidates: Sequence[str], rng: np.random.Generator) -> Question:
    return Question(kind, _pick(ASKED[kind], rng).format(about), answer, tuple(candidates))


def _article(article: str, noun: str) -> str:
    return "an" if article == "a" and noun.startswith("orange") else article


def _pick(choices: Sequence[str], rng: np.random.Generator | None) -> str:
    return choices[0] if rng is None else choices[int(rng.integers(len(choices)))]


assert APPEAR < COLLIDE < ENTER < TURN  # `all_captions` lists the verbs in this order
