"""`python -m vljepa push`: share a checkpoint on the model hub, where `load("user/name")` finds it."""

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from vljepa import hub
from vljepa.checkpoint import check, found
from vljepa.config import ModelConfig
from vljepa.errors import CheckpointError

LICENCE = "other"  # a card must name one; only its owner knows another
TAGS = ["vl-jepa", "joint-embedding", "video", "vision-language"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `push`."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="name or folder of a checkpoint of yours")
    parser.add_argument("repository", metavar="USER/NAME", help="where it goes; made if it is not there yet")
    parser.add_argument("--private", action="store_true", help="for your eyes alone, if the repository is made now")
    parser.add_argument("--license", default=LICENCE, metavar="ID",
                        help="the hub's name of its licence, such as apache-2.0 (default: %(default)s)")
    parser.add_argument("--base-model", action="append", default=[], metavar="USER/NAME",
                        help="what its weights started from; may be repeated")


def run(args: argparse.Namespace) -> None:
    """Upload and say where it is. CheckpointError if the checkpoint is not whole or the hub refuses."""
    if not hub.is_repository(args.repository):
        raise CheckpointError(f"a repository is named USER/NAME, got {args.repository!r}")
    folder = found(args.checkpoint)
    config, files = check(folder)
    with tempfile.TemporaryDirectory() as aside:
        staged = Path(aside)
        for name in ["config.json", *files, *(["metrics.json"] if (folder / "metrics.json").exists() else [])]:
            _stage(folder / name, staged / name)
        (staged / "README.md").write_text(card(folder, config, args.license, args.base_model), encoding="utf-8")
        address = hub.publish(staged, args.repository, args.private)
    print(f"{args.checkpoint} is at {address}. Anybody who may see it loads it by vljepa.load({args.repository!r}).")


def card(folder: Path, config: ModelConfig, licence: str, base_models: list[str]) -> str:
    """The README of a shared checkpoint: its own, or a short one, with the metadata header that the hub reads."""
    from huggingface_hub import ModelCard, ModelCardData

    readme, metrics = folder / "README.md", folder / "metrics.json"
    text = readme.read_text(encoding="utf-8") if readme.exists() else _short_card(config)
    known = ModelCard(text).data.to_dict() if text.startswith("---\n") else {}
    header = {"library_name": "vljepa", "pipeline_tag": "feature-extraction", "tags": TAGS, "license": licence,
              **({"base_model": base_models} if base_models else {}), **_results(config.name, metrics), **known}
    body = ModelCard(text).text if known else text
    return f"---\n{ModelCardData(**header).to_yaml()}\n---\n\n{body.lstrip()}"


def _results(name: str, metrics: Path) -> dict[str, Any]:
    """What was measured, as the hub shows it beside the card."""
    from huggingface_hub import EvalResult

    if not metrics.exists():
        return {}
    measured = json.loads(metrics.read_text())
    found = [EvalResult("video-text-retrieval", "flickr8k", "Flickr8k", f"{group}.{key}", value)
             for group in ("retrieval", "caption") for key, value in measured.get(group, {}).items()
             if isinstance(value, float)]
    return {"model_name": name, "eval_results": found} if found else {}


def _short_card(config: ModelConfig) -> str:
    embeds = f"{config.embed_dim}-dimensional embeddings, {config.rate_hz:g} a second"
    reads = "a Y-Decoder writes captions" if config.y_decoder is not None else "captions are picked from a bank"
    paper = "[arXiv:2512.10942](https://arxiv.org/abs/2512.10942)"
    return (f"# {config.name}\n\nA VL-JEPA ({paper}): {embeds}; {reads}.\n\n"
            "```python\nimport vljepa\n\nmodel = vljepa.load(\"USER/NAME\")\n"
            "analysis = vljepa.analyze(model, \"film.mp4\")\n```\n")


def _stage(source: Path, target: Path) -> None:
    """Gigabytes are linked rather than copied where the disk allows it."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
