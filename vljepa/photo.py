"""A photo in: upright RGB pixels, or one sentence."""

from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch.nn import functional as F

from vljepa.config import XEncoderConfig


def read_photo(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """The RGB pixels of an image file; ValueError if it cannot be read."""
    image = cv2.imread(str(path))
    if image is None:
        raise ValueError(f"cannot read the photo {path}")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def squash(image: UInt8[np.ndarray, "height width 3"], side: int) -> UInt8[np.ndarray, "side side 3"]:
    """The picture as the X-Encoder's square, its aspect given up, as the training photos' was."""
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR)


def fit(image: UInt8[np.ndarray, "height width 3"], config: XEncoderConfig) -> Shaped[np.ndarray, "side side 3"]:
    """The picture as the X-Encoder's square, values 0 to 255, the way `config.fit` says.

    Antialiased pictures stay float32: rounding them to whole numbers would move embeddings by a thousandth.
    """
    side = config.image_size
    if config.fit == "squash":
        return squash(image, side)
    way, filter_ = config.fit.split("_")
    if way == "squash":
        return _antialiased(image, (side, side), filter_)
    height, width = image.shape[:2]
    short = min(height, width)
    # the long side is cut to a whole number of pixels, as torchvision's resize does
    high, wide = (side if x == short else int(side * x / short) for x in (height, width))
    top, left = round((high - side) / 2), round((wide - side) / 2)
    return _antialiased(image, (high, wide), filter_)[top : top + side, left : left + side]


def _antialiased(
    image: UInt8[np.ndarray, "height width 3"], size: tuple[int, int], filter_: str
) -> Float[np.ndarray, "high wide 3"]:
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
    resized = F.interpolate(pixels, size, mode=filter_, antialias=True, align_corners=False)
    return resized[0].permute(1, 2, 0).clamp(0, 255).numpy()
