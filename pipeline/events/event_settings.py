"""Settings of the event tracker and of its schedule, derived from the configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from pipeline.config import Alert, Camera, Schedule, Zone


@dataclass(frozen=True, slots=True)
class ZoneSettings:
    """Thresholds and minimum duration of one zone; as in `EventSettings`."""

    enter: float
    exit: float
    min_duration_seconds: float


@dataclass(frozen=True, slots=True)
class EventSettings:
    """When a score becomes an event; times in seconds of stream time."""

    enter: float = 1.0
    """Score at which an event begins."""
    exit: float = 0.7
    """Score below which the event fades; at most `enter`."""
    min_duration_seconds: float = 0.5
    """How long the score must stay above the threshold before an event is reported."""
    merge_gap_seconds: float = 5.0
    """How long the score may be low before the event ends."""
    cooldown_seconds: float = 30.0
    """After an event that was not suppressed, for how long the next ones are suppressed."""
    zones: Mapping[str, ZoneSettings] = field(default_factory=dict)
    """Parts of the frame, by name; without zones the whole frame counts."""
    only_zones: bool = True
    """Whether, on a camera with zones, an anomaly outside of all zones makes no event."""
    schedule: Schedule | None = None
    """Hours of the wall clock in which notifications are sent; None: always."""
    notify_while_calibrating: bool = True
    """Whether notifications are sent for events on the provisional threshold."""


def event_settings(camera: Camera) -> EventSettings:
    """Derive the settings from the configuration of a camera."""
    alert = camera.alert
    return EventSettings(
        enter=alert.enter,
        exit=alert.exit,
        min_duration_seconds=alert.min_duration,
        merge_gap_seconds=alert.merge_gap,
        cooldown_seconds=alert.cooldown,
        zones={name: _zone_settings(zone, alert) for name, zone in camera.zones.items()},
        only_zones=alert.only_zones,
        schedule=alert.schedule,
        notify_while_calibrating=alert.notify_while_calibrating,
    )


def _zone_settings(zone: Zone, alert: Alert) -> ZoneSettings:
    enter = alert.enter if zone.enter is None else zone.enter
    seconds = alert.min_duration if zone.min_duration is None else zone.min_duration
    # The same ratio of `exit` to `enter` as for the camera.
    return ZoneSettings(enter, enter * alert.exit / alert.enter, seconds)


def is_active(schedule: Schedule, now: float) -> bool:
    """Whether a time is within the hours of a schedule.

    The schedule follows local wall-clock time: the hour that occurs twice when daylight saving time
    ends is active twice, and the hour that is skipped when it begins is not active on that day.

    Args:
        schedule: Hours of the week in a time zone.
        now: Unix seconds UTC.
    """
    local = datetime.fromtimestamp(now, ZoneInfo(schedule.timezone))
    today, minute = local.weekday(), local.hour * 60 + local.minute
    yesterday = (today - 1) % 7
    for span in schedule.spans:
        if span.begin_minute < span.end_minute:
            if today in span.days and span.begin_minute <= minute < span.end_minute:
                return True
        elif (today in span.days and minute >= span.begin_minute) or (
            yesterday in span.days and minute < span.end_minute
        ):
            return True
    return False
