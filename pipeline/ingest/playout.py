"""Hands frames of a live camera on when they are due, in order, while others go on arriving."""

import threading
import time
from collections import deque
from collections.abc import Callable

from cameras.frame import Frame

_MOST_FRAMES = 128


class Playout:
    """Frames that are due go on at once, in the thread that brings them; the others wait in one."""

    def __init__(self, hand_on: Callable[[Frame], bool]) -> None:
        """Begin with none.

        Args:
            hand_on: Takes a frame without waiting; False where no more are wanted.
        """
        self._hand_on = hand_on
        self._waiting: deque[tuple[Frame, float]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wanted = True
        self._closed = False

    def offer(self, frame: Frame, due_seconds: float) -> bool:
        """Take the next frame; False where no more are wanted.

        Args:
            frame: Of a camera.
            due_seconds: When it is to be handed on, monotonic; not before the one before it.
        """
        with self._changed:
            if not self._waiting and due_seconds <= time.monotonic():
                self._wanted = self._wanted and self._hand_on(frame)
                return self._wanted
            self._waiting.append((frame, due_seconds))
            if len(self._waiting) > _MOST_FRAMES:
                self._pass_on_first()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="playout", daemon=True)
                self._thread.start()
            self._changed.notify()
            return self._wanted

    def close(self) -> None:
        """Hand on what waits, and end."""
        with self._changed:
            while self._waiting:
                self._pass_on_first()
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                if not self._waiting:
                    self._changed.wait()
                elif (left := self._waiting[0][1] - time.monotonic()) > 0:
                    self._changed.wait(left)
                else:
                    self._pass_on_first()

    def _pass_on_first(self) -> None:
        frame, _ = self._waiting.popleft()
        self._wanted = self._wanted and self._hand_on(frame)
