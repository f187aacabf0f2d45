"""A library: the segments of a folder's videos in one DuckDB file, to be searched by what they mean.

DuckDB keeps them safe: one transaction a batch, a write-ahead log, checksums on every block, fixed-size vectors and
exact similarity in SQL; a single file and a single package. No approximate index is needed at this size: ten thousand
segments are compared in some ten milliseconds. The file is open only while it is read or written, never in between, so
a library can be searched while it grows.
"""

import contextlib
import json
import math
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
from jaxtyping import Float

from vljepa.errors import LibraryError
from vljepa.moments import grouped
from vljepa.readout import normalise
from vljepa.texts import one_text
from vljepa.watched import Span

if TYPE_CHECKING:
    from vljepa.model import VLJEPA

FORMAT = 1
PATIENCE_S = 10.0  # how long a file that another process writes to is waited for; a batch takes far less
LOOKED_AT = 60  # segments that are fetched for each wanted result, so that near-duplicates can be grouped
SCHEMA = """
CREATE TABLE library (format INTEGER, checkpoint VARCHAR, fingerprint VARCHAR, settings VARCHAR);
CREATE TABLE videos (path VARCHAR PRIMARY KEY, bytes BIGINT, modified_ns BIGINT, seconds DOUBLE, error VARCHAR);
CREATE TABLE moments (path VARCHAR, start_s DOUBLE, end_s DOUBLE, embedding FLOAT[{dim}]);
"""


@dataclass(frozen=True)
class About:
    """What all embeddings of a library have in common: the checkpoint, its weights' fingerprint, the settings."""

    checkpoint: str
    fingerprint: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Stamp:
    """What tells an unchanged file without reading it."""

    bytes: int
    modified_ns: int


@dataclass(frozen=True)
class Entry:
    """A video as a library knows it: its segments and their unit embeddings, or the sentence why there are none."""

    path: str
    stamp: Stamp
    seconds: float
    spans: list[Span]
    embeddings: Float[np.ndarray, "segments dim"]
    error: str | None = None


