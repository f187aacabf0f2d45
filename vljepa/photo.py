"""A photo in: upright RGB pixels, or one sentence."""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8


def read_photo(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """The RGB pixels of an image file; ValueError if it cannot be read."""
    image = cv2.imread(str(path))
    if image is None:
        raise ValueError(f"cannot read the photo {path}")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def squash(image: UInt8[np.ndarray, "height width 3"], side: int) -> UInt8[np.ndarray, "side side 3"]:
    """The picture as the X-Encoder's square, its aspect given up, as the training photos' was."""
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR)
