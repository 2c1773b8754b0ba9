import random
from dataclasses import replace
from itertools import pairwise

import pytest
from pydantic import TypeAdapter

from pipeline.config import Camera, Schedule
from pipeline.events.event import Event, EventChange
from pipeline.events.event_settings import EventSettings, ZoneSettings, event_settings
from pipeline.events.event_tracker import EventTracker, TrackerState
from pipeline.events.score_record import ScoreRecord

SETTINGS = EventSettings(
    enter=1.0, exit=0.7, min_duration_seconds=0.5, merge_gap_seconds=2.0, cooldown_seconds=10.0
)
RATE = 10.0
ZONES = replace(
    SETTINGS,
    zones={"porch": ZoneSettings(1.0, 0.7, 0.5), "path": ZoneSettings(2.0, 1.4, 0.2)},
)
HOURS = Schedule(timezone="UTC", active=["00:30-01:00"])
"""Active from 1800 to 3600 seconds after the epoch."""


def records(
    scores: list[float | None], connection: int = 1, wall: float = 1000.0
) -> list[ScoreRecord]:
    return [
        ScoreRecord("door", connection, n, n / RATE, wall + n / RATE, score, "ready")
        for n, score in enumerate(scores)
    ]


def play(tracker: EventTracker, stream: list[ScoreRecord]) -> list[EventChange]:
    return [change for record in stream for change in tracker.update(record)]


def run(scores: list[float | None], settings: EventSettings = SETTINGS) -> list[EventChange]:
    tracker = EventTracker(settings)
    return [*play(tracker, records(scores)), *tracker.finish()]


def kinds(changes: list[EventChange]) -> list[str]:
    return [change.kind for change in changes]


def test_one_event_from_first_to_last_high_frame() -> None:
    changes = run([0.0] * 10 + [1.2, 1.5, 1.9, 1.1, 0.8, 0.8, 0.8, 0.8] + [0.0] * 40)
    assert kinds(changes) == ["new", "end"]
    event = changes[-1].event
    assert event.id == "door-1-10"
    assert (event.started_at, event.ended_at) == (1001.0, 1001.7)
    assert event.duration_seconds == pytest.approx(0.7)
    assert (event.peak_score, event.peak_index, event.frames) == (1.9, 12, 8)
    assert changes[0].event.ended_at is None


def test_it_is_reported_after_the_minimum_duration_and_at_each_new_peak() -> None:
    tracker = EventTracker(SETTINGS)
    reported = [
        kinds(list(tracker.update(record))) for record in records([1.1] * 7 + [1.3, 1.2, 1.4])
    ]
    assert reported == [[]] * 5 + [["new"], [], ["update"], [], ["update"]]


def test_a_short_exceedance_is_no_event() -> None:
    assert run([0.0, 2.0, 2.0, 2.0, 2.0, 0.0] * 5) == []


def test_scores_between_exit_and_enter_start_nothing() -> None:
    assert run([0.9] * 100) == []


def test_a_rise_within_the_merge_gap_continues_the_same_event() -> None:
    changes = run([1.2] * 8 + [0.0] * 15 + [1.2] * 8 + [0.0] * 40)
    assert kinds(changes) == ["new", "end"]
    assert changes[-1].event.duration_seconds == pytest.approx(3.0)
    assert changes[-1].event.frames == 16


def test_noise_around_exit_does_not_keep_a_faded_event_alive() -> None:
    changes = run([1.2] * 8 + [0.0] + [0.8] * 100)
    assert changes[-1].event.duration_seconds == pytest.approx(0.7)


def test_after_the_merge_gap_another_event_is_suppressed_in_the_cooldown() -> None:
    high, low = [1.2] * 8, [0.0] * 30
    changes = run([*high, *low, *high, *low, *[0.0] * 60, *high, *low])
    assert kinds(changes) == ["new", "end", "suppressed", "end", "new", "end"]
    assert [c.event.suppressed for c in changes if c.kind == "end"] == [False, True, False]


@pytest.mark.parametrize("state", ["collecting", "fitting", "stale"])
def test_scenes_that_are_not_ready_make_no_event(state: str) -> None:
    stream = [replace(record, state=state) for record in records([5.0] * 50)]
    assert play(EventTracker(SETTINGS), stream) == []


LEARNING = replace(SETTINGS, notify_while_calibrating=False)


def calibrating(stream: list[ScoreRecord], until: int) -> list[ScoreRecord]:
    """The first records are of a scene that is being calibrated."""
    return [replace(one, state="calibrating") if one.index < until else one for one in stream]


