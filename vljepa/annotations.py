"""Annotations of a film: what somebody says is to be seen, and when. Read from SRT, WebVTT, JSON or CSV."""

import csv
import io
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MOST = 5_000  # annotations of one film
STARTS, ENDS, TEXTS = ("start", "start_s"), ("end", "end_s"), ("text", "caption", "captions")
_CLOCK = r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:[.,]\d+)?)"
_ARROW = re.compile(rf"^\s*{_CLOCK}\s*-->\s*{_CLOCK}")
_SHAPE = "start, end (seconds) and text"


@dataclass(frozen=True)
class Annotation:
    """What is to be seen in seconds `[start_s, end_s)`, in the words of one person or of several."""

    start_s: float
    end_s: float
    texts: tuple[str, ...]

    @property
    def middle_s(self) -> float:
        """The moment that stands for it."""
        return (self.start_s + self.end_s) / 2


def read_annotations(name: str, text: str, seconds: float = math.inf) -> list[Annotation]:
    """The annotations in a file's `text`, in temporal order; those with the same span are one in several words.

    SRT and WebVTT as everywhere. JSON: a list of objects, or one under `annotations`, `segments` or `scenes`; CSV: a
    header and rows. Both name start, end (seconds) and text; what the app exports will do. ValueError, one sentence, if
    it is none of these, or if nothing in it lies within a film of `seconds`.
    """
    text = text.removeprefix("\ufeff")
    spans: dict[tuple[float, float], list[str]] = {}
    for start_s, end_s, sentence in _rows(name, text):
        if not (math.isfinite(start_s) and math.isfinite(end_s) and 0 <= start_s < end_s):
            raise ValueError(f"{name} has an annotation from {start_s:g} to {end_s:g} s: it must end after it begins")
        if sentence.strip() and start_s < seconds:
            spans.setdefault((start_s, min(end_s, seconds)), []).append(" ".join(sentence.split()))
    if not spans:
        raise ValueError(f"{name} has no annotation with a text{'' if math.isinf(seconds) else ' within this film'}: "
                         f"give each {_SHAPE}")
    if len(spans) > MOST:
        raise ValueError(f"{name} has {len(spans):,} annotations; {MOST:,} are the most that are read")
    return [Annotation(start_s, end_s, tuple(texts)) for (start_s, end_s), texts in sorted(spans.items())]


def _rows(name: str, text: str) -> Iterable[tuple[float, float, str]]:
    if text.lstrip()[:1] in ("[", "{"):
        return _json_rows(name, text)
    return _subtitle_rows(text) if "-->" in text else _csv_rows(name, text)


def _subtitle_rows(text: str) -> list[tuple[float, float, str]]:
    """Cues of SRT and WebVTT alike: a line with an arrow, then the text up to an empty line."""
    rows, lines = [], iter(text.splitlines())
    for line in lines:
        if cue := _ARROW.match(line):
            said = []
            for spoken in lines:
                if not spoken.strip():
                    break
                said.append(re.sub(r"<[^>]*>", "", spoken))
            h, m, s, *end = cue.groups()
            rows.append((_seconds(h, m, s), _seconds(*end), " ".join(said)))
    return rows


def _seconds(hours: str | None, minutes: str, seconds: str) -> float:
    return 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds.replace(",", "."))


def _json_rows(name: str, text: str) -> list[tuple[float, float, str]]:
    try:
        told: Any = json.loads(text)
        if isinstance(told, dict):
            told = next(told[key] for key in ("annotations", "segments", "scenes") if key in told)
        return [row for entry in told for row in _entry({key.lower(): value for key, value in entry.items()})]
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        raise ValueError(f"{name} cannot be read as annotations: give a JSON list of objects with {_SHAPE}") from None


def _entry(entry: dict[str, Any]) -> list[tuple[float, float, str]]:
    start, end, text = (next(entry[k] for k in keys if k in entry) for keys in (STARTS, ENDS, TEXTS))
    texts = [text] if isinstance(text, str) else list(text)
    if not all(isinstance(one, str) for one in texts):
        raise TypeError("a text that is none")
    return [(float(start), float(end), one) for one in texts]


def _csv_rows(name: str, text: str) -> list[tuple[float, float, str]]:
    reader = csv.reader(io.StringIO(text), delimiter=";" if ";" in text.split("\n", 1)[0] else ",")
    header = [cell.strip().lower() for cell in next(reader, [])]
    places = [next((header.index(k) for k in keys if k in header), None) for keys in (STARTS, ENDS, TEXTS)]
    if None in places:
        raise ValueError(f"{name} is neither SRT, WebVTT nor JSON, and its first line names no columns {_SHAPE}")
    start, end, said = (place for place in places if place is not None)
    try:
        return [(float(row[start]), float(row[end]), row[said]) for row in reader if any(row)]
    except (ValueError, IndexError):
        raise ValueError(f"{name} has a row, about line {reader.line_num}, without {_SHAPE}") from None
