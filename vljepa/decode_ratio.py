"""How many times fewer decodes selective decoding needs than uniform decoding, for the same score: read off a sweep.

The paper (VL-JEPA, arXiv:2512.10942, section 4.6) compares with uniform decoding at 1 Hz. Where every scene has a
sentence of its own both curves are flat, and it is chance which of two points lies higher. So curves of sampled scores
are first made monotone (isotonic regression: more sentences never hurt), and "equal" is what the paper calls so: 70.6
against 71.0, 0.6 % less.
"""

import numpy as np
from jaxtyping import Float, Int
from sklearn.isotonic import isotonic_regression

from vljepa.selective_sweep import Sweep

AGAINST_HZ, EQUAL = 1.0, 0.994
RESAMPLED = 1000


def ratio(
    found: Sweep, uniform: str, selective: str, annotations: Int[np.ndarray, " some"], equal: float = EQUAL,
    smooth: bool = True,
) -> float | None:
    """Decodes of `uniform` at 1 Hz over the fewest of `selective` at which its curve up to 1 Hz reaches `equal` times
    the same CIDEr; linear in the logarithm of the rate between two points. None if it never does.

    At 1, 0.5 and 0.25 Hz 50, 48 and 40 against 49 to reach: 1 / (1 * 0.5) ** 0.5, which is 1.41.
    """
    rates = np.array(found.rates_hz)
    order = np.argsort(rates)
    curve = {m: found.scores[m][order][:, annotations].mean(axis=1) for m in (uniform, selective)}
    if smooth:
        curve = {m: isotonic_regression(values) for m, values in curve.items()}
    at = int(np.argmin(np.abs(rates[order] - AGAINST_HZ)))
    decodes = found.decodes[selective][order].astype(float)
    needed = fewest_decodes(decodes[: at + 1], curve[selective][: at + 1], equal * curve[uniform][at])
    return None if needed is None else float(found.decodes[uniform][order][at] / needed)


def measured_ratio(found: Sweep, uniform: str, selective: str) -> float | None:
    """Decodes of `uniform` at 1 Hz over the fewest at which `selective` was measured to reach `EQUAL` times its score.

    For scores without chance, such as coverage: what was reached is reached, though the curve falls again where more
    decodes than scenes put one of the next scene nearer in time. None if it never was.
    """
    clock = int(np.argmin(np.abs(np.array(found.rates_hz) - AGAINST_HZ)))
    reached = found.scores[selective].mean(axis=1) >= EQUAL * found.scores[uniform][clock].mean()
    counts = found.decodes[selective][reached]
    return float(found.decodes[uniform][clock] / counts.min()) if len(counts) else None


def interval_95(
    found: Sweep, uniform: str, selective: str, units: Int[np.ndarray, " annotations"]
) -> tuple[float, float]:
    """A 95 % interval of `ratio` from drawing units, each annotation's film or itself, anew; never reached counts as 0.
    """
    random, each = np.random.default_rng(0), np.unique(units)
    members = {unit: np.flatnonzero(units == unit) for unit in each}
    drawn = [np.concatenate([members[unit] for unit in random.choice(each, len(each))]) for _ in range(RESAMPLED)]
    low, high = np.percentile([ratio(found, uniform, selective, some) or 0.0 for some in drawn], (2.5, 97.5))
    return float(low), float(high)


def widest(found: Sweep, uniform: str, selective: str) -> tuple[float, float] | None:
    """The rate at which uniform decoding needs the most times as many decodes for selective's score, and how many.

    Of the rates whose score uniform decoding reaches at any; None if there is none, or it always gets by with as few.
    """
    order = np.argsort(found.rates_hz)
    curve = {m: found.scores[m][order].mean(axis=1) for m in (uniform, selective)}
    decodes = found.decodes[uniform][order].astype(float)
    best = None
    for rate, count, reached in zip(np.array(found.rates_hz)[order], decodes, curve[selective], strict=True):
        needed = fewest_decodes(decodes, curve[uniform], reached)
        if needed is not None and needed / count > (best[1] if best else 1.0):
            best = (float(rate), float(needed / count))
    return best


def fewest_decodes(
    decodes: Float[np.ndarray, " rates"], scores: Float[np.ndarray, " rates"], wanted: float
) -> float | None:
    """The fewest decodes at which a curve reaches `wanted`, though it may fall below it again; None if it never does.

    `decodes` ascend; between two points the curve is linear in their logarithm.
    At 1, 2 and 4 decodes 0.8, 0.7 and 0.9: 0.8 is reached at 1, and 0.85 at 2 * 2 ** 0.75, which is 3.4.
    """
    reached = np.flatnonzero(scores >= wanted)
    if len(reached) == 0:
        return None
    k = int(reached[0])
    if k == 0:
        return float(decodes[0])
    share = (wanted - scores[k - 1]) / (scores[k] - scores[k - 1])
    return float(np.exp(np.interp(share, (0, 1), np.log(decodes[k - 1 : k + 1]))))
