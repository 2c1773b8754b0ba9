"""CUHK Avenue Dataset, as its two archives unpack.

    Avenue Dataset/
      training_videos/01.avi …      640x360, 25 frames a second
      testing_videos/01.avi …
    ground_truth_demo/
      testing_label_mask/1_label.mat …   not zero padded; beside the videos' folder or in it

A label file holds `volLabel`, an array of objects: one mask (H, W) a frame. A frame with any pixel
set is anomalous: 3,712 of the 15,324 frames. Some papers use another set of labels with 3,867.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from pipeline.datasets.layout import (
    Dataset,
    DatasetClip,
    DatasetError,
    Mask,
    entries,
    first_with,
    listing,
    number_in,
)

TEST_CLIPS = 21

_LABEL_FOLDERS = ("ground_truth_demo/testing_label_mask", "testing_label_mask")


def load_avenue(root: Path) -> Dataset:
    """Find the clips that are there, and the labels of the test clips.

    Args:
        root: The folder of the videos, or the folder around it.

    Raises:
        DatasetError: it is not there, or labels are missing or damaged.
    """
    place = first_with(
        (root, root / "Avenue Dataset", root / "Avenue_Dataset"),
        ("training_videos", "testing_videos"),
        root,
        "CUHK Avenue",
    )
    masks = _mask_folder(place, root)
    test = []
    for path in _videos(place / "testing_videos"):
        mask = masks / f"{number_in(path.stem)}_label.mat"
        labels = read_labels(mask)
        test.append(DatasetClip(path.stem, path, None, labels, partial(read_masks, mask)))
    train = [DatasetClip(path.stem, path, None) for path in _videos(place / "training_videos")]
    return Dataset("avenue", "Avenue", tuple(train), tuple(test), TEST_CLIPS)


def read_labels(path: Path) -> npt.NDArray[np.bool_]:
    """Whether any pixel of a frame is anomalous, (frames,).

    Raises:
        DatasetError: no such file, or not a label file.
    """
    return np.array([bool(mask.any()) for mask in read_masks(path)])


def read_masks(path: Path) -> Iterator[Mask]:
    """The masks of a clip in order; MATLAB files are read whole, so all of one clip at a time.

    Raises:
        DatasetError: no such file, or not a label file.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: want the labels of a test clip, got no such file")
    try:
        content = loadmat(path, variable_names=["volLabel"])
    except (MatReadError, ValueError, NotImplementedError, TypeError, OSError) as error:
        raise DatasetError(f"{path}: cannot be read as a MATLAB file: {error}") from error
    volume = content.get("volLabel")
    if volume is None:
        raise DatasetError(f"{path}: want the variable volLabel, which is not there")
    if volume.dtype != object or volume.size == 0:
        raise DatasetError(
            f"{path}: want volLabel as an array of masks, got {volume.dtype} {volume.shape}"
        )
    for mask in volume.ravel():
        yield np.asarray(mask) != 0


def _mask_folder(place: Path, root: Path) -> Path:
    for base in dict.fromkeys((place, root, place.parent)):
        for name in _LABEL_FOLDERS:
            if (base / name).is_dir():
                return base / name
    raise DatasetError(
        f"{root}: want the labels of CUHK Avenue, {_LABEL_FOLDERS[0]}, beside or in {place.name}; "
        f"found {listing(place)}"
    )


def _videos(split: Path) -> list[Path]:
    videos = [
        path
        for path in entries(split)
        if path.suffix.lower() == ".avi" and number_in(path.stem) is not None
    ]
    if not videos:
        raise DatasetError(f"{split}: want videos such as 01.avi, found {listing(split)}")
    return videos
