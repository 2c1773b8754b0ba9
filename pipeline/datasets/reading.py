"""The frames of a benchmark's clip, as many as it has labels for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cameras import SourceOptions, open_source
from pipeline.datasets.layout import DatasetClip, DatasetError


@dataclass(frozen=True, slots=True, eq=False)
class ClipFrame:
    """One frame of a clip."""

    pts_seconds: float
    """Time since the clip's own zero, strictly increasing."""
    pixels: npt.NDArray[np.uint8]
    """uint8 (H, W, 3), RGB."""


def read_frames(clip: DatasetClip) -> Iterator[ClipFrame]:
    """Decode a clip.

    An image of a folder that cannot be decoded is replaced by the one before it, the first one by
    the one after it, so that frames and labels stay together.

    Raises:
        DatasetError: there are not as many frames as labels.
        SourceError: the clip cannot be opened or decoded.
    """
    options = SourceOptions(pace="fast", frames_per_second=clip.frames_per_second)
    count = 0
    with open_source(str(clip.path), options) as source:
        frames: Iterator[ClipFrame] = (
            ClipFrame(picture.pts_seconds, picture.pixels) for picture in source
        )
        if clip.frames_per_second is not None:
            wanted = None if clip.labels is None else clip.labels.size
            frames = without_gaps(frames, clip.frames_per_second, wanted)
        for frame in frames:
            count += 1
            yield frame
    if clip.labels is not None and count != clip.labels.size:
        raise DatasetError(
            f"{clip.path}: want {clip.labels.size} frames, as many as labels, got {count}"
        )


def without_gaps(
    frames: Iterable[ClipFrame], frames_per_second: float, wanted: int | None
) -> Iterator[ClipFrame]:
    """Repeat pictures where the time stamps say that some are missing.

    Args:
        frames: Of a folder of images, numbered by time from 0.
        frames_per_second: Rate of the numbering.
        wanted: Number of frames up to which the last one is repeated; None: not at all.
    """
    count = 0
    pixels = None
    for frame in frames:
        number = round(frame.pts_seconds * frames_per_second)
        stand_in = frame.pixels if pixels is None else pixels
        for missing in range(count, number):
            yield ClipFrame(missing / frames_per_second, stand_in)
        yield frame
        count, pixels = number + 1, frame.pixels
    if pixels is not None and wanted is not None:
        for missing in range(count, wanted):
            yield ClipFrame(missing / frames_per_second, pixels)
