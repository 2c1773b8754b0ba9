"""Measures of industrial inspection: of the images of one category, with exact masks.

AUPRO follows Bergmann et al. (MVTec AD, IJCV 2021): the overlap of each true region with what is
above the threshold, mean over the regions, over the share of normal pixels above it from 0 to 0.3,
as a share of the largest possible area.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.datasets.layout import Mask
from pipeline.evaluation.localisation import Maps
from pipeline.evaluation.pixels import PixelAuroc
from pipeline.evaluation.regions import components

FALSE_POSITIVE_LIMIT = 0.3
_POINTS = 121


@dataclass(frozen=True, slots=True)
class InspectionMetrics:
    """Measures of one category, in [0, 1]; None where the masks are of one class."""

    pixel_auroc: float | None
    """Of all pixels of the category pooled; 0.5 is chance."""
    iou: float | None
    """Intersection over union of the anomalous pixels at the best threshold of the category."""
    aupro: float | None
    """Area under the overlap of regions; 0.15 is chance."""


def inspect(maps: Maps, masks: Sequence[Mask]) -> InspectionMetrics:
    """Measure the anomaly maps of one category.

    Args:
        maps: (images, h, w).
        masks: One an image, (H, W), True = anomalous.
    """
    pixels = PixelAuroc()
    for one, mask in zip(maps, masks, strict=True):
        pixels.add(one, mask)
    return InspectionMetrics(pixels.area, pixels.best_iou, region_overlap(maps, masks))


def region_overlap(maps: Maps, masks: Sequence[Mask]) -> float | None:
    """AUPRO; arguments as `inspect`. None where there is no region or no normal pixel."""
    normal: list[npt.NDArray[np.float32]] = []
    regions: list[npt.NDArray[np.float32]] = []
    for one, mask in zip(maps, masks, strict=True):
        height, width = mask.shape
        stretched = np.asarray(cv2.resize(one.astype(np.float32), (width, height)))
        normal.append(stretched[~mask])
        labels, count = components(mask)
        regions += [np.sort(stretched[labels == number + 1]) for number in range(count)]
    below = np.sort(np.concatenate(normal))
    if not regions or not below.size:
        return None
    shares = np.linspace(0, FALSE_POSITIVE_LIMIT, _POINTS)
    places = np.clip(np.ceil((1 - shares) * below.size).astype(np.int64), 0, below.size - 1)
    # Just above the highest normal pixel first; then at the thresholds that give the shares.
    thresholds = np.concatenate([[np.nextafter(below[-1], np.inf)], below[places]])
    false = 1 - np.searchsorted(below, thresholds, side="left") / below.size
    overlap = np.mean(
        [1 - np.searchsorted(region, thresholds, side="left") / region.size for region in regions],
        axis=0,
    )
    inside = false <= FALSE_POSITIVE_LIMIT
    at_limit = np.interp(FALSE_POSITIVE_LIMIT, false, overlap)
    area = np.trapezoid(
        np.append(overlap[inside], at_limit), np.append(false[inside], FALSE_POSITIVE_LIMIT)
    )
    return float(area / FALSE_POSITIVE_LIMIT)
