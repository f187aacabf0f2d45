"""Points of a space seen along the two axes on which they differ most, again and again as they move."""

import numpy as np
from jaxtyping import Float


class MainAxes:
    """Two axes along which embeddings differ most, from look to look turned as little as can be."""

    def __init__(self) -> None:
        self._before: np.ndarray | None = None

    def places(self, embeddings: Float[np.ndarray, "points dim"]) -> Float[np.ndarray, "points 2"]:
        """Where the points lie about their middle; distances are those of the space, seen along the axes."""
        centred = embeddings - embeddings.mean(0)
        xy = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
        if self._before is not None:  # an SVD's axes may turn and flip (Schönemann 1966)
            left, _, right = np.linalg.svd(xy.T @ self._before)
            xy = xy @ (left @ right)
        self._before = xy
        return xy
