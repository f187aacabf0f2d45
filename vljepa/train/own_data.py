"""A folder of one's own captioned photos and clips, in any of three layouts, read as it is.

`captions.csv` with the columns `file` and `caption`, a file in as many rows as it has captions; JSON-lines files as the
README's "Train your own" has them; or beside each picture a text file of the same name, a caption a line.
"""

import csv
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vljepa.indexing import SUFFIXES as CLIPS
from vljepa.train.photos import load_photo_set

PHOTOS = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"))
FEWEST, LEAST_HELD = 12, 4  # captioned files; of those, held out
LONGEST = 300  # characters of a caption
TABLE = "captions.csv"
LAYOUT = (f"put a {TABLE} with the columns file and caption there, a .jsonl file as the README says, or a text file of "
          "the same name beside each picture")


@dataclass(frozen=True)
class Captioned:
    """A photo or a clip, and the sentences that are true of it."""

    path: Path
    captions: tuple[str, ...]

    @property
    def is_clip(self) -> bool:
        """Whether it moves."""
        return self.path.suffix.lower() in CLIPS


@dataclass(frozen=True)
class Listed:
    """What a folder lists: the files that are there, and a sentence about those that are not, "" if all are."""

    captioned: list[Captioned]
    note: str


def read_captioned(folder: Path) -> Listed:
    """Everything in `folder` that has a caption, in the order that it is listed in; files that are not there are left
    out.

    ValueError names what is missing: the folder, captions, or enough files.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder} on the computer that runs the app")
    found: dict[Path, dict[str, None]] = {}
    missing: dict[str, None] = {}
    for source, file, caption in _listed(folder):
        path = folder / file
        if path.suffix.lower() not in PHOTOS | CLIPS:
            raise ValueError(f"{source} names {file}, which is neither a photo nor a video: list .jpg, .png, .mp4 and "
                             "the like")
        if path not in found and not path.is_file():
            missing[file] = None
        elif caption.strip():
            found.setdefault(path, {})[" ".join(caption.split())[:LONGEST]] = None
    captioned = [Captioned(path, tuple(captions)) for path, captions in found.items()]
    note = _left_out(list(missing))
    if not captioned and not missing:
        raise ValueError(f"{folder} holds no captions: {LAYOUT}")
    if len(captioned) < FEWEST:
        raise ValueError(f"a training needs {FEWEST} captioned photos or clips at least, and {folder} has "
                         f"{len(captioned)}: add more{note and f'. {note}'}")
    if len({caption for one in captioned for caption in one.captions}) < 2:
        raise ValueError(f"everything in {folder} has the same caption, so there is nothing to tell apart: add photos "
                         "of something else")
    return Listed(captioned, note)


def split(captioned: Sequence[Captioned], most: int) -> tuple[list[Captioned], list[Captioned]]:
    """At most `most` of them, for training and held out: about a tenth of the files, by their names alone.

    A file stays on its side when others are added, so a second training on a grown folder holds out what the first did.
    """
    drawn = sorted(captioned, key=lambda one: (zlib.crc32(one.path.name.encode()) // 10, one.path.name))[:most]
    by_tenth = sorted(drawn, key=lambda one: zlib.crc32(one.path.name.encode()) % 10)
    held = max(LEAST_HELD, sum(zlib.crc32(one.path.name.encode()) % 10 == 0 for one in drawn))
    return by_tenth[held:], by_tenth[:held]


def _left_out(missing: Sequence[str]) -> str:
    if not missing:
        return ""
    if len(missing) == 1:
        return f"1 file that is listed is not there and is left out: {missing[0]}"
    return f"{len(missing)} files that are listed are not there and are left out, the first is {missing[0]}"


def _listed(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Where it is said, of which file, and what."""
    if (folder / TABLE).is_file():
        yield from _table(folder / TABLE)
    elif lists := sorted(folder.glob("*.jsonl")):
        for path in lists:
            yield from _rows(path)
    else:
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in PHOTOS | CLIPS and (said := path.with_suffix(".txt")).is_file():
                for line in _text(said).splitlines():
                    yield said.name, path.name, line


def _table(path: Path) -> Iterator[tuple[str, str, str]]:
    rows = csv.DictReader(_text(path).splitlines())
    if not {"file", "caption"} <= set(rows.fieldnames or ()):
        raise ValueError(f"{path.name} must begin with a line that names the columns file and caption, but it begins "
                         f"with {', '.join(rows.fieldnames or ()) or 'nothing'}")
    for row in rows:
        yield path.name, row["file"] or "", row["caption"] or ""


def _rows(path: Path) -> Iterator[tuple[str, str, str]]:
    try:
        rows = load_photo_set(path.parent, path.stem).rows
        for row in rows:
            said = row.get("captions") or [row.get("caption") or row.get("label") or row.get("name") or ""]
            for caption in said:
                yield path.name, str(row["file"]), str(caption)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.name} must hold a JSON object a line with file, and captions or label ({error}); see "
                         "'Train your own' in the README") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path.name} is no UTF-8 text: save it as UTF-8") from None
