"""Background subtraction: OpenCV's mixture of Gaussians (MOG2), learned from the support."""

from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.baselines.baseline import Baseline, Maps
from models.baselines.difference import BOX_PIXELS, SIZE_HW

_PASSES = 5
"""Times that the support is shown, so that its Gaussians gain weight."""
_RATE = 0.05
_VARIANCES = 16.0
"""Squared Mahalanobis distance from which a pixel is foreground (OpenCV's default)."""


class Background(Baseline):
    """Share of foreground pixels in the box around each pixel; the model is fixed after adapting.

    One frame a clip: the newest. It works on stills too, where differencing sees no change.
    """

    top_share: ClassVar[float] = 0.0

    def __init__(self, size_hw: tuple[int, int] = SIZE_HW) -> None:
        super().__init__(size_hw)

    def adapt(self, support: Tensor) -> Maps:
        """Show the newest frame of each support clip to the mixture."""
        model = cv2.createBackgroundSubtractorMOG2(
            history=len(support), varThreshold=_VARIANCES, detectShadows=False
        )
        for _ in range(_PASSES):
            for picture in _pictures(support):
                model.apply(picture, learningRate=_RATE)

        def maps(clips: Tensor) -> Tensor:
            found = [
                cv2.blur(
                    (model.apply(picture, learningRate=0) > 0).astype(np.float32),
                    (BOX_PIXELS, BOX_PIXELS),
                )
                for picture in _pictures(clips)
            ]
            return torch.from_numpy(np.stack(found))

        return maps


def _pictures(clips: Tensor) -> npt.NDArray[np.uint8]:
    """Newest frames as uint8 (B, H, W, 3)."""
    newest = (clips[:, -1] * 255).round().to(torch.uint8)
    return np.ascontiguousarray(newest.permute(0, 2, 3, 1).numpy())
