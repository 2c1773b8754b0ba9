"""View of one episode on its scene: crop, zoom, brightness and noise."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_GAIN = (0.75, 1.25)
_MOST_NOISE = 0.02
_HALF_SPEED = 0.25
"""Share of the views that take only every other frame."""


@dataclass(frozen=True, slots=True)
class EpisodeView:
    """Augmentation of a scene, the same for an episode's support and its queries."""

    top: int
    left: int
    height: int
    width: int
    out_hw: tuple[int, int]
    """Size that the part is scaled to."""
    mirrored: bool = False
    gain: float = 1.0
    noise: float = 0.0
    """Standard deviation of the sensor noise that is added, for a pixel range of 1."""
    step: int = 1
    """Frames of the loaded clip from one frame of a training clip to the next."""

    def apply(self, frames: npt.NDArray[np.uint8]) -> Tensor:
        """Crop and scale frames, without noise.

        Args:
            frames: (T, H, W), or (T, H, W, 3) in colour.

        Returns:
            (T, h, w) or (T, 3, h, w) in [0, 1].
        """
        height, width = self.out_hw
        part = frames[:, self.top : self.top + self.height, self.left : self.left + self.width]
        grown = self.height < height
        way = cv2.INTER_LINEAR if grown else cv2.INTER_AREA
        out = np.stack([cv2.resize(one, (width, height), interpolation=way) for one in part])
        if self.mirrored:
            out = out[:, :, ::-1]
        if out.ndim == 4:
            out = out.transpose(0, 3, 1, 2)
        clip = torch.from_numpy(np.ascontiguousarray(out)).float() / 255.0
        return in_other_light(clip, self.gain)

    def noisy(self, clip: Tensor, random: torch.Generator) -> Tensor:
        """Add independent sensor noise to every pixel of every frame."""
        if self.noise == 0:
            return clip
        noise = torch.randn(clip.shape, generator=random)
        return (clip + self.noise * noise).clamp(0, 1)


def random_view(
    size_hw: tuple[int, int],
    crop_hw: tuple[int, int],
    scale: tuple[float, float],
    stride: int,
    random: np.random.Generator,
) -> EpisodeView:
    """Draw a random view.

    Args:
        size_hw: Size of the frames.
        crop_hw: Largest size of the output.
        scale: Range of the random zoom; below the zoom that fills `crop_hw` the whole frame is
            scaled down.
        stride: The output size is a multiple of so many pixels.
        random: Source of all random choices.
    """
    height, width = size_hw
    zoom = float(np.exp(random.uniform(*np.log(scale))))
    crop_h = min(height, round(crop_hw[0] / zoom))
    crop_w = min(width, round(crop_hw[1] / zoom))
    return EpisodeView(
        top=int(random.integers(0, height - crop_h + 1)),
        left=int(random.integers(0, width - crop_w + 1)),
        height=crop_h,
        width=crop_w,
        out_hw=(_whole(crop_h * zoom, stride), _whole(crop_w * zoom, stride)),
        mirrored=bool(random.random() < 0.5),
        gain=float(random.uniform(*_GAIN)),
        noise=max(0.0, float(random.uniform(-_MOST_NOISE, _MOST_NOISE))),
        step=2 if random.random() < _HALF_SPEED else 1,
    )


def random_part(
    size_hw: tuple[int, int],
    picture_hw: tuple[int, int],
    part_hw: tuple[int, int],
    random: np.random.Generator,
) -> EpisodeView:
    """Draw a random part of whole frames, without any other change.

    Args:
        size_hw: Size of the frames.
        picture_hw: Size that whole frames would be scaled to.
        part_hw: Size of the output, at most `picture_hw`.
        random: Source of all random choices.
    """
    height, width = (
        round(size * part / whole)
        for size, part, whole in zip(size_hw, part_hw, picture_hw, strict=True)
    )
    return EpisodeView(
        top=int(random.integers(0, size_hw[0] - height + 1)),
        left=int(random.integers(0, size_hw[1] - width + 1)),
        height=height,
        width=width,
        out_hw=part_hw,
    )


def in_other_light(pixels: Tensor, gain: float) -> Tensor:
    """Scale the contrast of pixels in [0, 1] about middle grey."""
    return ((pixels - 0.5) * gain + 0.5).clamp(0, 1)


def _whole(pixels: float, stride: int) -> int:
    """The nearest multiple of the stride."""
    return max(1, round(pixels / stride)) * stride
