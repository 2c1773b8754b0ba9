"""Draw an anomaly for people: a heatmap over the frame, the score over time. Pure functions."""

import time
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Polygon = Sequence[tuple[float, float]]
"""Corners (x, y), both 0 … 1 from the upper left corner of the frame."""

_LEAST_GRADIENT = 1e-12
_FAINT_SCORE = 0.5
_GLARING_SCORE = 2.0
_MAX_OPACITY = 0.75
_DARKEST_LEVEL = 80  # of 255
_INVISIBLE = 0.01
_BLUR_SHARE = 1 / 20  # of the height; people are a sixth to a third of it
_BLURRED_HEIGHT = 120
_STRIP_SHARE = 5  # the strip is one fifth of the frame's height
_STRIP_MIN_PIXELS = 40
_STRIP_TOP_SCORE = 3.0
_BACKGROUND = (24, 24, 28)
_QUIET = (150, 190, 220)
_ALARM = (255, 96, 64)
_LINE = (110, 110, 118)
_TEXT = (235, 235, 235)
_OUTLINE_OPACITY = 0.4


def draw_heatmap(
    pixels: Pixels,
    anomaly_map: npt.NDArray[np.float32],
    score: float | None = None,
    zones: Sequence[Polygon] = (),
) -> Pixels:
    """Draw an anomaly map over a frame; normal areas are unchanged.

    Args:
        pixels: uint8 (H, W, 3), RGB; not changed.
        anomaly_map: (h, w) in units of the score, coarse; 1 is the threshold.
        score: Written into the corner; None: no text.
        zones: Outlines to draw, at low opacity.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    height, width = pixels.shape[:2]
    finite = np.nan_to_num(anomaly_map.astype(np.float32), nan=0.0, posinf=_GLARING_SCORE)
    # Clipped before it is scaled up, so that one extreme cell does not bleed into its neighbours.
    strength = np.clip((finite - _FAINT_SCORE) / (_GLARING_SCORE - _FAINT_SCORE), 0.0, 1.0)
    strength = _smooth(strength, (height, width))[..., None]
    # Without inferno's black end: a score of half the threshold would look like a shadow.
    levels = np.rint(_DARKEST_LEVEL + strength * (255 - _DARKEST_LEVEL)).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    opacity = _MAX_OPACITY * strength
    drawn = np.rint(pixels * (1.0 - opacity) + colours * opacity).astype(np.uint8)
    drawn = _outline(drawn, zones)
    return drawn if score is None else _label(drawn, score)


def in_scale_of(
    gradient: npt.NDArray[np.floating[Any]], anomaly_map: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """A gradient heatmap for `draw_heatmap`: as strong as the anomaly map of the same frame.

    Args:
        gradient: (h, w), >= 0, in any unit.
        anomaly_map: Of any size, in units of the score.

    Returns:
        (h, w): 0 where the gradient is 0; its highest value is that of the anomaly map, at least 0.
    """
    highest = np.nan_to_num(anomaly_map.astype(np.float32), nan=0.0, posinf=_GLARING_SCORE).max()
    largest = max(float(gradient.max()), _LEAST_GRADIENT)
    return (gradient * (max(0.0, float(highest)) / largest)).astype(np.float32)


def draw_score_strip(
    pixels: Pixels, scores: Sequence[float | None], capacity: int | None = None
) -> Pixels:
    """Append a strip with the score over time below a frame.

    Args:
        pixels: uint8 (H, W, 3), RGB; not changed.
        scores: Oldest first; the newest belongs to this frame; None where there was no score.
        capacity: Number of scores across the whole width; None: one per pixel. Of more scores
            the newest are shown.

    Returns:
        uint8 (H + h, W, 3), RGB, with h even: about a fifth of H. The horizontal line is the
        threshold, the upper edge three times the threshold.
    """
    height, width = pixels.shape[:2]
    strip_height = max(_STRIP_MIN_PIXELS, height // _STRIP_SHARE) // 2 * 2
    capacity = max(2, capacity or width)
    strip = np.full((strip_height, width, 3), _BACKGROUND, dtype=np.uint8)

    def row(score: float) -> int:
        share = min(max(score, 0.0), _STRIP_TOP_SCORE) / _STRIP_TOP_SCORE
        return 1 + int((strip_height - 3) * (1.0 - share))

    cv2.line(strip, (0, row(1.0)), (width - 1, row(1.0)), _LINE, 1)
    shown = list(scores[-capacity:])
    places = [round(n * (width - 1) / (capacity - 1)) for n in range(len(shown))]
    for n, score in enumerate(shown):
        if score is None:
            continue
        before = shown[n - 1] if n else None
        begin = (places[n], row(score)) if before is None else (places[n - 1], row(before))
        colour = _ALARM if score >= 1.0 else _QUIET
        cv2.line(strip, begin, (places[n], row(score)), colour, 1, cv2.LINE_AA)
    return np.concatenate([pixels, strip])


def _smooth(cells: npt.NDArray[np.float32], size_hw: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Scale cells, 0 … 1, to a map of the frame's size with the same highest value.

    Blurred at the scale of people: often only a part of an object, such as a foot, is anomalous,
    and a spot on it would not show what it belongs to. Groups of cells become brighter than single
    cells.
    """
    height, width = size_hw
    # Blurred at a small size, as the time grows with the square of the size.
    small_width = max(1, round(_BLURRED_HEIGHT * width / height))
    scaled = cv2.resize(cells, (small_width, _BLURRED_HEIGHT), interpolation=cv2.INTER_LINEAR)
    blurred = cv2.GaussianBlur(scaled, (0, 0), _BLUR_SHARE * _BLURRED_HEIGHT)
    highest = float(blurred.max())
    if highest > 0.0:
        blurred = blurred * np.float32(cells.max() / highest)
    visible = np.where(blurred > _INVISIBLE, blurred, 0.0).astype(np.float32)
    return np.asarray(cv2.resize(visible, (width, height)), dtype=np.float32)


