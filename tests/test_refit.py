"""A refit on the calibration window: support of usual samples, calibrated by the others."""

import itertools
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from makers import small_scorer, walking_box, write_video
from stage_parts import (
    CollectingSink,
    noise_frames,
    scoring,
    send_all,
    small_config,
    worker_context,
)

from benchmarks.normal_video import count_false_alarms, watch
from cameras import SourceOptions, open_source
from models import SceneScorer
from models.calibrator import CalibratorSettings
from pipeline.evaluation.replay import ReplayedFrame, replay
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scenes.build_results import RefitRequest, RefitResult
from pipeline.scenes.refit import refit_scene
from pipeline.scenes.scene_store import SceneStore
from pipeline.scenes.scene_watch import ViewState
from pipeline.scenes.support_selection import build_scene
from pipeline.scoring.clips import ClipBuffer
from pipeline.worker import RunInfo

SETTINGS = AdaptationSettings(
    frames=4, interval_seconds=0.5, calibrator=CalibratorSettings(30.0), refit=8
)
SUPPRESSED, UNUSABLE = (
    ViewState(suppressed=True, usable=False),
    ViewState(suppressed=False, usable=False),
)
Pictures = Iterator[np.ndarray]


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return small_scorer()


def life(flash: tuple[float, float] = (0.0, 0.0)) -> Pictures:
    """Ten pictures a second; between two times a patch of noise that is nowhere else."""
    random = np.random.default_rng(3)
    for number, picture in enumerate(walking_box(1000, jumps=True)):
        if flash[0] <= number / 10 < flash[1]:
            picture[2:30, 36:64] = random.integers(0, 255, (28, 28, 3), dtype=np.uint8)
        yield picture


def live(scorer: SceneScorer, adaptation: Adaptation, pictures: Pictures) -> RefitRequest | None:
    """Feed pictures until a refit is requested or none is left."""
    buffer = ClipBuffer(scorer.config.clip_length, scorer.config.clip_interval_seconds)
    for number, pixels in enumerate(pictures):
        time = number / 10
        clip = buffer.push(time, pixels)
        if adaptation.before_scoring(time, clip, buffer.full) is None:
            assert adaptation.scene is not None
            scores = scorer.score(torch.from_numpy(clip[None]), [adaptation.scene])
            adaptation.judge(
                time,
                float(scores.energies[0]),
                cached_features=lambda scores=scores: scorer.cached_features(scores, 0),  # type: ignore[misc]
            )
        if adaptation.state == "fitting":
            adaptation.apply_scene(build_scene(scorer, adaptation))
        request = adaptation.refit_request()
        if request is not None:
            return request
    return None


def score_of(scorer: SceneScorer, wider: RefitResult, pictures: Pictures, newest: int) -> float:
    """Score of the clip that ends at a picture, in a refitted scene."""
    clip = np.stack(list(itertools.islice(pictures, newest - 4, newest + 1)))
    energies = scorer.score(torch.from_numpy(clip[None]), [wider.scene]).energies
    return wider.calibration.score(float(energies[0]))


def test_the_calibration_window_becomes_the_scene(scorer: SceneScorer) -> None:
    adaptation = Adaptation(SETTINGS)
    request = live(scorer, adaptation, life())
    assert request is not None
    assert request.window.seconds[-1] == pytest.approx(30.0)
    assert request.candidate_features is not None
    assert request.candidate_features.features.shape[0] == len(request.candidate_seconds) == 4
    assert request.candidate_features.features.dtype == torch.float16
    assert adaptation.refit_request() is None, "asked for once"
    first = adaptation.scene
    wider = refit_scene(scorer, request)
    assert wider is not None
    adaptation.apply_refit(wider)
    assert adaptation.scene is wider.scene is not first
    assert wider.scene.shots == 8
    assert len(wider.scene.support_energies) == 8
    assert adaptation.state == "ready"
    assert adaptation.calibration is not None
    assert adaptation.calibration.final
    assert adaptation.calibration.tail is not None
    # 61 moments, of which at most 8 are in the support: the others calibrate, but for odd ones.
    assert 40 <= len(wider.energies) <= 61
    assert adaptation.calibration.samples <= len(wider.energies)
    judged = adaptation.judge(60.0, wider.energies[0])
    assert judged.state == "ready"


