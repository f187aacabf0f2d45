"""A map of one stream alone: UMAP fitted to its own steps, turned to lie as the stream lay before.

The landmarks' map has room for everything that could be said, so one film fills a small part of it. Fitted to the
film's own steps, differences within it come apart. It starts from the places on the old map and is brought back over
them (Procrustes: turned, mirrored, scaled and shifted as a whole), so nothing jumps and left stays left.
"""

import numpy as np
from jaxtyping import Float

from visualizations.landmark_map import umap_coordinates

FEWEST = 12  # steps; fewer have no neighbourhoods to keep
MOST = 2000  # steps fitted, evenly spread; the others lie between their neighbours in time


def own_coordinates(
    embeddings: Float[np.ndarray, "time dim"], before: Float[np.ndarray, "time axes"], seed: int = 0
) -> Float[np.ndarray, "time axes"]:
    """Where the steps of a stream lie on a map of their own, laid over `before`, in its units.

    Seconds, and a minute the first time, for UMAP is compiled. ValueError for fewer than `FEWEST` steps.
    """
    time, axes = before.shape
    if time < FEWEST:
        raise ValueError(f"a map of its own needs {FEWEST} steps at least, this film has {time}: raise the rate")
    chosen = np.unique(np.linspace(0, time - 1, min(time, MOST)).round().astype(int))
    # equal starts would never come apart
    noise = np.random.default_rng(seed).normal(scale=1e-3, size=(len(chosen), axes))
    start = (10 * (before[chosen] - before[chosen].mean(axis=0)) + noise).astype(np.float32)  # UMAP works at tens
    fitted = laid_over(umap_coordinates(embeddings[chosen], axes, seed, start), before[chosen])
    return np.column_stack([np.interp(np.arange(time), chosen, axis) for axis in fitted.T]).astype(np.float32)


def laid_over(
    new: Float[np.ndarray, "points axes"], old: Float[np.ndarray, "points axes"]
) -> Float[np.ndarray, "points axes"]:
    """`new` turned, mirrored, scaled and shifted as a whole to lie as near as it can to `old`, but no smaller than it.

    Least squares would shrink what does not match; the spread of `old` is kept instead (Schönemann 1966 for the turn).
    """
    middle, centred = old.mean(axis=0), new - new.mean(axis=0)
    spread, wanted = np.linalg.norm(centred), np.linalg.norm(old - middle)
    left, _, right = np.linalg.svd(centred.T.astype(np.float64) @ (old - middle))
    scale = wanted / spread if spread > 1e-9 and wanted > 1e-9 else 1.0
    return (centred @ (left @ right) * scale + middle).astype(np.float32)
