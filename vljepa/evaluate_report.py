"""What `evaluate`'s parts found, as text and as one page of plots that needs no network.

`table` is plain text for a terminal; `write` makes the page, with plotly's own script inside it.
"""

from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from vljepa.arms import report as arms

METHODS = {"uniform": ("uniform", "#8a94a6", "dot"), "selective": ("selective", "#4f6bed", "solid"),
           "uniform_pool": ("uniform, pooled", "#c9a06a", "dot"),
           "selective_pool": ("selective, pooled", "#e07a2f", "solid")}
WAYS = {"auto": "VL-JEPA, automatic", "variance": "VL-JEPA, 25 % of the variance", "online": "VL-JEPA, online",
        "true_count": "VL-JEPA, true count", "content": "PySceneDetect, content",
        "adaptive": "PySceneDetect, adaptive"}
COLOURS = {"auto": "#4f6bed", "variance": "#7d93ff", "online": "#1c9c74", "true_count": "#b9c4fb",
           "content": "#e07a2f", "adaptive": "#c9a06a"}
KEY = "decodes_uniform_over_selective_at_equal_cider"
STYLE = """
:root { color-scheme: light }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2333 }
h1 { font-size: 1.6rem } h2 { font-size: 1.25rem; margin-top: 2.5rem } .from { color: #5b6475; font-size: .85rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto }
td, th { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #e3e6ec; white-space: nowrap }
td:first-child, th:first-child { text-align: left }
"""
Rows = list[tuple[str, ...]]


def rows(kind: str, results: dict[str, Any]) -> Rows:
    """The main figures of one part, a head first."""
    return _ROWS[kind](results)


def summary(kind: str, results: dict[str, Any]) -> list[str]:
    """What one part's figures say, in sentences."""
    return _SUMMARY[kind](results)


def table(kind: str, results: dict[str, Any]) -> str:
    """Both for a terminal."""
    cells = rows(kind, results)
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = ["  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
             for row in cells]
    return "\n".join([*lines, "", *summary(kind, results)])


def write(path: Path, results: dict[str, dict[str, Any]]) -> None:
    """One page: for each part plots, what they say, the table and where it came from."""
    parts = [_part(kind, results[kind]) for kind in _TITLE if kind in results]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([
        "<!doctype html>", '<html lang="en"><head><meta charset="utf-8">', "<title>VL-JEPA, measured</title>",
        '<meta name="viewport" content="width=device-width, initial-scale=1">', f"<style>{STYLE}</style>",
        f"<script>{get_plotlyjs()}</script></head>", "<body><h1>VL-JEPA, measured</h1>", *parts, "</body></html>"]),
        encoding="utf-8")


