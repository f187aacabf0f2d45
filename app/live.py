"""The Live tab: its blocks, and the handlers that its page calls, each a plain function on the live engine."""

import base64
import binascii
import re
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from app.engine import Engine
from app.live_engine import LiveEngine, Viewer
from app.messages import Handler, in_one_sentence
from app.tab import tab
from app.views import file_url, landmarks_view, packed
from vljepa.export import write_exports
from vljepa.live import LiveCaption, LiveEvent, LiveUpdate
from vljepa.online import OnlineSettings

STYLE = "live.css"
LONGEST_WAIT_S = 5.0  # a request that found nothing comes back after this
NEWEST_WAIT_S = 0.25  # and one that brought a frame waits so much longer for what that very frame tells
RATES_HZ = (1.0, 12.0)
ADDRESS = re.compile(r"(rtsps?|https?|rtmp|udp|tcp|srt)://\S+", re.IGNORECASE)


def build(engine: Engine, published: Path) -> gr.HTML:
    """Add the tab's blocks to the surrounding `gr.Blocks`; `published` holds the page's files."""
    live = engine.live
    _end_with_the_page(live)
    return tab("live", handlers(engine, live), published)


def _end_with_the_page(live: LiveEngine) -> None:
    """Server functions know nothing of gradio's sessions: the page says its token once, and gradio when it is gone."""
    pages: dict[str, str] = {}

    def arrived(token: str, request: gr.Request) -> None:
        pages[str(request.session_hash)] = token

    def left(request: gr.Request) -> None:
        live.close(pages.pop(str(request.session_hash), ""))

    blocks = gr.context.Context.root_block
    assert blocks is not None, "a tab is built inside gr.Blocks"
    token = gr.Textbox(visible=False)
    blocks.load(arrived, token, None, js="() => [window.vljToken]", queue=False, api_visibility="private",
                show_progress="hidden")
    blocks.unload(left)


def handlers(engine: Engine, live: LiveEngine) -> dict[str, Handler]:
    """What the page can call, by name. Each takes one dictionary and returns one; a failure returns `error`."""

    def hello(_: dict[str, Any]) -> dict[str, Any]:
        """What the page needs once; the model is warm by now."""
        config = live.model.config
        stills = engine.posters()
        samples = [{"name": film.name, "title": film.title, "url": file_url(film.path),
                    "poster": file_url(stills[film.name])} for film in engine.samples]
        return {"samples": samples, "landmarks": landmarks_view(live.model.landmarks),
                "side": config.x_encoder.image_size, "fit": config.x_encoder.fit, "caption_query": config.caption_query,
                "server_sources": live.server_sources}

    def start(request: dict[str, Any]) -> dict[str, Any]:
        """Begin a new session; frames come by `exchange`, or from a source on the server if one is named."""
        threshold = request.get("threshold")
        settings = OnlineSettings(threshold=None if threshold is None else float(threshold),
                                  window_s=float(request.get("window_s", OnlineSettings.window_s)))
        viewer = live.open(str(request["token"]), settings, _query(request))
        viewer.heard(float(request["at_s"]))
        _follow(viewer, request)
        return {}

    def switch(request: dict[str, Any]) -> dict[str, Any]:
        """Go on with the same session and another source."""
        _follow(live.viewer(request["token"]), request)
        return {}

    def exchange(request: dict[str, Any]) -> dict[str, Any]:
        """A frame in (if the page has the camera), and what is new since the event the page saw last."""
        if not live.knows(str(request["token"])):
            return {"over": True}  # the app was started anew meanwhile: the page begins again
        viewer = live.viewer(request["token"])
        clock_s = viewer.heard(float(request["at_s"]))
        if request.get("jpeg"):
            viewer.offer(_bytes(request["jpeg"]), float(request["captured_s"]) + clock_s)
        wait_s = min(LONGEST_WAIT_S, float(request.get("wait_s", 0.0)))
        # several pages are served faster when their frames wait for the model, which takes all that wait together
        newest_s = NEWEST_WAIT_S if request.get("jpeg") and live.is_alone() else 0.0
        return _news(viewer, clock_s, viewer.session.wait(int(request["since"]), wait_s, newest_s), request)

    def adjust(request: dict[str, Any]) -> dict[str, Any]:
        """Hold the threshold (null: automatic), smooth by another window, ask something else, or pause."""
        viewer = live.viewer(request["token"])
        if "threshold" in request:
            viewer.session.set_threshold(request["threshold"])
        if "window_s" in request:
            viewer.session.set_window(float(request["window_s"]))
        if "query" in request:
            viewer.session.set_query(_query(request))
        if "paused" in request:
            viewer.paused = bool(request["paused"])
        return {}

    def stop(request: dict[str, Any]) -> dict[str, Any]:
        """Let go of the source; what was seen is kept until the next start, or until the page closes."""
        live.viewer(request["token"]).unwatch()
        return {}

    def fit_map(request: dict[str, Any]) -> dict[str, Any]:
        """Start to fit a map to the session so far; returns the job's token."""
        viewer = live.viewer(request["token"])
        stage = "Fitting a map to this session"
        return {"job": engine.jobs.start(lambda job: viewer.fit_map(lambda: job.report(stage, 0.0))).token}

    def fitted(request: dict[str, Any]) -> dict[str, Any]:
        """Whether that is done; then [index, x, y, X, Y, Z] of all moments, also of those that came meanwhile."""
        viewer, job = live.viewer(request["token"]), engine.jobs.get(request["job"])
        job.seen()
        if not job.finished.is_set() or job.error:
            return {"error": job.error} if job.error else {"done": False}
        if job.cancelled:
            return {"done": True}
        places = np.concatenate([job.result, viewer.places_since(int(job.result[-1, 0]))])
        return {"done": True, "places": packed(places[-int(request["at_most"]):])}

    def common_map(request: dict[str, Any]) -> dict[str, Any]:
        """Back to the landmarks' map; also stops fitting another."""
        if request.get("job"):
            engine.jobs.get(request["job"]).cancel()
        live.viewer(request["token"]).own_map = None
        return {}

    def download(request: dict[str, Any]) -> dict[str, Any]:
        """Write every export of the session so far; returns name and content, base64, of the one asked for."""
        viewer = live.viewer(request["token"])
        files = write_exports(viewer.recording(), live.root / "exports" / viewer.session.token)
        wanted = next((path for path in files.values() if path.suffix == f".{request['kind']}"), None)
        if wanted is None:
            raise ValueError(f"there is no {request['kind']!r} file; choose JSON, SRT, VTT, CSV or NPZ")
        return {"name": f"live-{wanted.name}", "content": base64.b64encode(wanted.read_bytes()).decode()}

    def _follow(viewer: Viewer, request: dict[str, Any]) -> None:
        viewer.paused = False
        viewer.aspect = float(request["aspect"]) if request.get("aspect") else None
        rate_hz = min(max(float(request.get("rate_hz", RATES_HZ[1])), RATES_HZ[0]), RATES_HZ[1])
        if request.get("sample"):
            viewer.watch(engine.sample(request["sample"]).path, True, rate_hz)
        elif request.get("address"):
            if not live.server_sources:
                raise ValueError("cameras, addresses and files of the server are open only where the app listens to "
                                 "this machine alone: start it without --host, or use this browser's camera")
            viewer.watch(source_of(str(request["address"])), False, rate_hz)
        else:
            viewer.unwatch()

    functions = (hello, start, switch, exchange, adjust, stop, fit_map, fitted, common_map, download)
    return {function.__name__: in_one_sentence(function) for function in functions}


