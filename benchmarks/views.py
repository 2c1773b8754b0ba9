"""Films of several views, and a camera source that switches between them.

The films show real scenes or synthetic streets; all have one size and rate. A view can also be
covered or out of focus.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from benchmarks.recordings import write_video
from cameras import SourceOptions, open_source
from cameras.pacing import Pacer
from cameras.sampling import Sampler
from cameras.simulation import SyntheticStreet
from cameras.simulation.rtsp_server import Mount
from cameras.source import Picture, Pixels, SourceInfo
from cameras.video_file import VideoFile
from pipeline.training.scenes import scene_files

FRAMES_PER_SECOND = 10
SIZE_HW = (240, 320)
FAULTS = ("covered", "defocused")
"""Films of a scene that `write_faults` adds to it."""
_STREET_SECONDS = 60
_BLUR_PIXELS = 4.0
_NOISE_LEVELS = 2.0
_FAULT_SECONDS = 20
_TURN_SECONDS = 10.0


def write_scene(folder: Path, name: str, collection: Path | None) -> Path:
    """Film of one scene, all its clips one after the other.

    Args:
        folder: Where to.
        name: Of a scene of the collection; without one, "street" and the seed of a synthetic
            street.
        collection: As `pipeline.training.scenes` reads it.

    Raises:
        DatasetError: the collection holds no scene.
        KeyError: not this one.
        SourceError: a clip cannot be decoded.
    """
    path = folder / f"{name}.mp4"
    if collection is None:
        seed = int(name.removeprefix("street"))
        street = SyntheticStreet(seed, SIZE_HW, frames_per_second=FRAMES_PER_SECOND)
        numbers = range(_STREET_SECONDS * FRAMES_PER_SECOND)
        pictures: Iterable[Pixels] = (street.render(number).pixels for number in numbers)
    else:
        pictures = sampled(scene_files(collection)[name])
    write_video(path, pictures, FRAMES_PER_SECOND)
    return path


def sampled(clips: Iterable[Path]) -> Iterator[Pixels]:
    """Pictures of clips at the common rate and size, uint8 (240, 320, 3)."""
    for clip in clips:
        sampler = Sampler(FRAMES_PER_SECOND)
        with open_source(str(clip), SourceOptions(pace="fast")) as source:
            for picture in source:
                if sampler.accept(picture.pts_seconds):
                    size = SIZE_HW[::-1]
                    yield np.asarray(cv2.resize(picture.pixels, size, interpolation=cv2.INTER_AREA))


def write_faults(film: Path) -> dict[str, Path]:
    """The same view without light, but for the noise of the camera, and out of focus."""
    noise = np.random.default_rng(0)
    paths = {fault: film.with_name(f"{film.stem}-{fault}.mp4") for fault in FAULTS}
    black = (
        np.asarray(np.clip(noise.normal(8, _NOISE_LEVELS, (*SIZE_HW, 3)), 0, 255), np.uint8)
        for _ in range(_FAULT_SECONDS * FRAMES_PER_SECOND)
    )
    write_video(paths["covered"], black, FRAMES_PER_SECOND)
    blurred = (
        np.asarray(cv2.GaussianBlur(one, (0, 0), _BLUR_PIXELS), np.uint8) for one in sampled([film])
    )
    write_video(paths["defocused"], blurred, FRAMES_PER_SECOND)
    return paths


class Projector:
    """A live camera source that loops one of several films; `show` switches to another.

    It is a source for any number of mounts, one at a time.
    """

    def __init__(self, films: Mapping[str, Path], first: str) -> None:
        """Take films of one size and rate; show the first from the beginning."""
        self._films = dict(films)
        self._wanted = first
        self._shown: str | None = None
        self._turned = threading.Event()
        self._turned_at = 0.0
        self._pacer = Pacer("live")

    @property
    def mount(self) -> Mount:
        """For an RTSP server."""
        return Mount(lambda: self, frames_per_second=FRAMES_PER_SECOND)

    def show(self, name: str) -> float:
        """Go on with another film, from its beginning.

        Returns:
            When its first picture was shown, Unix seconds.

        Raises:
            KeyError: there is no such film.
            TimeoutError: no reader takes frames.
        """
        if name not in self._films:
            raise KeyError(name)
        self._turned.clear()
        self._wanted = name
        if not self._turned.wait(_TURN_SECONDS):
            raise TimeoutError("no reader takes the frames of the projector")
        return self._turned_at

    def __enter__(self) -> Self:
        """Nothing to open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release a waiting reader."""
        self._pacer.close()

    @property
    def info(self) -> SourceInfo:
        """Properties of the films."""
        return SourceInfo(SIZE_HW, "images", FRAMES_PER_SECOND, None, live=True)

    def __iter__(self) -> Iterator[Picture]:
        """Yield pictures without end."""
        for number, (name, pixels) in enumerate(self._pictures()):
            pts_seconds = number / FRAMES_PER_SECOND
            self._pacer.wait_until(pts_seconds)
            now = time.time()
            if name != self._shown:
                self._shown, self._turned_at = name, now
                self._turned.set()
            yield Picture(pts_seconds, now, pixels)

    def _pictures(self) -> Iterator[tuple[str, Pixels]]:
        while True:
            name = self._wanted
            with VideoFile(self._films[name], "fast") as film:
                for picture in film:
                    if self._wanted != name:
                        break
                    yield name, picture.pixels
