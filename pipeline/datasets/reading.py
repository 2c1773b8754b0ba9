"""The frames of a benchmark's clip, as many as it has labels for."""

import time
from collections.abc import Iterator

from cameras import Picture, SourceOptions, open_source
from cameras.frame_directory import read_image
from pipeline.datasets.layout import DatasetClip, DatasetError


def read_frames(clip: DatasetClip) -> Iterator[Picture]:
    """Decode a clip, as fast as it goes.

    In the place of a damaged picture comes the one before it, so that frames and labels stay
    together.

    Raises:
        DatasetError: there are not as many frames as labels, or a single image cannot be read.
        SourceError: the clip cannot be opened or decoded.
    """
    if clip.still:
        pixels = read_image(clip.path)
        if pixels is None:
            raise DatasetError(f"{clip.path}: want an image, which cannot be read")
        yield Picture(0.0, time.time(), pixels)
        return
    options = SourceOptions(
        pace="fast", frames_per_second=clip.frames_per_second, repeat_damaged=True
    )
    count = 0
    with open_source(str(clip.path), options) as source:
        for picture in source:
            count += 1
            yield picture
    if clip.labels is not None and count != clip.labels.size:
        raise DatasetError(
            f"{clip.path}: want {clip.labels.size} frames, as many as labels, got {count}"
        )
