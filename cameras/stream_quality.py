"""Quality of the time stamps of a stream. Pure functions of the received packets."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_GAP_STEPS = 5.0
_BURST_SECONDS = 0.5
_MIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PacketRecord:
    """Time stamp, type, size and arrival of one packet."""

    stamp_seconds: float | None
    """Time stamp as received; None where there was none."""
    keyframe: bool
    size_bytes: int
    arrived_seconds: float
    """Monotonic seconds."""


@dataclass(frozen=True, slots=True)
class ClockQuality:
    """Quality of the time stamps of a stream as received, before any correction."""

    stamped: int
    """Packets with a time stamp."""
    missing: int
    """Packets without one; over RTSP the first packet has none."""
    backwards: int
    """Time stamps lower than the previous one."""
    repeated: int
    """Time stamps equal to the previous one."""
    gaps: int
    """Steps of more than five median steps."""
    rate_ratio: float | None
    """Stream seconds per second of the local clock; None: no live stream, or too short."""


def clock_quality(packets: Sequence[PacketRecord], live: bool) -> ClockQuality:
    """Assess the time stamps of packets in order of arrival."""
    stamped = [packet for packet in packets if packet.stamp_seconds is not None]
    stamps = [packet.stamp_seconds or 0.0 for packet in stamped]
    steps = [late - early for early, late in pairwise(stamps)]
    forward = [step for step in steps if step > 0]
    median = statistics.median(forward) if forward else 0.0
    return ClockQuality(
        stamped=len(stamped),
        missing=len(packets) - len(stamped),
        backwards=sum(step < 0 for step in steps),
        repeated=sum(step == 0 for step in steps),
        gaps=sum(step > _GAP_STEPS * median for step in forward),
        rate_ratio=_rate_ratio(stamped) if live else None,
    )


def rate(times_seconds: Sequence[float]) -> float | None:
    """Average frames a second; None for fewer than two frames or no time between them."""
    if len(times_seconds) < 2 or times_seconds[-1] <= times_seconds[0]:
        return None
    return (len(times_seconds) - 1) / (times_seconds[-1] - times_seconds[0])


def without_initial_burst(times_seconds: Sequence[float]) -> Sequence[float]:
    """Drop the frames buffered while the connection was opened: they distort the rate."""
    later = [time for time in times_seconds if time > times_seconds[0] + _BURST_SECONDS]
    return later if len(later) > 1 else times_seconds


def keyframe_interval_seconds(packets: Sequence[PacketRecord], step_seconds: float) -> float | None:
    """Return the longest time between two key frames; None for fewer than two key frames.

    Args:
        packets: In order.
        step_seconds: Between two frames; the interval is counted in frames, as time stamps may be
            wrong.
    """
    places = [number for number, packet in enumerate(packets) if packet.keyframe]
    return max((b - a for a, b in pairwise(places)), default=0) * step_seconds or None


def _rate_ratio(packets: Sequence[PacketRecord]) -> float | None:
    later = [
        packet
        for packet in packets
        if packet.arrived_seconds > packets[0].arrived_seconds + _BURST_SECONDS
    ]
    if not later:
        return None
    first, last = later[0], later[-1]
    passed = last.arrived_seconds - first.arrived_seconds
    if passed < _MIN_SECONDS:
        return None
    return ((last.stamp_seconds or 0.0) - (first.stamp_seconds or 0.0)) / passed