def test_events_while_calibrating_are_suppressed() -> None:
    stream = calibrating(records([1.5] * 10 + [0.0] * 40), 50)
    changes = play(EventTracker(LEARNING), stream)
    assert kinds(changes) == ["suppressed", "end"]
    stored = changes[-1].event
    assert stored.state == "calibrating"
    assert (stored.suppressed, stored.suppressed_by) == (True, "calibrating")


def test_on_request_a_calibrating_scene_notifies() -> None:
    (change,) = play(EventTracker(SETTINGS), calibrating(records([5.0] * 50), 50))
    assert (change.kind, change.event.state) == ("new", "calibrating")


def test_the_default_configuration_suppresses_while_calibrating() -> None:
    assert not event_settings(Camera(source="x")).notify_while_calibrating  # type: ignore[arg-type]


def test_a_score_still_up_at_the_end_of_calibration_is_another_event() -> None:
    """It must reach `enter` on the final threshold, and begins no cool-down before."""
    tracker = EventTracker(LEARNING)
    changes = play(tracker, calibrating(records([1.5] * 50), 20))
    assert [(one.kind, one.event.suppressed_by) for one in changes] == [
        ("suppressed", "calibrating"),
        ("end", "calibrating"),
        ("new", None),
    ]
    assert changes[-1].event.state == "ready"
    assert changes[-1].event.first_index == 20
    usual = play(EventTracker(LEARNING), calibrating(records([1.5] * 20 + [0.9] * 30), 20))
    assert kinds(usual) == ["suppressed", "end"]


def test_a_rise_just_before_the_scene_is_calibrated_counts_from_then_on() -> None:
    changes = play(EventTracker(LEARNING), calibrating(records([0.0] * 17 + [1.5] * 20), 20))
    assert kinds(changes) == ["new"]
    assert changes[0].event.first_index == 20


def test_frames_without_score_are_low() -> None:
    assert kinds(run([1.2] * 8 + [None] * 30)) == ["new", "end"]


def test_a_file_read_fast_makes_the_same_events() -> None:
    scores: list[float | None] = [0.0] * 5 + [1.2] * 20 + [0.0] * 40
    fast = [replace(s, captured_at=1000.0 + s.index / 5000) for s in records(scores)]
    slow_end = play(EventTracker(SETTINGS), records(scores))[-1].event
    fast_end = play(EventTracker(SETTINGS), fast)[-1].event
    assert fast_end.id == slow_end.id
    assert fast_end.duration_seconds == slow_end.duration_seconds
    assert fast_end.peak_index == slow_end.peak_index


def test_time_without_connection_ends_an_event_at_its_last_frame() -> None:
    tracker = EventTracker(SETTINGS)
    assert kinds(play(tracker, records([1.2] * 8))) == ["new"]
    (end,) = tracker.update(records([1.2], connection=2, wall=1060.0)[0])
    assert end.kind == "end"
    assert end.event.ended_at == 1000.7
    assert tracker.candidate is not None
    assert tracker.candidate.id == "door-2-0"


def test_a_short_reconnection_does_not_split_an_event() -> None:
    tracker = EventTracker(SETTINGS)
    play(tracker, records([1.2] * 8))
    assert play(tracker, records([1.2] * 8, connection=2, wall=1001.0)) == []
    (end,) = tracker.finish()
    assert end.event.id == "door-1-0"
    assert end.event.duration_seconds == pytest.approx(1.7)


def test_without_minimum_duration_the_first_frame_begins_the_event() -> None:
    settings = replace(SETTINGS, min_duration_seconds=0.0)
    assert kinds(run([1.2] + [0.0] * 40, settings)) == ["new", "end"]


def random_scores(seed: int, count: int = 600) -> list[float | None]:
    rng, scores, level = random.Random(seed), [], 0.3
    for _ in range(count):
        if rng.random() < 0.06:
            level = rng.choice([0.2, 0.6, 0.8, 1.1, 1.6])
        scores.append(None if rng.random() < 0.02 else max(0.0, rng.gauss(level, 0.12)))
    return scores