def draw_caption(pixels: Pixels, camera: str, captured_at: float) -> Pixels:
    """Write the camera name, date, time and time zone into the lower left corner.

    Args:
        pixels: uint8 (H, W, 3), RGB; not changed.
        camera: Name of the camera.
        captured_at: Unix seconds; shown in the time zone of this machine.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    date = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(captured_at))
    return _write(pixels.copy(), f"{camera}  {date}", _TEXT, below=True)


def _outline(pixels: Pixels, zones: Sequence[Polygon]) -> Pixels:
    if not zones:
        return pixels
    last_xy = np.array([pixels.shape[1] - 1, pixels.shape[0] - 1])
    corners = [np.rint(np.asarray(zone) * last_xy).astype(np.int32) for zone in zones]
    lines = cv2.polylines(pixels.copy(), corners, True, _TEXT, 1, cv2.LINE_AA)
    blended = cv2.addWeighted(pixels, 1.0 - _OUTLINE_OPACITY, lines, _OUTLINE_OPACITY, 0.0)
    return np.asarray(blended, dtype=np.uint8)


def _label(pixels: Pixels, score: float) -> Pixels:
    return _write(pixels, f"{score:.2f}", _ALARM if score >= 1.0 else _TEXT)


def _write(
    pixels: Pixels, text: str, colour: tuple[int, int, int], *, below: bool = False
) -> Pixels:
    """Write text into the upper or lower left corner, no wider than the frame."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, max(0.4, pixels.shape[0] / 900)
    (width, _), _ = cv2.getTextSize(text, font, scale, 1)
    scale = min(scale, scale * (pixels.shape[1] - 8) / max(1, width))
    (width, height), base = cv2.getTextSize(text, font, scale, 1)
    top = pixels.shape[0] - height - base - 6 if below else 0
    cv2.rectangle(pixels, (0, top), (width + 8, top + height + base + 6), _BACKGROUND, cv2.FILLED)
    cv2.putText(pixels, text, (4, top + height + 4), font, scale, colour, 1, cv2.LINE_AA)
    return pixels
