"""The plan of a chaos run, and the questions that are put to what it leaves behind."""

from itertools import pairwise
from typing import get_args

import pytest

from benchmarks.chaos.checks import (
    Message,
    ObservedEvent,
    Occurrence,
    ProcessReading,
    back_at,
    check_delivery,
    descriptors_gained,
    growth_per_hour,
    implied_events,
    is_caught,
    lost_events,
    metric,
    occurrences,
    unexpected_restarts,
)
from benchmarks.chaos.schedule import WARM_UP_SECONDS, Absence, Trouble, schedule
from cameras.simulation import PlannedAnomaly
from pipeline.events.event_settings import EventSettings
from pipeline.events.score_record import ScoreRecord

LIVE = ["gate1", "gate2"]
CAMERAS = [*LIVE, "film"]


def record(seconds: float, score: float | None = 0.0, camera: str = "film") -> ScoreRecord:
    """A frame of connection 1, five a second; its wall clock is its stream time + 1000."""
    return ScoreRecord(camera, 1, round(seconds * 5), seconds, 1000 + seconds, score, "ready")


def burst(begin: float, end: float, until: float, camera: str = "film") -> list[ScoreRecord]:
    """Scores from 0 to `until`, high between `begin` and `end`."""
    return [
        record(number / 5, 2.0 if begin <= number / 5 <= end else 0.0, camera)
        for number in range(int(until * 5))
    ]


def stored(
    name: str, began: float, ended: float | None, *, suppressed: bool = False
) -> ObservedEvent:
    return ObservedEvent(name, name.split("-")[0], began, ended, suppressed)


def message(event: str, kind: str, revision: int) -> Message:
    return Message(f"{event}:{kind}:{revision}", kind, event, revision)


def test_the_same_seed_makes_the_same_problem() -> None:
    assert schedule(3, 20, CAMERAS, LIVE) == schedule(3, 20, CAMERAS, LIVE)
    assert schedule(3, 20, CAMERAS, LIVE) != schedule(4, 20, CAMERAS, LIVE)


@pytest.mark.parametrize("minutes", [3, 20, 120])
def test_troubles_come_one_after_the_other_and_end_in_time(minutes: float) -> None:
    plan = schedule(1, minutes, CAMERAS, LIVE)
    assert plan == sorted(plan, key=lambda fault: (fault.at_seconds, fault.kind))
    for kinds in (get_args(Trouble), get_args(Absence)):
        own = [fault for fault in plan if fault.kind in kinds]
        assert own[0].at_seconds == WARM_UP_SECONDS
        assert all(after.at_seconds - before.until_seconds >= 10 for before, after in pairwise(own))
    assert max(fault.until_seconds for fault in plan) <= minutes * 60 - 20


def test_a_long_run_has_everything_once_before_anything_again() -> None:
    plan = schedule(1, 20, CAMERAS, LIVE)
    for kinds in (get_args(Trouble), get_args(Absence)):
        own = [fault.kind for fault in plan if fault.kind in kinds]
        for first in range(0, len(own) - len(kinds) + 1, len(kinds)):
            assert set(own[first : first + len(kinds)]) == set(kinds)
        assert len(own) >= 2 * len(kinds)


def test_only_cameras_with_a_server_suffer_from_it() -> None:
    plan = schedule(1, 600, CAMERAS, LIVE)
    assert {fault.camera for fault in plan if fault.kind.startswith("rtsp")} == set(LIVE)
    assert {fault.camera for fault in plan if fault.kind == "kill ingest"} == set(CAMERAS)
    assert {fault.camera for fault in plan if fault.kind in ("kill sink", "disk full")} == {""}


def test_scores_imply_events() -> None:
    settings = EventSettings(merge_gap_seconds=1.5, cooldown_seconds=3.0)
    (event,) = implied_events(burst(4, 6, 20), settings)
    assert (event.id, event.started_at, event.ended_at) == ("film-1-20", 1004.0, 1006.0)
    (unfinished,) = implied_events(burst(4, 6, 5), settings)
    assert unfinished.ended_at == 1004.8


