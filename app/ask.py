"""The Ask tab: its blocks, and the handlers that its page calls, each a plain function on the engine."""

import base64
import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.utils import get_upload_folder
from jaxtyping import Float

from app import asking, explore, libraries
from app.asking import Asked, Labelled, Searched, Star
from app.engine import Engine, safe_name
from app.film import place_stream
from app.jobs import Job
from app.live_film import LiveFilms
from app.messages import Handler, in_one_sentence
from app.tab import tab
from app.views import file_url, packed
from vljepa.ask import Answer
from vljepa.export import harmless
from vljepa.indexing import Outcome
from vljepa.labels import PROMPTS
from vljepa.library import Hit
from vljepa.texts import split_list
from vljepa.watched import Span, Watched

STYLE = "ask.css"
AT_ONCE_S = 2.0  # what is done within this time comes with the first answer; the rest is a job to look after
SHARED = ("open_film", "progress", "cancel", "cut", "caption")  # what Explore's page can call too
Result = Asked | Labelled | Searched
Work = Callable[[Job], Any]


def build(engine: Engine, published: Path) -> gr.HTML:
    """Add the tab's blocks to the surrounding `gr.Blocks`; `published` holds the page's files."""
    return tab("ask", handlers(engine, Path(get_upload_folder())), published)


def handlers(engine: Engine, uploads: Path) -> dict[str, Handler]:
    """What the page can call, by name. Each takes one dictionary and returns one; a failure returns `error`."""

    def hello(request: dict[str, Any]) -> dict[str, Any]:
        """What the page needs once."""
        model = engine.model
        return shared["hello"](request) | {
            "questions": model.answers_queries, "calibrated": model.calibration is not None, "prompts": list(PROMPTS),
            "library": str(libraries.usual_path()) if engine.alone else None}

    def ask(request: dict[str, Any]) -> dict[str, Any]:
        """Answer, label or search, by `kind`; what takes longer comes as a job to look after with `outcome`."""
        return start(lambda job: work(job, request))

    def work(job: Job, request: dict[str, Any]) -> Result:
        film = engine.watched(_text(request, "film"), job)
        job.report("Thinking", 1.0)
        return answer(film, request)

    def start(work: Work) -> dict[str, Any]:
        job = engine.jobs.start(work)
        job.finished.wait(AT_ONCE_S)
        return outcome({"job": job.token})

    def live(request: dict[str, Any]) -> dict[str, Any]:
        """The same of the last half minute of the live stream of the page `token`; without a `kind` only its picture.

        `running` is false where there is no stream.
        """
        token = _text(request, "token")
        if not engine.live.knows(token):
            return {"running": False}
        if not request.get("kind"):
            return {"running": True}
        film, jpeg = films.film(token)
        found = {"running": True, "seconds": film.end_s, "jpeg": base64.b64encode(jpeg).decode(),
                 "path": _path_view(film)}
        return found if request["kind"] == "look" else found | {"view": result_view(answer(film, request))}

    def outcome(request: dict[str, Any]) -> dict[str, Any]:
        """How far a job is, or what came of it."""
        job = engine.jobs.get(request["job"])
        told = job.told()
        if "error" in told:
            return told
        return {"job": job.token, **told} | ({"view": view_of(job.result)} if job.result is not None else {})

    def export(request: dict[str, Any]) -> dict[str, Any]:
        """The same as `ask`, as files; returns name and content of each."""
        result = work(Job(), request)
        stem = f"{safe_name(engine.film(request['film']).title)}-{request['kind']}"
        return {"files": [{"name": f"{stem}.json", "text": as_json(result)},
                          {"name": f"{stem}.csv", "text": as_csv(result)}]}

    def library(request: dict[str, Any]) -> dict[str, Any]:
        """What the library at `path` holds."""
        return asdict(libraries.count(engine, _text(request, "path")))

    def index(request: dict[str, Any]) -> dict[str, Any]:
        """Bring a library up to date with a folder: a job."""
        return start(lambda job: libraries.index_folder(engine, job, _text(request, "folder"), _text(request, "path")))

    def search_library(request: dict[str, Any]) -> dict[str, Any]:
        """Moments across a library that fit a text, or that are like a span of one of its videos."""
        path, span = _text(request, "path"), _span(request, "span")
        if span is not None:
            return start(lambda _: libraries.more_like(engine, path, _text(request, "video"), span))
        return start(lambda _: libraries.find(engine, path, _text(request, "text")))

    def picture(request: dict[str, Any]) -> dict[str, Any]:
        """A still of a video of the library."""
        found = libraries.picture(engine, _text(request, "path"), _text(request, "video"), float(request["second"]))
        return {"url": file_url(found)}

    shared, films = explore.handlers(engine, uploads), LiveFilms(engine)
    own: tuple[Handler, ...] = (hello, ask, outcome, live, export, library, index, search_library, picture)
    return {name: shared[name] for name in SHARED} | {f.__name__: in_one_sentence(f) for f in own}


# --- what a request asks for ---------------------------------------------------------------------------------------


def answer(film: Watched, request: dict[str, Any]) -> Result:
    """Do what a request's `kind` asks of a film; ValueError for another kind, or for what cannot be asked."""
    kind, span = request.get("kind"), _span(request, "span")
    if kind == "question":
        answers = _texts(request, "answers") or None
        return asking.question(film, _text(request, "text"), answers, span, bool(request.get("blank")))
    if kind == "label":
        return asking.label(film, _texts(request, "labels"), span, bool(request.get("several")),
                            _texts(request, "prompts", by_comma=False))
    if kind == "search":
        like = _span(request, "like")
        return asking.search(film, _text(request, "text"), span) if like is None else asking.more_like(film, like)
    raise ValueError(f"the kind must be question, label or search, got {kind!r}")


