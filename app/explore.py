"""The Explore tab: its blocks, and the handlers that its page calls, each a plain function on the engine."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import gradio as gr
from gradio.utils import get_upload_folder

from app import libraries
from app.banner import limits
from app.compare import TOLERANCE_S
from app.engine import Engine, Source, safe_name
from app.messages import Handler, in_one_sentence
from app.tab import tab
from app.views import cut_view, file_url, film_view, job_view, landmarks_view, place_view
from vljepa.analysis import CutSettings, Method
from vljepa.baselines import read_reference

STYLE = "explore.css"
SECONDS = ("smoothing_s", "min_length_s")


def build(engine: Engine, published: Path) -> gr.HTML:
    """Add the tab's blocks to the surrounding `gr.Blocks`; `published` holds the page's files."""
    return tab("explore", handlers(engine, Path(get_upload_folder())), published)


def handlers(engine: Engine, uploads: Path) -> dict[str, Handler]:
    """What the page can call, by name. Each takes one dictionary and returns one; a failure returns `error`."""

    def hello(_: dict[str, Any]) -> dict[str, Any]:
        """What the page needs once."""
        config = engine.model.config
        stills = engine.posters()
        return {
            "samples": [{"name": f.name, "title": f.title, "poster": file_url(stills[f.name])} for f in engine.samples],
            "readouts": list(engine.model.readouts), "rate_hz": config.rate_hz, "caption_query": config.caption_query,
            "landmarks": landmarks_view(engine.model.landmarks), "limits": limits(engine.metrics),
        }

    def open_film(request: dict[str, Any]) -> dict[str, Any]:
        """Analyse a sample, an upload, a video of a library or an open film, or keep a live session: a job."""
        if session := request.get("session"):
            return {"job": engine.keep(engine.live.viewer(str(session)).kept(str(request["title"]))).token}
        if key := request.get("film"):
            return {"job": engine.open(engine.source(key), request.get("query"), float(request["rate_hz"])).token}
        if path := request.get("library"):
            found = libraries.source(engine, str(path), str(request.get("video")))
            return {"job": engine.open(found, request.get("query"), float(request["rate_hz"])).token}
        source = engine.sample(request["sample"]) if request.get("sample") else _upload(request, uploads)
        return {"job": engine.open(source, request.get("query"), float(request["rate_hz"])).token}

    def progress(request: dict[str, Any]) -> dict[str, Any]:
        """How far a job is; once it is done also the film, or why there is none."""
        job = engine.jobs.get(request["job"])
        job.seen()
        view = job_view(job, int(request.get("points_seen", 0)))
        if job.error:
            return {"error": job.error}
        return view | ({"film": film_view(job.result)} if job.result else {})

    def cancel(request: dict[str, Any]) -> dict[str, Any]:
        """Stop a job."""
        engine.jobs.get(request["job"]).cancel()
        return {}

    def cut(request: dict[str, Any]) -> dict[str, Any]:
        """Cut an open film by the request's settings: instant, no model."""
        found = engine.cut(request["film"], _settings(request), request["readout"])
        return cut_view(engine.film(request["film"]), found)

    def caption(request: dict[str, Any]) -> dict[str, Any]:
        """Read a few of the captions that the cut lacks."""
        found = engine.caption(request["film"], _settings(request), request["readout"])
        return cut_view(engine.film(request["film"]), found)

    def compare(request: dict[str, Any]) -> dict[str, Any]:
        """The film cut in other ways; measured against the reference `text` called `name`, or the sample's truth."""
        reference = None
        if given := request.get("reference"):
            reference = read_reference(str(given["name"]), str(given["text"]))
        elif request.get("sample"):
            reference = engine.sample_reference(request["sample"])
        cuts = engine.compare(request["film"], _settings(request), request["readout"], reference)
        return {"cuts": [asdict(cut) for cut in cuts], "tolerance_s": TOLERANCE_S}

    def sweep(request: dict[str, Any]) -> dict[str, Any]:
        """Start to decode the film at many rates, scored by the `annotations` (name and text) or by coverage."""
        given = request.get("annotations")
        annotations = (str(given["name"]), str(given["text"])) if given else None
        return {"job": engine.sweep(request["film"], request["readout"], annotations).token}

    def sweep_progress(request: dict[str, Any]) -> dict[str, Any]:
        """How far a sweep is; once it is done also its points."""
        job = engine.jobs.get(request["job"])
        return job.told() | {"sweep": job.result}

    def fit_map(request: dict[str, Any]) -> dict[str, Any]:
        """Start to fit a map to the film alone; returns the job's token, `progress` the map once it is done."""
        return {"job": engine.fit_map(request["film"]).token}

    def own_map(request: dict[str, Any]) -> dict[str, Any]:
        """The map that `fit_map` has made."""
        return place_view(engine.film(request["film"]).own_place())

    def export(request: dict[str, Any]) -> dict[str, Any]:
        """Write every export; returns address and download name of each."""
        files = engine.export(request["film"], _settings(request), request["readout"])
        stem = safe_name(engine.film(request["film"]).title)
        return {"files": [{"name": f"{stem}-{path.name}", "url": file_url(path)} for path in files.values()]}

    functions = (hello, open_film, progress, cancel, cut, caption, compare, sweep, sweep_progress, fit_map,
                 own_map, export)
    return {function.__name__: in_one_sentence(function) for function in functions}


def _settings(request: dict[str, Any]) -> CutSettings:
    """ValueError names a setting that is missing, not a number or impossible."""
    try:
        method = request["method"]
        numbers = [None if request.get(k) is None else float(request[k]) for k in ("value", *SECONDS)]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the settings cannot be read ({error}); reset them") from None
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {', '.join(get_args(Method))}, got {method!r}")
    value, smoothing_s, min_length_s = numbers
    decode_at = request.get("decode_at", "mean")
    if smoothing_s is None or min_length_s is None:
        raise ValueError(f"the settings are incomplete without {' and '.join(SECONDS)}; reset them")
    return CutSettings(method, value, smoothing_s, min_length_s, decode_at)


def _upload(request: dict[str, Any], uploads: Path) -> Source:
    """An upload by its path on the server, which must be one that the server itself handed out."""
    path = Path(str(request.get("upload", ""))).resolve()
    if not path.is_relative_to(uploads.resolve()) or not path.is_file():
        raise ValueError("choose a video file first, or one of the sample films")
    return Source(path, str(request.get("title") or path.name))
