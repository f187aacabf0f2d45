"""A map of one stream alone: UMAP fitted to its own steps, turned to lie as the stream lay before.

The landmarks' map has room for everything that could be said, so one film fills a small part of it. Fitted to the
film's own steps, differences within it come apart. It starts from the places on the old map and is brought back over
them (Procrustes: turned, mirrored, scaled and shifted as a whole), so nothing jumps and left stays left.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float

from visualizations.landmark_map import NEIGHBOURS, TEMPERATURE, umap_coordinates, unit_rows
from vljepa.errors import VLJEPAError

FEWEST = 12  # steps; fewer have no neighbourhoods to keep
MOST = 2000  # steps fitted, evenly spread; the others lie between their neighbours in time
# cosines to the fitted steps: on the sample film two scenes reach 0.67, and one scene two seconds later 0.79 (medians)
STRANGE, KNOWN = 0.6, 0.85
POLITE = 5  # `nice` of the fitting process
LOOK_S = 0.2
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class OwnMap:
    """Steps of a stream on a map of their own; what comes later is placed among them by `place`.

    `middle` is what embeddings are centred on before they are compared.
    """

    middle: Float[np.ndarray, " dim"]
    embeddings: Float[np.ndarray, "steps dim"]
    xy: Float[np.ndarray, "steps 2"]
    xyz: Float[np.ndarray, "steps 3"]

    @cached_property
    def centred(self) -> Float[np.ndarray, "steps dim"]:
        """The steps as they are compared."""
        return unit_rows(self.embeddings - self.middle)

    def place(
        self, embedding: Float[np.ndarray, " dim"], xy: Float[np.ndarray, " 2"], xyz: Float[np.ndarray, " 3"]
    ) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, " 3"]]:
        """Where a later step lies that lies at `xy` and `xyz` on the common map: among the steps that it resembles.

        What resembles none of them lies where the common map has it; in between, the two places are mixed.
        """
        cosines = self.centred @ unit_rows(embedding[None] - self.middle)[0]
        nearest = np.argsort(-cosines)[:NEIGHBOURS]
        weights = np.exp((cosines[nearest] - cosines[nearest[0]]) / TEMPERATURE)
        weights /= weights.sum()
        known = float(np.clip((cosines[nearest[0]] - STRANGE) / (KNOWN - STRANGE), 0.0, 1.0))
        return (known * (weights @ self.xy[nearest]) + (1 - known) * xy,
                known * (weights @ self.xyz[nearest]) + (1 - known) * xyz)


def fit_apart(
    embeddings: Float[np.ndarray, "time dim"], xy: Float[np.ndarray, "time 2"], xyz: Float[np.ndarray, "time 3"],
    still_wanted: Callable[[], None] = lambda: None,
) -> tuple[Float[np.ndarray, "time 2"], Float[np.ndarray, "time 3"]]:
    """`own_coordinates` over `xy` and over `xyz`, in a process of its own that gives way to all others.

    In this process numba's compiler would hold the interpreter for seconds, and every live stream with it.
    `still_wanted` is called several times a second; what it raises ends the process. ValueError for fewer than `FEWEST`
    steps, VLJEPAError if the process fails.
    """
    _check_steps(len(embeddings))
    with tempfile.TemporaryDirectory(prefix="vljepa-map-") as folder:
        np.savez(Path(folder) / "old.npz", embeddings=embeddings, xy=xy, xyz=xyz)
        threads = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
        command = [sys.executable, "-m", "visualizations.own_map", folder]
        with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **threads}, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True) as process:
            said = _watched(process, still_wanted)
        if process.returncode:
            raise VLJEPAError(f"the map could not be fitted ({said}); the common map stays")
        with np.load(Path(folder) / "new.npz", allow_pickle=False) as new:
            return new["xy"], new["xyz"]


def _watched(process: "subprocess.Popen[str]", still_wanted: Callable[[], None]) -> str:
    """Wait for the process's end; returns the last line it complained with."""
    try:
        while True:
            still_wanted()
            try:
                _, said = process.communicate(timeout=LOOK_S)
                return (said.strip().splitlines() or ["no reason given"])[-1]
            except subprocess.TimeoutExpired:
                continue
    finally:
        process.kill()


def main(folder: Path) -> None:
    """What the process does: `old.npz` in, `new.npz` out."""
    if hasattr(os, "nice"):
        os.nice(POLITE)
    with np.load(folder / "old.npz", allow_pickle=False) as old:
        xy, xyz = (own_coordinates(old["embeddings"], old[name]) for name in ("xy", "xyz"))
    np.savez(folder / "new.npz", xy=xy, xyz=xyz)


def own_coordinates(
    embeddings: Float[np.ndarray, "time dim"], before: Float[np.ndarray, "time axes"], seed: int = 0
) -> Float[np.ndarray, "time axes"]:
    """Where the steps of a stream lie on a map of their own, laid over `before`, in its units.

    Seconds, and a minute the first time, for UMAP is compiled. ValueError for fewer than `FEWEST` steps.
    """
    time, axes = before.shape
    _check_steps(time)
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


def _check_steps(time: int) -> None:
    if time < FEWEST:
        raise ValueError(f"a map of its own needs {FEWEST} steps at least and there are {time}: let it run longer, or "
                         "raise the rate")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
