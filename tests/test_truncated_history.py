"""The first frames of a video: judged by the past that they have."""

import pytest
import torch
from makers import make_clips

from models import SceneScorer
from models.inputs import truncate_history
from pipeline.evaluation.truncated_history import adapt_truncated, score_truncated


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return SceneScorer.untrained("vedette", seed=2)


def test_a_cut_clip_repeats_the_earliest_frame_that_is_left() -> None:
    clips = torch.arange(5).repeat(3, 1)
    assert truncate_history(clips, [0, 2, 4]).tolist() == [
        [4, 4, 4, 4, 4],
        [2, 2, 2, 3, 4],
        [0, 1, 2, 3, 4],
    ]


def test_each_clip_is_judged_in_the_scene_of_its_own_past(scorer: SceneScorer) -> None:
    support, clips = make_clips(4, 5, seed=1), make_clips(3, 5, seed=2)
    scene = adapt_truncated(scorer, support)
    (found,) = score_truncated(scorer, clips, [4, 0, 2], [scene])
    for number, past in enumerate([4, 0, 2]):
        alone = scorer.score(truncate_history(clips[[number]], [past]), [scene.by_past[past]])
        expected = alone.energies[0] + scene.offsets[past]
        assert found.energies[number] == pytest.approx(float(expected), abs=1e-4)
        torch.testing.assert_close(found.maps[number], alone.maps[0], atol=1e-4, rtol=0)


def test_a_whole_clip_is_judged_as_a_camera_judges_it(scorer: SceneScorer) -> None:
    support, clips = make_clips(4, 5, seed=1), make_clips(2, 5, seed=2)
    (found,) = score_truncated(scorer, clips, [4, 4], [adapt_truncated(scorer, support)])
    expected = scorer.score(clips, [scorer.adapt(support)] * 2)
    torch.testing.assert_close(found.energies, expected.energies, atol=1e-5, rtol=0)


def test_what_is_typical_is_the_same_for_every_past(scorer: SceneScorer) -> None:
    scene = adapt_truncated(scorer, make_clips(5, 5, seed=1))
    for one, offset in zip(scene.by_past, scene.offsets, strict=True):
        middle = sorted(one.support_energies)[2] + offset
        assert middle == pytest.approx(sorted(scene.by_past[-1].support_energies)[2], abs=1e-6)


def test_one_shot_has_nothing_to_compare_with(scorer: SceneScorer) -> None:
    assert adapt_truncated(scorer, make_clips(1, 5, seed=1)).offsets == (0.0,) * 5
