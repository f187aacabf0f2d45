"""The last minutes of a live session's pictures, as JPEGs on disk, so that the session can become a film."""

import shutil
import threading
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from pathlib import Path

CHUNK_S = 60.0  # seconds in one file; the oldest file goes as a whole
KEPT_S = 600.0  # about 70 MB at 10 pictures a second


@dataclass(frozen=True)
class _Entry:
    captured_s: float
    file: Path
    offset: int
    length: int


class FrameLog:
    """Append JPEGs in order of their capture; those older than `KEPT_S` are forgotten. Safe to use from threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._entries: deque[_Entry] = deque()
        self._chunk_start_s = float("-inf")
        self._chunks: deque[tuple[float, Path]] = deque()
        self._size = 0
        self._closed = False

    def append(self, captured_s: float, jpeg: bytes) -> None:
        """Keep a picture captured at `captured_s`, seconds of any clock that rises; one out of order is left out."""
        with self._lock:
            if self._closed or (self._entries and captured_s <= self._entries[-1].captured_s):
                return
            if captured_s - self._chunk_start_s >= CHUNK_S:
                self._next_chunk(captured_s)
            file = self._chunks[-1][1]
            with file.open("ab") as out:
                out.write(jpeg)
            self._entries.append(_Entry(captured_s, file, self._size, len(jpeg)))
            self._size += len(jpeg)

    def times_s(self) -> list[float]:
        """When the kept pictures were captured, rising."""
        with self._lock:
            return [entry.captured_s for entry in self._entries]

    def at(self, time_s: float) -> bytes:
        """The JPEG that was the newest at `time_s`, the first one before that. ValueError if there is none at all."""
        with self._lock:
            if not self._entries:
                raise ValueError("no picture of this session is kept: let it run for a moment first")
            index = bisect_right(self._entries, time_s, key=lambda entry: entry.captured_s)
            entry = self._entries[max(0, index - 1)]
            with entry.file.open("rb") as file:
                file.seek(entry.offset)
                return file.read(entry.length)

    def close(self) -> None:
        """Remove every file."""
        with self._lock:
            self._closed = True
            self._entries.clear()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _next_chunk(self, start_s: float) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._chunk_start_s, self._size = start_s, 0
        self._chunks.append((start_s, self._folder / f"{start_s:.3f}.mjpeg"))
        while self._chunks[0][0] < start_s - KEPT_S:
            _, gone = self._chunks.popleft()
            while self._entries and self._entries[0].file == gone:
                self._entries.popleft()
            gone.unlink(missing_ok=True)
