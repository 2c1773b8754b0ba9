"""The time of a recording as players count it, without the time stamps that are mistakes.

A recording may have gaps, as one made only while something moves: they are kept, so that an event
is reported at the time at which a player shows it. Unlike a live stream, a recording can be read
ahead: a time stamp that leaps is a mistake where those after it go on as those before it did.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from cameras.clock import DEFAULT_STEP_SECONDS, plausible_rate

Item = TypeVar("Item")

_USUAL_SECONDS, _USUAL_STEPS = 1.0, 5.0
"""A distance of two pictures up to either needs no proof."""
_SURE_SECONDS = 10.0
"""A picture that comes so soon after one behind a gap, or as soon as that one, proves the gap."""
_LONGEST_GAP_SECONDS = 86_400.0
"""A longer one is a clock that was set, not a gap."""
_DEEPEST_FALL_SECONDS = 1.0
"""Time stamps that stay further back than this have begun anew."""
_AHEAD = 12
"""Pictures to look ahead for the time before a leap."""


class RecordingClock:
    """Gives the pictures of one pass times that are finite and strictly increasing."""

    def __init__(self, origin_seconds: float | None, frames_per_second: float | None) -> None:
        """Start before the first picture.

        Args:
            origin_seconds: Time stamp at which the recording begins, as players count; None: that
                of its first picture.
            frames_per_second: Announced rate, of use until two good time stamps have been seen.
        """
        rate = plausible_rate(frames_per_second)
        self._step = DEFAULT_STEP_SECONDS if rate is None else 1 / rate
        self._offset = None if origin_seconds is None else -origin_seconds
        self._last: float | None = None

    def run(self, items: Iterable[tuple[float | None, Item]]) -> Iterator[tuple[float, Item]]:
        """Map the time stamps of pictures.

        Args:
            items: Time stamp in seconds, None where there is none, and what belongs to it.

        Yields:
            Seconds since the beginning of the recording, and what belongs to them.
        """
        source = iter(items)
        waiting: deque[tuple[float | None, Item]] = deque()
        while waiting or (waiting := deque(islice(source, 1))):
            stamp, item = waiting.popleft()
            ahead: list[float | None] = []
            if not self._goes_on(self._mapped(stamp)):
                waiting.extend(islice(source, _AHEAD - len(waiting)))
                ahead = [other for other, _ in waiting]
            yield self._next(stamp, ahead), item

    @property
    def _before(self) -> float:
        return -self._step if self._last is None else self._last

    @property
    def _usual_seconds(self) -> float:
        return max(_USUAL_SECONDS, _USUAL_STEPS * self._step)

    def _mapped(self, stamp: float | None) -> float | None:
        if stamp is None or not math.isfinite(stamp):
            return None
        return stamp + (self._before + self._step - stamp if self._offset is None else self._offset)

    def _goes_on(self, seconds: float | None) -> bool:
        return seconds is not None and 0 < seconds - self._before <= self._usual_seconds

    def _next(self, stamp: float | None, ahead: list[float | None]) -> float:
        before, seconds = self._before, self._mapped(stamp)
        if seconds is not None and stamp is not None and self._offset is None:
            self._offset = seconds - stamp
        if seconds is not None and self._goes_on(seconds):
            if self._last is not None:
                self._step = seconds - before
        else:
            seconds = self._mend(seconds, [self._mapped(other) for other in ahead])
        seconds = max(0.0, seconds)
        if self._last is not None:  # beyond 2**53 steps are too small to count
            seconds = max(seconds, math.nextafter(self._last, math.inf))
        self._last = seconds
        return seconds

    def _mend(self, seconds: float | None, ahead: list[float | None]) -> float:
        """The time of a picture whose time stamp does not go on as those before it did.

        Args:
            seconds: As its time stamp says; None where it has none.
            ahead: The same of those after it.
        """
        before = self._before
        for number, other in enumerate(ahead, start=1):  # so only this one is a mistake
            if (
                other is not None
                and 0 < other - before <= self._usual_seconds + number * self._step
            ):
                return before + (other - before) / (number + 1)
        stepped = before + self._step
        if seconds is None or self._offset is None:
            return stepped
        sure = max(_SURE_SECONDS, 2 * (seconds - before))
        steps = [other - seconds for other in ahead if other is not None]
        proof = next((step for step in steps if 0 < step <= sure), None)
        if not ahead and 0 < seconds - before <= _SURE_SECONDS:
            return seconds
        if proof is None:
            return stepped
        if 0 < seconds - before <= _LONGEST_GAP_SECONDS:
            self._step = proof
            return seconds
        if seconds > before or before - seconds > _DEEPEST_FALL_SECONDS:
            self._offset += stepped - seconds
        return stepped
