"""Events that a threshold would have raised, and single scores of long logs."""

import json
from pathlib import Path

import pytest

from pipeline.events.event_settings import EventSettings
from pipeline.gateway.alarm_preview import levels, watched_seconds
from pipeline.storage.score_history import ScorePoint
from pipeline.storage.score_reader import scores_between
from pipeline.transport.messages import SceneState

T0 = 1_000_000
RULE = EventSettings(enter=1.0, exit=0.7, min_duration_seconds=0.5, merge_gap_seconds=2.0,
                     cooldown_seconds=0.0)  # fmt: skip


def course(*scores: float | None, state: SceneState = "ready") -> list[ScorePoint]:
    return [
        ScorePoint(T0 + n, score, score, 1.0, state, 10)
        for n, score in enumerate(scores)
        if score is not None
    ]


def count(points: list[ScorePoint], enter: float, rule: EventSettings = RULE) -> int:
    (level,) = levels(points, rule, [enter])
    return level.count


def test_lower_thresholds_raise_more() -> None:
    quiet = [0.1] * 10
    points = course(*quiet, 1.2, *quiet, 2.5, 2.6, *quiet, 0.8, *quiet)
    found = levels(points, RULE, (0.7, 1.0, 2.0, 3.0))
    assert [level.count for level in found] == [3, 2, 1, 0]
    (alarm,) = found[2].alarms
    assert (alarm.begins_at, alarm.peak) == (T0 + 21, 2.6)
    assert found[0].per_day is None  # not a minute was watched
    longer = course(*quiet * 20, 1.5)
    assert levels(longer, RULE, [1.0])[0].per_day == pytest.approx(86_400 / 201)


def test_what_is_near_is_one_alarm_and_what_is_apart_two() -> None:
    assert count(course(0.1, 1.5, 0.1, 1.5, 0.1, 0.1), 1.0) == 1
    assert count(course(0.1, 1.5, *[0.1] * 6, 1.5, 0.1), 1.0) == 2
    # Nothing came in between.
    assert count(course(0.1, 1.5, *[None] * 6, 1.5, 0.1), 1.0) == 2


def test_what_is_not_judged_raises_nothing() -> None:
    for state in ("suppressed", "stale", "collecting"):
        points = course(*[2.0] * 20, state=state)
        assert count(points, 1.0) == 0
        assert watched_seconds(points) == 0
    quiet = EventSettings(notify_while_calibrating=False)
    assert count(course(*[2.0] * 20, state="calibrating"), 1.0, quiet) == 0


def write_log(folder: Path, name: str, begin: int, many: int) -> None:
    folder.mkdir(exist_ok=True)
    with (folder / name).open("w") as file:
        for n in range(many):
            line = {"captured_at": begin + 0.1 * n, "score": n % 7 / 7, "pad": "x" * 300}
            file.write(json.dumps(line) + "\n")
        file.write('{"captured_at": 9')  # torn


def test_scores_of_a_span_are_found_in_long_logs(tmp_path: Path) -> None:
    write_log(tmp_path, "yard.1.jsonl", T0, 5000)
    write_log(tmp_path, "yard.jsonl", T0 + 500, 5000)
    for begin, end in ((T0 + 10, T0 + 12), (T0 + 499, T0 + 501), (T0 + 990, T0 + 5000)):
        found = scores_between(tmp_path, "yard", begin, end, 10_000)
        times = [one["captured_at"] for one in found]
        expected = [at for at in (T0 + 0.1 * n for n in range(10_000)) if begin <= at < end]
        assert len(times) == pytest.approx(len(expected), abs=1)
        assert times == sorted(times)
        assert times[0] == pytest.approx(max(begin, T0), abs=0.11)
    assert len(scores_between(tmp_path, "yard", T0, T0 + 1000, 100)) <= 100
    assert scores_between(tmp_path, "yard", T0 - 100, T0 - 50, 100) == []
    assert scores_between(tmp_path, "absent", T0, T0 + 1, 100) == []