def test_what_passes_once_is_left_out(scorer: SceneScorer) -> None:
    """Of a scene that was made with it and one without, both find it as strange."""
    flash = (12.0, 15.0)
    request = live(scorer, Adaptation(SETTINGS), life(flash))
    assert request is not None
    assert not request.window.unusual, "it must stand out by itself"
    wider = refit_scene(scorer, request)
    assert wider is not None
    assert score_of(scorer, wider, life(flash), 127) > 1.0
    begin = 2.5  # of the window, in the time of the pictures: 0.4 + 3 · 0.5, and one step
    seen = [begin + second for second in wider.seconds]
    assert not [second for second in seen if flash[0] + 0.6 <= second <= flash[1] - 0.6]


def test_what_stays_or_recurs_is_normal(scorer: SceneScorer) -> None:
    flash = (12.0, 29.0)
    request = live(scorer, Adaptation(SETTINGS), life(flash))
    assert request is not None
    wider = refit_scene(scorer, request)
    assert wider is not None
    assert score_of(scorer, wider, life(flash), 207) < 1.0


def told_of(request: RefitRequest, begin: float) -> None:
    """As if the first scene, whose model is untrained, had found it unusual from then on."""
    first = 2.0  # the window's first moment, in the time of the pictures
    window = request.window
    window.unusual[:] = [(begin - first, window.now_seconds)]
    window.unusual_seconds = window.now_seconds + first - begin


def test_what_the_first_scene_reported_is_left_out(scorer: SceneScorer) -> None:
    """There for the last fourteen of thirty seconds, and still when the window is over."""
    flash = (18.0, 99.0)
    request = live(scorer, Adaptation(SETTINGS), life(flash))
    assert request is not None
    careless = refit_scene(scorer, request)
    assert careless is not None
    assert score_of(scorer, careless, life(flash), 400) < 1.0, "or this test would tell nothing"
    told_of(request, 18.0)
    wider = refit_scene(scorer, request)
    assert wider is not None
    assert score_of(scorer, wider, life(flash), 400) > 1.0


def patches(*spans: tuple[float, float]) -> Pictures:
    """Life with the same thing in the picture in each of some spans of time."""
    thing = np.random.default_rng(4).integers(0, 255, (24, 26, 3), dtype=np.uint8)
    for number, picture in enumerate(life()):
        if any(begin <= number / 10 < end for begin, end in spans):
            picture[2:26, 36:62] = thing
        yield picture


def found_at(request: RefitRequest, *spans: tuple[float, float]) -> None:
    """As if the first scene had found these spans unusual, in the time of the pictures."""
    first = 2.0
    request.window.unusual[:] = [(begin - first, end - first) for begin, end in spans]
    request.window.unusual_seconds = sum(end - begin for begin, end in spans)


def test_what_recurs_in_the_window_is_normal(
    scorer: SceneScorer, caplog: pytest.LogCaptureFixture
) -> None:
    """Two passers-by of the same kind, twelve seconds apart; one alone is left out."""
    twice = ((7.0, 9.5), (22.0, 24.5))
    request = live(scorer, Adaptation(SETTINGS), patches(*twice))
    assert request is not None
    found_at(request, *twice)
    with caplog.at_level(logging.INFO):
        wider = refit_scene(scorer, request, "yard")
    assert wider is not None
    assert score_of(scorer, wider, patches(*twice), 80) < 1.0
    assert score_of(scorer, wider, patches(*twice), 232) < 1.0
    assert "at 2 different times: what recurs counts as normal now" in caplog.text
    found_at(request, twice[1])
    careful = refit_scene(scorer, request)
    assert careful is not None
    seen = [2.0 + second for second in careful.seconds]
    assert not [second for second in seen if twice[1][0] <= second <= twice[1][1]]