@dataclass(frozen=True)
class Hit:
    """Seconds `[start_s, end_s)` of a video and their cosine to what was sought; `also`: near-duplicates behind it."""

    video: str
    start_s: float
    end_s: float
    similarity: float
    also: "list[Hit]" = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `also` only if there is any."""
        found: dict[str, Any] = {"video": self.video, "start_s": self.start_s, "end_s": self.end_s,
                                 "similarity": round(self.similarity, 4)}
        return found | {"also": [hit.to_dict() for hit in self.also]} if self.also else found


class Library:
    """An existing library file. Safe to use from several processes and, for searching, several threads."""

    def __init__(self, path: Path) -> None:
        """LibraryError, one sentence, if there is none at `path`, or it is locked, damaged, or no library."""
        self.path = path
        self._snapshot: duckdb.DuckDBPyConnection | None = None
        self._seen: tuple[int, int] | None = None  # of the file, when the snapshot was made
        if not path.exists():
            raise LibraryError(f"there is no library at {path}: make one with `python -m vljepa index DIR --library "
                               f"{path}`")
        with self._opened(read_only=True) as database:
            self.about, self.dim = _about(database, path)

    @classmethod
    def create(cls, path: Path, about: About, dim: int) -> "Library":
        """A new, empty library. It appears whole or not at all. LibraryError if the place cannot be written."""
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(duckdb.connect(str(partial))) as database:
                database.execute(SCHEMA.format(dim=dim))
                database.execute("INSERT INTO library VALUES (?, ?, ?, ?)",
                                 [FORMAT, about.checkpoint, about.fingerprint, _canonical(about.settings)])
            partial.replace(path)
        except (duckdb.Error, OSError) as error:
            raise LibraryError(f"no library can be made at {path} ({_reason(error)}): choose a folder that you may "
                               "write to") from None
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        return cls(path)

    def require(self, about: About) -> None:
        """LibraryError unless embeddings made under `about` are comparable with those that are here."""
        if (about.fingerprint, about.checkpoint) != (self.about.fingerprint, self.about.checkpoint):
            same = " with other weights" if about.checkpoint == self.about.checkpoint else ""
            raise LibraryError(f"{self.path} was made with the checkpoint {self.about.checkpoint}{same}, not with this "
                               f"{about.checkpoint}; their embeddings cannot be mixed: use that one, or index into "
                               "another library")
        if about.settings != self.about.settings:
            raise LibraryError(f"{self.path} was made with the settings {_canonical(self.about.settings)}, not with "
                               f"{_canonical(about.settings)}: use those, or index into another library")

    def require_model(self, model: "VLJEPA") -> None:
        """LibraryError unless the library was made with these very weights."""
        self.require(About(model.name, model.fingerprint, self.about.settings))

    def stamps(self) -> dict[str, tuple[Stamp, str | None]]:
        """Every video's path with its stamp and, if it could not be read, why."""
        with self._opened(read_only=True) as database:
            rows = database.execute("SELECT path, bytes, modified_ns, error FROM videos").fetchall()
        return {path: (Stamp(size, modified), error) for path, size, modified, error in rows}

    def put(self, entries: Sequence[Entry]) -> None:
        """Add videos or replace what was known of them, all in one transaction."""
        with self._opened(read_only=False) as database:
            for entry in entries:
                self._remove(database, entry.path)
                database.execute("INSERT INTO videos VALUES (?, ?, ?, ?, ?)", [
                    entry.path, entry.stamp.bytes, entry.stamp.modified_ns, entry.seconds, entry.error])
                if entry.spans:
                    starts, ends = zip(*entry.spans, strict=True)
                    database.execute(
                        f"INSERT INTO moments SELECT ?, unnest(?::DOUBLE[]), unnest(?::DOUBLE[]), "
                        f"unnest(?::FLOAT[{self.dim}][])",
                        [entry.path, list(starts), list(ends), entry.embeddings.astype(np.float32)])

    def forget(self, paths: Sequence[str]) -> None:
        """Take videos out."""
        with self._opened(read_only=False) as database:
            for path in paths:
                self._remove(database, path)

    def search(self, model: "VLJEPA", text: str, most: int = 10) -> list[Hit]:
        """The moments of all videos that a text fits best. ValueError if the text is empty or too long."""
        with self._current():  # another library may have taken the file's place
            self.require_model(model)
        checked = one_text(model, text, "text to find")
        return self.nearest(model.embed_text(checked.texts)[0], most)

    def similar(self, video: str, span: Span, most: int = 10) -> list[Hit]:
        """The moments most like a span of a video in the library; those that overlap it are left out."""
        with self._opened(read_only=True) as database:
            rows = database.execute(
                "SELECT embedding, least(end_s, ?) - greatest(start_s, ?) FROM moments "
                "WHERE path = ? AND start_s < ? AND end_s > ?", [span[1], span[0], video, span[1], span[0]]).fetchall()
            known = database.execute("SELECT seconds FROM videos WHERE path = ? AND error IS NULL", [video]).fetchone()
        if known is None:
            raise ValueError(f"{video} is not in the library: give the path of a video that was indexed into it")
        if not rows:
            until = "the end" if span[1] == math.inf else f"{span[1]:g} s"
            raise ValueError(f"the part must begin within the 0 to {known[0]:.1f} s of {video}, and end after its "
                             f"beginning, got {span[0]:g} s to {until}")
        weights = np.array([seconds for _, seconds in rows])[:, None]
        sought = normalise((np.array([vector for vector, _ in rows]) * weights).sum(axis=0, keepdims=True))[0]
        return self.nearest(sought, most, leave_out=(video, span))

    def nearest(
        self, sought: Float[np.ndarray, " dim"], most: int = 10, leave_out: tuple[str, Span] | None = None
    ) -> list[Hit]:
        """The moments nearest to a unit embedding, near-duplicates together; exact."""
        if most < 1:
            raise ValueError(f"at least 1 moment must be asked for, got {most}")
        video, (start_s, end_s) = leave_out or ("", (0.0, 0.0))
        with self._current() as database:
            found = database.execute(
                f"SELECT path, start_s, end_s, embedding, array_inner_product(embedding, ?::FLOAT[{self.dim}]) AS near "
                "FROM moments WHERE NOT (path = ? AND start_s < ? AND end_s > ?) "
                "ORDER BY near DESC, path, start_s LIMIT ?",
                [sought.astype(np.float32), video, end_s, start_s, most + LOOKED_AT]).fetchnumpy()
        if len(found["near"]) == 0:
            return []
        hits = [Hit(str(path), float(start), float(end), float(near)) for path, start, end, near in
                zip(found["path"], found["start_s"], found["end_s"], found["near"], strict=True)]
        groups = grouped(np.stack(found["embedding"].tolist()).astype(np.float32))[:most]
        return [Hit(hits[first].video, hits[first].start_s, hits[first].end_s, hits[first].similarity,
                    [hits[i] for i in rest]) for first, *rest in groups]

    def counts(self) -> tuple[int, int, int]:
        """How many videos, moments, and files that could not be read there are."""
        with self._opened(read_only=True) as database:
            row = database.execute("SELECT count(*) FILTER (error IS NULL), count(error) FROM videos").fetchone()
            moments = database.execute("SELECT count(*) FROM moments").fetchone()
        assert row is not None and moments is not None
        return row[0], moments[0], row[1]

    @staticmethod
    def _remove(database: "duckdb.DuckDBPyConnection", path: str) -> None:
        database.execute("DELETE FROM moments WHERE path = ?", [path])
        database.execute("DELETE FROM videos WHERE path = ?", [path])

    @contextlib.contextmanager
    def _opened(self, read_only: bool) -> Iterator["duckdb.DuckDBPyConnection"]:
        """The file, for one transaction: it holds whole or not at all. Waits while another process writes."""
        with _told(self.path):
            opened = _patiently(lambda: duckdb.connect(str(self.path), read_only=read_only))
            with contextlib.closing(opened) as database:
                database.execute("BEGIN")
                yield database
                database.execute("COMMIT")

    @contextlib.contextmanager
    def _current(self) -> Iterator["duckdb.DuckDBPyConnection"]:
        """A copy of the moments in memory, made anew when the file has changed, so that nobody has to wait for us."""
        with _told(self.path):
            status = self.path.stat()
            seen = (status.st_mtime_ns, status.st_size)
            if seen != self._seen or self._snapshot is None:
                self._snapshot, self._seen = self._copied(), seen
                with self._opened(read_only=True) as file:
                    self.about, self.dim = _about(file, self.path)
            with contextlib.closing(self._snapshot.cursor()) as cursor:  # a cursor each: threads may search at once
                yield cursor

    def _copied(self) -> "duckdb.DuckDBPyConnection":
        memory = duckdb.connect(":memory:")
        address = str(self.path).replace("'", "''")
        _patiently(lambda: memory.execute(f"ATTACH '{address}' AS file (READ_ONLY)"))
        memory.execute("CREATE TABLE moments AS SELECT * FROM file.moments")
        memory.execute("DETACH file")
        return memory


