"""Files of the page: published under an address that changes with them, so that a browser never mixes two versions."""

import hashlib
import shutil
from pathlib import Path

STATIC = Path(__file__).resolve().parent / "static"


def publish(root: Path) -> Path:
    """Copy `static/` to a folder named by its content and return that folder.

    The modules import each other by relative address, so the version has to be in the folder's name.
    """
    files = sorted(path for path in STATIC.iterdir() if path.is_file())
    digest = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()[:12]
    folder = root / f"page-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    for path in files:
        shutil.copyfile(path, folder / path.name)
    return folder


def template(name: str) -> str:
    """A static HTML template; it must hold nothing that gradio would fill in."""
    text = (STATIC / name).read_text(encoding="utf-8")
    assert not any(mark in text for mark in ("${", "{{")), f"{name} must not hold a placeholder"
    return text


def plotly_path() -> Path:
    """plotly.js as the plotly package carries it."""
    import plotly

    return Path(plotly.__file__).resolve().parent / "package_data" / "plotly.min.js"
