"""Hard negatives by rule: a caption with one thing changed, so that it says something else in nearly the same words.

After SugarCrepe++ (Dumpala et al., arXiv:2406.11171): two captions of one photo, `first` and `second`, are alike in
meaning and not in words; `negative` is like `first` in words and not in meaning. What a rule puts in is said by no
caption of the photo, so that the negative is not true by chance.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

RULES = ("swap", "noun", "colour", "number", "relation", "negation")
# Words of one row take each other's places: they fit the same sentences.
_NOUNS = """
man woman | boy girl | men women | boys girls | dog cat horse sheep | dogs cats horses sheep | puppy kitten |
beach street forest mountain desert | car truck bus train boat | bicycle motorcycle skateboard surfboard |
bike scooter | ball frisbee stick bone kite | hat scarf helmet | shirt jacket sweater | pants shorts skirt |
water sand snow mud grass dirt | pool lake ocean river | field park yard | table chair couch bed | tree rock building |
tennis basketball baseball soccer football hockey
"""
_COLOURS = "black white red blue green yellow orange pink purple brown grey"
_NUMBERS = "two three four five six seven"
_RELATIONS = """
in front of/behind | behind/in front of | on top of/under | under/on top of | up/down | down/up | into/out of |
out of/into | inside/outside | outside/inside | over/under | above/below | below/above | with/without | left/right |
right/left | indoors/outdoors | outdoors/indoors | young/old | old/young | big/small | large/small | small/large |
little/big | toward/away from | towards/away from | standing/lying | sitting/standing | walking/sleeping |
running/sleeping
"""
_CLASSES = {word: group for row in _NOUNS.split("|") for group in [row.split()] for word in group}
_OPPOSITES = dict(pair.strip().split("/") for pair in _RELATIONS.replace("\n", " ").split("|"))
_IS = re.compile(r"\b(is|are)\b(?! not)")


@dataclass(frozen=True)
class Triplet:
    """Two captions of one photo, and a negative made from the first by `rule`."""

    rule: str
    first: str
    second: str
    negative: str


def triplets(captions: Sequence[Sequence[str]]) -> Iterator[Triplet]:
    """Of each photo's captions and by each rule at most one triplet: the first caption that the rule can change.

    `second` is the other caption that shares most words with it. Nothing is drawn: the same captions give the same.
    """
    for of_photo in captions:
        for rule in RULES:
            made = ((first, _RULE[rule](first, " ".join(of_photo).lower())) for first in of_photo)
            for first, negative in made:
                others = [other for other in of_photo if _words(other) != _words(first)]
                if negative is not None and others:
                    yield Triplet(rule, first, max(others, key=lambda other: _overlap(first, other)), negative)
                    break


def _swap(caption: str, _: str) -> str | None:
    """Two nouns that could take each other's part change places: "a dog chases a man" -> "a man chases a dog"."""
    nouns = [m for m in re.finditer(r"\w+", caption) if m[0].lower() in _CLASSES]
    for at, one in enumerate(nouns):
        for other in nouns[at + 1 :]:
            between = caption[one.end() : other.start()]
            listed = re.fullmatch(r"\s*(,|and|or)\s*((and|or)\s+)?((a|an|the|two)\s+)?", between)  # no order, no change
            if one[0].lower() != other[0].lower() and _number(one[0]) == _number(other[0]) and not listed:
                return caption[: one.start()] + other[0] + between + one[0] + caption[other.end() :]
    return None


def _number(noun: str) -> bool:
    """Whether a noun of the table is in the plural."""
    return noun.lower() in ("men", "women", "children", "sheep") or noun.lower().endswith(("boys", "girls", "s"))


def _noun(caption: str, said: str) -> str | None:
    return _replaced(caption, said, _CLASSES)


def _colour(caption: str, said: str) -> str | None:
    colours = _COLOURS.split()
    return _replaced(caption, said.replace("gray", "grey"), dict.fromkeys(colours, colours))


def _count(caption: str, said: str) -> str | None:
    numbers = _NUMBERS.split()
    return _replaced(caption, said, dict.fromkeys(numbers, numbers))


def _replaced(caption: str, said: str, classes: dict[str, list[str]]) -> str | None:
    """The first word of a class becomes the next of its class that no caption of the photo says."""
    for match in re.finditer(r"\w+", caption):
        group = classes.get(match[0].lower(), [])
        after = group[group.index(match[0].lower()) + 1 :] + group if group else []
        fresh = next((word for word in after if not re.search(rf"\b{word}\b", said)), None)
        if fresh is not None:
            fresh = fresh.capitalize() if match[0][0].isupper() else fresh
            return caption[: match.start()] + fresh + caption[match.end() :]
    return None


def _relation(caption: str, said: str) -> str | None:
    for word, opposite in _OPPOSITES.items():
        if not re.search(rf"\b{opposite}\b", said):
            changed, count = re.subn(rf"\b{word}\b", opposite, caption, count=1)
            if count:
                return changed
    return None


def _negation(caption: str, said: str) -> str | None:
    """ "A dog is running" -> "A dog is not running"."""
    if re.search(r"\b(not|no|without)\b", said) or not _IS.search(caption):
        return None
    return _IS.sub(r"\1 not", caption, count=1)


def _overlap(one: str, other: str) -> float:
    a, b = set(_words(one)), set(_words(other))
    return len(a & b) / len(a | b)


def _words(caption: str) -> list[str]:
    return re.findall(r"\w+", caption.lower())


_RULE: dict[str, Callable[[str, str], str | None]] = {
    "swap": _swap, "noun": _noun, "colour": _colour, "number": _count, "relation": _relation, "negation": _negation}
