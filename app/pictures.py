"""JPEGs in and out: what pages and live sessions exchange."""

import cv2
import numpy as np
from jaxtyping import UInt8

LARGEST = 2_000_000  # bytes of a JPEG; the page sends about ten thousand
QUALITY = 70


def decode_jpeg(jpeg: bytes) -> UInt8[np.ndarray, "height width 3"]:
    """RGB of a JPEG; ValueError if it is none or too large."""
    if not 0 < len(jpeg) <= LARGEST:
        raise ValueError(f"a frame must be a JPEG of at most {LARGEST} bytes, got {len(jpeg)}")
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("a frame of this camera could not be read; stop and start it again")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def encode_jpeg(image: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """A small JPEG of RGB."""
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return jpeg.tobytes()
