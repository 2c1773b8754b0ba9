"""Map the unreliable time stamps of a live stream to a validated stream time.

Cameras omit the first time stamp, repeat time stamps, run backwards, and restart at 0 when their
clock is set. All later stages rely on times that are finite and strictly increasing.
"""

import math

DEFAULT_STEP_SECONDS = 0.04
"""Between two frames of a stream that announces no rate."""
MAX_GAP_SECONDS = 10.0
MAX_BACKWARD_SECONDS = 1.0
"""A step between time stamps beyond these limits is a jump of the clock of the camera."""


def plausible_rate(frames_per_second: float | None) -> float | None:
    """Return the frames per second where plausible for a camera or file, else None.

    Some streams announce the 90,000 ticks a second of their clock as their rate.
    """
    if frames_per_second is None or not 0.001 <= frames_per_second <= 1000.0:
        return None
    return float(frames_per_second)


class StreamClock:
    """Maps the time stamps of one connection to strictly increasing seconds from 0.

    - A missing, repeated or slightly earlier time stamp advances time by one step; the stream's
      own time counts again as soon as it is ahead.
    - A jump back or far ahead starts a new time base right after the last frame.
    """

    def __init__(self, frames_per_second: float | None = None) -> None:
        """Start before the first frame.

        Args:
            frames_per_second: Announced rate; its inverse is the step. None: 25 a second.
        """
        rate = plausible_rate(frames_per_second)
        self._step_seconds = DEFAULT_STEP_SECONDS if rate is None else 1.0 / rate
        self._max_gap_seconds = max(MAX_GAP_SECONDS, 10 * self._step_seconds)
        self._max_backward_seconds = max(MAX_BACKWARD_SECONDS, 2 * self._step_seconds)
        self._offset_seconds: float | None = None
        self._last_seconds: float | None = None

    def map(self, stamp_seconds: float | None, elapsed_seconds: float | None = None) -> float:
        """Map the time stamp of the next frame.

        Args:
            stamp_seconds: Time stamp of the stream; None where it has none.
            elapsed_seconds: Time since the arrival of the previous frame, for live streams: a new
                time base keeps that distance, so that an outage stays visible in stream time.

        Returns:
            Seconds, finite, greater than those of the previous frame; 0 for the first.
        """
        step = self._step_seconds
        if elapsed_seconds is not None and math.isfinite(elapsed_seconds):
            step = max(step, elapsed_seconds)
        last = self._last_seconds
        rebased = 0.0 if last is None else last + step
        if stamp_seconds is None or not math.isfinite(stamp_seconds):
            now = rebased if last is None else last + self._step_seconds
        else:
            if self._offset_seconds is None or self._is_discontinuous(
                stamp_seconds + self._offset_seconds
            ):
                self._offset_seconds = rebased - stamp_seconds
            now = stamp_seconds + self._offset_seconds
            if last is not None and now <= last:
                now = last + self._step_seconds
        if last is not None:  # beyond 2**53 a step is below the resolution of a float
            now = max(now, math.nextafter(last, math.inf))
        self._last_seconds = now
        return now

    def _is_discontinuous(self, mapped_seconds: float) -> bool:
        if self._last_seconds is None:
            return False
        ahead = mapped_seconds - self._last_seconds
        return ahead > self._max_gap_seconds or ahead < -self._max_backward_seconds
