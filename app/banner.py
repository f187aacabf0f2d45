"""What every tab says at its top: which checkpoint runs where, and how good it was measured to be."""

import html
from collections.abc import Mapping
from typing import Any

import torch

MEASURES = (  # key, meaning, form, key of what the commonest answer alone would score
    ("retrieval.i2t_r1", "picks a right sentence for a photo, of 5,000", "{:.0f} %", ""),
    ("caption.cider", "how far captions agree with people's (CIDEr)", "{:.2f}", ""),
    ("vqa.presence", "says rightly whether a thing is there", "{:.0f} %", "vqa.majority_presence"),
    ("vqa.colour", "names a colour rightly", "{:.0f} %", "vqa.majority_colour"),
    ("vqa.count", "counts rightly", "{:.0f} %", "vqa.majority_count"),
    ("classification.sports100", "names the sport, of 100", "{:.0f} %", ""),
)


def device_name(device: torch.device) -> str:
    """In words: the graphics card by its name, or the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def limits(metrics: Mapping[str, Any]) -> list[dict[str, str]]:
    """What was measured, worded for people; empty for a checkpoint that nobody measured."""
    found = []
    for key, meaning, form, commonest in MEASURES:
        value, floor = lookup(metrics, key), lookup(metrics, commonest)
        if value is not None:
            beside = "" if floor is None else f" (always the commonest answer: {floor:.0f} %)"
            found.append({"value": form.format(value), "meaning": meaning + beside})
    return found


def lookup(metrics: Mapping[str, Any], key: str) -> float | None:
    """`a.b` as a flat key or nested; a measure may be a number or a record with its `value`."""
    value: Any = metrics.get(key)
    if value is None:
        value = metrics
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, Mapping):
        value = value.get("value")
    return float(value) if isinstance(value, int | float) else None


def banner(checkpoint: str, device: torch.device) -> str:
    """The page's header as HTML; both names are escaped."""
    return f"""<header class="vlj-top">
  <h1 class="vlj-brand">VL-JEPA</h1>
  <p class="vlj-facts" aria-label="What is running">
    <span class="vlj-fact"><span class="vlj-dot" aria-hidden="true"></span><button type="button"
      class="vlj-choose" aria-haspopup="dialog" title="Choose another checkpoint">Checkpoint
      <b>{html.escape(checkpoint)}</b></button> on <b>{html.escape(device_name(device))}</b>, on this machine
      only</span>
  </p>
  <button type="button" class="vlj-icon vlj-theme" aria-label="Switch between light and dark"
    title="Light or dark"></button>
</header>"""
