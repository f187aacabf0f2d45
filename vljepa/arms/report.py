"""What `arms evaluate` found, as tables, sentences and plots: for the README and for `evaluate report`."""

from typing import Any

import plotly.graph_objects as go

NAMES = {"vljepa": "VL-JEPA", "token_vlm": "token VLM", "joint": "joint embedding", "vjepa": "V-JEPA",
         "flow": "flow matching"}
COLOURS = {"vljepa": "#4f6bed", "token_vlm": "#e07a2f", "joint": "#1c9c74"}
SHORT = {"cider": "CIDEr", "action": "action, %", "colour": "colour, %", "world_text": "puzzles by texts, %",
         "world_clip": "puzzles by clips, %"}
PHOTOS = {"cider": "CIDEr, written", "cider_bank": "CIDEr, nearest training caption", "sports100": "sports, %"}
Rows = list[tuple[str, ...]]


def rows(r: dict[str, Any]) -> Rows:
    """Each arm on the shapes world, and what an answer costs; a head first."""
    head = ("arm", "trained", "CIDEr", "action", "colour", "puzzles by texts", "puzzles by clips", "MFLOP", "ms")
    return [head, *(_row(r, name) for name in NAMES)]


def summary(r: dict[str, Any]) -> list[str]:
    """What the table is of."""
    top1, budget, encode = r["world_prediction"], r["budget"], r["cost"]["encoder"]["encode"]
    return [f"{r['shapes']['clips']} clips and {top1['puzzles']} puzzles that nothing was trained on; chance is "
            f"{top1['chance']:.0f} %. The three that know text took {budget['text_steps']:,} steps of "
            f"{budget['batch']}.",
            f"MFLOP and milliseconds are of one answer, after the {encode['mflop']:.1f} and {encode['ms']:.1f} of the "
            "encoder that all share; flow matching paints in ten steps. Energy cannot be read on this machine."]


def seed_rows(r: dict[str, Any]) -> Rows:
    """The shorter runs with several seeds: mean and standard deviation."""
    return [("arm", *SHORT.values()), *((NAMES[name], *(_spread(scores[key]) for key in SHORT))
                                        for name, scores in r["repeats"]["arms"].items())]


def photo_rows(r: dict[str, Any]) -> Rows:
    """Token VLM and VL-JEPA on photos: mean and standard deviation over seeds."""
    photos = r["photos"]
    return [("arm", "trained", *PHOTOS.values()),
            *((NAMES[name], f"{photos['parameters_trained'][name] / 1e6:.1f} M",
               *(_spread(scores[key]) if key in scores else "" for key in PHOTOS))
              for name, scores in photos["test"].items())]


def figures(r: dict[str, Any]) -> list[go.Figure]:
    """CIDEr and classification against samples seen, with deviations over seeds, on shapes and on photos; puzzles."""
    found = [_curves(r["shapes"]["curves"], "cider", "shapes, the long runs: CIDEr")]
    found += [_curves(r["repeats"]["curves"], key, f"shapes: {SHORT[key]}") for key in ("cider", "action")]
    if "photos" in r:
        found += [_curves(r["photos"]["curves"], key, f"photos: {PHOTOS[key]}") for key in ("cider", "sports100")]
    top1, bars = r["world_prediction"], go.Figure()
    for suffix, said in (("top1", "by texts"), ("clip_top1", "by clips")):
        solved = {NAMES[name]: top1[f"{name}_{suffix}"] for name in NAMES if f"{name}_{suffix}" in top1}
        bars.add_bar(x=list(solved), y=list(solved.values()), name=said, text=[f"{v:.0f} %" for v in solved.values()],
                     textposition="outside", marker_color="#4f6bed" if suffix == "top1" else "#c9a06a")
    bars.add_hline(y=top1["chance"], line_dash="dot", annotation_text="chance")
    bars.update_yaxes(title="world prediction, puzzles solved, %", range=[0, 112])
    return [*found, bars]


def _row(r: dict[str, Any], name: str) -> tuple[str, ...]:
    read, top1, cost = r["shapes"]["arms"].get(name, {}), r["world_prediction"], r["cost"][name]
    # of flow matching, one number of steps is enough
    parts = [cost["read_out_10_steps"]] if name == "flow" else [p for p in cost.values() if isinstance(p, dict)]
    percents = [read.get("action"), read.get("colour"), top1.get(f"{name}_top1"), top1.get(f"{name}_clip_top1")]
    return (NAMES[name], f"{cost['parameters_trained'] / 1e6:.2f} M", f"{read['cider']:.2f}" if "cider" in read else "",
            *("" if percent is None else f"{percent:.1f} %" for percent in percents),
            f"{sum(part['mflop'] for part in parts):.1f}", f"{sum(part['ms'] for part in parts):.1f}")


def _curves(curves: dict[str, list[dict[str, Any]]], key: str, what: str) -> go.Figure:
    figure = go.Figure()
    for name, points in curves.items():
        shown = [point for point in points if key in point]
        figure.add_scatter(x=[point["samples"] for point in shown], y=[point[key]["mean"] for point in shown],
                           error_y={"array": [point[key]["std"] for point in shown]}, name=NAMES[name],
                           mode="lines+markers", line={"color": COLOURS[name]})
    figure.update_xaxes(title="samples seen")
    figure.update_yaxes(title=what, rangemode="tozero")
    return figure


def _spread(value: dict[str, float]) -> str:
    return f"{value['mean']:.2f} ± {value['std']:.2f}"