@pytest.mark.parametrize("seed", range(25))
def test_invariants_hold_for_any_scores(seed: int) -> None:
    scores = random_scores(seed)
    changes = run(scores)
    events = [change.event for change in changes if change.kind == "end"]
    begun = [change.event.id for change in changes if change.kind in ("new", "suppressed")]
    assert begun == [event.id for event in events]
    assert len(set(begun)) == len(begun)
    assert events
    for event in events:
        assert event.ended_at is not None
        assert event.duration_seconds >= SETTINGS.min_duration_seconds
        assert event.ended_at - event.started_at == pytest.approx(event.duration_seconds)
        assert event.peak_score == scores[event.peak_index]
        inside = scores[event.first_index : event.first_index + round(event.duration_seconds * 10)]
        assert event.peak_score >= max(score or 0.0 for score in inside)
        assert event.started_at <= event.peak_at <= event.ended_at
    told_end = None
    for before, after in pairwise(events):
        assert before.ended_at is not None
        assert after.started_at - before.ended_at > SETTINGS.merge_gap_seconds
        told_end = told_end if before.suppressed else before.ended_at
        assert told_end is not None
        left = SETTINGS.cooldown_seconds - (after.started_at - told_end)
        assert after.suppressed == (left > 1e-6)


@pytest.mark.parametrize("cut", [3, 52, 111, 305, 599])
def test_a_tracker_continues_from_its_json(cut: int) -> None:
    stream = records(random_scores(3))
    whole = play(EventTracker(SETTINGS), stream)
    first = EventTracker(SETTINGS)
    changes = play(first, stream[:cut])
    adapter = TypeAdapter(TrackerState)
    state = adapter.validate_json(adapter.dump_json(first.state))
    assert state == first.state
    changes += play(EventTracker(SETTINGS, state), stream[cut:])
    assert changes == whole
    assert all(isinstance(change.event, Event) for change in changes)


def in_zones(*frames: tuple[float, float], whole: float | None = None) -> list[ScoreRecord]:
    """Frames with scores of porch and path; of the whole frame the highest of all."""
    return [
        replace(record, zones={"porch": porch, "path": path})
        for (porch, path), record in zip(
            frames, records([max(*frame, whole or 0.0) for frame in frames]), strict=True
        )
    ]


def ended(settings: EventSettings, stream: list[ScoreRecord]) -> list[Event]:
    tracker = EventTracker(settings)
    changes = [*play(tracker, stream), *tracker.finish()]
    return [change.event for change in changes if change.kind == "end"]


def test_only_an_anomaly_in_a_zone_makes_an_event() -> None:
    elsewhere = in_zones(*[(0.1, 0.1)] * 30, whole=5.0)
    assert ended(ZONES, elsewhere) == []
    (event,) = ended(ZONES, in_zones(*[(0.1, 0.1)] * 5, *[(1.2, 0.1)] * 10, *[(0.1, 0.1)] * 5))
    assert (event.zones, event.first_index, event.frames) == (("porch",), 5, 10)
    assert event.peak_score == 1.2


def test_the_peak_is_that_of_the_zones_whatever_happens_elsewhere() -> None:
    stream = in_zones(*[(1.2, 0.1)] * 10, *[(1.4, 0.1)] * 2, *[(1.1, 0.1)] * 8)
    loud = [replace(s, score=9.0) if s.index == 15 else s for s in stream]
    (event,) = ended(ZONES, loud)
    assert (event.peak_score, event.peak_index) == (1.4, 10)


def test_with_the_whole_frame_zones_only_locate() -> None:
    settings = replace(ZONES, only_zones=False)
    (event,) = ended(settings, in_zones(*[(0.1, 0.1)] * 10, whole=1.5))
    assert (event.zones, event.peak_score) == ((), 1.5)
    (event,) = ended(settings, in_zones(*[(0.1, 0.1)] * 10, *[(1.2, 0.1)] * 10, whole=1.5))
    assert (event.zones, event.first_index) == (("porch",), 0)


def test_each_zone_has_its_own_threshold_and_minimum_duration() -> None:
    assert ended(ZONES, in_zones(*[(0.1, 1.9)] * 30)) == []
    (event,) = ended(ZONES, in_zones((0.1, 2.1), (0.1, 1.5), (0.1, 1.4), (0.1, 0.1)))
    assert (event.zones, event.frames) == (("path",), 3)
    assert ended(ZONES, in_zones(*[(1.2, 0.1)] * 4, *[(0.1, 0.1)] * 4)) == []


def test_an_anomaly_moving_between_zones_is_one_event_with_all_zones() -> None:
    frames = [(0.1, 2.2)] * 5 + [(1.5, 2.1)] * 3 + [(1.5, 0.1)] * 6 + [(0.1, 0.1)] * 30
    tracker = EventTracker(ZONES)
    reported = [(c.kind, c.event.zones) for c in play(tracker, in_zones(*frames))]
    assert reported == [
        ("new", ("path",)),
        ("update", ("path", "porch")),
        ("end", ("path", "porch")),
    ]


