"""Does a live stream fall behind, and would passing over what is late bring it back?"""

_DRIFT_RATIO = 1e-3  # no clock of a camera is worse than that for long
_DEEPEST_FALL_SECONDS = 1.0
_WIDEST_GAP_SECONDS = 10.0

MOST_LAG_SECONDS = 2.0
"""Pictures that are later than this are passed over."""
_CAUGHT_UP_SECONDS = 0.5
_PROGRESS_SECONDS = 0.1
_PATIENCE_SECONDS = 2.0
_LONGEST_SKIP_SECONDS = 15.0
_REST_SECONDS = 600.0


class LagMeter:
    """How much later than the promptest of its stream a packet comes.

    Time stamps and arrivals alone: where the first packet was late already, or all are equally
    late, nothing is seen. The promptest is forgotten slowly, as no two clocks run alike.
    """

    def __init__(self) -> None:
        self._least: float | None = None
        self._stamp_seconds = 0.0
        self._arrived_seconds = 0.0
        self._lag_seconds = 0.0

    def begin_anew(self) -> None:
        """Take the next packet for a prompt one."""
        self._least = None

    def lag_seconds(self, stamp_seconds: float | None, arrived_seconds: float) -> float:
        """Measure the next packet.

        Args:
            stamp_seconds: Its time stamp, in the order of decoding; None where it has none.
            arrived_seconds: On a clock that only rises.

        Returns:
            Seconds, >= 0; after a leap of the time stamps 0.
        """
        if stamp_seconds is None:
            return self._lag_seconds
        offset = arrived_seconds - stamp_seconds
        step = stamp_seconds - self._stamp_seconds
        if self._least is None or not -_DEEPEST_FALL_SECONDS < step < _WIDEST_GAP_SECONDS:
            self._least = offset
        else:
            drift = _DRIFT_RATIO * (arrived_seconds - self._arrived_seconds)
            self._least = min(self._least + drift, offset)
        self._stamp_seconds, self._arrived_seconds = stamp_seconds, arrived_seconds
        self._lag_seconds = offset - self._least
        return self._lag_seconds


class CatchUp:
    """Decides which packets are passed over, so that a live stream is shown as it is now.

    Packets that wait for us can be read much faster than decoded. What was late before it came to
    us cannot: then it stops, and for ten minutes does not try again.
    """

    def __init__(self, most_lag_seconds: float = MOST_LAG_SECONDS) -> None:
        self._most_lag_seconds = most_lag_seconds
        self._meter = LagMeter()
        self._began: float | None = None
        self._least_lag = 0.0
        self._progress_at = 0.0
        self._not_before = float("-inf")

    def skips(self, stamp_seconds: float | None, keyframe: bool, arrived_seconds: float) -> bool:
        """Whether to pass over the next packet.

        Args:
            stamp_seconds: Its time stamp, in the order of decoding; None where it has none.
            keyframe: Whether decoding may begin with it.
            arrived_seconds: On a clock that only rises.
        """
        now = arrived_seconds
        lag = self._meter.lag_seconds(stamp_seconds, now)
        if self._began is None:
            if lag <= self._most_lag_seconds or now < self._not_before:
                return False
            self._began, self._least_lag, self._progress_at = now, lag, now
        if (keyframe and lag <= _CAUGHT_UP_SECONDS) or now - self._began > _LONGEST_SKIP_SECONDS:
            self._began = None
            return False
        if lag < self._least_lag - _PROGRESS_SECONDS:
            self._least_lag, self._progress_at = lag, now
        elif lag > _CAUGHT_UP_SECONDS and now - self._progress_at > _PATIENCE_SECONDS:
            self._meter.begin_anew()
            self._not_before = now + _REST_SECONDS
        return True
