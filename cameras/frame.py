"""One sampled and resized video frame of one camera."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cameras.blindness import Blindness


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One video frame of one camera."""

    camera: str
    """Name of the camera in the configuration."""
    connection: int
    """Number of the connection that delivered the frame; strictly increasing for one camera.

    For a live camera it counts up from the number of the ingest process, for a file from the number
    of the run; both increase from one to the next, independent of the wall clock.
    """
    index: int
    """Position among the frames of this connection, counted from 0 without gaps."""
    pts_seconds: float
    """Presentation time, strictly increasing within a connection."""
    captured_at: float
    """Wall clock at arrival, Unix seconds UTC; staleness is measured from here."""
    pixels: npt.NDArray[np.uint8]
    """uint8 (H, W, 3), RGB, contiguous; treat as read-only."""
    blind: Blindness | None = None
    """Why it shows nothing (see `Blindness`); None: it has visible content."""
    source_hw: tuple[int, int] | None = None
    """Height and width of the source frame; None: those of the pixels."""
    picture: npt.NDArray[np.uint8] | None = None
    """The source frame as JPEG for display, uint8 (N,), at most 1280 pixels wide or high; None: not
    requested."""

    def __post_init__(self) -> None:
        """Reject pixels of another shape or type.

        Raises:
            ValueError: the pixels are not a contiguous uint8 (H, W, 3) array.
        """
        pixels = self.pixels
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(
                f"camera {self.camera}: want pixels uint8 (H, W, 3), "
                f"got {pixels.dtype} {tuple(pixels.shape)}"
            )
        if not pixels.flags.c_contiguous:
            raise ValueError(f"camera {self.camera}: want contiguous pixels")

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.pixels.shape[0]), int(self.pixels.shape[1])

    def __repr__(self) -> str:
        height, width = self.size_hw
        return (
            f"Frame({self.camera!r}, connection={self.connection}, index={self.index}, "
            f"pts={self.pts_seconds:.3f}s, {height}x{width})"
        )