def _text(request: dict[str, Any], name: str) -> str:
    return str(request.get(name) or "")


def _texts(request: dict[str, Any], name: str, by_comma: bool = True) -> list[str]:
    """A list of texts, or one text that lists them."""
    given = request.get(name) or []
    if isinstance(given, str):
        return split_list(given) if by_comma else [line for line in given.splitlines() if line.strip()]
    return [str(text) for text in given]


def _span(request: dict[str, Any], name: str) -> Span | None:
    span = request.get(name)
    if span is None:
        return None
    try:
        start_s, stop_s = (float(second) for second in span)
    except (TypeError, ValueError):
        raise ValueError(f"the time range must be two numbers of seconds, got {span!r}") from None
    return start_s, stop_s


# --- what the page is sent -----------------------------------------------------------------------------------------


def view_of(result: Result | libraries.Found | Outcome) -> dict[str, Any]:
    """Whatever a job brought, for the page."""
    if isinstance(result, Outcome):
        broken = [{"video": Path(video).name, "why": why} for video, why in result.broken.items()]
        return {"indexed": result.indexed, "unchanged": result.unchanged, "broken": broken, "missing": result.missing}
    if isinstance(result, libraries.Found):
        return {"text": result.text, "hits": [_hit_view(hit) for hit in result.hits]}
    return result_view(result)


def _hit_view(hit: Hit) -> dict[str, Any]:
    return {"video": hit.video, "title": Path(hit.video).name, "start_s": hit.start_s, "end_s": hit.end_s,
            "similarity": hit.similarity, "also": [_hit_view(other) for other in hit.also]}


def result_view(result: Result) -> dict[str, Any]:
    """A result for the page: small JSON, and what there is over time as base64 of float32."""
    common = {"stars": [_star_view(star) for star in result.stars]}
    if isinstance(result, Asked):
        reply, strip = result.reply, result.strip
        return common | {
            "kind": "question", "text": reply.question, "source": reply.source, "rows": _rows(reply.answers),
            "margin": reply.margin, "sure": reply.sure, "decoded": reply.decoded,
            "decoded_similarity": reply.decoded_similarity, "notes": reply.notes,
            "blank": None if reply.blank is None else _rows(reply.blank),
            "strip": _strip_view(strip.times_s, strip.answers, strip.values, strip.similarities, strip.sure_at)}
    if isinstance(result, Labelled):
        part, whole = result.part, result.whole
        return common | {
            "kind": "label", "rows": _rows(_ranked(part.labels, part.similarities, part.probabilities)),
            "several": part.several, "notes": part.notes, "sure": result.sure,
            "segments": [asdict(segment) for segment in whole.segments],
            "strip": _strip_view(whole.times_s, whole.labels, whole.over_time, whole.cosines, result.sure_at)}
    found = result.found
    column = found.similarity[:, None]
    return common | {"kind": "search", "text": result.text, "moments": [asdict(moment) for moment in found.moments],
                     "notes": found.notes, "strip": _strip_view(found.times_s, [result.text], column, column, None)}


def _path_view(film: Watched) -> str:
    """Seconds, and the places on the map of a film's moments in two and in three dimensions; empty without a map."""
    landmarks, stream = film.model.landmarks, film.trajectory
    if landmarks is None:
        return ""
    place = place_stream(stream.embeddings, landmarks)
    return packed(np.column_stack([stream.times_s, place.xy, place.xyz]))


def as_json(result: Result) -> str:
    """A result for other programs, in the command line's words."""
    if isinstance(result, Asked):
        told = result.reply.to_dict() | {"over_time": {
            "times": result.strip.times_s.round(3).tolist(), "answers": result.strip.answers,
            "values": result.strip.values.round(4).tolist()}}
    elif isinstance(result, Labelled):
        told = result.part.to_dict(over_time=False) | {"over_time": result.whole.to_dict()}
    else:
        told = {"text": result.text} | result.found.to_dict()
    return json.dumps(told, indent=1, ensure_ascii=False)


def as_csv(result: Result) -> str:
    """A table: what was scored over time, or the moments that were found."""
    if isinstance(result, Labelled):
        return result.whole.to_csv()
    if isinstance(result, Asked):
        strip = result.strip
        rows = ([f"{t:.3f}", *(f"{v:.4f}" for v in row)] for t, row in zip(strip.times_s, strip.values, strict=True))
        return _table(["time_s", *map(harmless, strip.answers)], rows)
    rows = ([f"{m.start_s:.3f}", f"{m.end_s:.3f}", f"{m.peak_s:.3f}", f"{m.similarity:.4f}"]
            for m in result.found.moments)
    return _table(["start_s", "end_s", "peak_s", "similarity"], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([head, *rows])
    return text.getvalue()


def _ranked(
    texts: Sequence[str], similarities: Sequence[float], probabilities: Sequence[float] | None
) -> list[Answer]:
    order = np.argsort([-value for value in probabilities or similarities], kind="stable")
    return [Answer(texts[i], similarities[i], None if probabilities is None else probabilities[i]) for i in order]


def _rows(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    return [asdict(answer) for answer in answers]


def _star_view(star: Star) -> dict[str, Any]:
    return {"text": star.text, "main": star.main, "xy": star.xy.tolist(), "xyz": star.xyz.tolist()}


def _strip_view(
    times_s: Float[np.ndarray, " steps"], texts: Sequence[str], values: Float[np.ndarray, "steps texts"],
    cosines: Float[np.ndarray, "steps texts"], sure_at: float | None,
) -> dict[str, Any]:
    return {"times": packed(times_s), "texts": list(texts), "values": packed(values), "cosines": packed(cosines),
            "sure_at": sure_at}
