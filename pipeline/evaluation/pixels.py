"""Pixel-level AUROC: do anomaly maps light up where the masks are?"""

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.datasets.layout import Mask

AnomalyMap = npt.NDArray[np.float16]

_LEVELS = 1 << 16
_SIGN = np.uint16(1 << 15)


class PixelAuroc:
    """AUROC of all pixels of all pictures pooled, in memory that does not grow with them.

    Values are rounded to half precision, 11 significant bits, of which there are 65,536: they are
    counted, apart for normal and anomalous pixels, and the area is exact for the rounded values.
    Equal values count half.
    """

    def __init__(self) -> None:
        self._normal = np.zeros(_LEVELS, dtype=np.int64)
        self._anomalous = np.zeros(_LEVELS, dtype=np.int64)

    def add(self, anomaly_map: AnomalyMap, mask: Mask) -> None:
        """Count the pixels of one picture.

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
        levels = _in_order(np.asarray(stretched).astype(np.float16))
        everything = np.bincount(levels.ravel(), minlength=_LEVELS)
        anomalous = np.bincount(levels[mask], minlength=_LEVELS)
        self._anomalous += anomalous
        self._normal += everything - anomalous

    @property
    def area(self) -> float | None:
        """In [0, 1], 0.5 is chance; None where all pixels so far are of one class."""
        normal, anomalous = int(self._normal.sum()), int(self._anomalous.sum())
        if not normal or not anomalous:
            return None
        below = np.cumsum(self._normal) - self._normal
        # Shares before the product: counts of pixels squared do not fit into 64 bits.
        ranks = (below + 0.5 * self._normal) / normal
        return float(np.sum(ranks * (self._anomalous / anomalous)))


def _in_order(values: AnomalyMap) -> npt.NDArray[np.uint16]:
    """Numbers 0 … 65535 in the order of the values: their bits, those of negative ones turned."""
    bits = (values + np.float16(0.0)).view(np.uint16)  # so that -0 becomes 0
    return np.where(bits & _SIGN, ~bits, bits | _SIGN).astype(np.uint16)
