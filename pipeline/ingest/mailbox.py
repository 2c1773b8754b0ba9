"""The queue between decoder and sender: replaces frames of a live camera, makes a file wait."""

import threading
from collections import deque
from dataclasses import dataclass
from typing import Literal

from cameras.frame import Frame

Policy = Literal["newest", "wait"]


@dataclass(frozen=True, slots=True, eq=False)
class QueuedFrame:
    """A frame for the sender."""

    frame: Frame
    dropped: int
    """Frames of this connection that the mailbox replaced before this one, in all."""
    context: bool
    """True: done by an earlier process of this worker; only fills the clips of later frames."""


class Mailbox:
    """Hands frames from one thread to another, in order.

    "newest" holds one frame, which a newer one replaces: a live camera does not wait, so an old
    frame is worth less than a new one. "wait" holds a few and then makes the decoder wait: no frame
    of a file may be lost.
    """

    def __init__(self, policy: Policy, capacity: int) -> None:
        """Start empty and open.

        Args:
            policy: What happens when it is full.
            capacity: Frames that a "wait" mailbox holds, >= 1; "newest" always holds one.

        Raises:
            ValueError: no room for a frame.
        """
        if capacity < 1:
            raise ValueError(f"mailbox capacity: want >= 1 frame, got {capacity}")
        self._policy = policy
        self._capacity = capacity if policy == "wait" else 1
        self._queued_frames: deque[QueuedFrame] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._connection: int | None = None
        self._dropped = 0

    @property
    def policy(self) -> Policy:
        """What happens when it is full."""
        return self._policy

    @property
    def depth(self) -> int:
        """Frames inside."""
        return len(self._queued_frames)

    @property
    def exhausted(self) -> bool:
        """Whether it is closed and empty."""
        with self._changed:
            return self._closed and not self._queued_frames

    def put(self, frame: Frame, context: bool = False) -> Frame | None:
        """Add a frame; waits for room if the policy is "wait".

        Args:
            frame: Later than the one before.
            context: See `QueuedFrame.context`.

        Returns:
            The frame that is lost: the replaced one, or `frame` itself where the mailbox is closed.
            None: none.
        """
        with self._changed:
            if self._policy == "wait":
                self._changed.wait_for(self._has_room_or_closed)
            if self._closed:
                return frame
            if frame.connection != self._connection:
                self._connection, self._dropped = frame.connection, 0
            replaced = None
            if len(self._queued_frames) == self._capacity:
                replaced = self._queued_frames.popleft().frame
                if replaced.connection == frame.connection:
                    self._dropped += 1
            self._queued_frames.append(QueuedFrame(frame, self._dropped, context))
            self._changed.notify_all()
            return replaced

    def take(self, timeout_seconds: float) -> QueuedFrame | None:
        """Take the oldest frame; None where there is none in time, or there will be none."""
        with self._changed:
            self._changed.wait_for(self._has_frame_or_closed, timeout_seconds)
            if not self._queued_frames:
                return None
            queued_frame = self._queued_frames.popleft()
            self._changed.notify_all()
            return queued_frame

    def close(self) -> None:
        """Accept no more frames; those inside can still be taken, and all waiting calls return."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _has_room_or_closed(self) -> bool:
        return self._closed or len(self._queued_frames) < self._capacity

    def _has_frame_or_closed(self) -> bool:
        return self._closed or bool(self._queued_frames)
