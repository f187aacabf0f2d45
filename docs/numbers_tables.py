"""Write the tables of the README and the model card from the metrics files: `python -m docs.numbers_tables`.

A number is never typed: it stands between `<!-- numbers: NAME -->` and `<!-- end -->`, and a test checks that this
script would change nothing.
"""

import json
import re
from pathlib import Path
from typing import Any

from vljepa import evaluate_report
from vljepa.arms import report

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", ROOT / "checkpoints/everyday/README.md", ROOT / "checkpoints/shapes/README.md")
METRICS = ROOT / "checkpoints/everyday/metrics.json"
SPEED = tuple(ROOT / "benchmarks" / name for name in ("analyze.json", "analyze_epyc.json"))  # with AMX and without
LIBRARY = ROOT / "benchmarks/library.json"
SEGMENTS = ROOT / "benchmarks/segments.json"
LIVE = ROOT / "benchmarks/live.json"
SELECTIVE = ROOT / "benchmarks/selective.json"
BOUNDARIES = ROOT / "benchmarks/boundaries.json"
TEXT = ROOT / "benchmarks/text.json"
ARMS = ROOT / "benchmarks/arms.json"


def main() -> None:
    """Bring every page up to date."""
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


def filled(text: str) -> str:
    """A page with the tables between its marks made anew."""
    tables = {"quality": quality, "speed": speed, "segments": segments, "online": online, "library": library,
              "selective": selective, "boundaries": boundaries, "text": text_encoder,
              "arms": arms, "arms_seeds": arms_seeds, "arms_photos": arms_photos}

    def table(match: re.Match[str]) -> str:
        return f"<!-- numbers: {match[1]} -->\n{tables[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- numbers: (\w+) -->.*?<!-- end -->", table, text, flags=re.DOTALL)


def quality() -> str:
    """What `python -m vljepa evaluate` measured."""
    m = json.loads(METRICS.read_text())
    r, c, v, s, p = m["retrieval"], m["caption"], m["vqa"], m["classification"], m["provenance"]
    rows = [
        (f"retrieval, image to text / text to image, R@1, {r['photos']:,} photos and {r['texts']:,} captions",
         f"{r['i2t_r1']:.1f} / {r['t2i_r1']:.1f} %"),
        ("the same, R@10", f"{r['i2t_r10']:.1f} / {r['t2i_r10']:.1f} %"),
        (f"captions by the decoder, CIDEr, {c['photos']:,} photos", f"{c['cider']:.3f}"),
        ("captions from the bank, CIDEr", f"{c['cider_bank']:.3f}"),
    ]
    rows += [(f"{kind} questions, {v[f'questions_{kind}']:,}; the same on a grey clip; always the commonest answer",
              f"{v[kind]:.1f} %; {v[f'blank_{kind}']:.1f} %; {v[f'majority_{kind}']:.1f} %")
             for kind in ("presence", "colour", "count", "action", "where")]
    rows += [(f"DAQUAR, {v['questions_daquar']:,} questions on {v['photos_daquar']} indoor photos, first of all "
              f"{v['answers_daquar']:,} answers; on a grey clip; always the commonest",
              f"{v['daquar_top1']:.1f} %; {v['blank_daquar']:.1f} %; {v['majority_daquar']:.1f} %")]
    rows += [(f"sports100, {s['labels']} labels as text prompts, {s['photos']} photos", f"{s['sports100']:.1f} %")]
    if "ece" in v:
        rows += [("an answer's probability, expected calibration error; presence, colour, count and DAQUAR questions",
                  f"{v['ece']:.3f}"),
                 ("answers to these that were sure; of these, right",
                  f"{v['sure']:.0f} %; {v['right_when_sure']:.0f} %")]
    if "moments" in m:
        found = m["moments"]
        rows += [(f"a scene's caption finds it first: {found['films']} films of 20 unseen photos, and a sample film, "
                  f"{found['queries']} captions", f"{found['right_scene_first']:.1f} %")]
    return _table(("measure", "result"), rows) + f"\n\n`{p['command']}`, commit {p['commit']}, {p['machine']}."


def speed() -> str:
    """What `python -m vljepa bench` measured, on each machine that it was run on."""
    found = [json.loads(path.read_text()) for path in SPEED]
    rows = [
        ("a whole analysis, decoding included, over the bare X-Encoder on the same frames",
         *(f"{m['analysis_over_encoder']:.2f} x" for m in found)),
        ("importing the library and loading the model", *(f"{m['load_s']:.1f} s" for m in found)),
        ("cutting ten minutes of film anew", *(f"{m['recut_ms']:.0f} ms" for m in found)),
        ("peak memory for 60 minutes over that for 6", *(f"{m['memory_60min_over_6min']:.2f} x" for m in found)),
    ]
    commits = " and ".join(dict.fromkeys(m["commit"] for m in found))
    return (_table(("measure", *(m["machine"] for m in found)), rows)
            + f"\n\n`{found[0]['command']}`, commit {commits}.")


