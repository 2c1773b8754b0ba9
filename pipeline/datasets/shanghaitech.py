"""ShanghaiTech Campus, as its archives unpack: thirteen cameras, numbered SS.

    shanghaitech/
      training/videos/SS_VVV.avi             480x856, 24 frames a second
      testing/frames/SS_VVVV/000.jpg …
      testing/test_frame_mask/SS_VVVV.npy    labels, 0 or 1 a frame
      testing/test_pixel_mask/SS_VVVV.npy    masks (frames, H, W); may be missing

Each camera is a scene: the support of a test clip comes from the training videos of its own camera.
Camera 13 has training videos and no test clip. Some tools number the frames without zeros, or
from 1: the order is numeric.

Few-shot papers train on all thirteen cameras and test on other data sets, or train on six and test
on the other seven. Which six is published nowhere: here those with the lowest numbers.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.datasets.layout import (
    Dataset,
    DatasetClip,
    DatasetError,
    entries,
    first_with,
    image_files,
    listing,
    numbers_in,
)
from pipeline.datasets.masks import mask_volume, numpy_file

FRAMES_PER_SECOND = 24.0
TEST_CLIPS = 107
TRAINING_CAMERAS = tuple(f"{number:02d}" for number in range(1, 7))
"""Of the split of six and seven cameras."""
TEST_CAMERAS = tuple(f"{number:02d}" for number in range(7, 14))
_VIDEOS = "training/videos"


def load_shanghaitech(root: Path) -> Dataset:
    """Find the clips that are there, and the labels of the test clips.

    Args:
        root: The folder with `training` and `testing`, or the folder around it.

    Raises:
        DatasetError: it is not there, labels are missing or damaged, or a scene has test clips but
            no training video.
    """
    place = first_with(
        (root, root / "shanghaitech", root / "ShanghaiTech"),
        (_VIDEOS, "testing/frames", "testing/test_frame_mask"),
        root,
        "ShanghaiTech Campus",
    )
    videos = place / _VIDEOS
    train = [
        DatasetClip(path.stem, path, None, scene=camera)
        for camera, paths in training_videos(place).items()
        for path in paths
    ]
    test = [_test_clip(path) for path in _clip_folders(place / "testing" / "frames")]
    known = {clip.scene for clip in train}
    for clip in test:
        if clip.scene not in known:
            raise DatasetError(
                f"{videos}: want a training video of scene {clip.scene} for {clip.name}, "
                f"found {listing(videos)}"
            )
    return Dataset("shanghaitech", "ShanghaiTech", tuple(train), tuple(test), TEST_CLIPS)


def is_shanghaitech(folder: Path) -> bool:
    """Whether a folder has the training videos of this layout."""
    return (folder / _VIDEOS).is_dir()


def training_videos(folder: Path) -> dict[str, list[Path]]:
    """Camera → its training videos, both in numeric order.

    Args:
        folder: With `training/videos`.
    """
    found: dict[str, list[Path]] = {}
    videos = (path for path in entries(folder / _VIDEOS) if path.suffix.lower() == ".avi")
    for path in _by_scene(videos):
        found.setdefault(_scene(path.stem), []).append(path)
    return found


def _test_clip(folder: Path) -> DatasetClip:
    testing = folder.parents[1]
    labels = numpy_file(testing / "test_frame_mask" / f"{folder.name}.npy", dimensions=1) != 0
    frame_count = len(image_files(folder))
    if labels.size != frame_count:
        raise DatasetError(
            f"{folder}: want {labels.size} frames, as many as labels, got {frame_count}"
        )
    volume = testing / "test_pixel_mask" / f"{folder.name}.npy"
    return DatasetClip(
        folder.name,
        folder,
        FRAMES_PER_SECOND,
        np.asarray(labels, dtype=np.bool_),
        partial(mask_volume, volume) if volume.is_file() else None,
        _scene(folder.name),
    )


def _clip_folders(frames: Path) -> list[Path]:
    folders = _by_scene(path for path in entries(frames) if path.is_dir() and image_files(path))
    if not folders:
        raise DatasetError(
            f"{frames}: want folders with images such as 01_0014, found {listing(frames)}"
        )
    return folders


def _by_scene(paths: Iterable[Path]) -> list[Path]:
    """Those named after a scene and a number in it, in the order of both."""
    return sorted(
        (path for path in paths if len(numbers_in(path.stem)) == 2),
        key=lambda path: numbers_in(path.stem),
    )


def _scene(name: str) -> str:
    return f"{numbers_in(name)[0]:02d}"
