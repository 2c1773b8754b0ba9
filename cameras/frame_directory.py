"""A folder of images as a source: one frame per file, in natural order (UCSD, Avenue)."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from cameras import jpeg
from cameras.folders import IMAGE_SUFFIXES, images_in, visible
from cameras.pacing import Pace, Pacer
from cameras.packet_decoder import DamageTap
from cameras.source import ErrorCode, Picture, SourceError, SourceInfo


class FrameDirectory:
    """One pass through a folder of images; every error is permanent."""

    def __init__(
        self, folder: Path, frames_per_second: float, pace: Pace, repeat_damaged: bool = False
    ) -> None:
        """Store what to open.

        Args:
            folder: Holds the images directly; hidden files and other suffixes are skipped.
            frames_per_second: Rate at which they were taken, > 0.
            pace: "live" at that rate, "fast" without waits.
            repeat_damaged: Repeat the previous image in place of a damaged one.
        """
        self._folder = folder
        self._frames_per_second = frames_per_second
        self._pacer = Pacer(pace)
        self._repeat_damaged = repeat_damaged
        self.on_damaged: DamageTap | None = None
        self._paths: list[Path] = []
        self._info: SourceInfo | None = None

    def __enter__(self) -> Self:
        """List the images and read the first.

        Raises:
            SourceError: not_found where there is no image, corrupt where none can be read.
        """
        if not self._folder.is_dir():
            raise self._error("not_found", "want a folder of images, found none")
        self._paths = images_in(self._folder)
        if not self._paths:
            got = ", ".join(path.name for path in visible(self._folder)[:3]) or "nothing"
            wanted = " ".join(sorted(IMAGE_SUFFIXES))
            raise self._error("not_found", f"want images ({wanted}), got {got}")
        first = next((one for path in self._paths if (one := read_image(path)) is not None), None)
        if first is None:
            raise self._error("corrupt", f"none of its {len(self._paths)} images can be read")
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
        """Release a waiting reader."""
        self._pacer.close()

    @property
    def info(self) -> SourceInfo:
        """Properties of the folder.

        Raises:
            RuntimeError: it is not open.
        """
        if self._info is None:
            raise RuntimeError(f"{self._folder}: not open")
        return self._info

    def __iter__(self) -> Iterator[Picture]:
        """Yield every intact image; the position of an image gives its time.

        Raises:
            SourceError: damaged images are to be repeated, and the first one is damaged.
        """
        previous: npt.NDArray[np.uint8] | None = None
        damaged = 0
        for index, path in enumerate(self._paths):
            pixels = read_image(path)
            if pixels is None:
                damaged += 1
                if self.on_damaged is not None:
                    self.on_damaged(1)
                if not self._repeat_damaged:
                    continue
                pixels = previous
            if pixels is None:
                raise self._error("corrupt", f"its first image {path.name} cannot be read")
            previous = pixels
            pts_seconds = index / self._frames_per_second
            self._pacer.wait_until(pts_seconds)
            yield Picture(pts_seconds, time.time(), pixels, damaged)

    def _error(self, code: ErrorCode, message: str) -> SourceError:
        return SourceError(code, f"{self._folder}: {message}", permanent=True)


def read_image(path: Path) -> npt.NDArray[np.uint8] | None:
    """Read an image as uint8 (H, W, 3) RGB, also for greyscale; None where it is damaged."""
    try:
        encoded = path.read_bytes()
    except OSError:
        return None
    if encoded.startswith(jpeg.BEGIN):
        if not jpeg.is_complete(encoded):
            return None
        encoded += jpeg.END  # OpenCV rejects images without the end marker
    try:
        decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # such as for an empty file
        return None
    if decoded is None:
        return None
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)
