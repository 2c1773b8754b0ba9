"""The source interface: the common view of every camera, file and folder.

A source is ONE connection and never retries. Iteration ends normally at the end of a file;
everything else is a `SourceError`:

    SourceError(code)
      refused        nothing listens at that address
      unauthorised   access is denied: user, password, permissions, or authentication scheme
      not_found      no such file, folder or stream path; unknown host
      timeout        nothing arrived within the stall time-out
      codec          no decoder, or no video stream, or no frame at all
      corrupt        too many consecutive damaged frames, or a truncated container
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
"""Called with every packet before it is decoded, in the reading thread; must return quickly."""
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
            permanent: A retry cannot succeed, as for a missing file.
        """
        super().__init__(message)
        self.code: ErrorCode = code
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """Properties of an open stream."""

    size_hw: tuple[int, int]
    """Height and width of the frames as displayed."""
    codec: str
    """Name of the codec, such as "h264"; "images" for a folder, "synthetic" for a drawn scene."""
    frames_per_second: float | None
    """Announced rate; None where the stream announces none."""
    frame_count: int | None
    """Number of frames where known in advance; None for live streams."""
    live: bool
    """True where frames that are not read in time are lost."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One decoded video frame with validated stream time, before it becomes a camera's `Frame`."""

    pts_seconds: float
    """Presentation time, strictly increasing within the connection."""
    captured_at: float
    """Wall clock at arrival, Unix seconds UTC."""
    image: Pixels | Callable[[], Pixels]
    """The pixels, or a function that converts them; most frames of a fast stream go unused."""
    decode_errors: int = 0
    """Frames of this connection before it that were damaged or not decodable, in total; they are
    skipped."""
    late: int = 0
    """Packets of this connection that were skipped undecoded because they were late, in total."""
    keyframe: bool = True
    """It was encoded independently of all other frames, or not encoded at all."""
    display_matrix: tuple[int, ...] | None = None
    """Nine numbers in FFmpeg's layout that rotate or mirror the encoded frame; None: upright."""

    @property
    def pixels(self) -> Pixels:
        """uint8 (H, W, 3), RGB, contiguous; converted on first access, then cached."""
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
        """Properties of the open stream."""
        ...

    def __iter__(self) -> Iterator[Picture]:
        """Yield frames in time order; end of file ends the iteration.

        Raises:
            SourceError: the connection was lost.
        """
        ...


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How to open a source; each kind of source uses the options that apply to it."""

    transport: Literal["tcp", "udp"] = "tcp"
    """How an RTSP camera sends its packets: inside the control connection, or by UDP."""
    stall_timeout_seconds: float = 10.0
    """A live connection without a frame for this long is lost."""
    pace: Literal["live", "fast"] = "live"
    """Files, folders and synthetic scenes: paced by their time stamps, or as fast as possible."""
    frames_per_second: float | None = None
    """Rate of a folder of images; None = 10."""
    kind: Literal["auto", "live", "file"] = "auto"
    """HTTP: an endless stream, or a recording; auto: by the suffix of the path."""
    catch_up: bool = True
    """Live streams with time stamps: skip and count packets that arrive too late."""
    repeat_damaged: bool = False
    """Files and folders: repeat the previous frame in place of a damaged one, so that labels given
    by position still match; else damaged frames are skipped."""

    def __post_init__(self) -> None:
        """Reject invalid values.

        Raises:
            ValueError: a time-out or a rate is not above 0.
        """
        if not self.stall_timeout_seconds > 0:
            raise ValueError(f"stall time-out: want > 0 s, got {self.stall_timeout_seconds}")
        if self.frames_per_second is not None and not self.frames_per_second > 0:
            raise ValueError(f"frames per second: want > 0, got {self.frames_per_second}")
