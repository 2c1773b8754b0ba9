"""Localisation measures of anomaly maps, on the test clips that have masks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.datasets.layout import DatasetClip, DatasetError, Mask
from pipeline.evaluation.detection import area, detection_curve
from pipeline.evaluation.pixels import AnomalyMap, PixelAuroc
from pipeline.evaluation.regions import FrameRegions, clip_regions

Maps = npt.NDArray[np.float16]
"""Anomaly maps of a clip, (frames, h, w)."""


@dataclass(frozen=True, slots=True)
class LocalisationMetrics:
    """Localisation measures in [0, 1]; None where the masks are of one class, or hold no region."""

    pixel_auroc: float | None
    """Of all pixels of all frames pooled; 0.5 is chance."""
    rbdc: float | None
    """Region-based detection criterion."""
    tbdc: float | None
    """Track-based detection criterion."""
    iou: float | None
    """Intersection over union of the anomalous pixels of all frames pooled, at the best threshold;
    the threshold is chosen with the masks."""


def in_half_precision(maps: npt.NDArray[np.float32]) -> Maps:
    """Convert to half precision; values are clipped to ±65,504, so that all stay finite."""
    limits = np.finfo(np.float16)
    return np.clip(maps, limits.min, limits.max).astype(np.float16)


def localise(
    clips: Sequence[DatasetClip], detectors: Sequence[Sequence[Maps]]
) -> list[LocalisationMetrics]:
    """Measure anomaly maps against masks, which are read once, one clip after the other.

    Args:
        clips: With masks.
        detectors: For each detector, the maps of each clip; of one size.

    Returns:
        Measures of each detector.

    Raises:
        DatasetError: a mask cannot be read, or there are not as many masks as maps.
    """
    pixels = [PixelAuroc() for _ in detectors]
    truth: list[list[FrameRegions]] = []
    for number, clip in enumerate(clips):
        of_clip = [maps[number] for maps in detectors]
        height, width = of_clip[0].shape[1:]
        truth.append(clip_regions(_counted(clip, of_clip, pixels), (height, width)))
    return [_metrics(auroc, maps, truth) for auroc, maps in zip(pixels, detectors, strict=True)]


def _counted(
    clip: DatasetClip, detectors: Sequence[Maps], pixels: Sequence[PixelAuroc]
) -> Iterator[Mask]:
    """Yield the masks of a clip, and add each to the pixel measures."""
    count, wanted = 0, len(detectors[0])
    for mask in clip.read_masks():
        if count < wanted:
            for maps, auroc in zip(detectors, pixels, strict=True):
                auroc.add(maps[count], mask)
            yield mask
        count += 1
    if count != wanted:
        raise DatasetError(f"{clip.path}: want {wanted} masks, as many as frames, got {count}")


def _metrics(
    pixels: PixelAuroc, maps: Sequence[Maps], truth: Sequence[Sequence[FrameRegions]]
) -> LocalisationMetrics:
    pictures: list[list[AnomalyMap]] = [list(clip) for clip in maps]
    curve = detection_curve(pictures, truth)
    if curve is None:
        return LocalisationMetrics(pixels.area, None, None, pixels.best_iou)
    return LocalisationMetrics(
        pixels.area,
        area(curve.false_per_frame, curve.region_rate),
        area(curve.false_per_frame, curve.track_rate),
        pixels.best_iou,
    )
