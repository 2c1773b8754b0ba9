"""Reading the masks of anomalous pixels, one frame at a time where the format allows it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cameras.frame_directory import read_image
from pipeline.datasets.layout import DatasetError, Mask, image_files


def mask_images(folder: Path) -> Iterator[Mask]:
    """A folder with one image a frame, in numeric order; what is not black is anomalous.

    Raises:
        DatasetError: an image cannot be read.
    """
    for path in image_files(folder):
        yield mask_image(path)


def mask_image(path: Path) -> Mask:
    """One image; what is not black is anomalous.

    Raises:
        DatasetError: it cannot be read.
    """
    pixels = read_image(path)
    if pixels is None:
        raise DatasetError(f"{path}: want an image with a mask, which cannot be read")
    return np.asarray((pixels > 0).any(axis=2))


def mask_volume(path: Path) -> Iterator[Mask]:
    """A NumPy file (frames, H, W); what is not 0 is anomalous.

    Raises:
        DatasetError: it is not such a file.
    """
    for mask in numpy_file(path, dimensions=3, mapped=True):
        yield np.asarray(mask != 0)


def numpy_file(path: Path, dimensions: int, mapped: bool = False) -> npt.NDArray[Any]:
    """The array in a NumPy file.

    Args:
        path: The file.
        dimensions: How many it must have.
        mapped: Map the file into memory instead of reading it.

    Raises:
        DatasetError: no such file, another format, or another number of dimensions.
    """
    try:
        content: npt.NDArray[Any] = np.load(path, mmap_mode="r" if mapped else None)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{path}: cannot be read as a NumPy file: {error}") from error
    if content.ndim != dimensions:
        raise DatasetError(
            f"{path}: want {dimensions} dimensions, got {content.ndim}: {content.shape}"
        )
    return content
