"""The states of a scene, decided from stream time alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models import AdaptedScene, SceneScorer
from models.calibration import Calibration
from models.calibrator import CalibratorSettings
from models.tail import Tail
from pipeline.scenes.adaptation import Adaptation, ScoredFrame
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scenes.build_results import BuiltScene, RefitResult
from pipeline.scenes.calibration_window import LearningProgress
from pipeline.scenes.support_clips import SupportClips
from pipeline.scenes.support_selection import build_scene
from pipeline.scoring.clips import ClipBuffer

SETTINGS = AdaptationSettings(frames=3, interval_seconds=0.5, calibrator=CalibratorSettings(3.0))
CLIP = np.zeros((5, 16, 24, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return SceneScorer.untrained("vedette", seed=0)


@pytest.fixture(scope="module")
def scene(scorer: SceneScorer) -> AdaptedScene:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 5, 48, 64, 3), dtype=np.uint8)
    return scorer.adapt(torch.from_numpy(pixels))


def collect(adaptation: Adaptation, times: list[float]) -> list[ScoredFrame | None]:
    return [adaptation.before_scoring(time, CLIP, True) for time in times]


def test_collects_one_clip_an_interval() -> None:
    adaptation = Adaptation(SETTINGS)
    steps = collect(adaptation, [0.0, 0.1, 0.4, 0.5, 0.9, 1.01])
    assert [step.progress for step in steps if step] == ["1/3", "1/3", "1/3", "2/3", "2/3", ""]
    assert [step.state for step in steps if step] == ["collecting"] * 5 + ["fitting"]
    assert all(step is not None and step.energy is None for step in steps)
    assert adaptation.candidates.clips.shape == (3, *CLIP.shape)


def test_kept_clips_are_part_of_the_support_and_only_the_others_are_collected() -> None:
    clips = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1, 1).repeat(5, axis=1)
    kept = SupportClips(clips, (0.0, 1.0, 2.0, 3.0), 0.1).selected([0, 2])
    settings = AdaptationSettings(frames=3, interval_seconds=1.0, spare=2)
    adaptation = Adaptation(settings, reason="frames replaced", kept=kept)
    assert adaptation.state == "collecting"
    waiting = adaptation.before_scoring(100.0, clips[3], False)
    assert waiting is not None
    assert waiting.progress == "2/3, frames replaced"
    adaptation.before_scoring(100.1, clips[3], True)
    assert adaptation.state == "fitting"
    assert adaptation.candidates.clips[:, 0, 0, 0, 0].tolist() == [0, 2, 3]
    assert list(adaptation.candidates.seconds) == sorted(adaptation.candidates.seconds)


def test_waits_for_a_full_clip() -> None:
    adaptation = Adaptation(SETTINGS)
    step = adaptation.before_scoring(0.0, CLIP, False)
    assert step == ScoredFrame("collecting", "0/3")
    step = adaptation.before_scoring(0.1, CLIP, True)
    assert step == ScoredFrame("collecting", "1/3")


def test_float_times_do_not_skip_an_interval() -> None:
    adaptation = Adaptation(AdaptationSettings(frames=10, interval_seconds=0.1))
    for number in range(10):
        assert adaptation.state == "collecting"
        adaptation.before_scoring(1000 + number / 10, CLIP, True)
    assert adaptation.state == "fitting"


def test_collecting_continues_on_another_connection() -> None:
    adaptation = Adaptation(SETTINGS)
    collect(adaptation, [100.0, 100.5])
    adaptation.connected()
    collect(adaptation, [0.0])
    assert adaptation.state == "fitting"


def test_no_more_is_taken_while_fitting() -> None:
    adaptation = Adaptation(SETTINGS)
    collect(adaptation, [0.0, 0.5, 1.0, 1.5, 2.0])
    assert adaptation.candidates.clips.shape[0] == 3


def fitted(scene: AdaptedScene) -> Adaptation:
    adaptation = Adaptation(SETTINGS)
    collect(adaptation, [0.0, 0.5, 1.0])
    adaptation.apply_scene(BuiltScene(scene))
    return adaptation


def test_a_fitted_scene_maps_energies_to_scores(scene: AdaptedScene) -> None:
    adaptation = fitted(scene)
    calibration = adaptation.calibration
    assert adaptation.state == "calibrating"
    assert calibration is not None
    assert not calibration.final
    assert adaptation.before_scoring(1.1, CLIP, True) is None
    judgement = adaptation.judge(1.1, calibration.threshold)
    assert judgement.state == "calibrating"
    assert judgement.progress == "0/3 s"
    assert judgement.score == pytest.approx(1.0)
    assert judgement.threshold == calibration.threshold


def test_calibration_window_refines_the_threshold(scene: AdaptedScene) -> None:
    adaptation = fitted(scene)
    first = adaptation.calibration
    assert first is not None
    normal = np.random.default_rng(1).normal(first.median, 0.1, 40)
    judgements = [
        adaptation.judge(2 + number / 10, float(energy)) for number, energy in enumerate(normal)
    ]
    assert [judgement.state for judgement in judgements] == ["calibrating"] * 31 + ["ready"] * 9
    assert judgements[15].progress == "1/3 s"
    assert judgements[-1].progress == ""
    refined = adaptation.calibration
    assert refined is not None
    assert refined.final
    assert refined.samples == 31
    assert refined.threshold < first.threshold


def test_learning_progress_reports_when_it_will_be_trusted(scene: AdaptedScene) -> None:
    adaptation = Adaptation(SETTINGS)
    assert adaptation.learning == LearningProgress(False, 3 * 0.5 + 3.0, 0.0, 86_400.0)
    collect(adaptation, [0.0, 0.5])
    assert adaptation.learning.trusted_in_seconds == 0.5 + 3.0
    collect(adaptation, [1.0])
    assert adaptation.learning.trusted_in_seconds == 3.0
    adaptation.apply_scene(BuiltScene(scene))
    first = adaptation.calibration
    assert first is not None
    for number in range(11):
        adaptation.judge(2 + number / 10, first.median)
    learning = adaptation.learning
    assert learning.trusted_in_seconds == pytest.approx(2.0)
    assert (learning.trusted, learning.enough) == (False, False)
    for number in range(40):
        adaptation.judge(3.1 + number / 10, first.median)
    assert adaptation.learning.trusted
    assert adaptation.learning.trusted_in_seconds == 0.0
    assert adaptation.learning.normal_seconds == pytest.approx(5.0, abs=0.2)


def test_a_day_of_normal_time_is_enough_for_one_alarm_a_day(scene: AdaptedScene) -> None:
    calibration = Calibration(0.0, 4.0, 1.0, 600, final=True, tail=Tail(1.0, (0.5,), 60.0, 0.5))
    for hours, enough in ((23.9, False), (24.1, True)):
        seen = replace(calibration, normal_seconds=3600 * hours)
        learning = Adaptation(SETTINGS, scene, seen).learning
        assert learning.as_json() == {
            "trusted": True,
            "trusted_in_seconds": 0.0,
            "normal_seconds": round(3600 * hours),
            "wanted_seconds": 86_400.0,
            "enough": enough,
        }


def test_anomalies_do_not_count_as_normal_time(scene: AdaptedScene) -> None:
    adaptation = fitted(scene)
    first = adaptation.calibration
    assert first is not None
    for number in range(100):
        adaptation.judge(2 + number / 10, first.threshold + 5)
    assert adaptation.state == "calibrating"
    assert adaptation.calibration == first
    for number in range(40):
        adaptation.judge(12 + number / 10, first.median)
    assert adaptation.state == "ready"


def test_a_gap_in_the_stream_is_not_normal_time(scene: AdaptedScene) -> None:
    adaptation = fitted(scene)
    first = adaptation.calibration
    assert first is not None
    adaptation.judge(2.0, first.median)
    adaptation.judge(3600.0, first.median)
    assert adaptation.judge(3600.1, first.median).progress == "1/3 s"


def test_no_calibration_wanted(scene: AdaptedScene) -> None:
    settings = AdaptationSettings(frames=3, interval_seconds=0.5, calibrator=CalibratorSettings(0))
    adaptation = Adaptation(settings, scene)
    assert adaptation.state == "ready"
    assert adaptation.calibration is not None


def test_a_stored_scene_continues(scene: AdaptedScene) -> None:
    final = Calibration(median=0.0, threshold=4.0, spread=1.0, samples=600, final=True)
    ready = Adaptation(SETTINGS, scene, final)
    assert ready.before_scoring(0.0, CLIP, False) == ScoredFrame(
        "ready", ""
    )  # half a clip says nothing
    assert ready.before_scoring(0.4, CLIP, True) is None
    assert ready.judge(0.4, 2.0) == ScoredFrame("ready", "", 2.0, 0.5, 4.0)
    unfinished = Adaptation(SETTINGS, scene)
    assert unfinished.state == "calibrating"
    assert unfinished.scene is scene


def test_no_energy_is_read_without_a_scene() -> None:
    with pytest.raises(RuntimeError, match="want a fitted scene, got one that is collecting"):
        Adaptation(SETTINGS).judge(0.0, 1.0)


@pytest.mark.parametrize("wrong", [{"frames": 0}, {"interval_seconds": 0.0}, {"spare": -1}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"adapt\.\w+: want"):
        AdaptationSettings(**wrong)


def test_from_frames_to_ready(scorer: SceneScorer) -> None:
    """The whole walk with a real model: what replay and the scoring worker do."""
    rng = np.random.default_rng(2)
    buffer = ClipBuffer(scorer.config.clip_length, scorer.config.clip_interval_seconds)
    adaptation = Adaptation(
        AdaptationSettings(frames=3, interval_seconds=0.2, calibrator=CalibratorSettings(1.0))
    )
    states = []
    for number in range(30):
        pixels = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        clip = buffer.push(number / 10, pixels)
        judgement = adaptation.before_scoring(number / 10, clip, buffer.full)
        if adaptation.state == "fitting":
            adaptation.apply_scene(build_scene(scorer, adaptation))
        if judgement is None:
            assert adaptation.scene is not None
            scores = scorer.score(torch.from_numpy(clip[None]), [adaptation.scene])
            judgement = adaptation.judge(number / 10, float(scores.energies[0]))
        states.append(judgement.state)
    assert states[:9] == ["collecting"] * 8 + ["fitting"]
    assert states[9] == "calibrating"
    assert states[-1] == "ready"


def test_the_average_continues_after_a_refit(scene: AdaptedScene) -> None:
    """One high frame right after the change raises no alarm, as it raises none later."""
    calibration = Calibration(median=0.0, threshold=4.0, spread=1.0, samples=600, final=True)
    adaptation = Adaptation(SETTINGS, scene, calibration)
    for number in range(20):
        adaptation.judge(number / 10, 0.0)
    adaptation.apply_refit(RefitResult(scene, calibration, (), (), 0.5))
    score = adaptation.judge(2.0, 8.0).score
    assert score is not None
    assert score < 0.6