def library() -> str:
    """What `python -m vljepa bench library` measured."""
    m = json.loads(LIBRARY.read_text())
    clips, search, kills = m["details"]["clips"], m["details"]["search"], m["details"]["kills"]
    rows = [
        (f"indexing {clips:,} clips of {m['details']['clip_s']:g} s, over the bare X-Encoder on the same frames",
         f"{m['index_over_encoder']:.2f} x"),
        (f"searching them for a text, 95th percentile of {search['searches']}", f"{m['search_p95_ms']:.0f} ms"),
        (f"killed {len(kills['known_at_each_kill'])} times while indexing {kills['clips']} clips: lost; doubled",
         f"{m['killed_lost']}; {m['killed_duplicated']}"),
    ]
    return _table(("measure", "result"), rows) + f"\n\n`{m['command']}`, commit {m['commit']}, {m['machine']}."


def segments() -> str:
    """What `python -m docs.measure_segments` measured."""
    m = json.loads(SEGMENTS.read_text())
    rows = [(f["video"], str(f["scenes"]), str(f["found"]), f"{f['f1_auto']:.2f}", f"{f['f1_true_count']:.2f}",
             "" if f["late_s"] is None else f"{f['late_s']:+.2f} s")
            for f in m["films"]]
    head = ("film", "scenes", "found by `auto`", "boundary F1, `auto`", "F1 at the true count", "told late by")
    return _table(head, rows) + f"\n\nBoundaries within a second count. `{m['command']}`, commit {m['commit']}."


def online() -> str:
    """What `python -m vljepa bench live --only boundaries --only map` measured."""
    m = json.loads(LIVE.read_text())
    b, p = m["boundaries"], m["parts"]["boundaries"]
    rows = [(name, str(film["scenes"]), str(film["decodes"]), f"{film['uniform_1hz'] / film['decodes']:.1f} x",
             f"{film['f1']:.2f}", " / ".join(f"{row['f1']:.2f}" for row in b["live"].get(name, [])))
            for name, film in b["films"].items()]
    rates_hz = " / ".join(f"{row['rate_hz']:g}" for row in next(iter(b["live"].values())))
    head = ("film", "scenes", "captions read", "fewer than one a second", "boundary F1", f"live, at {rates_hz} Hz")
    return "\n".join([
        _table(head, rows), "",
        f"Boundaries within a second count; they are told {b['told_after_s']:.1f} s after they were (median). Live:",
        "through a live session, frame by frame. Of the ten landmarks nearest to a live point on the map,",
        f"{m['map_agreement']:.0%} are among the nearest tenth in the embedding space too (a shuffled map: 10 %).",
        f"`{p['command']}`, commit {p['commit']}."])


def selective() -> str:
    """What `python -m vljepa evaluate selective` measured."""
    m = json.loads(SELECTIVE.read_text())
    head, *rows = evaluate_report.rows("selective", m)
    return "\n".join([_table(head, rows), "", *evaluate_report.summary("selective", m), "",
                      f"`{m['command']}`, commit {m['commit']}."])


def boundaries() -> str:
    """What `python -m vljepa evaluate boundaries` measured: means over films."""
    m = json.loads(BOUNDARIES.read_text())
    cuts, events = m["cuts"], m["events"]
    head = ("way to cut", f"cuts and dissolves, F1 within {cuts['tolerance_s']:g} s", "cuts found", "dissolves found",
            f"events, F1 within {events['tolerance_s']:g} s",
            *(row["film"].removesuffix(".mp4") for row in events["films"]))
    found = {way: [f"{100 * cuts[f'{kind}_found'][way]:.0f} %" for kind in ("cuts", "dissolves")] for way in cuts["f1"]}
    rows = [(name, f"{cuts['f1'][way]:.2f}", *found[way],
             f"{events['f1'][way]:.2f}", *(f"{row[way]['f1']:.2f}" for row in events["films"]))
            for way, name in evaluate_report.WAYS.items()]
    told = evaluate_report.summary("boundaries", m)[-1]
    return _table(head, rows) + f"\n\n{told} `{m['command']}`, commit {m['commit']}."


def text_encoder() -> str:
    """What `python -m vljepa evaluate text` measured."""
    m = json.loads(TEXT.read_text())
    head, *rows = evaluate_report.rows("text", m)
    return _table(head, rows) + f"\n\n`{m['command']}`, commit {m['commit']}."


def arms() -> str:
    """What `python -m vljepa arms evaluate` measured on the shapes world."""
    m = json.loads(ARMS.read_text())
    head, *rows = report.rows(m)
    told = [*report.summary(m), f"`{m['command']}`, commit {m['commit']}, {m['machine']}."]
    return "\n".join([_table(head, rows), "", *told])


def arms_seeds() -> str:
    """The shorter runs of the same command."""
    m = json.loads(ARMS.read_text())
    head, *rows = report.seed_rows(m)
    repeats = m["repeats"]
    return _table(head, rows) + (f"\n\n{repeats['steps']} steps, {len(repeats['seeds'])} seeds each; mean and standard "
                                 "deviation.")


def arms_photos() -> str:
    """The same command's comparison on photos."""
    m = json.loads(ARMS.read_text())
    (head, *rows), photos = report.photo_rows(m), m["photos"]
    return _table(head, rows) + (
        f"\n\n{photos['steps']} steps of {photos['batch']} of Flickr8k's training photos, {len(photos['seeds'])} "
        "seeds;\n"
        f"{photos['photos_tested']} test photos, {photos['photos_classified']} sports photos without training.")


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