def source_of(address: str) -> str | Path | int:
    """A camera's number, a stream's address or a file, as somebody typed it. ValueError for what is none of them."""
    text = address.strip()
    if text.isdigit() and len(text) <= 3:
        return int(text)
    if ADDRESS.fullmatch(text):
        return text
    if "://" in text:
        raise ValueError(f"{text.split('://')[0]!r} is no kind of address for a video: use rtsp:// or http://")
    path = Path(text).expanduser()
    if not text or not path.is_file():
        raise ValueError(f"there is no file {text!r} on the server; give a camera's number, an rtsp:// or http:// "
                         "address, or the whole path of a video")
    return path


def _news(viewer: Viewer, clock_s: float, events: list[LiveEvent], request: dict[str, Any]) -> dict[str, Any]:
    """Events as short lists, for they come many times a second; the ledger only when the page wants it."""
    session = viewer.session
    start_s = session.started_s - clock_s
    news: dict[str, Any] = {
        "updates": [_update_row(event, start_s, viewer) for event in events if isinstance(event, LiveUpdate)],
        "captions": [_caption_view(event) for event in events if isinstance(event, LiveCaption)],
        "last": events[-1].index if events else int(request["since"]),
    }
    if viewer.state is not None:
        news["source"] = {"kind": viewer.state.kind, "message": viewer.state.message}
    picture = viewer.preview(float(request.get("picture_s", 0.0)) + clock_s)
    if picture is not None:
        news |= {"picture": base64.b64encode(picture[1]).decode(), "picture_s": picture[0] - clock_s}
    if request.get("ledger"):
        news["ledger"] = _ledger_view(viewer)
    if session.failure is not None:
        news["failure"] = f"A moment could not be understood ({session.failure}); the session goes on."
    return news


def _update_row(update: LiveUpdate, start_page_s: float, viewer: Viewer) -> list[Any]:
    """[index, time_s, captured on the page's clock, novelty, threshold, segment, boundary_s, blank, x, y, X, Y, Z].

    Where a map was fitted to the session, the five coordinates follow once more, as they are on that one.
    """
    boundary_s = None if update.boundary_s is None else round(update.boundary_s, 3)
    place = [round(value, 4) for value in (*(update.xy or ()), *(update.xyz or ()), *viewer.own_place(update))]
    return [update.index, round(update.time_s, 3), round(start_page_s + update.time_s, 4), round(update.novelty, 4),
            round(update.threshold, 4), update.segment, boundary_s, int(update.blank), *place]


def _caption_view(caption: LiveCaption) -> dict[str, Any]:
    return {"segment": caption.segment, "start_s": round(caption.start_s, 3), "text": caption.text,
            "similarity": round(caption.similarity, 3)}


def _ledger_view(viewer: Viewer) -> dict[str, Any]:
    ledger = viewer.session.ledger()
    windows = max(1, ledger.windows)
    stages = {stage: round(1000 * seconds / windows, 1) for stage, seconds in ledger.stage_s.items()}
    return {"windows": ledger.windows, "decodes": ledger.decodes, "uniform_1hz": ledger.uniform_1hz,
            "dropped": ledger.dropped, "failed": ledger.failed, "stage_ms": stages,
            "model_share": round(ledger.model_share, 3)}


def _query(request: dict[str, Any]) -> str | None:
    return str(request.get("query") or "").strip() or None


def _bytes(text: str) -> bytes:
    """What base64 stands for; ValueError if it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError):
        raise ValueError("a frame of this camera could not be read; stop and start it again") from None
