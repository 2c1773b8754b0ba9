"""Detect a live stream that lags, and decide whether skipping late packets helps."""

from cameras.clock import MAX_BACKWARD_SECONDS, MAX_GAP_SECONDS

_DRIFT_RATIO = 1e-3  # upper bound for the clock drift of a camera

MAX_LAG_SECONDS = 2.0
"""Packets that are later than this are skipped."""
_CAUGHT_UP_SECONDS = 0.5
_PROGRESS_SECONDS = 0.1
_PATIENCE_SECONDS = 2.0
_MAX_SKIP_SECONDS = 15.0
_REST_SECONDS = 600.0


class LagMeter:
    """Measures how much later a packet arrives than the packet with the least delay.

    It uses time stamps and arrival times alone: where the first packet was late already, or all are
    equally late, it measures no lag. The least delay rises slowly, to allow for clock drift.
    """

    def __init__(self) -> None:
        self._least: float | None = None
        self._stamp_seconds = 0.0
        self._arrived_seconds = 0.0
        self._lag_seconds = 0.0

    def reset(self) -> None:
        """Use the next packet as the new reference."""
        self._least = None

    def lag_seconds(self, stamp_seconds: float | None, arrived_seconds: float) -> float:
        """Measure the next packet.

        Args:
            stamp_seconds: Its time stamp, in decoding order; None where it has none.
            arrived_seconds: Arrival, monotonic clock.

        Returns:
            Seconds, >= 0; 0 after a jump of the time stamps.
        """
        if stamp_seconds is None:
            return self._lag_seconds
        offset = arrived_seconds - stamp_seconds
        step = stamp_seconds - self._stamp_seconds
        if self._least is None or not -MAX_BACKWARD_SECONDS < step < MAX_GAP_SECONDS:
            self._least = offset
        else:
            drift = _DRIFT_RATIO * (arrived_seconds - self._arrived_seconds)
            self._least = min(self._least + drift, offset)
        self._stamp_seconds, self._arrived_seconds = stamp_seconds, arrived_seconds
        self._lag_seconds = offset - self._least
        return self._lag_seconds


class CatchUp:
    """Decides which packets are skipped, so that a live stream stays current.

    Packets in our receive buffer can be read much faster than decoded. Delay from before they
    reached us cannot be recovered: then skipping stops, and is not tried again for ten minutes.
    """

    def __init__(self, max_lag_seconds: float = MAX_LAG_SECONDS) -> None:
        self._most_lag_seconds = max_lag_seconds
        self._meter = LagMeter()
        self._began: float | None = None
        self._least_lag = 0.0
        self._progress_at = 0.0
        self._not_before = float("-inf")

    def skips(self, stamp_seconds: float | None, keyframe: bool, arrived_seconds: float) -> bool:
        """Decide whether to skip the next packet.

        Args:
            stamp_seconds: Its time stamp, in decoding order; None where it has none.
            keyframe: Whether decoding can start with it.
            arrived_seconds: Arrival, monotonic clock.
        """
        now = arrived_seconds
        lag = self._meter.lag_seconds(stamp_seconds, now)
        if self._began is None:
            if lag <= self._most_lag_seconds or now < self._not_before:
                return False
            self._began, self._least_lag, self._progress_at = now, lag, now
        if (keyframe and lag <= _CAUGHT_UP_SECONDS) or now - self._began > _MAX_SKIP_SECONDS:
            self._began = None
            return False
        if lag < self._least_lag - _PROGRESS_SECONDS:
            self._least_lag, self._progress_at = lag, now
        elif lag > _CAUGHT_UP_SECONDS and now - self._progress_at > _PATIENCE_SECONDS:
            self._meter.reset()
            self._not_before = now + _REST_SECONDS
        return True
