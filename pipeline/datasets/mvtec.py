"""Images in the layout of MVTec AD; many other industrial data sets come in it.

    <category>/
      train/good/000.png …
      test/good/000.png …
      test/<defect>/000.png …
      ground_truth/<defect>/000_mask.png …    none for good images

Each category is a scene, and each image a clip of one frame; a model of longer clips sees the frame
repeated. Masks are found by name, not by order. Without `ground_truth` there are labels only.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.datasets.layout import (
    Dataset,
    DatasetClip,
    DatasetError,
    Mask,
    entries,
    image_files,
    listing,
)
from pipeline.datasets.masks import mask_image

_GOOD = "good"
_PARTS = ("train/good", "test")


def load_mvtec(root: Path) -> Dataset:
    """Find one category, or all that are there.

    Args:
        root: The folder of a category, or the folder around several.

    Raises:
        DatasetError: it is neither, or a mask is missing.
    """
    categories = [root] if _is_category(root) else []
    if not categories and root.is_dir():
        categories = sorted(path for path in entries(root) if _is_category(path))
    if not categories:
        raise DatasetError(
            f"{root}: want a category with {' and '.join(_PARTS)}, or a folder of categories; "
            f"found {listing(root)}"
        )
    train = [
        DatasetClip(f"{category.name}/{path.stem}", path, None, scene=category.name)
        for category in categories
        for path in _images(category / "train" / _GOOD)
    ]
    test = [
        _test_clip(category, defect, path)
        for category in categories
        for defect in sorted(entries(category / "test"))
        if defect.is_dir()
        for path in _images(defect)
    ]
    title = categories[0].name if len(categories) == 1 else f"{len(categories)} categories"
    return Dataset("mvtec", f"MVTec layout, {title}", tuple(train), tuple(test), len(test))


def _test_clip(category: Path, defect: Path, image: Path) -> DatasetClip:
    anomalous = defect.name != _GOOD
    truth = category / "ground_truth"
    reader = None
    if truth.is_dir() and not anomalous:
        reader = partial(_nothing_in, image)
    elif truth.is_dir():
        mask = truth / defect.name / f"{image.stem}_mask.png"
        if not mask.is_file():
            raise DatasetError(f"{mask}: want the mask of {image}, got no such file")
        reader = partial(_single, mask)
    return DatasetClip(
        f"{category.name}/{defect.name}/{image.stem}",
        image,
        None,
        np.array([anomalous]),
        reader,
        category.name,
        defect.name if anomalous else "",
    )


def _single(path: Path) -> Iterator[Mask]:
    yield mask_image(path)


def _nothing_in(image: Path) -> Iterator[Mask]:
    """The mask of a good image, which is as large as the image."""
    yield np.zeros_like(mask_image(image))


def _is_category(folder: Path) -> bool:
    return all((folder / part).is_dir() for part in _PARTS)


def _images(folder: Path) -> list[Path]:
    images = image_files(folder)
    if not images:
        raise DatasetError(f"{folder}: want images, found {listing(folder)}")
    return images