def test_two_different_unusual_events_are_left_out(scorer: SceneScorer) -> None:
    """A flicker early on does not make normal what comes later and stays for twelve seconds."""
    stays = (19.0, 99.0)
    request = live(scorer, Adaptation(SETTINGS), life(stays))
    assert request is not None
    found_at(request, (5.0, 5.5), (19.0, 32.0))
    wider = refit_scene(scorer, request)
    assert wider is not None
    assert score_of(scorer, wider, life(stays), 400) > 1.0


def test_what_fills_most_of_the_window_is_normal_and_logged(
    scorer: SceneScorer, caplog: pytest.LogCaptureFixture
) -> None:
    flash = (10.0, 99.0)
    request = live(scorer, Adaptation(SETTINGS), life(flash))
    assert request is not None
    told_of(request, 10.0)
    with caplog.at_level(logging.WARNING):
        wider = refit_scene(scorer, request, "yard")
    assert wider is not None
    assert score_of(scorer, wider, life(flash), 400) < 1.0
    assert "yard: much of the calibration window was unusual" in caplog.text, "never silently"


def unusual_times(
    scorer: SceneScorer, energies: list[float], **judging: float
) -> list[tuple[float, float]]:
    """From when to when something was; energies in thresholds, ten a second."""
    adaptation = Adaptation(SETTINGS)
    live(scorer, adaptation, itertools.islice(life(), 30))
    assert adaptation.calibration is not None
    threshold = adaptation.calibration.threshold
    for number, energy in enumerate(energies):
        seconds = 3.0 + number / 10
        adaptation.judge(seconds, energy * threshold, cached_features=lambda: adaptation, **judging)  # type: ignore[arg-type, return-value]
    request = adaptation.refit_request()
    assert request is not None
    # The window began with a frame at 2.0 s: ten frames before the first of these.
    return [(begin - 1.0, end - 1.0) for begin, end in request.window.unusual]


def test_a_spike_that_smoothing_removes_is_unusual(scorer: SceneScorer) -> None:
    """One frame of twice the threshold: a smoothed score of less than a half, between moments."""
    energies = [2.0 if number == 103 else 0.0 for number in range(300)]
    assert unusual_times(scorer, energies) == [pytest.approx((10.3, 10.3))]
    assert unusual_times(scorer, energies, enter=2.5) == []
    few = [0.4 * energy for energy in energies]
    assert unusual_times(scorer, few, enter=0.7) == [pytest.approx((10.3, 10.3))]


def test_frames_with_a_lagging_high_score_are_unusual(scorer: SceneScorer) -> None:
    """The energy is down again, the smoothed one not yet."""
    energies = [20.0 if 100 <= number <= 103 else 0.0 for number in range(300)]
    ((begin, end),) = unusual_times(scorer, energies)
    assert begin == pytest.approx(10.0)
    # In four frames of 20 thresholds the smoothed energy rises to 12.6, and falls by a fifth each.
    assert 11.2 < end < 11.6


