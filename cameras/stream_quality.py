"""What the times of a stream are worth: pure functions of what was seen."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_WIDEST_STEPS = 5.0
_BURST_SECONDS = 0.5
_LEAST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class SeenPacket:
    """What one packet says of itself."""

    stamp_seconds: float | None
    """Time stamp as it came; None where there was none."""
    keyframe: bool
    size_bytes: int
    arrived_seconds: float
    """On a clock that only rises."""


@dataclass(frozen=True, slots=True)
class ClockQuality:
    """What the time stamps of a stream are worth as they come, before anything is mended."""

    stamped: int
    """Packets with a time stamp."""
    missing: int
    """Packets without one; over RTSP the first one has none."""
    backwards: int
    """Time stamps before the one before."""
    repeated: int
    """Time stamps equal to the one before."""
    gaps: int
    """Steps of more than five usual ones."""
    rate_ratio: float | None
    """Seconds of the stream in a second of ours; None: it is no live stream, or too short."""


def clock_quality(packets: Sequence[SeenPacket], live: bool) -> ClockQuality:
    """Judge the time stamps of packets in the order in which they came."""
    stamped = [packet for packet in packets if packet.stamp_seconds is not None]
    stamps = [packet.stamp_seconds or 0.0 for packet in stamped]
    steps = [late - early for early, late in pairwise(stamps)]
    forward = [step for step in steps if step > 0]
    usual = statistics.median(forward) if forward else 0.0
    return ClockQuality(
        stamped=len(stamped),
        missing=len(packets) - len(stamped),
        backwards=sum(step < 0 for step in steps),
        repeated=sum(step == 0 for step in steps),
        gaps=sum(step > _WIDEST_STEPS * usual for step in forward),
        rate_ratio=_rate_ratio(stamped) if live else None,
    )


def rate(times_seconds: Sequence[float]) -> float | None:
    """Pictures a second, on average; None for fewer than two pictures or no time between them."""
    if len(times_seconds) < 2 or times_seconds[-1] <= times_seconds[0]:
        return None
    return (len(times_seconds) - 1) / (times_seconds[-1] - times_seconds[0])


def after_the_burst(times_seconds: Sequence[float]) -> Sequence[float]:
    """Without what had gathered while the connection was opened: it says nothing of the rate."""
    later = [time for time in times_seconds if time > times_seconds[0] + _BURST_SECONDS]
    return later if len(later) > 1 else times_seconds


def keyframe_interval_seconds(packets: Sequence[SeenPacket], step_seconds: float) -> float | None:
    """Longest time between two key frames; None where fewer than two were seen.

    Args:
        packets: In order.
        step_seconds: Between two pictures; their number counts, as time stamps may be wrong.
    """
    places = [number for number, packet in enumerate(packets) if packet.keyframe]
    return max((b - a for a, b in pairwise(places)), default=0) * step_seconds or None


def _rate_ratio(packets: Sequence[SeenPacket]) -> float | None:
    later = [
        packet
        for packet in packets
        if packet.arrived_seconds > packets[0].arrived_seconds + _BURST_SECONDS
    ]
    if not later:
        return None
    first, last = later[0], later[-1]
    passed = last.arrived_seconds - first.arrived_seconds
    if passed < _LEAST_SECONDS:
        return None
    return ((last.stamp_seconds or 0.0) - (first.stamp_seconds or 0.0)) / passed
