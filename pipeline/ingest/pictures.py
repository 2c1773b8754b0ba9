"""Which frames carry a picture for people, of the size and shape of the source.

Encoding one takes 2 to 7 ms, nearly as long as scoring a frame. So one frame a second has one, and
every frame while the scorer requests them, near an event.
"""

import time
from collections.abc import Callable

INTERVAL_SECONDS = 1.0
"""Between two pictures while no score is high."""


class PictureRequests:
    """Decides which frames get a picture; written by one thread and read by another."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with a request for the first frame.

        Args:
            clock: Monotonic, seconds.
        """
        self._clock = clock
        self._due_at = -float("inf")
        self.every = False
        """Whether every frame gets one."""

    def take(self) -> bool:
        """Whether the next frame gets one; it counts as encoded."""
        now = self._clock()
        if not self.every and now < self._due_at:
            return False
        self._due_at = now + INTERVAL_SECONDS
        return True

    def lost(self) -> None:
        """Request another one, as the last one was dropped with its frame."""
        self._due_at = -float("inf")
