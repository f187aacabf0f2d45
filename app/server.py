"""Puts the page together and serves it: on this machine, to this machine, and asking nothing of any other."""

from pathlib import Path
from typing import Any

import gradio as gr

from app import api, ask, checkpoints, explore, learn, live
from app.access import Users
from app.assets import plotly_path, publish, template
from app.banner import banner
from app.checkpoints import identity
from app.engine import Engine
from app.port import free_port
from app.store import Store
from app.views import file_url
from sample_media import sample_films
from vljepa.checkpoint import load
from vljepa.paths import cache_dir

LARGEST_UPLOAD = "8gb"
# only those that work; each has build() and a STYLE
TABS = (("Live", live), ("Explore", explore), ("Ask", ask), ("Learn", learn))
OWN_HOSTS = ("127.0.0.1", "localhost", "::1")
UPLOADS_S = (3600, 86400)  # look every hour for uploads older than a day


def load_model(checkpoint: str, device: str | None) -> Any:
    """The model; CheckpointError if there is none by that name."""
    return load(checkpoint, device=device)


def prepare(checkpoint: str, device: str | None) -> Engine:
    """Everything the first click needs: the model loaded, the sample films built. Tells the terminal how far it is."""
    print(f"Loading checkpoint {checkpoint} ...", flush=True)
    model = load_model(checkpoint, device)
    fingerprint, metrics = identity(checkpoint)
    print("Preparing the sample films ...", flush=True)
    engine = Engine(model, fingerprint, Store(cache_dir() / "explore"), sample_films(), metrics)
    engine.warm_up()
    return engine


def page(engine: Engine, published: Path) -> gr.Blocks:
    """The whole page. Each tab builds its own blocks; only tabs that work are here."""
    with gr.Blocks(title="VL-JEPA", fill_width=True, analytics_enabled=False, delete_cache=UPLOADS_S) as blocks:
        gr.HTML(banner(engine.model.name, engine.model.device), apply_default_css=False, elem_id="vlj-banner")
        checkpoints.build(engine, published)
        with gr.Tabs(elem_id="vlj-tabs"):
            for title, tab in TABS:
                with gr.Tab(title):
                    tab.build(engine, published)
        api.build(engine)
    return blocks


def serve(engine: Engine, host: str, port: int | None, block: bool = True, allowed: Users | None = None) -> str:
    """Start serving; returns the address. With `block` it returns when the server is stopped.

    `allowed` are the names and passwords that may use it; none: everybody who can reach `host`.
    """
    free = free_port(host, port)
    engine.alone = host in OWN_HOSTS
    published = publish(engine.store.root.parent / "page")
    gr.set_static_paths([published, plotly_path(), engine.store.root, *(film.path for film in engine.samples)])
    engine.live.server_sources = host in OWN_HOSTS
    if not engine.alone and not allowed:
        engine.closed_to_switch = "Anybody may reach this app, so another checkpoint is chosen in the terminal"
    blocks = page(engine, published)
    _, address, _ = blocks.queue(max_size=64, default_concurrency_limit=8).launch(
        server_name=host, server_port=free, share=False, quiet=True, prevent_thread_lock=True, footer_links=[],
        auth=allowed or None, max_file_size=LARGEST_UPLOAD, ssr_mode=False, show_error=True, mcp_server=True,
        theme=theme(), head=_head(published))
    print(f"Ready: open {address} in a browser. Ctrl+C stops the app.", flush=True)
    if block:
        blocks.block_thread()
    return str(address)


def theme() -> gr.themes.Base:
    """System fonts and gradio's neutral base; the colours are in page.css."""
    return gr.themes.Base(primary_hue="indigo", neutral_hue="slate", font=["system-ui", "sans-serif"],
                          font_mono=["ui-monospace", "monospace"])


def _head(published: Path) -> str:
    """Loads what is shared by all tabs before anything is drawn.

    The styles are linked, not handed to gradio, which rewrites selectors and gets those inside `@media` wrong.
    """
    sheets = ["page.css", "film.css", checkpoints.STYLE, *(tab.STYLE for _, tab in TABS)]
    styles = [f'<link rel="stylesheet" href="{file_url(published / name)}">' for name in sheets]
    meta = f'<meta name="vlj-plotly" content="{file_url(plotly_path())}">'
    script = f'<script type="module" src="{file_url(published / "page.js")}"></script>'
    return "\n".join([template("head.html"), meta, *styles, script])
