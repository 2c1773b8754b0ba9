"""The source seam: what every camera, file and folder looks like to the rest of the house.

A source knows ONE connection and never retries. Iteration ends normally at the end of a file;
everything else is a `SourceError`:

    SourceError(code)
      refused        nobody listens at that address
      unauthorised   it does not let us in: user, password, rights, or way of logging in
      not_found      no such file, folder or stream path; unknown host
      timeout        nothing arrived within the stall time-out
      codec          no decoder, or no video stream, or no frame at all
      corrupt        too many damaged pictures in a row, or a truncated container
      ended          a live stream ended (the camera closed the connection)

Only `cameras.supervisor` reconnects.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from av import Packet
    from av.video.stream import VideoStream

Pixels = npt.NDArray[np.uint8]
PacketTap = Callable[["Packet[VideoStream]"], None]
"""Shown every packet before it is decoded, in the thread that reads; it must be quick."""
ErrorCode = Literal["refused", "unauthorised", "not_found", "timeout", "codec", "corrupt", "ended"]


class SourceError(Exception):
    """A connection that could not be opened, or was lost.

    The message says what was got, what was wanted and where, with credentials removed.
    """

    def __init__(self, code: ErrorCode, message: str, *, permanent: bool = False) -> None:
        """Describe a failure.

        Args:
            code: What kind it is.
            message: What was got, what was wanted and where, without credentials.
            permanent: Trying again would not help, as with a file that is not there.
        """
        super().__init__(message)
        self.code: ErrorCode = code
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a stream once it is open."""

    size_hw: tuple[int, int]
    """Height and width of the pictures as they are shown."""
    codec: str
    """Name of the codec, such as "h264"; "images" for a folder, "synthetic" for a made scene."""
    frames_per_second: float | None
    """Announced rate; None where the stream does not say."""
    frame_count: int | None
    """Number of frames where it is known beforehand; None for live streams."""
    live: bool
    """True where frames that are not taken in time are lost."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One decoded picture with validated stream time, before it becomes a camera's `Frame`."""

    pts_seconds: float
    """Presentation time, strictly increasing within the connection."""
    captured_at: float
    """Wall clock at arrival, Unix seconds UTC."""
    image: Pixels | Callable[[], Pixels]
    """The pixels, or what makes them: most pictures of a fast stream are looked at by nobody."""
    decode_errors: int = 0
    """Pictures of this connection that were damaged or could not be decoded before it, in all; they
    are passed over."""
    late: int = 0
    """Packets of this connection that were passed over undecoded, being too late, in all."""
    keyframe: bool = True
    """It was encoded independently of all others, or not at all."""
    display_matrix: tuple[int, ...] | None = None
    """Nine numbers in FFmpeg's layout by which the encoded picture is turned; None: not at all."""

    @property
    def pixels(self) -> Pixels:
        """uint8 (H, W, 3), RGB, contiguous; made when first asked for, and then kept."""
        if callable(self.image):
            object.__setattr__(self, "image", self.image())
        return cast(Pixels, self.image)


@runtime_checkable
class Source(Protocol):
    """One connection: open it by `with`, read `info`, iterate once."""

    def __enter__(self) -> Self:
        """Open the connection.

        Raises:
            SourceError: it cannot be opened.
        """
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection; safe to call twice."""
        ...

    @property
    def info(self) -> SourceInfo:
        """What is known of the open stream."""
        ...

    def __iter__(self) -> Iterator[Picture]:
        """Yield pictures in time order; end of file ends the iteration.

        Raises:
            SourceError: the connection was lost.
        """
        ...


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