def test_implied_events_must_be_stored() -> None:
    implied = implied_events(burst(4, 6, 20), EventSettings())
    assert lost_events(implied, [stored("film-1-20", 1004, 1006)]) == []
    other = [stored("film-1-15", 1003, 1006)]
    assert lost_events(implied, other) == ["film-1-20"]
    assert lost_events(implied, other, [(1000, 1005)]) == []
    assert lost_events(implied, other, [(1007, 1009)]) == ["film-1-20"]
    assert lost_events(implied, [stored("gate1-1-15", 1003, 1006)], [(1000, 1005)]) == ["film-1-20"]


def test_everything_is_delivered_once() -> None:
    events = [stored("a", 1, 2), stored("b", 3, None), stored("c", 3, 4, suppressed=True)]
    good = [message("a", "new", 3), message("a", "update", 4), message("a", "end", 9)]
    good.append(message("b", "new", 3))
    assert check_delivery(good, events).whole
    again = check_delivery([*good, good[1], good[2]], events)
    assert again.whole
    assert (again.messages, again.duplicates) == (6, 2)


def test_missing_or_wrong_deliveries_are_found() -> None:
    event = [stored("a", 1, 2)]
    assert check_delivery([message("a", "new", 3)], event).missing == ["a:end"]
    assert check_delivery([], event).missing == ["a:new", "a:end"]
    twice = [message("a", "new", 3), message("a", "new", 4), message("a", "end", 9)]
    assert check_delivery(twice, event).twice == ["a:new"]
    assert check_delivery(
        [message("c", "new", 3)], [stored("c", 3, 4, suppressed=True)]
    ).strangers == ["c"]
    late = [message("a", "end", 9), message("a", "new", 3)]
    assert check_delivery(late, event).disordered == ["a"]
    assert not check_delivery(late, event).whole


def test_anomalies_count_that_a_camera_watched() -> None:
    planned = [PlannedAnomaly("runner", 2, 2), PlannedAnomaly("vehicle", 6, 2)]
    records = [record(number / 5, None if number > 32 else 0.0) for number in range(50)]
    (runner,) = occurrences(records, planned, 10, 5, None)
    assert runner == Occurrence("film", "runner", 1002.0, 1004.0)
    # By the wall clock: the second turn of a scene of which time 0 was ten seconds earlier.
    (runner,) = occurrences(records, planned, 10, 5, shown_at=990)
    assert (runner.began_at, runner.ended_at) == (1002.0, 1004.0)
    assert is_caught(runner, [stored("film-1", 1003, None)])
    assert not is_caught(runner, [stored("film-1", 1000, 1001.5), stored("gate1-1", 1003, None)])


def test_when_all_cameras_are_back() -> None:
    seen = [
        (1001.0, record(0.5)),
        (1003.0, record(2.5, None)),
        (1004.0, record(3, camera="gate1")),
        (1006.0, record(3)),
    ]
    assert back_at(seen, ["film", "gate1"], 1002) == 1006.0
    assert back_at(seen, ["film", "gate1"], 1000) == 1004.0
    assert back_at(seen, ["film", "gate2"], 1000) is None


def readings(pid: int, begin: float, level: int, slope: float) -> list[ProcessReading]:
    return [
        ProcessReading(begin + at, "sink", pid, round(level + slope * at), 20 + (at > 150))
        for at in range(0, 200, 5)
    ]


def test_growth_is_fitted_over_all_lives() -> None:
    two = [*readings(1, 0, 50_000_000, 100.0), *readings(2, 300, 90_000_000, 100.0)]
    assert growth_per_hour(two, 60) == pytest.approx(360_000, rel=1e-3)
    assert growth_per_hour(readings(1, 0, 1000, 1.0)[:5], 60) is None
    assert growth_per_hour(two, 60, least_seconds=10_000) is None
    assert descriptors_gained(two, 60) == 1
    assert descriptors_gained(two, 190) == 0


def test_a_metric_is_summed_over_its_series() -> None:
    text = '# HELP a\na_total{camera="x",reason="late"} 2.0\na_total{camera="y",reason="z"} 3.0\n'
    assert metric(text, "a_total") == 5.0
    assert metric(text, "a_total", reason="late") == 2.0
    assert metric(text, "a") == 0.0


def test_restarts_are_compared_with_kills() -> None:
    assert unexpected_restarts({"sink": 2, "scorer": 0}, {"sink": 2}) == []
    assert unexpected_restarts({"sink": 2}, {"sink": 1}) == ["sink: 2 restarts, 1 kills"]
    assert unexpected_restarts({}, {"sink": 1}) == ["sink: 0 restarts, 1 kills"]
