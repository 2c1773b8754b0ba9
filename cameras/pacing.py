"""Delay the frames of a recording until their time."""

import threading
import time
from typing import Literal

Pace = Literal["live", "fast"]


class Pacer:
    """Paces a recording at its own rate; after a slow reader it catches up."""

    def __init__(self, pace: Pace) -> None:
        """Start the clock at the first frame.

        Args:
            pace: "live" waits for each frame's time; "fast" never waits.
        """
        self._pace = pace
        self._closed = threading.Event()
        self._started_at: float | None = None

    def wait_until(self, pts_seconds: float) -> None:
        """Return when this stream time is due, or at once after `close`."""
        if self._pace == "fast":
            return
        now = time.monotonic()
        if self._started_at is None:
            self._started_at = now - pts_seconds
        self._closed.wait(max(0.0, self._started_at + pts_seconds - now))

    def close(self) -> None:
        """Release a waiting thread."""
        self._closed.set()