def _patiently(opening: Callable[[], "duckdb.DuckDBPyConnection"]) -> "duckdb.DuckDBPyConnection":
    """Open a file, waiting for another process, or another thread of this one, that writes to it just now."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return opening()
        except (duckdb.IOException, duckdb.ConnectionException, duckdb.BinderException) as error:
            busy = isinstance(error, duckdb.ConnectionException) or "lock" in str(error) or "already" in str(error)
            if not busy or time.monotonic() > until:
                raise
            time.sleep(0.05)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """DuckDB's errors as one sentence each with a remedy."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise LibraryError(_sentence(path, error)) from None


def _sentence(path: Path, error: Exception) -> str:
    told = str(error)
    if isinstance(error, duckdb.ConnectionException) or "lock on file" in told:
        return f"{path} is in use by another program that writes to it: wait until that has finished, then try again"
    if "not a valid DuckDB" in told or path.is_dir():
        return f"{path} is not a library: give the file that `python -m vljepa index` made, or a new name"
    if isinstance(error, OSError | duckdb.IOException) and ("ermission" in told or "ead-only" in told):
        return f"{path} cannot be read or written ({_reason(error)}): check its permissions"
    if "No space left" in told:
        return f"the disk of {path} is full: free some space and run the command again, it goes on where it was"
    return (f"{path} is damaged or not a library of this version ({_reason(error)}): nothing was changed; restore it "
            "from a copy, or index the folder into a new library")


def _about(database: "duckdb.DuckDBPyConnection", path: Path) -> tuple[About, int]:
    try:
        row = database.execute("SELECT format, checkpoint, fingerprint, settings FROM library").fetchone()
        kind = database.execute("SELECT data_type FROM duckdb_columns() WHERE table_name = 'moments' AND column_name = "
                                "'embedding'").fetchone()
    except duckdb.CatalogException:
        row = kind = None
    if row is None or kind is None:
        raise LibraryError(f"{path} is a DuckDB database of something else, not a library: give another name")
    if row[0] != FORMAT:
        raise LibraryError(f"{path} is a library of format {row[0]}, and this program reads format {FORMAT}: use the "
                           "version that made it, or index the folder into a new library")
    return About(row[1], row[2], json.loads(row[3])), int(kind[0].split("[")[1].rstrip("]"))


def _canonical(settings: dict[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True)


def _reason(error: Exception) -> str:
    """The first line of what a library says, short."""
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(text.split())[:160].rstrip(".")
