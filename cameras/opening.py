"""From an address to a source that is ready to be opened."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cameras.address import kind_of
from cameras.source import Source


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How to open a source; each kind takes what concerns it."""

    transport: Literal["tcp", "udp"] = "tcp"
    """How an RTSP camera sends its packets: inside the control connection, or beside it."""
    stall_timeout_seconds: float = 10.0
    """An RTSP connection without a picture for this long is lost."""
    pace: Literal["live", "fast"] = "live"
    """Files, folders and made scenes: as their time stamps say, or as fast as possible."""
    frames_per_second: float | None = None
    """Rate of a folder of images; None = 10."""

    def __post_init__(self) -> None:
        """Refuse values without meaning.

        Raises:
            ValueError: a time-out or a rate is not above 0.
        """
        if not self.stall_timeout_seconds > 0:
            raise ValueError(f"stall time-out: want > 0 s, got {self.stall_timeout_seconds}")
        if self.frames_per_second is not None and not self.frames_per_second > 0:
            raise ValueError(f"frames per second: want > 0, got {self.frames_per_second}")


def open_source(address: str, options: SourceOptions) -> Source:
    """Choose the source for an address; nothing is touched before its `with`.

    Each kind is imported where it is chosen, so that a file needs no synthetic street.

    Args:
        address: "rtsp://…", "synthetic:…", or the path of a video file or a folder of images.
        options: How to open it.

    Raises:
        ValueError: the address is malformed or has a scheme that nobody here speaks.
    """
    match kind_of(address):
        case "rtsp":
            from cameras.rtsp import RtspStream

            return RtspStream(address, options.transport, options.stall_timeout_seconds)
        case "synthetic":
            from cameras.synthetic import open_synthetic

            return open_synthetic(address, options)
        case "path" if Path(address).is_dir():
            from cameras.frame_directory import FrameDirectory

            return FrameDirectory(Path(address), options.frames_per_second or 10.0, options.pace)
        case "path":
            from cameras.video_file import VideoFile

            return VideoFile(Path(address), options.pace)
