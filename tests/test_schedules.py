"""Schedules: spans of hours, over midnight and over changes to and from summer time."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import Schedule
from pipeline.config.schedule import read_span
from pipeline.events.event_settings import is_active

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MOMENTS = st.floats(1.5e9, 2.0e9)
ZONES = st.sampled_from(["Europe/Berlin", "UTC", "America/St_Johns", "Asia/Kathmandu"])


def schedule(*active: str, timezone: str = "Europe/Berlin") -> Schedule:
    return Schedule(timezone=timezone, active=list(active))


def at(text: str, fold: int = 0) -> float:
    """Unix seconds of a local time in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).timestamp()


@pytest.mark.parametrize(
    ("time", "active"),
    [
        ("2026-11-23 17:59:59", False),  # a Monday
        ("2026-11-23 18:00:00", True),
        ("2026-11-24 00:00:00", True),
        ("2026-11-24 06:59:59", True),
        ("2026-11-24 07:00:00", False),
        ("2026-11-27 23:00:00", True),  # Friday night continues into Saturday
        ("2026-11-28 06:00:00", True),
        ("2026-11-28 12:00:00", False),
        ("2026-11-28 20:00:00", False),
        ("2026-11-23 03:00:00", False),  # nothing began on Sunday
    ],
)
def test_nights_after_working_days(time: str, active: bool) -> None:
    assert is_active(schedule("mon-fri 18:00-07:00"), at(time)) is active


def test_whole_days_and_any_of_several_spans() -> None:
    both = schedule("mon-fri 18:00-07:00", "sat-sun")
    assert is_active(both, at("2026-11-28 12:00:00"))
    assert is_active(both, at("2026-11-29 23:59:59"))
    assert not is_active(both, at("2026-11-30 12:00:00"))
    assert is_active(schedule("22:00-24:00"), at("2026-11-29 23:59:59"))
    assert not is_active(schedule("22:00-24:00"), at("2026-11-30 00:00:00"))
    assert is_active(schedule("22:00-00:00"), at("2026-11-29 23:59:59"))
    assert not is_active(schedule("22:00-00:00"), at("2026-11-30 00:00:00"))


def test_hours_are_those_of_the_time_zone() -> None:
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp()
    assert is_active(schedule("12:00-12:01", timezone="UTC"), noon)
    assert is_active(schedule("14:00-14:01"), noon)
    assert is_active(schedule("17:45-17:46", timezone="Asia/Kathmandu"), noon)


def test_when_summer_time_ends_an_hour_occurs_twice() -> None:
    night = schedule("sun 02:00-03:00")
    first, second = at("2026-10-25 02:30:00"), at("2026-10-25 02:30:00", fold=1)
    assert second - first == 3600
    assert is_active(night, first)
    assert is_active(night, second)
    assert minutes(night, "2026-10-25") == 120


def test_when_summer_time_begins_an_hour_is_skipped() -> None:
    assert minutes(schedule("sun 02:00-03:00"), "2026-03-29") == 0
    assert minutes(schedule("sat 22:00-06:00"), "2026-03-29") == 300
    assert minutes(schedule("sun"), "2026-03-29") == 23 * 60


def minutes(hours: Schedule, day: str) -> int:
    """How long a schedule is active on a day in Berlin."""
    begin = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    end = begin + timedelta(days=1)  # in local time
    times = range(int(begin.timestamp()), int(end.timestamp()), 60)
    return sum(is_active(hours, time) for time in times)


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@given(MOMENTS, ZONES, st.integers(0, 1439), st.integers(0, 1439), st.sampled_from(DAYS))
def test_a_span_over_midnight_is_two(
    now: float, timezone: str, begin: int, end: int, day: str
) -> None:
    if begin == end:
        return
    one = schedule(f"{day} {clock(begin)}-{clock(end)}", timezone=timezone)
    parts = [f"{day} {clock(begin)}-24:00"] if begin > end else []
    next_day = DAYS[(DAYS.index(day) + 1) % 7]
    if begin > end and end > 0:
        parts.append(f"{next_day} 00:00-{clock(end)}")
    two = schedule(*(parts or one.active), timezone=timezone)
    assert is_active(one, now) == is_active(two, now)


@given(MOMENTS, ZONES, st.integers(0, 1439), st.integers(0, 1439))
def test_day_and_night_cover_every_time_once(
    now: float, timezone: str, begin: int, end: int
) -> None:
    if begin == end:
        return
    here = schedule(f"{clock(begin)}-{clock(end)}", timezone=timezone)
    there = schedule(f"{clock(end)}-{clock(begin)}", timezone=timezone)
    assert is_active(here, now) != is_active(there, now)


@given(MOMENTS, ZONES, st.integers(0, 6), st.integers(0, 6))
def test_days_are_those_of_the_wall_calendar(
    now: float, timezone: str, first: int, last: int
) -> None:
    days = schedule(f"{DAYS[first]}-{DAYS[last]}", timezone=timezone)
    today = datetime.fromtimestamp(now, ZoneInfo(timezone)).weekday()
    wanted = {(first + n) % 7 for n in range((last - first) % 7 + 1)}
    assert is_active(days, now) == (today in wanted)


def test_how_days_are_written() -> None:
    assert read_span("fri-mon").days == {4, 5, 6, 0}
    assert read_span("mon,wed,sat-sun 8:00-9:30").days == {0, 2, 5, 6}
    assert read_span(" MON  08:00-09:30 ") == read_span("mon 8:00-9:30")


@given(st.text("mon,-tue0123459: ", max_size=24))
def test_any_text_is_a_span_or_rejected(text: str) -> None:
    try:
        span = read_span(text)
    except ValueError:
        return
    assert set() < span.days <= set(range(7))
    assert 0 <= span.begin_minute < 1440
    assert 0 <= span.end_minute <= 1440
    assert span.begin_minute != span.end_minute
