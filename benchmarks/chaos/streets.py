"""Streets shown to the cameras of a chaos run: drawn beforehand, repeated."""

import math
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Self

import cv2

from benchmarks.recordings import write_video
from cameras.frame_directory import read_image
from cameras.pacing import Pacer
from cameras.simulation import ANOMALY_KINDS, PlannedAnomaly, SyntheticStreet
from cameras.source import Picture, Pixels, SourceInfo

FRAMES_PER_SECOND = 10
SIZE_HW = (240, 320)
PERIOD_SECONDS = 90.0
PLANNED = tuple(
    PlannedAnomaly(kind, 40.0 + 10.0 * number, 5.0) for number, kind in enumerate(ANOMALY_KINDS)
)


def draw_street(folder: Path, seed: int) -> None:
    """Draw one period of a street with its planned anomalies, one JPEG a frame."""
    cv2.setNumThreads(1)
    street = SyntheticStreet(seed, SIZE_HW, FRAMES_PER_SECOND, PLANNED)
    folder.mkdir()
    for number in range(int(PERIOD_SECONDS * FRAMES_PER_SECOND)):
        pixels = cv2.cvtColor(street.render(number).pixels, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"{number:04d}.jpg"), pixels)


def write_film(path: Path, pictures: Path) -> None:
    """Encode the pictures of `draw_street`, H.264."""
    write_video(path, map(read_picture, sorted(pictures.iterdir())), FRAMES_PER_SECOND)


def read_picture(path: Path) -> Pixels:
    """uint8 (H, W, 3), RGB."""
    pixels = read_image(path)
    assert pixels is not None, f"{path} cannot be read"
    return pixels


class Reel:
    """Source of a street whose time runs from a given start, independent of connections."""

    def __init__(self, folder: Path, shown_at: float) -> None:
        """Take the pictures of `draw_street`; `shown_at`: Unix seconds of the first."""
        self._paths = sorted(folder.iterdir())
        self._shown_at = shown_at
        self._pacer = Pacer("live")

    def __enter__(self) -> Self:
        """Nothing to open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release a waiting reader."""
        self._pacer.close()

    @property
    def info(self) -> SourceInfo:
        """Properties of the street."""
        return SourceInfo(SIZE_HW, "images", FRAMES_PER_SECOND, None, live=True)

    def __iter__(self) -> Iterator[Picture]:
        """Yield pictures without end."""
        first = math.ceil((time.time() - self._shown_at) * FRAMES_PER_SECOND)
        for number in count(first):
            path = self._paths[number % len(self._paths)]
            pixels = read_picture(path)
            self._pacer.wait_until((number - first) / FRAMES_PER_SECOND)
            yield Picture((number - first) / FRAMES_PER_SECOND, time.time(), pixels)
