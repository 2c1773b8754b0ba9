"""Data types of benchmarks, and helpers of their loaders."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cameras import Picture, SourceOptions, open_source
from cameras.folders import IMAGE_SUFFIXES, visible
from cameras.frame_directory import read_image

Mask = npt.NDArray[np.bool_]
"""Anomalous pixels of one frame, (H, W), True = anomalous."""

_NAMES_SHOWN = 6


class DatasetError(ValueError):
    """A folder that is not the data set: what was wanted, what was found, and where."""


@dataclass(frozen=True, slots=True, eq=False)
class DatasetClip:
    """One clip of a benchmark: its path, labels and masks."""

    name: str
    """As in the data set, such as "Test001"."""
    path: Path
    """A folder of images or a video file, as `cameras.open_source` takes it; or one image."""
    frames_per_second: float | None
    """Rate of a folder of images; None for a video, which has time stamps, and for an image."""
    labels: npt.NDArray[np.bool_] | None = None
    """(frames,), True = anomalous; None in the Train split, which is normal throughout."""
    masks: Callable[[], Iterator[Mask]] | None = None
    """Reads the masks, one a frame, in order; None where there are none."""
    scene: str = ""
    """Which of the data set's cameras; the support of a clip comes from the same one."""
    kind: str = ""
    """Kind of its anomalies; empty where the data set names none, and of a normal clip."""

    @property
    def place(self) -> str:
        """Name that results are grouped by: the clip, or for single images the scene."""
        return self.scene if self.still else self.name

    @property
    def still(self) -> bool:
        """Whether it is a single image."""
        return self.path.suffix.lower() in IMAGE_SUFFIXES

    def read_masks(self) -> Iterator[Mask]:
        """The masks, one a frame, in order; nothing where there are none.

        Raises:
            DatasetError: a mask cannot be read.
        """
        return iter(()) if self.masks is None else self.masks()


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """The clips of one camera."""

    name: str
    """Empty where the data set has a single one."""
    train: tuple[DatasetClip, ...]
    """Normal clips; supports are drawn from them."""
    test: tuple[DatasetClip, ...]
    """Labelled clips, at least one."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """One benchmark on disk."""

    name: str
    """As on the command line."""
    title: str
    """Display name."""
    train: tuple[DatasetClip, ...]
    """Normal clips; supports are drawn from them."""
    test: tuple[DatasetClip, ...]
    """Labelled clips, those of a scene one after the other."""
    test_clips_published: int
    """Test clips of the whole data set; a result on fewer is not a result on it."""

    def __post_init__(self) -> None:
        """Check that the test clips of each scene are contiguous.

        Raises:
            DatasetError: they are not.
        """
        runs = [name for name, _ in groupby(clip.scene for clip in self.test)]
        if len(runs) != len(set(runs)):
            raise DatasetError(
                f"{self.title}: want the test clips of a scene one after the other, "
                f"got {', '.join(runs)}"
            )

    @property
    def coverage(self) -> str:
        """To add to the title: ", 6 of 21 clips"; empty where all test clips are there."""
        if len(self.test) == self.test_clips_published:
            return ""
        return f", {len(self.test)} of {self.test_clips_published} clips"

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """The scenes that have test clips, in their order."""
        return tuple(
            Scene(
                name,
                tuple(clip for clip in self.train if clip.scene == name),
                tuple(clip for clip in self.test if clip.scene == name),
            )
            for name in dict.fromkeys(clip.scene for clip in self.test)
        )

    @property
    def labels(self) -> npt.NDArray[np.bool_]:
        """Labels of all test clips, one after the other."""
        return np.concatenate([clip.labels for clip in self.test if clip.labels is not None])


def number_in(name: str) -> int | None:
    """The last run of digits of a name as a number: "Test012" → 12, "01.avi" → 1."""
    numbers = numbers_in(name)
    return numbers[-1] if numbers else None


def numbers_in(name: str) -> tuple[int, ...]:
    """All runs of digits of a name as numbers: "01_0014" → (1, 14)."""
    return tuple(int(digits) for digits in re.findall(r"\d+", name))


def entries(folder: Path) -> list[Path]:
    """What is in a folder in numeric order, without hidden files."""
    return sorted(visible(folder), key=lambda path: (number_in(path.stem) or 0, path.name))


def image_files(folder: Path) -> list[Path]:
    """Images of a folder in numeric order."""
    return [path for path in entries(folder) if path.suffix.lower() in IMAGE_SUFFIXES]


def listing(folder: Path) -> str:
    """What is in a folder, for messages."""
    if not folder.is_dir():
        return "no such folder" if not folder.exists() else "a file"
    names = [path.name for path in entries(folder)]
    if not names:
        return "an empty folder"
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


def first_with(places: Iterable[Path], wanted: tuple[str, ...], root: Path, title: str) -> Path:
    """The first place that has all the wanted files and folders.

    Raises:
        DatasetError: none has.
    """
    for place in places:
        if all((place / name).exists() for name in wanted):
            return place
    raise DatasetError(
        f"{root}: want {title}, that is, a folder with {', '.join(wanted)}; found {listing(root)}"
    )


def read_frames(clip: DatasetClip) -> Iterator[Picture]:
    """Decode a clip without pacing.

    A damaged frame is replaced by the one before it, so that frames and labels stay aligned.

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


def only_scenes(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """The part of a data set with the scenes of these names; all of it for none.

    Raises:
        DatasetError: it has no such scene.
    """
    if not names:
        return dataset
    known = [scene.name for scene in dataset.scenes]
    missing = [name for name in names if name not in known]
    if missing:
        raise DatasetError(
            f"{dataset.title}: want scenes among {', '.join(known)}, got {', '.join(missing)}"
        )
    return replace(
        dataset,
        train=tuple(clip for clip in dataset.train if clip.scene in names),
        test=tuple(clip for clip in dataset.test if clip.scene in names),
    )
