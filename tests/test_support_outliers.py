"""What passes through the scene during adaptation does not become normal."""

import numpy as np
import pytest
import torch

from cameras.simulation import PlannedAnomaly, SyntheticStreet
from models import SceneScorer
from models.support_outliers import outlier_scores, robust_z
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scenes.support_selection import build_scene, choose_support, outliers_of, spread_over


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    torch.set_num_threads(1)
    return SceneScorer.load()


def test_one_runner_is_an_outlier(scorer: SceneScorer) -> None:
    """The shipped model on clips of a synthetic street, 0.6 s apart, three with a runner."""
    runner = PlannedAnomaly("runner", 4, 2)
    street = SyntheticStreet(0, (240, 320), frames_per_second=10, anomalies=[runner])
    adaptation = Adaptation(AdaptationSettings(frames=10, interval_seconds=1.0, spare=6))
    runs = []
    for last in range(4, 95, 6):
        frames = [street.render(index) for index in range(last - 4, last + 1)]
        clip = np.stack([frame.pixels for frame in frames])
        assert adaptation.state == "collecting"
        adaptation.before_scoring(last / 10, clip, True)
        runs.append(bool(frames[-1].mask.any()))
    assert adaptation.state == "fitting"
    assert sum(runs) == 3
    rated = scorer.rate_candidates(torch.from_numpy(adaptation.candidates.clips))
    places = choose_support(adaptation.candidates.seconds, rated.outlier_scores, 10)
    assert len(places) == 10
    assert not any(runs[place] for place in places)
    scene = build_scene(scorer, adaptation).scene
    assert scene.shots == 10
    running = torch.from_numpy(adaptation.candidates.clips[runs])
    careless = scorer.adapt(torch.from_numpy(adaptation.candidates.clips[3:13]))
    energies = scorer.score(running, [scene] * 3).energies
    assert bool((energies > scorer.score(running, [careless] * 3).energies + 1.0).all())


def test_the_scene_of_rated_candidates_is_that_of_its_clips(scorer: SceneScorer) -> None:
    rng = np.random.default_rng(0)
    clips = torch.from_numpy(rng.integers(0, 255, (6, 5, 32, 48, 3), dtype=np.uint8))
    places = [0, 2, 5]
    one = scorer.adapt_candidates(scorer.rate_candidates(clips), places)
    other = scorer.adapt(clips[places])
    assert one.support_energies == pytest.approx(other.support_energies, abs=1e-4)
    assert one.shots == other.shots == 3
    assert one.size_hw == other.size_hw
    with pytest.raises(ValueError, match="want at least 1 clip, got 0"):
        scorer.rate_candidates(clips[:0])
    with pytest.raises(ValueError, match="want at least 1 clip, got 0"):
        scorer.adapt_candidates(scorer.rate_candidates(clips), [])


def test_few_clips_have_no_outlier(scorer: SceneScorer) -> None:
    rng = np.random.default_rng(0)
    clips = torch.from_numpy(rng.integers(0, 255, (4, 5, 32, 48, 3), dtype=np.uint8))
    assert outlier_scores(scorer.model, scorer.model.observe(clips)) == [0.0] * 4


def test_robust_z_is_not_moved_by_what_it_finds() -> None:
    z = robust_z([1.0, 2.0, 3.0, 4.0, 1000.0])
    assert z[2] == 0.0
    assert z[0] == pytest.approx(-2 / 1.4826)
    assert z[4] > 600
    assert max(robust_z([5.0, 5.0, 5.0, 5.0, 5.1])) < 1, "clips that are nearly alike"


def test_neighbours_of_an_outlier_are_left_out() -> None:
    far = [0.0, 2.5, 0.1, 2.4, 7.0, 2.1, 0.3, -1.0]
    assert outliers_of(far) == {3, 4, 5}
    assert outliers_of([9.0, 0.0]) == {0}
    assert outliers_of([0.0, 2.9]) == set()


def test_usual_clips_are_spread_over_the_time() -> None:
    seconds = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert choose_support(seconds, [0.0] * 8, 3) == [0, 3, 7]
    assert choose_support(seconds, [9, 0, 0, 9, 0, 0, 0, 9], 3) == [1, 4, 6]
    assert choose_support(seconds, [0.0] * 8, 8) == list(range(8))
    assert spread_over([0.0, 0.1, 0.2, 5.0, 9.0], 3) == [0, 3, 4]
    assert spread_over([1.0, 2.0], 1) == [0]


def test_frequent_outliers_are_normal() -> None:
    """More stand out than there are spare ones: the nearest of them fill the support up."""
    far = [0.0, 4.0, 0.0, 8.0, 0.0, 5.0]
    assert choose_support([0, 1, 2, 3, 4, 5], far, 4) == [0, 1, 2, 4]


def test_spare_clips_come_from_the_same_time() -> None:
    settings = AdaptationSettings(frames=10, interval_seconds=1.0, spare=6)
    assert settings.candidates == 16
    assert settings.candidate_interval_seconds == pytest.approx(0.6)
    assert AdaptationSettings(frames=10, interval_seconds=1.0).candidate_interval_seconds == 1.0
    assert AdaptationSettings(frames=1, interval_seconds=1.0, spare=4).candidates == 5


def test_candidates_keep_their_times_over_a_lost_connection() -> None:
    adaptation = Adaptation(AdaptationSettings(frames=3, interval_seconds=1.0, spare=1))
    clip = np.zeros((5, 8, 8, 3), dtype=np.uint8)
    adaptation.before_scoring(100.0, clip, True)
    adaptation.before_scoring(101.5, clip, True)
    adaptation.connected()
    step = adaptation.before_scoring(3.0, clip, True)
    assert step is not None
    assert step.progress == "3/4"
    seconds = np.diff(adaptation.candidates.seconds)
    assert seconds == pytest.approx([1.5, 2 / 3])


def test_without_spare_clips_the_first_ones_are_the_support(scorer: SceneScorer) -> None:
    rng = np.random.default_rng(0)
    adaptation = Adaptation(AdaptationSettings(frames=3, interval_seconds=1.0))
    for number in range(3):
        clip = rng.integers(0, 255, (5, 32, 48, 3), dtype=np.uint8)
        adaptation.before_scoring(float(number), clip, True)
    scene = build_scene(scorer, adaptation).scene
    same = scorer.adapt(torch.from_numpy(adaptation.candidates.clips))
    assert scene.support_energies == pytest.approx(same.support_energies, rel=1e-5)
