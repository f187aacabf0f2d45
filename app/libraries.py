"""What the Ask tab does with libraries: look into one, index a folder into it, search it, open what was found."""

from dataclasses import dataclass
from pathlib import Path

from app.engine import Engine, Source
from app.jobs import Job
from app.playable import still_at
from app.store import short_hash
from vljepa.errors import LibraryError
from vljepa.indexing import Outcome, embed_here, index, open_or_create
from vljepa.library import Entry, Hit, Library
from vljepa.paths import cache_dir
from vljepa.watched import Span

MOST_HITS = 24


@dataclass(frozen=True)
class Found:
    """Moments across a library, best first, and what was sought: a text, or nothing where it was another moment."""

    text: str
    hits: list[Hit]


@dataclass(frozen=True)
class Counted:
    """A library in numbers: videos that could be read, their moments, and files that could not."""

    path: str
    checkpoint: str
    videos: int
    moments: int
    broken: int


def usual_path() -> Path:
    """Where a library is made if nobody says otherwise."""
    return cache_dir() / "library.duckdb"


def count(engine: Engine, path: str) -> Counted:
    """What a library holds. LibraryError if it is none, locked, damaged, or made with another checkpoint."""
    library = _opened(engine, path)
    library.require_model(engine.model)
    videos, moments, broken = library.counts()
    return Counted(str(library.path), library.about.checkpoint, videos, moments, broken)


def index_folder(engine: Engine, job: Job, folder: str, path: str) -> Outcome:
    """Bring the library at `path`, made if missing, up to date with a folder; what is done stays when it is cancelled.

    LibraryError for a folder that is none or a library that cannot be used.
    """
    if not folder.strip():
        raise LibraryError("no folder was given: write the path of the folder that holds the videos")
    job.report("Looking through the folder", 0.0)
    library, rate_hz = open_or_create(_path(engine, path), engine.model, None)

    def told(entry: Entry, done: int, total: int) -> None:
        job.report(f"{done} of {total}: {Path(entry.path).name}", done / total)

    return index(library, Path(folder.strip()).expanduser(), embed_here(engine.model, rate_hz), progress=told)


def find(engine: Engine, path: str, text: str) -> Found:
    """The moments of all videos that a text fits best."""
    return Found(text.strip(), _opened(engine, path).search(engine.model, text, MOST_HITS))


def more_like(engine: Engine, path: str, video: str, span: Span) -> Found:
    """The moments of all videos that are most like a span of one of them."""
    return Found("", _opened(engine, path).similar(video, span, MOST_HITS))


def source(engine: Engine, path: str, video: str) -> Source:
    """A video of the library, to be opened. LibraryError if it is not in there or went away."""
    if video not in _opened(engine, path).stamps():
        raise LibraryError(f"the library knows no video {video}: search again")
    if not Path(video).is_file():
        raise LibraryError(f"{video} is not there any more: index its folder again")
    return Source(Path(video), Path(video).name)


def picture(engine: Engine, path: str, video: str, second: float) -> Path | None:
    """A still of a video of the library near that second, made once; None if it has none."""
    found = source(engine, path, video)
    name = short_hash(video, found.path.stat().st_mtime_ns, round(second, 2))
    return still_at(found.path, engine.store.root / "stills" / f"{name}.jpg", second)


def _opened(engine: Engine, path: str) -> Library:
    return Library(_path(engine, path))


def _path(engine: Engine, path: str) -> Path:
    """LibraryError for others than who sits at this machine: a library names files, and shows them."""
    if not engine.alone:
        raise LibraryError("libraries are files of this machine, and the app listens to others too: start it without "
                           "--host to use them")
    return Path(path.strip()).expanduser() if path.strip() else usual_path()
