"""The sentences that the Y-Decoder learns to write, grouped by what they describe."""

import gzip
import random
import re
from pathlib import Path

from vljepa.train.photos import PhotoSet

# words of the crowd-written video captions that no demo should say
CRUDE = re.compile(
    r"\b(shit\w*|poop\w*|defecat\w*|excret\w*|urinat\w*|pee\w*|fart\w*|sex\w*|naked|nude|breast\w*|butt\w*|ass|boob\w*|"
    r"kill\w*|dead|blood\w*|gun\w*|shoot\w*|rifle\w*|pistol\w*|stab\w*|rape\w*|drunk\w*|damn|hell|fuck\w*|bitch\w*|"
    r"penis|vagina|bra|panties|underwear|lingerie|corpse|dies|murder\w*|suicide)\b", re.IGNORECASE)


MOST = {"flickr30k_captions": 80_000, "msvd_captions": 30_000}  # sentences of each that are learned from


def caption_groups(flickr8k: PhotoSet, folder: Path) -> list[list[str]]:
    """Training captions photo by photo, then a part of the text-only corpora, each sentence a group of its own."""
    groups = [flickr8k.rows[i]["captions"] for i in flickr8k.indices("train")]
    for name, most in MOST.items():
        lines = _corpus(folder, name)
        groups += [[line] for line in random.Random(0).sample(lines, min(most, len(lines)))]
    cleaned = [[clean_sentence(s) for s in group] for group in groups]
    kept = [[s for s in group if 3 <= len(s.split()) <= 22 and not CRUDE.search(s)] for group in cleaned]
    return [group for group in kept if group]


def all_sentences(flickr8k: PhotoSet, folder: Path) -> list[str]:
    """Every sentence of every data set, held-out ones too: what our own sentences must not be."""
    captions = [caption for row in flickr8k.rows for caption in row["captions"]]
    return captions + [line for name in MOST for line in _corpus(folder, name)]


def _corpus(folder: Path, name: str) -> list[str]:
    """The lines of a text-only corpus; none if it is not there, and then the decoder writes plainer sentences."""
    path = folder / "text" / f"{name}.txt.gz"
    return gzip.decompress(path.read_bytes()).decode().splitlines() if path.exists() else []


def clean_sentence(text: str) -> str:
    """One spelling of a sentence: lower case, single spaces, no final stop, no odd characters."""
    text = re.sub(r"[^a-z0-9' ,-]", " ", text.lower().replace("\u2019", "'"))
    return re.sub(r"\s+", " ", re.sub(r"\s+,", ",", text)).strip(" ,.-'")
