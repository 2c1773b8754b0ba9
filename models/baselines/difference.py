"""Image differencing: the strongest change between two frames, averaged over a box."""

from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.baselines.baseline import Baseline, Maps
from models.inputs import grey_pixels

BOX_PIXELS = 24
SIZE_HW = (240, 320)


def box_difference(
    earlier: npt.NDArray[np.uint8], newest: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float32]:
    """Mean of |Iₜ − Iₜ₋₁| over the box of 24 x 24 pixels around each pixel.

    Args:
        earlier: Grey (H, W).
        newest: Grey (H, W).

    Returns:
        (H, W), in grey levels.
    """
    change = cv2.absdiff(newest, earlier).astype(np.float32)
    return np.asarray(cv2.blur(change, (BOX_PIXELS, BOX_PIXELS)), dtype=np.float32)


class Difference(Baseline):
    """Change to the frame 0.1 s before; the support is not used."""

    clip_length: ClassVar[int] = 2
    top_share: ClassVar[float] = 0.0

    def __init__(self, size_hw: tuple[int, int] = SIZE_HW) -> None:
        super().__init__(size_hw)

    def adapt(self, support: Tensor) -> Maps:
        """Nothing is learned."""

        def maps(clips: Tensor) -> Tensor:
            grey = (grey_pixels(clips) * 255).round().to(torch.uint8).numpy()
            return torch.from_numpy(np.stack([box_difference(*clip) for clip in grey])) / 255

        return maps
