"""What a person may say about how a source is opened."""

from dataclasses import dataclass
from typing import Literal


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
    kind: Literal["auto", "live", "file"] = "auto"
    """HTTP: an endless stream, or a recording; auto: as the name ends."""
    catch_up: bool = True
    """Live streams with time stamps: pass over what comes too late, and count it."""
    repeat_damaged: bool = False
    """Files and folders: give the picture before in the place of a damaged one, so that labels
    given by position still fit; else damaged ones are passed over."""

    def __post_init__(self) -> None:
        """Refuse values without meaning.

        Raises:
            ValueError: a time-out or a rate is not above 0.
        """
        if not self.stall_timeout_seconds > 0:
            raise ValueError(f"stall time-out: want > 0 s, got {self.stall_timeout_seconds}")
        if self.frames_per_second is not None and not self.frames_per_second > 0:
            raise ValueError(f"frames per second: want > 0, got {self.frames_per_second}")
