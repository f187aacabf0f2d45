"""The texts that a user gives: answers, labels, searches. Checked, told apart, and never silently cut."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from vljepa.model import VLJEPA

MOST_TEXTS = 1000
LONGEST = 500  # characters: a word too long for the tokenizer is one unknown token, so tokens alone tell too little
KEPT = 20_000  # embeddings remembered for a model, about 30 MB
SHOWN = 40  # characters of a text that an error or a note quotes
_EMBEDDED: "WeakKeyDictionary[VLJEPA, OrderedDict[str, Float[np.ndarray, ' dim']]]" = WeakKeyDictionary()
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Texts:
    """Distinct texts in the order given, and what there is to say about them, a sentence each."""

    texts: list[str]
    notes: list[str]


def one_text(model: "VLJEPA", text: str, what: str) -> Texts:
    """A single text; ValueError if it is empty or longer than the model reads."""
    if not text.strip():
        raise ValueError(f"the {what} is empty: write something")
    return distinct_texts(model, [text], what, at_least=1)


def distinct_texts(model: "VLJEPA", texts: Sequence[str], what: str, at_least: int = 2) -> Texts:
    """Texts without white space around, of equal ones (but for case) the first; `what` names one of them in messages.

    ValueError if fewer than `at_least` or more than `MOST_TEXTS` are left, or one is longer than the model reads.
    """
    given = [" ".join(text.split()) for text in texts]
    filled = [text for text in given if text]
    kept = {text.casefold(): text for text in reversed(filled)}  # reversed: of equal ones the first stays
    found = list(dict.fromkeys(kept[text.casefold()] for text in filled))
    if len(found) < at_least:
        raise ValueError(f"give at least {at_least} different {what}s, got {len(found)}")
    if len(found) > MOST_TEXTS:
        raise ValueError(f"at most {MOST_TEXTS} {what}s can be compared at once, got {len(found)}: leave some out")
    _refuse_long(model, found, what)
    notes = []
    if len(found) < len(filled):
        notes.append(f"{len(filled) - len(found)} {what}(s) were given twice and are counted once.")
    if unknown := [text for text, odd in zip(found, model.text_tokenizer.unknown(found), strict=True) if odd]:
        notes.append(f"The {what} {quoted(unknown[0])} holds characters that this checkpoint cannot read, "
                     "so its score means little.")
    return Texts(found, notes)


def known_embeddings(model: "VLJEPA", texts: Sequence[str]) -> Float[np.ndarray, "texts dim"]:
    """Embeddings of texts, computed once for a model while they are among the `KEPT` last asked for."""
    with _LOCK:
        known = _EMBEDDED.setdefault(model, OrderedDict())
        found = {text: known[text] for text in texts if text in known}
    if new := [text for text in dict.fromkeys(texts) if text not in found]:
        found.update(zip(new, model.embed_text(new), strict=True))
    with _LOCK:
        for text in texts:
            known[text] = found[text]
            known.move_to_end(text)
        while len(known) > KEPT:
            known.popitem(last=False)
    return np.stack([found[text] for text in texts])


def split_list(text: str) -> list[str]:
    """The entries of a list written with commas, semicolons or line breaks."""
    return [entry.strip() for entry in text.replace(";", ",").replace("\n", ",").split(",") if entry.strip()]


def quoted(text: str) -> str:
    """A text as messages quote it: in quotes and short."""
    return f'"{text}"' if len(text) <= SHOWN else f'"{text[: SHOWN - 1]}…"'


def _refuse_long(model: "VLJEPA", texts: Sequence[str], what: str) -> None:
    for text in texts:
        if len(text) > LONGEST:
            raise ValueError(f"the {what} {quoted(text)} has {len(text):,} characters, more than the {LONGEST} that "
                             "are compared: shorten it")
    most = model.text_tokenizer.max_tokens
    if most is None:
        return
    for text, length in zip(texts, model.text_tokenizer.lengths(texts), strict=True):
        if length > most:
            raise ValueError(f"the {what} {quoted(text)} has {length} tokens, and the model reads {most}: shorten it")
