"""Pictures in and out: what pages and live sessions exchange."""

import base64

import cv2
import numpy as np
from jaxtyping import UInt8

LARGEST = 2_000_000  # bytes of a JPEG; the page sends about ten thousand
QUALITY = 70
SMALL = 64  # pixels: pictures up to this high are sent as they are, larger ones as JPEG


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


def strip(frames: UInt8[np.ndarray, "frames height width 3"]) -> str:
    """Frames side by side as one picture, in a data address."""
    suffix, kind = (".png", "png") if frames.shape[1] <= SMALL else (".jpg", "jpeg")
    done, data = cv2.imencode(suffix, cv2.cvtColor(np.concatenate(list(frames), axis=1), cv2.COLOR_RGB2BGR))
    assert done
    return f"data:image/{kind};base64,{base64.b64encode(data.tobytes()).decode()}"
