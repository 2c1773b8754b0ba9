"""Stream time that can be trusted, out of time stamps that cannot.

Cameras leave the first time stamp out, repeat them, run backwards, and begin anew at 0 when their
clock is set. Everything after this file may rely on times that are finite and strictly increasing.
"""

import math

DEFAULT_STEP_SECONDS = 0.04
"""Between two pictures of a stream that does not say its rate."""
_WIDEST_GAP_SECONDS = 10.0
_DEEPEST_FALL_SECONDS = 1.0


def plausible_rate(frames_per_second: float | None) -> float | None:
    """Frames per second if a camera or a file can have that rate, else None.

    Some streams announce the 90,000 ticks of their clock as their rate.
    """
    if frames_per_second is None or not 0.001 <= frames_per_second <= 1000.0:
        return None
    return float(frames_per_second)


class StreamClock:
    """Maps the time stamps of one connection to strictly increasing seconds from 0.

    - A missing, repeated or slightly earlier time stamp costs one step; the stream's own time
      counts again as soon as it is ahead.
    - A leap, back or far ahead, starts the time base anew right behind the last picture.
    """

    def __init__(self, frames_per_second: float | None = None) -> None:
        """Start before the first picture.

        Args:
            frames_per_second: Announced rate; its inverse is the step. None: 25 a second.
        """
        rate = plausible_rate(frames_per_second)
        self._step_seconds = DEFAULT_STEP_SECONDS if rate is None else 1.0 / rate
        self._widest_gap_seconds = max(_WIDEST_GAP_SECONDS, 10 * self._step_seconds)
        self._deepest_fall_seconds = max(_DEEPEST_FALL_SECONDS, 2 * self._step_seconds)
        self._offset_seconds: float | None = None
        self._last_seconds: float | None = None

    def map(self, stamp_seconds: float | None, elapsed_seconds: float | None = None) -> float:
        """Give the next picture its time.

        Args:
            stamp_seconds: Time stamp as the stream has it; None where it has none.
            elapsed_seconds: Time that passed since the previous picture came, for live streams:
                a new time base keeps that distance, so that an outage does not vanish from time.

        Returns:
            Seconds, finite, above those of the picture before; 0 for the first.
        """
        step = self._step_seconds
        if elapsed_seconds is not None and math.isfinite(elapsed_seconds):
            step = max(step, elapsed_seconds)
        last = self._last_seconds
        anew = 0.0 if last is None else last + step
        if stamp_seconds is None or not math.isfinite(stamp_seconds):
            now = anew if last is None else last + self._step_seconds
        else:
            if self._offset_seconds is None or self._leaps(stamp_seconds + self._offset_seconds):
                self._offset_seconds = anew - stamp_seconds
            now = stamp_seconds + self._offset_seconds
            if last is not None and now <= last:
                now = last + self._step_seconds
        if last is not None:  # beyond 2**53 steps are too small to count
            now = max(now, math.nextafter(last, math.inf))
        self._last_seconds = now
        return now

    def _leaps(self, mapped_seconds: float) -> bool:
        if self._last_seconds is None:
            return False
        ahead = mapped_seconds - self._last_seconds
        return ahead > self._widest_gap_seconds or ahead < -self._deepest_fall_seconds
