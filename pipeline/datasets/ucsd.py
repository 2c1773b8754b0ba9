"""UCSD Anomaly Detection Dataset, Ped1 and Ped2, as its archive unpacks.

    UCSD_Anomaly_Dataset.v1p2/
      UCSDped2/
        Train/Train001/001.tif …
        Test/Test001/001.tif …        grey, 10 frames a second
        Test/Test001_gt/001.bmp …     masks; all clips of Ped2, ten of Ped1
        Test/UCSDped2.m               labels

Frames may also be JPEG or PNG, and masks PNG. The label file has a line a test clip, such as
`TestVideoFile{end+1}.gt_frame = [5:90, 140:200];`: ranges of anomalous frames, counted from 1, both
ends included. One frame of Ped1, Test017/142.tif, is truncated in the archive; it is replaced by
the frame before it.
"""

import re
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.datasets.layout import (
    Dataset,
    DatasetClip,
    DatasetError,
    entries,
    first_with,
    image_files,
    listing,
    number_in,
)
from pipeline.datasets.masks import mask_images

FRAMES_PER_SECOND = 10.0

_ENTRY = re.compile(r"^[^%\n]*gt_frame\s*=\s*\[([^\]]*)\]", re.MULTILINE)
_RANGE = re.compile(r"(\d+)(?:\s*:\s*(\d+))?")

Subset = Literal["ped1", "ped2"]


def load_ucsd(root: Path, subset: Subset) -> Dataset:
    """Find one subset and its labels.

    Args:
        root: The unpacked archive, the folder around it, or the folder of the subset itself.
        subset: Which camera.

    Raises:
        DatasetError: it is not there, or its labels do not fit its clips.
    """
    folder, title = f"UCSD{subset}", f"UCSD {subset.capitalize()}"
    label_name = f"{folder}.m"
    place = first_with(
        (root, root / folder, root / "UCSD_Anomaly_Dataset.v1p2" / folder),
        ("Train", "Test", f"Test/{label_name}"),
        root,
        f"{title} ({folder})",
    )
    label_file = place / "Test" / label_name
    ranges = parse_labels(label_file)
    test = []
    for path in _clip_folders(place / "Test"):
        number = number_in(path.name)
        if number is None or not 1 <= number <= len(ranges):
            raise DatasetError(
                f"{path}: want one of the {len(ranges)} clips that {label_file} has labels for"
            )
        labels = _frame_labels(
            ranges[number - 1], len(image_files(path)), f"{label_file}, entry {number}"
        )
        masks = path.with_name(f"{path.name}_gt")
        reader = partial(mask_images, masks) if masks.is_dir() else None
        test.append(DatasetClip(path.name, path, FRAMES_PER_SECOND, labels, reader))
    train = [
        DatasetClip(path.name, path, FRAMES_PER_SECOND) for path in _clip_folders(place / "Train")
    ]
    return Dataset(f"ucsd-{subset}", title, tuple(train), tuple(test), len(ranges))


def parse_labels(path: Path) -> list[list[tuple[int, int]]]:
    """Ranges of anomalous frames of each test clip, counted from 1, both ends included.

    Raises:
        DatasetError: the file has no entry, or a range that runs backwards.
    """
    found: list[list[tuple[int, int]]] = []
    for entry in _ENTRY.findall(path.read_text(encoding="latin-1")):
        ranges = [(int(first), int(last or first)) for first, last in _RANGE.findall(entry)]
        wrong = [f"{first}:{last}" for first, last in ranges if not 1 <= first <= last]
        if wrong:
            raise DatasetError(
                f"{path}, entry {len(found) + 1}: want ranges that rise from 1, got {wrong[0]}"
            )
        found.append(ranges)
    if not found:
        raise DatasetError(f"{path}: want lines with gt_frame = [first:last], found none")
    return found


def _frame_labels(
    ranges: list[tuple[int, int]], frame_count: int, where: str
) -> npt.NDArray[np.bool_]:
    labels = np.zeros(frame_count, dtype=bool)
    for first, last in ranges:
        if last > frame_count:
            raise DatasetError(
                f"{where}: anomalous up to frame {last}, but the clip has {frame_count} frames"
            )
        labels[first - 1 : last] = True
    return labels


def _clip_folders(split: Path) -> list[Path]:
    """Clips of a split in numeric order, without the masks beside them."""
    folders = [path for path in entries(split) if path.is_dir() and not path.name.endswith("_gt")]
    clips = [path for path in folders if image_files(path)]
    if not clips:
        raise DatasetError(f"{split}: want folders with images, found {listing(split)}")
    return clips
