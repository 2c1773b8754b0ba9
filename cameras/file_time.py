"""Map the time stamps of a recording to player time, correcting invalid time stamps.

A recording may have gaps, such as one recorded on motion: they are preserved, so that an event is
reported at the time at which a player shows it. Unlike a live stream, a recording can be read
ahead: a time stamp that jumps is invalid where those after it continue those before it.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from cameras.clock import DEFAULT_STEP_SECONDS, plausible_rate

Item = TypeVar("Item")

_USUAL_SECONDS, _USUAL_STEPS = 1.0, 5.0
"""A step between two frames up to either of these needs no confirmation."""
_CONFIRMED_SECONDS = 10.0
"""A later frame this soon after the gap, or within twice the gap, confirms the gap."""
_MAX_GAP_SECONDS = 86_400.0
"""A longer step is a clock that was set, not a gap."""
_MAX_BACKWARD_SECONDS = 1.0
"""Time stamps that stay further back than this have restarted."""
_LOOKAHEAD = 12
"""Frames read ahead to classify a jump."""


class RecordingClock:
    """Assigns finite, strictly increasing times to the frames of one pass."""

    def __init__(self, origin_seconds: float | None, frames_per_second: float | None) -> None:
        """Start before the first frame.

        Args:
            origin_seconds: Time stamp at which players start the recording; None: that of its
                first frame.
            frames_per_second: Announced rate, used until two valid time stamps are known.
        """
        rate = plausible_rate(frames_per_second)
        self._step = DEFAULT_STEP_SECONDS if rate is None else 1 / rate
        self._offset = None if origin_seconds is None else -origin_seconds
        self._last: float | None = None

    def run(self, items: Iterable[tuple[float | None, Item]]) -> Iterator[tuple[float, Item]]:
        """Map the time stamps of frames.

        Args:
            items: Time stamp in seconds, None where there is none, with its item.

        Yields:
            Seconds since the beginning of the recording, with the item.
        """
        source = iter(items)
        waiting: deque[tuple[float | None, Item]] = deque()
        while waiting or (waiting := deque(islice(source, 1))):
            stamp, item = waiting.popleft()
            ahead: list[float | None] = []
            if not self._is_continuous(self._mapped(stamp)):
                waiting.extend(islice(source, _LOOKAHEAD - len(waiting)))
                ahead = [other for other, _ in waiting]
            yield self._next(stamp, ahead), item

    @property
    def _previous(self) -> float:
        return -self._step if self._last is None else self._last

    @property
    def _max_step_seconds(self) -> float:
        return max(_USUAL_SECONDS, _USUAL_STEPS * self._step)

    def _mapped(self, stamp: float | None) -> float | None:
        if stamp is None or not math.isfinite(stamp):
            return None
        return stamp + (
            self._previous + self._step - stamp if self._offset is None else self._offset
        )

    def _is_continuous(self, seconds: float | None) -> bool:
        return seconds is not None and 0 < seconds - self._previous <= self._max_step_seconds

    def _next(self, stamp: float | None, ahead: list[float | None]) -> float:
        previous, seconds = self._previous, self._mapped(stamp)
        if seconds is not None and stamp is not None and self._offset is None:
            self._offset = seconds - stamp
        if seconds is not None and self._is_continuous(seconds):
            if self._last is not None:
                self._step = seconds - previous
        else:
            seconds = self._repaired(seconds, [self._mapped(other) for other in ahead])
        seconds = max(0.0, seconds)
        if self._last is not None:  # beyond 2**53 a step is below the resolution of a float
            seconds = max(seconds, math.nextafter(self._last, math.inf))
        self._last = seconds
        return seconds

    def _repaired(self, seconds: float | None, ahead: list[float | None]) -> float:
        """Time of a frame whose time stamp does not continue the previous ones.

        Args:
            seconds: Mapped time stamp; None where it has none.
            ahead: Mapped time stamps of the following frames.
        """
        previous = self._previous
        for number, other in enumerate(ahead, start=1):  # then only this one is invalid
            if (
                other is not None
                and 0 < other - previous <= self._max_step_seconds + number * self._step
            ):
                return previous + (other - previous) / (number + 1)
        stepped = previous + self._step
        if seconds is None or self._offset is None:
            return stepped
        limit = max(_CONFIRMED_SECONDS, 2 * (seconds - previous))
        steps = [other - seconds for other in ahead if other is not None]
        confirming = next((step for step in steps if 0 < step <= limit), None)
        if not ahead and 0 < seconds - previous <= _CONFIRMED_SECONDS:
            return seconds
        if confirming is None:
            return stepped
        if 0 < seconds - previous <= _MAX_GAP_SECONDS:
            self._step = confirming
            return seconds
        if seconds > previous or previous - seconds > _MAX_BACKWARD_SECONDS:
            self._offset += stepped - seconds
        return stepped
