"""Recordings of what a camera sees: video files, a folder of images."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2

from cameras import SourceOptions, open_source
from cameras.sampling import Sampler
from cameras.simulation import SyntheticStreet
from cameras.source import Pixels
from cameras.video_file import VideoFile

STREET_FRAMES_PER_SECOND = 20
STREET_SECONDS = 12


def write_video(path: Path, pictures: Iterable[Pixels], frames_per_second: int) -> None:
    """Encode pictures of one even size, H.264.

    Args:
        path: Of a file to be written.
        pictures: uint8 (H, W, 3), RGB.
        frames_per_second: Of what is written.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=frames_per_second)
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, frames_per_second)
        for number, picture in enumerate(pictures):
            if number == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_street(path: Path, seed: int) -> None:
    """Encode a synthetic street, H.264."""
    street = SyntheticStreet(seed, frames_per_second=STREET_FRAMES_PER_SECOND)
    count = STREET_SECONDS * STREET_FRAMES_PER_SECOND
    pictures = (street.render(number).pixels for number in range(count))
    write_video(path, pictures, STREET_FRAMES_PER_SECOND)


def write_images(folder: Path, clip: Path) -> None:
    """Write every second picture of a clip as a JPEG."""
    folder.mkdir()
    with VideoFile(clip, "fast") as source:
        for number, picture in enumerate(source):
            if number % 2 == 0:
                pixels = cv2.cvtColor(picture.pixels, cv2.COLOR_RGB2BGR)
                cv2.imwrite(str(folder / f"{number:04d}.jpg"), pixels)


def sampled_frames(recording: Path, frames_per_second: float) -> int:
    """How many frames of a recording are to be scored in each pass."""
    sampler = Sampler(frames_per_second)
    with open_source(str(recording), SourceOptions(pace="fast")) as source:
        return sum(sampler.accept(picture.pts_seconds) for picture in source)
