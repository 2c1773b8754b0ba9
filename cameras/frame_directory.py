"""A folder of images as a source: one picture a file, in natural order (UCSD, Avenue)."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from cameras.pacing import Pace, Pacer
from cameras.source import ErrorCode, Picture, SourceError, SourceInfo

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff")


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Sort key in which "9.tif" comes before "10.tif"."""
    parts = re.split(r"(\d+)", name.lower())
    return tuple((int(part), part) if part.isdecimal() else (-1, part) for part in parts)


class FrameDirectory:
    """One pass through a folder of images; every error is permanent."""

    def __init__(self, folder: Path, frames_per_second: float, pace: Pace) -> None:
        """Remember what to open.

        Args:
            folder: Holds the images directly; hidden files and other suffixes are passed over.
            frames_per_second: Rate at which they were taken, > 0.
            pace: "live" at that rate, "fast" as the reader takes them.
        """
        self._folder = folder
        self._frames_per_second = frames_per_second
        self._pacer = Pacer(pace)
        self._paths: list[Path] = []
        self._info: SourceInfo | None = None

    def __enter__(self) -> Self:
        """List the images and read the first.

        Raises:
            SourceError: not_found where there is no image, corrupt where the first is unreadable.
        """
        if not self._folder.is_dir():
            raise self._error("not_found", "want a folder of images, found none")
        names = [path.name for path in self._folder.iterdir() if not path.name.startswith(".")]
        images = [name for name in names if name.lower().endswith(SUFFIXES)]
        if not images:
            seen = ", ".join(sorted(names)[:3]) or "nothing"
            raise self._error("not_found", f"want images ({' '.join(SUFFIXES)}), got {seen}")
        self._paths = [self._folder / name for name in sorted(images, key=natural_key)]
        first = read_image(self._paths[0])
        if first is None:
            raise self._error("corrupt", f"its first image {self._paths[0].name} is unreadable")
        self._info = SourceInfo(
            size_hw=(first.shape[0], first.shape[1]),
            codec="images",
            frames_per_second=self._frames_per_second,
            frame_count=len(self._paths),
            live=False,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let a waiting reader go on."""
        self._pacer.close()

    @property
    def info(self) -> SourceInfo:
        """What is known of the folder.

        Raises:
            RuntimeError: it is not open.
        """
        if self._info is None:
            raise RuntimeError(f"{self._folder}: not open")
        return self._info

    def __iter__(self) -> Iterator[Picture]:
        """Yield one picture for every file.

        In the place of an unreadable image comes the picture before it, counted as a decode error,
        so that labels given by position still fit.

        Raises:
            SourceError: the first image has become unreadable.
        """
        previous: npt.NDArray[np.uint8] | None = None
        failures = 0
        for index, path in enumerate(self._paths):
            pixels = read_image(path)
            if pixels is None:
                failures += 1
                pixels = previous
            if pixels is None:
                raise self._error("corrupt", f"its first image {path.name} is unreadable")
            previous = pixels
            pts_seconds = index / self._frames_per_second
            self._pacer.wait_until(pts_seconds)
            yield Picture(pts_seconds, time.time(), pixels, failures)

    def _error(self, code: ErrorCode, message: str) -> SourceError:
        return SourceError(code, f"{self._folder}: {message}", permanent=True)


def read_image(path: Path) -> npt.NDArray[np.uint8] | None:
    """Read an image as uint8 (H, W, 3) RGB, grey ones too; None where it is unreadable."""
    try:
        encoded = np.fromfile(path, dtype=np.uint8)
    except OSError:
        return None
    if encoded.size == 0:
        return None
    try:
        decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    if decoded is None:
        return None
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)
