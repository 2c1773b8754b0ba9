"""Display images: with the size and shape of the source, not those of the scored frame."""

import cv2
import numpy as np
import numpy.typing as npt

from cameras.sampling import Pixels, resize

MAX_SIDE = 1280
"""Pixels; larger sources are reduced."""
_JPEG_QUALITY = 90


def shown_size(size_hw: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the display image of a source: its size or less, same aspect ratio."""
    scale = min(1.0, MAX_SIDE / max(size_hw))
    return max(1, round(size_hw[0] * scale)), max(1, round(size_hw[1] * scale))


def encode(pixels: Pixels, quality: int = _JPEG_QUALITY) -> npt.NDArray[np.uint8]:
    """Encode a frame as JPEG, in its own aspect ratio.

    Args:
        pixels: uint8 (H, W, 3), RGB.
        quality: Of the JPEG, 1 to 100.

    Returns:
        uint8 (N,), the file.
    """
    bgr = cv2.cvtColor(
        resize(pixels, shown_size((pixels.shape[0], pixels.shape[1])), for_display=True),
        cv2.COLOR_RGB2BGR,
    )
    encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(encoded, dtype=np.uint8)


def display_pixels(
    pixels: Pixels, picture: npt.NDArray[np.uint8] | None, source_hw: list[int] | None
) -> Pixels:
    """Return what to display of a frame: its picture, or the scored pixels in the source's shape.

    Args:
        pixels: uint8 (H, W, 3), RGB, in the scored size.
        picture: Result of `encode`; None: the frame has none.
        source_hw: Height and width of the source; None: unknown.
    """
    if picture is not None:
        bgr = cv2.imdecode(picture, cv2.IMREAD_COLOR)
        if bgr is not None:
            return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    if source_hw is None:
        return pixels
    return resize(pixels, shown_size((source_hw[0], source_hw[1])), for_display=True)
