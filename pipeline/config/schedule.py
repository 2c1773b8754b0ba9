"""Hours of the week in which notifications are sent: "mon-fri 18:00-07:00", "sat-sun"."""

import difflib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field

from pipeline.config.base import Section

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60
_SPAN = re.compile(r"(?P<days>[a-z][a-z,-]*)?(?: *(?P<hours>\d\d?:\d\d-\d\d?:\d\d))?")


@dataclass(frozen=True, slots=True)
class Span:
    """A range of hours on some weekdays, in local time."""

    days: frozenset[int]
    """Weekdays on which it begins, 0 … 6; Monday is 0."""
    begin_minute: int
    """Minute of the day, 0 … 1439."""
    end_minute: int
    """Excluded, 0 … 1440; if less than `begin_minute`, on the next day."""


@lru_cache(maxsize=256)
def read_span(text: str) -> Span:
    """Parse a span of hours.

    Args:
        text: Days ("mon", "mon,wed", "fri-mon"), hours ("18:00-07:00"), or both; without days it
            applies to every day, without hours to the whole day.

    Raises:
        ValueError: it is malformed; the message says what is wanted.
    """
    found = _SPAN.fullmatch(text.strip().lower())
    if not found or not any(found.groups()):
        raise ValueError('want days, hours or both, such as "mon-fri 18:00-07:00"')
    days = _days(found["days"]) if found["days"] else frozenset(range(7))
    if not found["hours"]:
        return Span(days, 0, _DAY_MINUTES)
    begin, end = map(_minute, found["hours"].split("-"))
    if begin == end:
        raise ValueError("want two different hours; a whole day is written without hours")
    if begin == _DAY_MINUTES:
        raise ValueError("want a beginning before 24:00")
    return Span(days, begin, end)


def _days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in _DAYS or (dash and last not in _DAYS):
            raise ValueError(f"want days among {', '.join(_DAYS)}")
        begin = _DAYS.index(first)
        length = (_DAYS.index(last) - begin) % 7 if dash else 0  # "fri-mon" spans the weekend
        days |= {(begin + n) % 7 for n in range(length + 1)}
    return frozenset(days)


def _minute(text: str) -> int:
    hour, minute = map(int, text.split(":"))
    if minute > 59 or hour * 60 + minute > _DAY_MINUTES:
        raise ValueError("want hours from 00:00 to 24:00")
    return hour * 60 + minute


def _is_span(text: str) -> str:
    read_span(text)
    return text


def _is_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, no such name at all, a folder of them
        (close,) = difflib.get_close_matches(name, available_timezones(), 1) or ["Europe/Berlin"]
        raise ValueError(f'want a name of a time zone, such as "{close}"') from None
    return name


class Schedule(Section):
    """Hours in which notifications are sent; other events are stored without notification."""

    timezone: Annotated[str, AfterValidator(_is_time_zone)]
    """Name of the time zone of these hours, such as Europe/Berlin."""
    active: list[Annotated[str, AfterValidator(_is_span)]] = Field(min_length=1)
    """Spans of days, hours or both, such as "mon-fri 18:00-07:00" or "sat-sun"; at least one."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """The parsed spans."""
        return tuple(map(read_span, self.active))
