"""A scene is built again on schedule, from usual samples only, while the present one is in use."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from makers import small_scorer
from stage_parts import (
    SIZE_HW,
    CollectingSink,
    noise_frames,
    scoring,
    send_all,
    small_config,
    worker_context,
)

from models import AdaptedScene, SceneScorer
from models.calibration import Calibration
from models.calibrator import CalibratorSettings
from models.scene_model import Observation
from pipeline.scenes.adaptation import Adaptation, ScoredFrame
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scenes.build_results import RefitRequest, RefitResult
from pipeline.scenes.scene_store import SceneStore
from pipeline.scenes.scene_watch import STEADY, ViewState
from pipeline.scoring.clips import ClipBuffer
from pipeline.scoring.frame_stepper import USUAL_SECONDS, FrameStepper
from pipeline.scoring.scheduled_refresh import ScheduledRefresh, gathering_seconds
from pipeline.transport.messages import FrameMessage, SceneState
from pipeline.worker import RunInfo

SETTINGS = AdaptationSettings(frames=3, calibrator=CalibratorSettings(30.0), refit=6)
FINAL = Calibration(median=0.5, threshold=4.0, spread=1.0, samples=300, final=True)


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return small_scorer()


@pytest.fixture(scope="module")
def scene(scorer: SceneScorer) -> AdaptedScene:
    clips = np.random.default_rng(0).integers(0, 255, (3, 5, *SIZE_HW, 3), dtype=np.uint8)
    return scorer.adapt(torch.from_numpy(clips))


class FakeScene:
    """The scene in use for a hundred seconds; records what is requested."""

    def __init__(self) -> None:
        self.asked: list[tuple[Adaptation, RefitRequest]] = []
        self.saved: list[Adaptation] = []
        self.used_seconds = 100.0

    def follow(self, adaptation: Adaptation, request: RefitRequest) -> None:
        self.asked.append((adaptation, request))

    def save(self, adaptation: Adaptation) -> None:
        self.saved.append(adaptation)


class Yard:
    """One camera with a scene that is ready, two frames a second, each judged as is said."""

    def __init__(self, scene: AdaptedScene, after_seconds: float = 50.0) -> None:
        self.scene = FakeScene()
        self.stepper = FrameStepper(ClipBuffer(2, 0.5), Adaptation(SETTINGS, scene, FINAL))
        self.refresh = ScheduledRefresh("yard", self.stepper, self.scene)  # type: ignore[arg-type]
        self.seconds = 0.0
        self._after_seconds = after_seconds
        self._connection = 1

    def reconnect(self) -> None:
        self._connection += 1
        self.seconds = 0.0

    def see(
        self,
        seconds: float,
        score: float = 0.1,
        state: SceneState = "ready",
        view: ViewState = STEADY,
    ) -> None:
        for _ in range(round(2 * seconds)):
            pixels = np.zeros((*SIZE_HW, 3), np.uint8)
            number = round(2 * self.seconds)
            self.stepper.take(
                FrameMessage(
                    "yard", self._connection, number, self.seconds, 0.0, 0.0, 0, False, 1, pixels
                )
            )
            work = self.stepper.advance()
            assert work is not None
            self.stepper.note(self.seconds, ScoredFrame(state, "", 1.0, score, 4.0), exit_score=0.7)
            work = replace(work, view=view)
            self.refresh.take(work, self._cached_features, self._after_seconds)
            self.seconds += 0.5

    def _cached_features(self) -> Observation:
        """Tells when it was."""
        return Observation(torch.full((1, 1, 1, 1), self.seconds), None)


def wider(scene: AdaptedScene) -> RefitResult:
    return RefitResult(scene, FINAL, (0.0,), (0.5,), 0.5)


def test_a_running_camera_gets_another_scene(run: RunInfo, scorer: SceneScorer) -> None:
    adapt = {"frames": 3, "spare": 0, "interval": 0.2, "calibrate": 0, "refit": 0, "refresh": 1e-9}
    # Of an untrained model with a provisional threshold; all of life is usual here.
    config = small_config(["street"], adapt=adapt, alert={"enter": 1e6, "exit": 1e6})
    context = worker_context("score", config, run)
    with scoring(context, scorer), CollectingSink(run) as sink:
        send_all(run, noise_frames("street", 700, seed=0))
    states = [score.state for score in sink.scores]
    assert len(states) == 700
    assert set(states[states.index("ready") :]) == {"ready"}, "the watch goes on"
    store = SceneStore(run.data_folder / "scenes", scorer)
    records = store.history.scenes("street")
    assert len(records) > 1
    assert records[0].reason == "on schedule"
    assert records[-1].reason == "first seen"
    kept = store.load("street", SIZE_HW)
    assert kept is not None
    assert kept.calibration is not None
    assert kept.calibration.final
    ok = context.metrics.registry.get_sample_value(
        "vedette_adaptations_total", {"camera": "street", "result": "ok"}
    )
    assert ok == len(records)


def test_nothing_is_gathered_before_it_is_time(scene: AdaptedScene) -> None:
    for after_seconds in (0.0, 200.0):
        yard = Yard(scene, after_seconds)
        yard.see(100)
        assert not yard.scene.asked


def test_the_present_scene_watches_until_the_next_is_made(scene: AdaptedScene) -> None:
    yard = Yard(scene)
    present = yard.stepper.adaptation
    yard.see(30)
    assert not yard.scene.asked, "half a second too early"
    yard.see(100)
    ((following, request),) = yard.scene.asked
    assert yard.scene.saved == [present], "with what it has learnt"
    assert request.window.seconds[-1] == pytest.approx(30.0)
    assert not request.window.unusual
    assert (request.size_hw, request.wanted, request.candidate_features) == (SIZE_HW, 6, None)
    yard.refresh.switch_when_built()
    assert yard.stepper.adaptation is present
    following.apply_refit(wider(scene))
    yard.refresh.switch_when_built()
    assert yard.stepper.adaptation is following
    assert following.state == "ready"
    assert following.reason == "on schedule"
    assert present.abandoned
    yard.see(30.5)
    assert len(yard.scene.asked) == 2


def test_what_is_unusual_is_not_learnt(scene: AdaptedScene) -> None:
    yard = Yard(scene)
    yard.see(10)  # 9.5 s, and one second less when something comes
    yard.see(300, score=0.9)
    yard.see(USUAL_SECONDS - 0.5)
    yard.see(21.5)  # begins with a frame that is no time yet, and then 21 s
    assert not yard.scene.asked, "nor what follows within ten seconds, nor the second before"
    yard.see(0.5)
    ((_, request),) = yard.scene.asked
    assert request.window.now_seconds == pytest.approx(30.0)
    assert not request.window.unusual
    gathered = [float(moment.features.flatten()[0]) for moment in request.window.features]
    assert gathered[-1] == yard.seconds - 0.5
    assert not [second for second in gathered if 8.5 < second < 310 + USUAL_SECONDS - 0.5]


@pytest.mark.parametrize(
    ("state", "view"),
    [
        ("suppressed", STEADY),
        ("stale", STEADY),
        ("ready", ViewState(suppressed=False, usable=False)),
    ],
)
def test_no_other_view_is_learnt(scene: AdaptedScene, state: SceneState, view: ViewState) -> None:
    yard = Yard(scene)
    yard.see(500, state=state, view=view)
    assert not yard.scene.asked


def test_another_connection_goes_on_gathering(scene: AdaptedScene) -> None:
    yard = Yard(scene)
    yard.see(20)
    yard.reconnect()
    yard.see(10)
    assert not yard.scene.asked
    yard.see(2)
    assert len(yard.scene.asked) == 1


def test_a_scene_that_is_left_is_not_replaced_by_the_next(scene: AdaptedScene) -> None:
    yard = Yard(scene)
    yard.see(31)
    ((following, _),) = yard.scene.asked
    yard.stepper.adapt_again("asked for")
    yard.refresh.abandon_outdated()
    assert following.abandoned, "before it is handed over, and kept"
    present = yard.stepper.adaptation
    following.apply_refit(wider(scene))
    yard.refresh.switch_when_built()
    yard.refresh.switch_when_built()
    assert yard.stepper.adaptation is present


def test_one_that_came_to_nothing_is_gathered_for_again(scene: AdaptedScene) -> None:
    yard = Yard(scene)
    yard.see(31)
    ((following, _),) = yard.scene.asked
    following.abandoned = True
    yard.refresh.switch_when_built()
    yard.see(30)
    assert len(yard.scene.asked) == 1
    yard.see(1)
    assert len(yard.scene.asked) == 2


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        (AdaptationSettings(), 60.0),
        (AdaptationSettings(frames=3, calibrator=CalibratorSettings(0.0), refit=0), 20.0),
        (AdaptationSettings(frames=50), 150.0),
        (AdaptationSettings(calibrator=CalibratorSettings(600.0)), 600.0),
    ],
)
def test_there_is_always_enough_to_calibrate_by(
    settings: AdaptationSettings, seconds: float
) -> None:
    assert gathering_seconds(settings) == seconds
