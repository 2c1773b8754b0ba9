"""Recordings of a made street: a video file, a folder of images."""

from fractions import Fraction
from pathlib import Path

import av
import cv2

from cameras import SourceOptions, open_source
from cameras.sampling import Sampler
from cameras.synthetic import SyntheticStreet
from cameras.video_file import VideoFile

STREET_FRAMES_PER_SECOND = 20
STREET_SECONDS = 12


def write_street(path: Path, seed: int) -> None:
    """Encode a made street, H.264."""
    street = SyntheticStreet(seed, frames_per_second=STREET_FRAMES_PER_SECOND)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=STREET_FRAMES_PER_SECOND)
        stream.height, stream.width = street.size_hw
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, STREET_FRAMES_PER_SECOND)
        for number in range(STREET_SECONDS * STREET_FRAMES_PER_SECOND):
            frame = av.VideoFrame.from_ndarray(street.render(number).pixels, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


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
