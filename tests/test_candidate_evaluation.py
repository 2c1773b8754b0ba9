"""Which of several scenes matches the frames."""

import math

import pytest

from models.calibration import Calibration
from pipeline.scenes.candidate_evaluation import CandidateEvaluation, best_match, matches

NARROW = Calibration(median=0.0, threshold=5.0, spread=1.0, samples=60, final=True)
WIDE = Calibration(median=10.0, threshold=30.0, spread=4.0, samples=60, final=True)


def test_each_scene_is_scored_by_its_own_calibration() -> None:
    evaluation = CandidateEvaluation([NARROW, WIDE], seconds=4.5)
    for number in range(9):
        assert not evaluation.done
        assert evaluation.is_due(number / 2)
        evaluation.add(number / 2, [4.0, 12.0])
        assert not evaluation.is_due(number / 2 + 0.2)
    assert evaluation.done
    assert evaluation.scores == pytest.approx([0.8, 0.1])
    assert best_match(evaluation.scores) == 1


def test_one_frame_does_not_decide() -> None:
    evaluation = CandidateEvaluation([NARROW], seconds=1.0)
    for number in range(9):
        evaluation.add(number, [100.0 if number in (2, 3, 4) else 0.5])
    assert evaluation.scores == pytest.approx([0.1])


def test_a_scene_matches_near_its_normal_and_not_far_below() -> None:
    assert matches(0.0)
    assert matches(-0.6), "a quiet hour"
    assert not matches(0.5)
    assert not matches(-1.5)
    assert not matches(math.nan)
    assert best_match([0.5, -2.0]) is None
    assert best_match([0.3, -0.1, 0.2]) == 1
    assert best_match([]) is None


def test_without_scenes_there_is_nothing_to_wait_for() -> None:
    evaluation = CandidateEvaluation([], seconds=1.0)
    assert evaluation.done
    assert evaluation.scores == []
