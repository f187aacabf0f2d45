"""What a tab is made of: a static template, a script module, and the plain functions that the script may call."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from app.assets import template
from app.messages import Handler
from app.views import file_url

ON_LOAD = """
const url = props.module;
import(url).then((page) => page.mount({ element, server })).catch((error) => {
  element.querySelector('.vlj-alert-text').textContent = 'The page could not start: ' + error.message;
  element.querySelector('.vlj-alert').hidden = false;
});
"""


def tab(name: str, handlers: Mapping[str, Handler], published: Path) -> gr.HTML:
    """Add `static/NAME.html` to the surrounding `gr.Blocks`; its script is `NAME.js`, which exports `mount`.

    The template holds an element `.vlj-alert` for what goes wrong. `published` holds the page's files.
    """
    functions: list[Callable[..., Any]] = list(handlers.values())
    return gr.HTML("", html_template=template(f"{name}.html"), js_on_load=ON_LOAD, apply_default_css=False,
                   server_functions=functions, module=file_url(published / f"{name}.js"), elem_id=f"vlj-{name}")
