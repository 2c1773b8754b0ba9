"""Whether people want to be told now. Pure."""

from datetime import datetime
from zoneinfo import ZoneInfo

from pipeline.config import Schedule


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
