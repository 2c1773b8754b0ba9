"""Which frames carry a picture for people, of the size and shape of the source.

To encode one takes 2 to 7 ms, nearly as long as to score a frame. So not every frame has one: one a
second has, and every frame while the scorer says that the camera is near an event.
"""

import time
from collections.abc import Callable

INTERVAL_SECONDS = 1.0
"""From one picture to the next while nothing happens."""


class PictureRequests:
    """Which frames shall have a picture; written by one thread and read by another."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with a wish for the first frame.

        Args:
            clock: Seconds, never backwards.
        """
        self._clock = clock
        self._due_at = -float("inf")
        self.every = False
        """Whether every frame shall have one."""

    def take(self) -> bool:
        """Whether the next frame shall have one; it counts as made."""
        now = self._clock()
        if not self.every and now < self._due_at:
            return False
        self._due_at = now + INTERVAL_SECONDS
        return True

    def lost(self) -> None:
        """The last one was dropped with its frame."""
        self._due_at = -float("inf")
