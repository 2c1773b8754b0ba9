"""When a score becomes an event: what the machine of events goes by, and where that comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from pipeline.config import Alert, Camera, Schedule, Zone


@dataclass(frozen=True, slots=True)
class ZoneSettings:
    """When a score becomes an event in one zone; as in `EventSettings`."""

    enter: float
    exit: float
    min_duration_seconds: float


@dataclass(frozen=True, slots=True)
class EventSettings:
    """When a score becomes an event; times in seconds of the stream."""

    enter: float = 1.0
    """Score at which an event begins."""
    exit: float = 0.7
    """Score below which it fades; at most `enter`."""
    min_duration_seconds: float = 0.5
    """How long the score must stay up before anybody is told."""
    merge_gap_seconds: float = 5.0
    """How long a low score does not yet end an event."""
    cooldown_seconds: float = 30.0
    """After an event that was told, for how long the next ones are suppressed."""
    zones: Mapping[str, ZoneSettings] = field(default_factory=dict)
    """Parts of the picture, by name; without any, the whole picture counts."""
    only_zones: bool = True
    """Whether, with zones, what is in none of them makes no event."""
    schedule: Schedule | None = None
    """Hours in which people are told, of the wall clock; None: always."""
    notify_while_calibrating: bool = True
    """Whether people are notified of events on the provisional threshold."""


def event_settings(camera: Camera) -> EventSettings:
    """From the configuration of a camera."""
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
    # As far below `enter` as for the camera.
    return ZoneSettings(enter, enter * alert.exit / alert.enter, seconds)


def is_active(schedule: Schedule, now: float) -> bool:
    """Whether a moment is in the hours of a schedule.

    By the clock on the wall: an hour that comes twice as summer time ends is in them twice, and
    what lies in the hour that is left out as it begins does not come that night.

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