@pytest.mark.parametrize("wanted", [9, 100])
def test_samples_for_calibration_are_left(scorer: SceneScorer, wanted: int) -> None:
    request = live(scorer, Adaptation(replace(SETTINGS, refit=wanted)), life())
    assert request is not None
    wider = refit_scene(scorer, request)
    assert wider is not None
    assert wider.scene.shots == min(wanted, 35 // 3)
    assert len(wider.energies) >= 30


def test_a_stored_scene_is_refitted_without_its_support(scorer: SceneScorer) -> None:
    first = Adaptation(SETTINGS)
    live(scorer, first, itertools.islice(life(), 60))
    again = Adaptation(SETTINGS, first.scene)
    assert again.state == "calibrating"
    request = live(scorer, again, life())
    assert request is not None
    assert request.candidate_features is None
    wider = refit_scene(scorer, request)
    assert wider is not None
    assert wider.scene.shots == 8


def test_without_a_refit_the_first_scene_stays(scorer: SceneScorer) -> None:
    adaptation = Adaptation(SETTINGS)
    request = live(scorer, adaptation, life())
    assert request is not None
    first, calibration = adaptation.scene, adaptation.calibration
    adaptation.apply_refit(None)
    assert adaptation.scene is first
    assert adaptation.calibration is calibration
    assert adaptation.state == "calibrating"
    adaptation.judge(33.0, 0.0)
    assert adaptation.state == "ready", "what it has seen is enough"
    assert adaptation.scene is first
    assert adaptation.calibration is not None
    assert adaptation.calibration.final
    assert adaptation.calibration.samples > 200


def test_too_few_samples_give_no_refit(scorer: SceneScorer) -> None:
    request = live(scorer, Adaptation(SETTINGS), life())
    assert request is not None
    window = request.window
    del window.seconds[12:], window.features[12:]
    assert refit_scene(scorer, request) is None


@pytest.mark.parametrize(
    "settings",
    [
        AdaptationSettings(4, 0.5, CalibratorSettings(30.0), refit=0),
        AdaptationSettings(4, 0.5, CalibratorSettings(19.0), refit=8),
        AdaptationSettings(14, 0.5, CalibratorSettings(26.0), refit=8),
    ],
)
def test_no_refit_is_requested(scorer: SceneScorer, settings: AdaptationSettings) -> None:
    adaptation = Adaptation(settings)
    assert live(scorer, adaptation, itertools.islice(life(), 400)) is None
    assert adaptation.state == "ready"


def test_no_refit_without_enough_clips() -> None:
    window = AdaptationSettings(frames=10, calibrator=CalibratorSettings(29.0))
    assert window.can_refit(0)
    assert not replace(window, calibrator=CalibratorSettings(28.0)).can_refit(0), "after a restart"
    assert replace(window, calibrator=CalibratorSettings(28.0)).can_refit(16)
    assert not AdaptationSettings(frames=34).can_refit(34)
    assert AdaptationSettings(frames=33).can_refit(39)


def test_an_impossible_number_is_refused() -> None:
    with pytest.raises(ValueError, match=r"adapt\.refit: want >= 0, got -1"):
        AdaptationSettings(refit=-1)


def test_without_features_the_window_is_the_calibration(scorer: SceneScorer) -> None:
    adaptation = Adaptation(SETTINGS)
    live(scorer, adaptation, itertools.islice(life(), 60))
    for number in range(310):
        adaptation.judge(6.0 + number / 10, 0.1 * (number % 4))
    assert adaptation.state == "ready"


@pytest.mark.parametrize(("view", "ends"), [(SUPPRESSED, False), (UNUSABLE, True)])
def test_other_views_are_left_out(scorer: SceneScorer, view: ViewState, ends: bool) -> None:
    adaptation = Adaptation(SETTINGS)
    live(scorer, adaptation, itertools.islice(life(), 60))
    cached_features: list[int] = []
    for number in range(600):
        adaptation.judge(
            6.0 + number / 10,
            0.0,
            view,
            lambda: cached_features.append(1),  # type: ignore[arg-type, return-value]
        )
    assert not cached_features
    request = adaptation.refit_request()
    assert (request is not None) == ends
    if request is not None:
        adaptation.apply_refit(refit_scene(scorer, request))
        adaptation.judge(70.0, 0.0, view)
        assert adaptation.state == "ready", "with the first scene"
        assert adaptation.refit_result is None


def replayed(path: Path, scorer: SceneScorer, batch_size: int) -> list[ReplayedFrame]:
    with open_source(str(path), SourceOptions(pace="fast")) as source:
        return list(replay(source, scorer, Adaptation(SETTINGS), 10.0, batch_size))


def test_a_recording_is_refitted_like_a_camera(scorer: SceneScorer, tmp_path: Path) -> None:
    path = tmp_path / "yard.mp4"
    write_video(path, frames_per_second=10, pictures=itertools.islice(life(), 900))
    one, many = replayed(path, scorer, 1), replayed(path, scorer, 7)
    assert [frame.judgement.state for frame in one] == [frame.judgement.state for frame in many]
    for single, batched in zip(one, many, strict=True):
        assert single.judgement.energy == pytest.approx(batched.judgement.energy, abs=1e-3)
        assert single.judgement.score == pytest.approx(batched.judgement.score, abs=1e-3)
        assert single.judgement.threshold == pytest.approx(batched.judgement.threshold, abs=1e-3)
    assert one[-1].judgement.state == "ready"


@pytest.mark.timeout(300)
def test_a_video_is_scored_in_the_refitted_scene(scorer: SceneScorer, tmp_path: Path) -> None:
    path, short = tmp_path / "yard.mp4", tmp_path / "short.mp4"
    write_video(path, frames_per_second=10, pictures=walking_box(900))
    write_video(short, frames_per_second=10, pictures=walking_box(200))
    settings = CalibratorSettings(30.0, alarms_per_day=24.0)
    found = watch("yard", [str(path)], scorer, 4, calibrate_seconds=30.0, wide=8)
    assert found.minute is not None
    assert sum(len(part.times) for part in found.parts) == 900 - 4
    (rest,) = found.rest
    assert 33.0 < rest.times[0] < 80.0, "after the support and the window, but for unfit pictures"
    assert rest.times[-1] == pytest.approx(89.9)
    realised = count_false_alarms(found, settings, seconds=120.0)
    assert realised.watched_seconds == pytest.approx(120.0, abs=0.2)
    assert realised.new_seconds == pytest.approx(len(rest.times) / 10, abs=0.2)
    # It begins with the frame after the last clip, at 3.5 s, and ends with the very last one.
    last = watch("yard", [str(path)], scorer, 4, calibrate_seconds=86.4, wide=8)
    assert last.rest == ()
    assert last.minute is not None
    assert count_false_alarms(last, settings, seconds=10.0).new_seconds == 0.0
    again = watch("yard", [str(short)], scorer, 4, calibrate_seconds=30.0, wide=8)
    assert again.rest == ()
    assert count_false_alarms(again, settings, seconds=10.0).new_seconds == 0.0


@pytest.mark.parametrize("enter", [1.0, 0.05])
def test_the_scoring_worker_refits(
    run: RunInfo, scorer: SceneScorer, caplog: pytest.LogCaptureFixture, enter: float
) -> None:
    adapt = {"frames": 3, "spare": 0, "interval": 0.2, "calibrate": 20, "refit": 6}
    alert = {"enter": enter, "exit": 0.7 * enter}
    context = worker_context("score", small_config(["street"], adapt=adapt, alert=alert), run)
    frames = noise_frames("street", 300, seed=0)
    with caplog.at_level(logging.INFO), scoring(context, scorer), CollectingSink(run) as sink:
        send_all(run, frames[:260])
        deadline = time.monotonic() + 60
        while not (run.data_folder / "scenes" / "street" / "calibration.json").is_file():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        send_all(run, frames[260:])
    assert len(sink.scores) == 300
    assert sink.scores[-1].state == "ready"
    refitted = context.metrics.registry.get_sample_value(
        "vedette_adaptations_total", {"camera": "street", "result": "refitted"}
    )
    assert refitted == 1.0
    store = SceneStore(run.data_folder / "scenes", scorer)
    kept = store.load("street", (48, 64))
    assert kept is not None
    assert kept.scene.shots == 6
    assert kept.calibration is not None
    assert kept.calibration.final
    assert len(store.history.scenes("street")) == 1, "the first scene is not kept beside it"
    states = [score.state for score in sink.scores]
    assert states.index("ready") > 200, "conservative until the scene is refitted"
    said = re.search(r"(\d+) of \d+ s of the calibration window were unusual", caplog.text)
    if enter < 1:
        assert said is not None, "as people are notified of it"
    else:
        assert said is None or said[1] == "0"
