"""Motion in a clip's newest frame: optical flow times moving area, in boxes (ours).

A frame difference is contrast times speed: a dark coat at walking pace gives more than a pale
cyclist. Flow measures the speed itself. Speed alone would follow the noise of edges, so it counts
only where the frame changes, and is averaged over boxes: a cart is large *and* fast.

The measurement is independent of the scene; `models.row_normal` estimates what is typical of a
scene.
"""

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

MotionKind = Literal["flow", "difference"]
"""Speed by optical flow, or, as an ablation, the absolute frame difference."""

LAGS = (1, 2)
"""Frames back from the newest that flow is measured from: 0.1 and 0.2 s. Their mean is better than
either: the short one follows fast objects, the long one is less noisy on slow ones."""
BOXES = (12, 20, 28)
"""Sides in pixels of the boxes, for far, middling and near people at 240×320. Boxes that follow the
height of people by row were measured and are no better (docs/experiments/optical-flow.md)."""
CHANGE = 8
"""Grey levels of 255 by which the mean of 5×5 pixels must change for its middle to move."""
_LEAST_OF_LAG = 0.5
"""Least age of a frame, as a share of its lag: a repeated frame has age 0."""
_BLUR = 5
_MOVING_BOX = 20
_SAMPLE = 4
"""Pixels between two boxes; a cell takes the highest of the boxes whose centres lie in it."""
_SMALLEST_SIDE = 64
"""Frames smaller than this are too small for the flow's pyramid, and are padded."""


def lags(clip_length: int) -> tuple[int, ...]:
    """The `LAGS` within a clip of that many frames."""
    return tuple(lag for lag in LAGS if lag < clip_length)


def motion_channels(clip_length: int) -> int:
    """Channels of `observe_motion`: one for each lag and box, and the moving share."""
    return len(lags(clip_length)) * len(BOXES) + 1


def observe_motion(
    grey: Tensor, stride: int, kind: MotionKind = "flow", ages: Tensor | None = None
) -> Tensor:
    """Motion in every cell of the newest frame.

    Args:
        grey: Clips (B, T, H, W) in [0, 1], T >= 2, oldest first; the last three frames count.
        stride: Pixels between cells, a multiple of 4.
        kind: The measurement.
        ages: Age of each frame relative to the newest, in frame intervals, (B, T), falling to 0.
            With another frame rate than that of the clips, or after lost frames, displacement
            covers a longer or shorter time than one interval. None: T - 1 … 0.

    Returns:
        float32 (B, C + 1, ceil(H/stride), ceil(W/stride)), where `grey` is. Channels 0 … C-1, lag
        by lag and in it box by box: mean over the box of speed (pixels a frame interval) where
        something moves and 0 elsewhere; grey levels in place of pixels for "difference". Channel C:
        share of a 20-pixel box that moves, 0 … 1.
    """
    length = grey.shape[1]
    reach = lags(length)
    frames = (grey[:, -1 - reach[-1] :] * 255.0).round().to(torch.uint8).cpu().numpy()
    if ages is None:
        elapsed = np.tile(np.array(reach, np.float32), (len(frames), 1))
    else:
        elapsed = ages[:, [length - 1 - lag for lag in reach]].cpu().numpy().astype(np.float32)
    found = np.stack(
        [
            _observe(clip, reach, passed, stride, kind)
            for clip, passed in zip(frames, elapsed, strict=True)
        ]
    )
    return torch.from_numpy(found).to(grey.device)


def _observe(
    frames: npt.NDArray[np.uint8],
    reach: tuple[int, ...],
    elapsed: npt.NDArray[np.float32],
    stride: int,
    kind: MotionKind,
) -> npt.NDArray[np.float32]:
    newest = frames[-1]
    channels = []
    moving = np.zeros(newest.shape, np.float32)
    for lag, passed in zip(reach, elapsed, strict=True):
        earlier = frames[-1 - lag]
        change = cv2.absdiff(earlier, newest)
        moving = (cv2.blur(change, (_BLUR, _BLUR)) > CHANGE).astype(np.float32)
        if not moving.any():
            channels += [_nothing(newest.shape, stride)] * len(BOXES)
            continue
        speed = change.astype(np.float32) if kind == "difference" else _speed(earlier, newest)
        speed *= moving / max(float(passed), _LEAST_OF_LAG * lag)
        channels += [_in_cells(_mean(speed, box), stride) for box in BOXES]
    share = _in_cells(_mean(moving, _MOVING_BOX), stride)
    return np.stack([*channels, share]).astype(np.float32)


def _speed(
    earlier: npt.NDArray[np.uint8], newest: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float32]:
    """Length of the flow in pixels, (H, W).

    Computed on the whole frame: on a part of it the solver has fewer scales, and misses fast
    motion.
    """
    height, width = newest.shape
    flow = _solver().calc(_large_enough(earlier), _large_enough(newest), None)  # type: ignore[call-overload]
    across, down = (np.ascontiguousarray(flow[:height, :width, axis]) for axis in (0, 1))
    return np.asarray(cv2.magnitude(across, down), dtype=np.float32)


def _mean(picture: npt.NDArray[np.float32], box: int) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.blur(picture, (box, box)), dtype=np.float32)


def _large_enough(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    below, right = (max(0, _SMALLEST_SIDE - side) for side in picture.shape)
    if not (below or right):
        return np.ascontiguousarray(picture)
    padded = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return np.asarray(padded, dtype=np.uint8)


def _in_cells(picture: npt.NDArray[np.float32], stride: int) -> npt.NDArray[np.float32]:
    """The highest of the samples in each cell."""
    height, width = picture.shape
    inside = stride // _SAMPLE
    rows, columns = _samples(height, stride), _samples(width, stride)
    sampled = picture[np.ix_(rows, columns)]
    cells = sampled.reshape(len(rows) // inside, inside, len(columns) // inside, inside)
    return np.asarray(cells.max(axis=(1, 3)), dtype=np.float32)


def _samples(size: int, stride: int) -> npt.NDArray[np.intp]:
    count = -(-size // stride) * (stride // _SAMPLE)
    return np.minimum(_SAMPLE // 2 + _SAMPLE * np.arange(count), size - 1)


def _nothing(size_hw: tuple[int, ...], stride: int) -> npt.NDArray[np.float32]:
    return np.zeros((-(-size_hw[0] // stride), -(-size_hw[1] // stride)), np.float32)


def _solver() -> cv2.DISOpticalFlow:
    """OpenCV's DIS, a new one for each pair: it keeps buffers, which threads must not share.

    The fastest preset at half resolution: full resolution costs six times as much and is no better
    once boxes are used; a quarter loses five points on UCSD Ped2.
    """
    solver = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    solver.setFinestScale(1)
    return solver