def _part(kind: str, results: dict[str, Any]) -> str:
    plots = [figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False, "responsive": True})
             for figure in _FIGURES[kind](results)]
    head, *body = rows(kind, results)
    cells = ["<tr>" + "".join(f"<th>{escape(c)}</th>" for c in head) + "</tr>",
             *("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in body)]
    told = [f"<p>{escape(line)}</p>" for line in summary(kind, results)]
    origin = f"{results['command']}, commit {results['commit']}, checkpoint {results['checkpoint']}, {results['date']}"
    return "\n".join([f"<section><h2>{_TITLE[kind]}</h2>", *told, *plots, "<table>", *cells, "</table>",
                      f'<p class="from">{escape(origin)}</p></section>'])


# --- selective decoding


def _selective_rows(r: dict[str, Any]) -> Rows:
    head = ("decodes a second", "decodes", *(name for name, _, _ in METHODS.values()))
    return [head, *((f"{c['rate_hz']:g}", str(c["decodes"]), *(f"{c[m]:.3f}" for m in METHODS)) for c in r["curves"])]


def _selective_summary(r: dict[str, Any]) -> list[str]:
    def told(suffix: str) -> str:
        value, (low, high) = r[KEY + suffix], r[f"interval_95{suffix}"]
        raw = r[f"without_smoothing_or_tolerance{suffix}"]
        return (f"{'never' if value is None else f'{value:.2f} x fewer'} (95 % interval over films {low:.1f} to "
                f"{high:.1f}; point by point, without tolerance: {'never' if raw is None else f'{raw:.2f} x'})")

    films = r["films"]
    return [f"Sentences that selective decoding needs for the CIDEr of one a second: {told('')}.",
            f"Both pooled: {told('_pooled')}. The paper: {r['paper'][KEY]:g} x.",
            f"{films['count']} films, {films['scenes']} scenes, {films['dissolves']} dissolves, {films['cuts']} cuts, "
            f"{films['seconds'] / 60:.0f} minutes; photos of Flickr8k's {films['split']} split, five captions each."]


def _selective_figures(r: dict[str, Any]) -> list[go.Figure]:
    ours = go.Figure()
    for method, (name, colour, dash) in METHODS.items():
        ours.add_scatter(x=[c["rate_hz"] for c in r["curves"]], y=[c[method] for c in r["curves"]], name=name,
                         mode="lines+markers", line={"color": colour, "dash": dash})
    _rate_axes(ours, "CIDEr, nearest sentence")
    theirs = go.Figure()
    for method, (name, colour, dash) in METHODS.items():
        theirs.add_scatter(x=r["paper"]["rates_hz"], y=r["paper"][method], name=name, mode="lines+markers",
                           line={"color": colour, "dash": dash})
    _rate_axes(theirs, "CIDEr x 100")
    theirs.update_layout(height=340, margin_t=70, title={"text": "The paper's figure 4, read off", "font_size": 15})
    return [ours, theirs]


def _rate_axes(figure: go.Figure, what: str) -> None:
    figure.update_xaxes(type="log", title="decodes a second", tickvals=[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2])
    figure.update_yaxes(title=what, rangemode="tozero")
    figure.update_layout(**_LAYOUT)


# --- boundaries


def _boundary_rows(r: dict[str, Any]) -> Rows:
    head = ("film", "boundaries", *WAYS.values())
    rows = [(row["film"].replace("`", ""), str(row["true"]), *(f"{row[way]['f1']:.2f}" for way in WAYS))
            for group in ("cuts", "events") for row in r[group]["films"]]
    return [head, *rows]


def _boundary_summary(r: dict[str, Any]) -> list[str]:
    cuts, events = r["cuts"], r["events"]
    lines = [f"Cuts and dissolves, mean F1 within {cuts['tolerance_s']:g} s: "
             + ", ".join(f"{name} {cuts['f1'][way]:.2f}" for way, name in WAYS.items()) + ".",
             f"What happens before a fixed camera, mean F1 within {events['tolerance_s']:g} s: "
             + ", ".join(f"{name} {events['f1'][way]:.2f}" for way, name in WAYS.items()) + "."]
    for kind in ("cuts", "dissolves"):
        if found := cuts.get(f"{kind}_found"):
            lines.append(f"Of the {kind} of composed films, found: "
                         + ", ".join(f"{name} {100 * found[way]:.0f} %" for way, name in WAYS.items()) + ".")
    return [*lines, _detectors_ahead(r)]


def _detectors_ahead(r: dict[str, Any]) -> str:
    """Where a detector has a higher figure than a way of ours."""
    cuts, events = r["cuts"], r["events"]
    measured = {"cuts and dissolves (F1)": cuts["f1"], "events (F1)": events["f1"],
                **{f"{kind} found": cuts[f"{kind}_found"] for kind in ("cuts", "dissolves") if f"{kind}_found" in cuts}}
    detectors = [way for way in WAYS if way in ("content", "adaptive")]
    ahead = [f"{WAYS[detector]} of {WAYS[way]} in {what}, {found[detector]:.2f} against {found[way]:.2f}"
             for what, found in measured.items() for way in WAYS if way not in detectors
             for detector in detectors if found[detector] > found[way]]
    level = [f"{what}: {WAYS[detector]}" for what, found in measured.items() for detector in detectors
             if found[detector] == found["auto"] > 0]
    return (f"Detectors that are ahead: {'; '.join(ahead) if ahead else 'none'}. "
            f"Level with the automatic cut: {'; '.join(level) if level else 'none'}.")


def _boundary_figures(r: dict[str, Any]) -> list[go.Figure]:
    figure = go.Figure()
    groups = {"cuts and dissolves, within 0.5 s": "cuts", "events before a fixed camera, within 1 s": "events"}
    for way, name in WAYS.items():
        values = [r[group]["f1"][way] for group in groups.values()]
        figure.add_bar(x=list(groups), y=values, name=name, marker_color=COLOURS[way],
                       text=[f"{value:.2f}" for value in values], textposition="outside")
    figure.update_yaxes(title="mean boundary F1", range=[0, 1.12])
    figure.update_layout(**_LAYOUT)
    return [figure]


# --- text encoder


def _text_rows(r: dict[str, Any]) -> Rows:
    head = ("rule", "triplets", "first", "second", "both", "MiniLM: first", "second", "both")
    count = r["triplets"] | {"all": sum(r["triplets"].values())}
    return [head, *((rule, str(count[rule]), *(f"{r[encoder][rule][which]:.1f} %" for encoder in ("y_encoder", "minilm")
                                               for which in ("first", "second", "both"))) for rule in r["y_encoder"])]


def _text_summary(r: dict[str, Any]) -> list[str]:
    ours, theirs = (r[encoder]["all"]["both"] for encoder in ("y_encoder", "minilm"))
    return [f"Both inequalities hold for {ours:.1f} % of the triplets in the Y-Encoder's space, for {theirs:.1f} % in "
            f"that of MiniLM untouched. Captions of Flickr8k's {r['split']} split; the paper's 63.9 % is of "
            "SugarCrepe++, whose paraphrases are closer than two people's captions of one photo."]


def _text_figures(r: dict[str, Any]) -> list[go.Figure]:
    figure = go.Figure()
    for encoder, name, colour in (("y_encoder", "Y-Encoder", "#4f6bed"), ("minilm", "MiniLM untouched", "#8a94a6")):
        for which, pattern in (("both", ""), ("second", "/")):
            figure.add_bar(x=list(r[encoder]), y=[v[which] for v in r[encoder].values()], marker_color=colour,
                           marker_pattern_shape=pattern,
                           name=f"{name}, {'both' if which == 'both' else 'second alone'}")
    figure.update_yaxes(title="triplets that hold, %", range=[0, 100])
    figure.update_layout(**_LAYOUT)
    return [figure]


_LAYOUT: dict[str, Any] = {"template": "plotly_white", "height": 420, "margin": {"l": 60, "r": 20, "t": 30, "b": 60},
                           "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
                           "font": {"family": "system-ui, sans-serif"}}


def _arm_figures(r: dict[str, Any]) -> list[go.Figure]:
    return [figure.update_layout(**_LAYOUT) for figure in arms.figures(r)]


_TITLE = {"selective": "Selective decoding", "boundaries": "Boundaries", "text": "Text encoder",
          "arms": "Five answers to what a model should predict"}
_ROWS = {"selective": _selective_rows, "boundaries": _boundary_rows, "text": _text_rows, "arms": arms.rows}
_SUMMARY = {"selective": _selective_summary, "boundaries": _boundary_summary, "text": _text_summary,
            "arms": arms.summary}
_FIGURES = {"selective": _selective_figures, "boundaries": _boundary_figures, "text": _text_figures,
            "arms": _arm_figures}
