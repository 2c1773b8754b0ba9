"""Figures from scores: ranks, thresholds by recall, false alarms a day, kinds of anomaly."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.evaluation.separation import (
    DrawScores,
    Recording,
    by_kind,
    figures,
    ranks,
    threshold_at,
)


def scores(normal: list[float], planted: list[float], *recordings: Recording) -> DrawScores:
    return DrawScores(np.array(normal, float), np.array(planted, float), recordings)


def recording(values: list[float], left_out: tuple[int, ...] = ()) -> Recording:
    """Ten frames a second."""
    counted = np.ones(len(values), dtype=bool)
    counted[list(left_out)] = False
    return Recording(np.array(values, float), np.arange(len(values)) * 0.1, counted)


def test_the_mean_rank_is_the_auroc() -> None:
    random = np.random.default_rng(0)
    normal, planted = random.integers(0, 9, 40) * 1.0, random.integers(3, 12, 25) * 1.0
    truth = [0] * 40 + [1] * 25
    wanted = roc_auc_score(truth, np.concatenate([normal, planted]))
    assert ranks(planted, normal).mean() == pytest.approx(wanted)


def test_equal_scores_rank_half() -> None:
    assert ranks(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0])).tolist() == [0.25, 0.75, 1.0]


@pytest.mark.parametrize(
    ("planted", "normal", "message"),
    [([1.0], [], "at least 1 normal clip"), ([np.nan], [1.0], "NaN"), ([1.0], [np.nan], "NaN")],
)
def test_what_cannot_be_ranked_is_refused(
    planted: list[float], normal: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ranks(np.array(planted), np.array(normal))


@pytest.mark.parametrize(("recall", "wanted"), [(0.9, 2.0), (1.0, 1.0), (0.1, 10.0), (0.85, 2.0)])
def test_the_threshold_lets_enough_planted_clips_through(recall: float, wanted: float) -> None:
    planted = np.random.default_rng(0).permutation(np.arange(1.0, 11.0))
    threshold = threshold_at(planted, recall)
    assert threshold == wanted
    assert np.mean(planted >= threshold) >= recall


def test_false_alarms_are_runs_that_five_seconds_part() -> None:
    values = np.zeros(200)
    values[[10, 11, 12, 40]] = 9.0  # within 5 s: one
    values[120] = 9.0
    found = figures([scores([0.0, 1.0], [5.0, 6.0], recording(values.tolist()))])
    assert found.normal_seconds == pytest.approx(20)
    assert found.false_alarms_per_day == pytest.approx(2 / 20 * 86_400)
    assert found.share_above == pytest.approx(5 / 200)
    assert found.aurocs == (1.0,)
    assert found.spread is None


def test_frames_of_the_support_count_neither_as_alarms_nor_as_time() -> None:
    values = [9.0] * 10 + [0.0] * 90
    some = scores([0.0], [5.0], recording(values, left_out=tuple(range(10))))
    found = figures([some])
    assert found.normal_seconds == pytest.approx(9)
    assert (found.false_alarms_per_day, found.share_above) == (0.0, 0.0)


def test_each_draw_has_a_threshold_of_its_own_and_all_share_the_time() -> None:
    quiet = scores([0.0, 3.0], [5.0], recording([0.0, 4.0] + [0.0] * 98))
    loud = scores([0.0, 3.0], [2.0], recording([0.0, 4.0] + [0.0] * 98))
    found = figures([quiet, loud])
    assert found.aurocs == (1.0, 0.5)
    assert found.auroc == 0.75
    assert found.spread == pytest.approx(0.5 / 2**0.5)
    assert found.false_alarms_per_day == pytest.approx(1 / 20 * 86_400)


def test_without_video_there_is_no_rate() -> None:
    found = figures([scores([0.0], [1.0])])
    assert (found.false_alarms_per_day, found.share_above) == (None, None)


def test_kinds_are_measured_against_their_own_scene() -> None:
    bright, dark = scores([10.0, 11.0], [12.0, 5.0]), scores([0.0, 1.0], [2.0, 3.0])
    found = by_kind([bright, dark], [("thing", "blur"), ("thing", "thing")])
    assert list(found) == ["blur", "thing"]
    assert (found["thing"].auroc, found["thing"].planted) == (1.0, 3)
    assert (found["blur"].auroc, found["blur"].planted) == (0.0, 1)


def test_quiet_recall_counts_what_is_above_all_that_is_normal() -> None:
    values = [9.0] + [0.0] * 90 + [4.0]
    found = figures(
        [
            scores([0.0, 3.0], [2.0, 4.5, 5.0, 9.5], recording(values, left_out=(0,))),
            scores([0.0, 6.0], [5.0, 7.0], recording(values, left_out=(0,))),
        ]
    )
    assert found.quiet_recall == pytest.approx((0.75 + 0.5) / 2)
    assert figures([scores([1.0], [1.0, 2.0])]).quiet_recall == 0.5
