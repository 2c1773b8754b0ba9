"""Events, false alarms and delays against cases worked out by hand."""

import numpy as np
import pytest

from pipeline.evaluation.alarms import (
    AlarmOptions,
    alarm_curve,
    alarm_metrics,
    detection_delays,
    event_count,
    false_alarm_spans,
    false_alarms,
    intervals,
    normal_seconds,
)


def as_values(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float64)


def as_labels(text: str) -> np.ndarray:
    """ "..##." is two normal frames, two anomalous ones, one normal."""
    return np.array([letter == "#" for letter in text])


def at_one_a_second(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.float64)


def test_intervals_of_labels() -> None:
    assert intervals(as_labels("#..##.#")) == [(0, 0), (3, 4), (6, 6)]
    assert intervals(as_labels("...")) == []
    assert event_count([as_labels("#..##.#"), as_labels("..."), as_labels("###")]) == 4


@pytest.mark.parametrize(
    ("above", "labels", "merge_gap_seconds", "count"),
    [
        ("......", "......", 2.0, 0),
        ("#.....", "......", 2.0, 1),
        ("#.#...", "......", 3.0, 1),  # 2 s apart: one alarm
        ("#.#...", "......", 2.0, 2),  # as far apart as the gap: two
        ("##..##", "......", 3.0, 2),
        ("##..##", "......", 3.5, 1),
        ("..##..", "..##..", 2.0, 0),
        ("..####", "..##..", 2.0, 1),  # outlasts its event
        (".####.", "..##..", 2.0, 2),  # before and after it
        (".####.", "..##..", 4.0, 1),  # the same, close together
    ],
)
def test_false_alarms(above: str, labels: str, merge_gap_seconds: float, count: int) -> None:
    times = at_one_a_second(len(above))
    assert false_alarms(as_labels(above), as_labels(labels), times, merge_gap_seconds) == count


def test_false_alarms_that_merge_are_one_span() -> None:
    above, labels = as_labels("##.#.....#"), as_labels("..........")
    assert false_alarm_spans(above, labels, at_one_a_second(10), 3.0) == [(0, 3), (9, 9)]


def test_delay_is_from_the_first_anomalous_frame_by_time() -> None:
    times = as_values(0.0, 0.1, 0.2, 0.5, 0.9, 1.0)
    found = detection_delays(as_labels("#..#.."), as_labels(".####."), times)
    assert found == [pytest.approx(0.4)]
    assert detection_delays(as_labels("#....#"), as_labels(".####."), times) == [None]
    assert detection_delays(as_labels("######"), as_labels("##..##"), times) == [0.0, 0.0]


def test_normal_video_lasts_until_the_next_frame() -> None:
    times = as_values(0.0, 1.0, 2.0, 5.0)
    assert normal_seconds([as_labels("..#.")], [times]) == 3.0  # 1 + 1, the last as the median, 1
    assert normal_seconds([as_labels("..#"), as_labels("...")], [times[:3]] * 2) == 5.0
    assert normal_seconds([as_labels(".")], [as_values(0.0)]) == 0.0


def test_curve_has_a_point_for_every_peak_of_an_event() -> None:
    values = [as_values(0, 5, 9, 0, 6, 0, 3, 0), as_values(4, 1, 0, 7)]
    labels = [as_labels("..#...#."), as_labels("#...")]
    times = [at_one_a_second(8), at_one_a_second(4)]
    curve = alarm_curve(values, labels, times, merge_gap_seconds=1.5)
    assert curve is not None
    assert curve.thresholds.tolist() == [9, 4, 3]
    assert curve.event_recall == pytest.approx([1 / 3, 2 / 3, 1.0])
    # At 9 nothing false; at 4 and 3 the 5 and the 6, 3 s apart, and the 7 of the other clip.
    day = 86_400 / 9  # of 9 normal seconds
    assert curve.false_alarms_per_day == pytest.approx([0.0, 3 * day, 3 * day])


def test_metrics_are_read_off_at_the_recall_asked_for() -> None:
    values = [as_values(0, 2, 8, 0, 5, 3, 3, 6)]
    labels = [as_labels(".##..###")]
    times = [at_one_a_second(8)]
    half = alarm_metrics(values, labels, times, AlarmOptions(event_recall=0.5))
    assert half is not None
    assert (half.threshold, half.event_recall, half.false_alarms_per_day) == (8.0, 0.5, 0.0)
    assert half.time_to_detect_seconds == 1.0
    most = alarm_metrics(values, labels, times, AlarmOptions(event_recall=0.9))
    assert most is not None
    assert (most.threshold, most.event_recall) == (6.0, 1.0)
    assert most.time_to_detect_seconds == 1.5  # 1 s and 2 s
    assert most.false_alarms_per_day == 0.0


@pytest.mark.parametrize(
    ("false_alarms_per_day", "threshold", "recall"),
    [
        (0.0, 9.0, 1 / 3),
        (86_400 / 8, 6.0, 2 / 3),
        (86_400, 3.0, 1.0),
    ],
)
def test_metrics_are_read_off_at_the_false_alarms_asked_for(
    false_alarms_per_day: float, threshold: float, recall: float
) -> None:
    values, labels = [as_values(0, 7, 0, 9, 0, 0, 6, 5, 0, 3, 4)], [as_labels("...#..#..#.")]
    options = AlarmOptions(1.5, false_alarms_per_day=false_alarms_per_day)
    found = alarm_metrics(values, labels, [at_one_a_second(11)], options)
    assert found is not None
    assert (found.threshold, found.event_recall) == (threshold, pytest.approx(recall))
    assert found.false_alarms_per_day <= false_alarms_per_day


@pytest.mark.parametrize("rate", [-1.0, float("nan")])
def test_a_rate_that_is_none(rate: float) -> None:
    with pytest.raises(ValueError, match="false alarms a camera-day: want a number >= 0, got"):
        AlarmOptions(false_alarms_per_day=rate)


def test_where_the_highest_value_is_a_false_alarm_no_threshold_finds_anything_without() -> None:
    values, labels = [as_values(0, 9, 0, 5)], [as_labels("...#")]
    options = AlarmOptions(false_alarms_per_day=0.0)
    found = alarm_metrics(values, labels, [at_one_a_second(4)], options)
    assert found is not None
    assert found.threshold > 9
    assert (found.event_recall, found.false_alarms_per_day) == (0.0, 0.0)
    assert found.time_to_detect_seconds is None


def test_a_perfect_detector_raises_nothing_false_and_a_constant_one_always() -> None:
    labels, times = [as_labels("..##..##")], [at_one_a_second(8)]
    perfect = alarm_metrics([labels[0].astype(float)], labels, times, AlarmOptions())
    assert perfect is not None
    assert (perfect.false_alarms_per_day, perfect.time_to_detect_seconds) == (0.0, 0.0)
    blind = alarm_metrics([np.zeros(8)], labels, times, AlarmOptions(merge_gap_seconds=1.0))
    assert blind is not None
    assert blind.false_alarms_per_day == pytest.approx(2 * 86_400 / 4)


@pytest.mark.parametrize("labels", ["....", "####"])
def test_nothing_to_measure_without_events_or_without_normal_video(labels: str) -> None:
    arguments = ([np.zeros(4)], [as_labels(labels)], [at_one_a_second(4)])
    assert alarm_metrics(*arguments, AlarmOptions()) is None
