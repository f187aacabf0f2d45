"""What other programs can call: five functions as named API endpoints and, through the same server, as MCP tools.

Nothing else of the app is exposed. Films come as uploads or addresses, are watched once and kept, as for the page.
"""

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import api
from gradio.utils import get_upload_folder

from app.engine import Engine
from app.messages import sentence_for
from vljepa.analysis import CutSettings, caption_stream
from vljepa.ask import ask
from vljepa.kept import FilmCache
from vljepa.labels import classify
from vljepa.library import Library
from vljepa.moments import find
from vljepa.watched import Span, Watched, watch


def build(engine: Engine) -> None:
    """Add the endpoints to the surrounding `gr.Blocks`."""
    for function in functions(engine):
        api(_told(function), api_name=function.__name__, concurrency_limit=2, concurrency_id="programs")


def functions(engine: Engine) -> list[Callable[..., Any]]:
    """The functions themselves. Their docstrings and types are what clients are shown."""
    films = _Films(engine)

    def ask_video(
        video: gr.FileData, question: str, answers: list[str] | None = None, start_s: float | None = None,
        end_s: float | None = None, over_time: bool = False,
    ) -> dict:
        """Answer a question about a video, or a part of it.

        Returns question, answers (text, similarity, probability; likeliest first), decoded (a sentence read from the
        same embedding), sure (whether answers this probable are reliable), margin and notes.

        Args:
            video: The film: an uploaded file, or an http address.
            question: A short question in English, such as "What colour is the car?"
            answers: Candidate answers, two at least; leave out to rank built-in words.
            start_s: Begin there, in seconds; leave out for the beginning.
            end_s: Stop there, in seconds; leave out for the end.
            over_time: Also give the answers at each moment.
        """
        film = films.watched(video)
        return ask(film, question, answers, _span(film, start_s, end_s), over_time=over_time).to_dict()

    def classify_video(
        video: gr.FileData, labels: list[str], start_s: float | None = None, end_s: float | None = None,
        several: bool = False, over_time: bool = False,
    ) -> dict:
        """Say which of some labels fits a video, or a part of it, best.

        Returns labels, probabilities, similarities, several and notes; over time also times, a matrix over_time with a
        row for each of them, and segments.

        Args:
            video: The film: an uploaded file, or an http address.
            labels: Labels in plain English, such as "archery" or "a dog"; two at least.
            start_s: Begin there, in seconds; leave out for the beginning.
            end_s: Stop there, in seconds; leave out for the end.
            several: Whether several labels may hold at once; else one of them does.
            over_time: Also give the labels at each moment.
        """
        film = films.watched(video)
        return classify(film, labels, _span(film, start_s, end_s), several=several).to_dict(over_time)

    def find_moments(video: gr.FileData, text: str, most: int = 10) -> list[dict]:
        """Find the moments of a video that a text describes best.

        Returns a list of moments, best first: start_s, end_s, peak_s, similarity (a cosine) and also, the spans of
        near-duplicates.

        Args:
            video: The film: an uploaded file, or an http address.
            text: What to find, in plain English, such as "a man on a bicycle".
            most: How many moments to return at most.
        """
        film = films.watched(video)
        return find(engine.model, film.trajectory, text, most).to_dict()["moments"]

    def search_library(library: str, text: str, most: int = 10) -> list[dict]:
        """Find the moments of a whole library of videos that a text describes best.

        Returns a list of moments, best first: video, start_s, end_s, similarity (a cosine), and also if there are
        near-duplicates.

        Args:
            library: Path, on the server's machine, of a library made by `python -m vljepa index`.
            text: What to find, in plain English.
            most: How many moments to return at most.
        """
        return [hit.to_dict() for hit in films.library(library).search(engine.model, text, most)]

    def caption_video(video: gr.FileData, segments: int | None = None) -> list[dict]:
        """Cut a video into segments where what could be said of it changes, and caption each.

        Returns a list of segments: start_s, end_s, caption and similarity, the cosine of caption and segment.

        Args:
            video: The film: an uploaded file, or an http address.
            segments: How many segments to make; leave out to let the film decide.
        """
        settings = CutSettings() if segments is None else CutSettings("count", segments, min_length_s=0.0)
        analysis = caption_stream(engine.model, films.watched(video).trajectory, settings)
        return [{"start_s": s.start_s, "end_s": s.end_s, "caption": s.caption, "similarity": round(s.similarity, 4)}
                for s in analysis.segments]

    return [ask_video, classify_video, find_moments, search_library, caption_video]


class _Films:
    """Films and libraries that programs have named, each opened once."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._uploads = engine, Path(get_upload_folder()).resolve()
        self._cache = FilmCache(engine.store.root.parent / "watched")
        self._libraries: dict[str, Library] = {}
        self._reading = threading.Lock()  # one film at a time: two would only slow each other

    def watched(self, video: Any) -> Watched:
        """The film of an upload; ValueError unless the server itself took it in."""
        path = Path(str(video["path"] if isinstance(video, dict) else video.path)).resolve()
        if not path.is_relative_to(self._uploads) or not path.is_file():
            raise ValueError("the video must be an uploaded file or an address; with gradio_client: handle_file(path)")
        with self._reading:
            return watch(self._engine.model, path, cache=self._cache)

    def library(self, path: str) -> Library:
        """A library, read once; LibraryError if it cannot be used, ValueError if the server is not for one machine."""
        if not self._engine.live.server_sources:  # who comes from elsewhere has no business with files that are here
            raise ValueError("libraries are searched only where the app is served to its own machine")
        if path not in self._libraries:
            self._libraries[path] = Library(Path(path).expanduser())
        return self._libraries[path]


def _span(film: Watched, start_s: float | None, end_s: float | None) -> Span | None:
    if start_s is None and end_s is None:
        return None
    return (start_s or 0.0, film.end_s if end_s is None else end_s)


def _told(function: Callable[..., Any]) -> Callable[..., Any]:
    """Errors reach a program as the sentence that the page would show."""

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            raise gr.Error(sentence_for(error), print_exception=False) from None

    return guarded
