"""Pictures for people: of the size and shape of the source, not of what is scored."""

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

LONGEST_SIDE = 1280
"""Pixels; larger sources are made smaller."""
_JPEG_QUALITY = 90


def shown_size(size_hw: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the picture of a source, as it is or smaller, of the same shape."""
    scale = min(1.0, LONGEST_SIDE / max(size_hw))
    return max(1, round(size_hw[0] * scale)), max(1, round(size_hw[1] * scale))


def encode(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """A picture as JPEG, in its own shape.

    Args:
        pixels: uint8 (H, W, 3), RGB.

    Returns:
        uint8 (N,), the file.
    """
    bgr = cv2.cvtColor(
        resized(pixels, shown_size((pixels.shape[0], pixels.shape[1]))), cv2.COLOR_RGB2BGR
    )
    encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
    return np.asarray(encoded, dtype=np.uint8)


def resized(pixels: Pixels, size_hw: tuple[int, int]) -> Pixels:
    """Pixels in another size; not as well as possible, but as fast as it looks well."""
    height, width = size_hw
    if pixels.shape[:2] == (height, width):
        return pixels
    # Area means take five times as long, and show only from a shrinking by half on.
    half = 2 * height <= pixels.shape[0]
    how = cv2.INTER_AREA if half else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=how), dtype=np.uint8)


def for_people(
    pixels: Pixels, picture: npt.NDArray[np.uint8] | None, source_hw: list[int] | None
) -> Pixels:
    """What is shown of a frame: its picture, or what was scored, in the shape of the source.

    Args:
        pixels: uint8 (H, W, 3), RGB, in the size that was scored.
        picture: As `encode` gave it; None: the frame has none.
        source_hw: Height and width of the source; None: not known.
    """
    if picture is not None:
        bgr = cv2.imdecode(picture, cv2.IMREAD_COLOR)
        if bgr is not None:
            return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    if source_hw is None:
        return pixels
    return resized(pixels, shown_size((source_hw[0], source_hw[1])))