def test_a_zone_reached_only_briefly_is_not_listed() -> None:
    frames = [(1.5, 0.1)] * 8 + [(1.5, 3.0)] + [(1.5, 0.1)] * 8
    (event,) = ended(ZONES, in_zones(*frames))
    assert event.zones == ("porch",)
    assert event.peak_score == 3.0


def test_from_zone_to_zone_none_long_enough_is_no_event() -> None:
    settings = replace(ZONES, zones={"porch": ZONES.zones["porch"], "path": ZONES.zones["porch"]})
    assert ended(settings, in_zones(*[(1.2, 0.1), (1.2, 0.1), (0.1, 1.2), (0.1, 1.2)] * 9)) == []


def test_records_without_zones_count_for_the_whole_frame() -> None:
    stream = records([0.0] * 5 + [1.2] * 20 + [0.0] * 40)
    assert ended(ZONES, stream) == ended(SETTINGS, stream)
    renamed = [replace(record, zones={"gone": 0.1}) for record in stream]
    assert ended(ZONES, renamed) == ended(SETTINGS, stream)


def test_settings_of_a_camera() -> None:
    area = {"coordinates": "0,0,1,0,1,1"}
    camera = Camera.model_validate(
        {
            "source": "x",
            "alert": {"enter": 2.0, "exit": 1.0, "min_duration": 3, "only_zones": False},
            "zones": {"plain": area, "keen": {**area, "enter": 0.5, "min_duration": 0}},
        }
    )
    settings = event_settings(camera)
    assert settings.zones == {
        "plain": ZoneSettings(2.0, 1.0, 3.0),
        "keen": ZoneSettings(0.5, 0.25, 0.0),
    }
    assert (settings.enter, settings.only_zones, settings.schedule) == (2.0, False, None)


@pytest.mark.parametrize("seed", range(10))
def test_a_zone_over_everything_makes_the_same_events(seed: int) -> None:
    scores = random_scores(seed)
    everything = replace(SETTINGS, zones={"all": ZoneSettings(1.0, 0.7, 0.5)})
    stream = [
        replace(s, zones={} if s.score is None else {"all": s.score}) for s in records(scores)
    ]
    plain = ended(SETTINGS, records(scores))
    assert [replace(event, zones=()) for event in ended(everything, stream)] == plain
    assert {event.zones for event in ended(everything, stream)} == {("all",)}


def at(wall: float, scores: list[float | None]) -> list[ScoreRecord]:
    return records(scores, wall=wall)


def test_outside_of_the_schedule_events_are_suppressed() -> None:
    settings = replace(SETTINGS, schedule=HOURS)
    scores: list[float | None] = [1.2] * 10 + [0.0] * 30
    (stored,) = ended(settings, at(1000.0, scores))
    assert (stored.suppressed, stored.suppressed_by) == (True, "schedule")
    (reported,) = ended(settings, at(2000.0, scores))
    assert (reported.suppressed, reported.suppressed_by) == (False, None)


def test_an_event_that_continues_into_the_schedule_is_released() -> None:
    tracker = EventTracker(replace(SETTINGS, schedule=HOURS))
    changes = play(tracker, at(1798.0, [1.2] * 30 + [1.4] * 5))
    assert [(c.kind, c.event.suppressed_by) for c in changes] == [
        ("suppressed", "schedule"),
        ("released", None),
        ("update", None),
    ]
    assert changes[1].event.frames == 21
    (end,) = tracker.finish()
    assert not end.event.suppressed


def test_an_event_that_begins_just_before_the_schedule_is_new_in_it() -> None:
    tracker = EventTracker(replace(SETTINGS, schedule=HOURS))
    (change,) = play(tracker, at(1799.8, [1.2] * 10))
    assert (change.kind, change.event.suppressed) == ("new", False)


def test_an_event_that_began_in_the_schedule_is_reported_to_its_end() -> None:
    tracker = EventTracker(replace(SETTINGS, schedule=HOURS))
    changes = play(tracker, at(3599.0, [1.2] * 20 + [1.4] + [0.0] * 30))
    assert kinds(changes) == ["new", "update", "end"]
    assert not any(change.event.suppressed for change in changes)


def test_a_suppressed_event_begins_no_cooldown() -> None:
    settings = replace(SETTINGS, schedule=HOURS)
    high, low = [1.2] * 8, [0.0] * 30
    first, second, third = ended(settings, at(1797.0, [*high, *low, *high, *low, *high, *low]))
    assert first.suppressed_by == "schedule"
    assert second.suppressed_by is None
    assert third.suppressed_by == "cooldown"
