"""Delays the frames of a live camera until they are due, in order, while others arrive."""

import threading
import time
from collections import deque
from collections.abc import Callable

from cameras.frame import Frame

_MOST_FRAMES = 128
"""Frames that wait at most; then the oldest is delivered early."""


class Playout:
    """Delivers frames that are due in the calling thread, and later ones in a thread of its own."""

    def __init__(
        self,
        deliver: Callable[[Frame], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start without frames.

        Args:
            deliver: Takes a frame without waiting; False where it accepts no more.
            monotonic: Clock in seconds.
        """
        self._deliver = deliver
        self._monotonic = monotonic
        self._waiting: deque[tuple[Frame, float]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._accepts = True
        self._closed = False

    def offer(self, frame: Frame, due_seconds: float) -> bool:
        """Take the next frame; False where no more are accepted.

        Args:
            frame: Of a camera.
            due_seconds: When it is to be delivered, monotonic; not before the one before it.
        """
        with self._changed:
            if not self._waiting and due_seconds <= self._monotonic():
                self._accepts = self._accepts and self._deliver(frame)
                return self._accepts
            self._waiting.append((frame, due_seconds))
            if len(self._waiting) > _MOST_FRAMES:
                self._deliver_first()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="playout", daemon=True)
                self._thread.start()
            self._changed.notify()
            return self._accepts

    def close(self) -> None:
        """Deliver the waiting frames, and end."""
        with self._changed:
            while self._waiting:
                self._deliver_first()
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                if not self._waiting:
                    self._changed.wait()
                elif (left := self._waiting[0][1] - self._monotonic()) > 0:
                    self._changed.wait(left)
                else:
                    self._deliver_first()

    def _deliver_first(self) -> None:
        frame, _ = self._waiting.popleft()
        self._accepts = self._accepts and self._deliver(frame)
