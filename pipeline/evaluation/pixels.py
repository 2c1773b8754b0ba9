"""Pixel-level AUROC of anomaly maps against masks."""

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.datasets.layout import Mask

AnomalyMap = npt.NDArray[np.float16]
Counts = npt.NDArray[np.int64]

_LEVELS = 1 << 16
_SIGN = 1 << 15  # the bit of the sign; without it, bits rise with the magnitude of the value


class PixelAuroc:
    """AUROC of all pixels of all frames pooled, in constant memory.

    Values are rounded to half precision, of which there are 65,536 values: they are counted
    separately for normal and anomalous pixels, and the area is exact for the rounded values. Equal
    values count half.
    """

    def __init__(self) -> None:
        self._normal = np.zeros(_LEVELS, dtype=np.int64)
        self._anomalous = np.zeros(_LEVELS, dtype=np.int64)

    def add(self, anomaly_map: AnomalyMap, mask: Mask) -> None:
        """Count the pixels of one frame.

        Args:
            anomaly_map: (h, w), any unit, high = anomalous; stretched over the mask, linearly
                between the centres of its cells.
            mask: (H, W), True = anomalous.

        Raises:
            ValueError: a value is not a number.
        """
        if np.isnan(anomaly_map).any():
            raise ValueError("anomaly map: want numbers, got NaN")
        height, width = mask.shape
        stretched = cv2.resize(
            anomaly_map.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR
        )
        bits = np.asarray(stretched).astype(np.float16).view(np.uint16)
        everything = np.bincount(bits.ravel(), minlength=_LEVELS)
        anomalous = np.bincount(bits[mask], minlength=_LEVELS)
        self._anomalous += anomalous
        self._normal += everything - anomalous

    @property
    def area(self) -> float | None:
        """In [0, 1], 0.5 is chance; None where all pixels so far are of one class."""
        normal, anomalous = _in_order(self._normal), _in_order(self._anomalous)
        if not normal.any() or not anomalous.any():
            return None
        ranks = np.cumsum(normal) - 0.5 * normal  # normal pixels below, and half of the equal ones
        # Shares before the product: numbers of pixels squared do not fit into 64 bits.
        return float(np.sum(ranks / normal.sum() * (anomalous / anomalous.sum())))

    @property
    def best_iou(self) -> float | None:
        """Intersection over union of the anomalous pixels at the best threshold, in [0, 1].

        None where all pixels so far are of one class.
        """
        normal, anomalous = _in_order(self._normal), _in_order(self._anomalous)
        if not normal.any() or not anomalous.any():
            return None
        hits, false = np.cumsum(anomalous[::-1]), np.cumsum(normal[::-1])
        return float(np.max(hits / (anomalous.sum() + false)))


def _in_order(counts: Counts) -> Counts:
    """Counts by the bits of a value put in the order of the values, -0 and 0 as one."""
    positive, negative = counts[:_SIGN].copy(), counts[_SIGN:]
    positive[0] += negative[0]
    return np.concatenate([negative[:0:-1], positive])
