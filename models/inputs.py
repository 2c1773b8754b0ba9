"""Conversion of uint8 clips to network inputs."""

from collections.abc import Sequence

import torch
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def check_clips(clips: Tensor) -> None:
    """Check that clips are uint8 (B, T, H, W, 3).

    Raises:
        ValueError: another shape or type.
    """
    if clips.dtype != torch.uint8 or clips.ndim != 5 or clips.shape[-1] != 3:
        raise ValueError(
            f"clips: want uint8 (B, T, H, W, 3), got {clips.dtype} {tuple(clips.shape)}"
        )


def truncate_history(clips: Tensor, pasts: Sequence[int]) -> Tensor:
    """Truncate the history of clips, as at the start of a video; repeat the earliest frame left.

    Args:
        clips: (B, T, …), oldest first.
        pasts: For each clip the number of frames before the newest that are left.
    """
    length = clips.shape[1]
    ages = torch.arange(length - 1, -1, -1)
    return torch.stack(
        [clip[length - 1 - ages.clamp(max=past)] for clip, past in zip(clips, pasts, strict=True)]
    )


def grey_clips(clips: Tensor) -> Tensor:
    """Luma of RGB clips.

    Args:
        clips: uint8 (B, T, H, W, 3), RGB.

    Returns:
        float32 (B, T, H, W) in [0, 1].
    """
    weights = torch.tensor(_LUMA, device=clips.device) / 255.0
    return clips.float() @ weights


def grey_pixels(colour: Tensor) -> Tensor:
    """Luma of RGB clips in float.

    Args:
        colour: (B, T, 3, H, W) in [0, 1].

    Returns:
        (B, T, H, W) in [0, 1].
    """
    weights = torch.tensor(_LUMA, device=colour.device).view(3, 1, 1)
    return (colour * weights).sum(2)


def motion_input(grey: Tensor) -> Tensor:
    """Newest frame and its differences to the earlier ones (ours, not in the paper).

    The differences carry the motion without a 3-D convolution; the gains bring both kinds of
    channel to about unit range.

    Args:
        grey: (B, T, H, W) in [0, 1], oldest first.

    Returns:
        (B, T, H, W): channel 0 is the appearance, 1 … T-1 the differences, newest first.
    """
    newest = grey[:, -1:]
    earlier = grey[:, :-1].flip(1)
    return torch.cat([(newest - 0.45) * 2.0, (newest - earlier) * 5.0], dim=1)


def colour_clips(clips: Tensor) -> Tensor:
    """RGB clips as floats, channels first.

    Args:
        clips: uint8 (B, T, H, W, 3).

    Returns:
        float32 (B, T, 3, H, W) in [0, 1].
    """
    return clips.permute(0, 1, 4, 2, 3).float() / 255.0


def colour_input(pixels: Tensor) -> Tensor:
    """RGB clips centred for the paper's network.

    Args:
        pixels: (B, T, 3, H, W) in [0, 1].

    Returns:
        (B, 3, T, H, W) in [-1, 1].
    """
    return pixels.transpose(1, 2) * 2.0 - 1.0
