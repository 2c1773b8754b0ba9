"""Measures against values worked out by hand and by counting pairs."""

import numpy as np
import pytest

from pipeline.evaluation.roc import (
    RocCurve,
    equal_error_rate,
    frame_metrics,
    has_both_classes,
    roc,
)


def as_values(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float64)


def as_labels(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=bool)


def auroc_by_pairs(values: np.ndarray, labels: np.ndarray) -> float:
    """Share of (anomalous, normal) pairs in the right order, ties counting half."""
    difference = values[labels][:, None] - values[~labels][None, :]
    return float(np.mean(np.where(difference > 0, 1.0, np.where(difference == 0, 0.5, 0.0))))


def test_micro_pools_the_frames_and_macro_averages_the_clips() -> None:
    values = [as_values(0, 1, 2, 3), as_values(10, 11, 12, 13)]
    labels = [as_labels(0, 0, 1, 1), as_labels(1, 0, 0, 1)]
    metrics = frame_metrics(values, labels)
    pooled = auroc_by_pairs(np.concatenate(values), np.concatenate(labels))
    assert metrics.frame_auroc_micro == pytest.approx(pooled)
    assert metrics.frame_auroc_macro == pytest.approx((1.0 + 0.5) / 2)


def test_agrees_with_counting_pairs_where_values_tie() -> None:
    random = np.random.default_rng(0)
    values = random.integers(0, 6, 200).astype(np.float64)
    labels = random.random(200) < 0.3
    metrics = frame_metrics([values], [labels])
    assert metrics.frame_auroc_micro == pytest.approx(auroc_by_pairs(values, labels))


def test_macro_leaves_out_clips_of_one_class() -> None:
    values = [as_values(0, 1), as_values(5, 5), as_values(1, 0)]
    labels = [as_labels(0, 1), as_labels(1, 1), as_labels(0, 1)]
    assert frame_metrics(values, labels).frame_auroc_macro == pytest.approx(0.5)
    assert [has_both_classes(clip) for clip in labels] == [True, False, True]


def test_macro_is_undefined_where_no_clip_has_both_classes() -> None:
    metrics = frame_metrics([as_values(0, 1), as_values(2, 3)], [as_labels(0, 0), as_labels(1, 1)])
    assert metrics.frame_auroc_macro is None
    assert metrics.frame_auroc_micro == 1.0


def test_perfect_reversed_and_constant_detectors() -> None:
    labels = as_labels(0, 0, 0, 1, 1)
    perfect = frame_metrics([as_values(1, 2, 3, 4, 5)], [labels])
    assert (perfect.frame_auroc_micro, perfect.eer, perfect.average_precision) == (1.0, 0.0, 1.0)
    reverse = frame_metrics([as_values(5, 4, 3, 2, 1)], [labels])
    assert (reverse.frame_auroc_micro, reverse.eer) == (0.0, 1.0)
    constant = frame_metrics([np.zeros(5)], [labels])
    assert constant.frame_auroc_micro == pytest.approx(0.5)
    assert constant.eer == pytest.approx(0.5)
    assert constant.average_precision == pytest.approx(2 / 5)


def test_equal_error_rate_lies_between_the_points_of_the_curve() -> None:
    curve = RocCurve(as_values(0.0, 0.2, 0.6, 1.0), as_values(0.0, 0.5, 0.9, 1.0))
    # From (0.2, 0.5) to (0.6, 0.9) misses and false alarms meet at (0.35, 0.65).
    assert equal_error_rate(curve) == pytest.approx(0.35)


def test_roc_runs_from_nothing_to_everything() -> None:
    curve = roc([as_values(0.1, 0.9, 0.4)], [as_labels(0, 1, 0)])
    assert (curve.false_positive_rate[0], curve.true_positive_rate[0]) == (0.0, 0.0)
    assert (curve.false_positive_rate[-1], curve.true_positive_rate[-1]) == (1.0, 1.0)


@pytest.mark.parametrize("labels", [as_labels(0, 0, 0), as_labels(1, 1, 1)])
def test_refuses_frames_of_one_class(labels: np.ndarray) -> None:
    with pytest.raises(
        ValueError, match=r"want normal and anomalous frames, got \d anomalous of 3"
    ):
        frame_metrics([as_values(1, 2, 3)], [labels])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_refuses_values_that_are_not_finite(value: float) -> None:
    with pytest.raises(ValueError, match="want finite values, got 1 of 3"):
        frame_metrics([as_values(1, value, 3)], [as_labels(0, 1, 0)])


def test_refuses_values_that_do_not_match_the_labels() -> None:
    with pytest.raises(ValueError, match="clip 1: want one value for each of 3 labels, got 2"):
        frame_metrics([as_values(1, 2), as_values(1, 2)], [as_labels(0, 1), as_labels(0, 1, 1)])
