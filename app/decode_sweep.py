"""An open film decoded at many rates, selectively and by the clock: the paper's figure 4 on the user's own video.

With an annotation file the score is CIDEr, and sentences are read; without one it is how well the decoded embeddings
stand for the stream (`coverage`), which needs none.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from app.film import Film, caption_name
from app.jobs import Job
from vljepa.annotations import Annotation
from vljepa.decode_ratio import AGAINST_HZ, interval_95, measured_ratio, ratio, widest
from vljepa.readout import Caption
from vljepa.selective_sweep import METHODS, RATES_HZ, AnnotatedStream, Sweep, coverage, decodes_at, sweep

PAIRS = (("uniform", "selective"), ("uniform_pool", "selective_pool"))
Decode = Callable[[Float[np.ndarray, "batch dim"], str], Sequence[Caption]]


def coverage_sweep(film: Film, job: Job) -> dict[str, Any]:
    """Mean cosine of every moment to the decoded embedding nearest in time, for each rate and method; no sentence."""
    tree, rates_hz = film.tree(0.0), _rates(film)
    scores: dict[str, list[float]] = {method: [] for method in METHODS}
    decodes: dict[str, list[int]] = {method: [] for method in METHODS}
    for k, rate in enumerate(rates_hz):
        job.report("Comparing embeddings", k / len(rates_hz))
        for method in METHODS:
            plan = decodes_at(film.trajectory, tree, rate, method)
            scores[method].append(coverage(film.trajectory, plan))
            decodes[method].append(len(plan.times_s))
    return _told(Sweep(tuple(rates_hz), {m: np.array(values)[:, None] for m, values in scores.items()},
                       {m: np.array(counts) for m, counts in decodes.items()}, np.zeros(1, dtype=int)), "coverage")


def cider_sweep(
    film: Film, annotations: Sequence[Annotation], name: str, decode: Decode, readout: str,
    documents: Sequence[str], lock: threading.Lock, job: Job,
) -> dict[str, Any]:
    """CIDEr of the sentence nearest to each annotation; `lock` is held while the model reads, a few at a time.

    Word rarity is counted over the annotations and `documents`, other sentences. ValueError where that is nothing.
    """
    if len(annotations) + len(documents) < 2:
        raise ValueError(f"{name} has a single annotation: CIDEr needs two, to tell common words from rare ones")

    def read(embeddings: Float[np.ndarray, "n dim"]) -> list[Caption]:
        names = [caption_name(embedding, readout) for embedding in embeddings]
        missing = [k for k, known in enumerate(names) if known not in film.captions]
        if missing:
            with lock:
                found = decode(embeddings[missing], readout)
            film.captions |= {names[k]: caption for k, caption in zip(missing, found, strict=True)}
            film.decoded += len(missing)
        return [film.captions[known] for known in names]

    stream = AnnotatedStream(film.trajectory, film.tree(0.0), np.array([a.middle_s for a in annotations]),
                             [a.texts for a in annotations])
    found = sweep([stream], read, _rates(film), [[sentence] for sentence in documents],
                  lambda done, of: job.report(f"Reading sentences, {done} of {of}", done / of))
    return _told(found, "cider", len(annotations), name)


def _told(found: Sweep, score: str, annotations: int = 0, name: str | None = None) -> dict[str, Any]:
    """What the page is told: the curves, how many times fewer decodes reach the clock's at 1 Hz, where it pays most.

    The interval is over the annotations; coverage has none, for it is about every moment.
    """
    rates_hz, everything = found.rates_hz, np.arange(annotations)
    fewer: dict[str, float | None] = {selective: None for _, selective in PAIRS}
    if AGAINST_HZ in rates_hz:
        fewer = {selective: ratio(found, uniform, selective, everything) if annotations else
                 measured_ratio(found, uniform, selective) for uniform, selective in PAIRS}
    interval = interval_95(found, *PAIRS[0], everything) if annotations and fewer["selective"] else None
    pays = None if annotations else widest(found, *PAIRS[0])
    return {
        "score": score, "annotations": annotations, "name": name,
        "points": [{"rate_hz": rate, "decodes": int(found.decodes["uniform"][k]),
                    **{method: round(float(found.scores[method][k].mean()), 4) for method in METHODS}}
                   for k, rate in enumerate(rates_hz)],
        "fewer": {method: times and round(times, 2) for method, times in fewer.items()},
        "interval": interval and [round(end, 2) for end in interval],
        "pays": pays and {"rate_hz": pays[0], "times": round(pays[1], 2)},
    }


def _rates(film: Film) -> list[float]:
    """The paper's rates, but for those that only repeat: a short film cannot be decoded less than once."""
    rates = [rate for rate in RATES_HZ if rate <= film.trajectory.rate_hz]
    longest = [rate for rate in rates if rate * film.seconds < 1]
    return [rate for rate in rates if rate not in longest[1:]]
