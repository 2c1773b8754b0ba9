"""The order in which scenes are built, and what happens when one fails or the disk is full."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from makers import small_scorer
from stage_parts import small_config, worker_context

from models import SceneScorer
from models.calibration import Calibration
from models.calibrator import CalibratorSettings
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scenes.build_results import BuiltScene, RefitRequest, RefitResult
from pipeline.scenes.calibration_window import CalibrationWindow
from pipeline.scenes.scene_store import SceneStore
from pipeline.scoring import scene_builder
from pipeline.scoring.scene_in_use import SceneInUse
from pipeline.scoring.shared_parts import SharedParts
from pipeline.telemetry.clock import Clock
from pipeline.telemetry.metrics import Metrics
from pipeline.worker import RunInfo

SIZE_HW = (48, 64)
SETTINGS = AdaptationSettings(frames=3, calibrator=CalibratorSettings(30.0), refit=6)
FINAL = Calibration(0.5, 4.0, 1.0, 300, final=True)
REQUEST = RefitRequest(CalibrationWindow(30.0), SIZE_HW, SETTINGS.calibrator, 6)


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return small_scorer()


@pytest.fixture
def metrics(run: RunInfo) -> Metrics:
    return worker_context("score", small_config(["yard"]), run).metrics


@pytest.fixture
def store(run: RunInfo, scorer: SceneScorer) -> SceneStore:
    return SceneStore(run.data_folder / "scenes", scorer)


@pytest.fixture
def shared(run: RunInfo, scorer: SceneScorer, metrics: Metrics) -> Iterator[SharedParts]:
    folder = run.data_folder / "scenes"
    shared = SharedParts.in_folder(folder, scorer, metrics, Clock(), threaded=True)
    yield shared
    shared.builder.close()


@pytest.fixture
def yard(shared: SharedParts) -> SceneInUse:
    return scene_in_use(shared, "yard")


def scene_in_use(shared: SharedParts, camera: str) -> SceneInUse:
    return SceneInUse(camera, shared, on_unusable_support=lambda _: None)


def scene_of(scorer: SceneScorer, shots: int) -> BuiltScene:
    clips = np.random.default_rng(shots).integers(0, 255, (shots, 5, *SIZE_HW, 3), dtype=np.uint8)
    return BuiltScene(scorer.adapt(torch.from_numpy(clips)))


def refit_of(scorer: SceneScorer) -> RefitResult:
    return RefitResult(scene_of(scorer, 6).scene, FINAL, (0.0,), (0.5,), 0.5)


def count_of(metrics: Metrics, result: str) -> float:
    labels = {"camera": "yard", "result": result}
    return metrics.registry.get_sample_value("vedette_adaptations_total", labels) or 0.0


def settle(shared: SharedParts, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        shared.builder.apply_results()
        time.sleep(0.01)


def begun(
    shared: SharedParts, yard: SceneInUse, scorer: SceneScorer, monkeypatch: pytest.MonkeyPatch
) -> Adaptation:
    """A camera with a first scene of three clips, in use."""
    monkeypatch.setattr(scene_builder, "build_scene", lambda *_: scene_of(scorer, 3))
    adaptation = Adaptation(SETTINGS, reason="first seen")
    yard.fit(adaptation)
    settle(shared, lambda: adaptation.scene is not None)
    return adaptation


class Bench:
    """Builds scenes one at a time, when it is released."""

    def __init__(self, scorer: SceneScorer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[str] = []
        self.busy = threading.Event()
        self.go_on = threading.Event()
        self._scorer = scorer
        monkeypatch.setattr(scene_builder, "build_scene", self._make)
        monkeypatch.setattr(scene_builder, "refit_scene", self._refit)

    def _make(self, scorer: SceneScorer, adaptation: Adaptation, camera: str) -> BuiltScene:
        self._work(camera)
        return scene_of(self._scorer, 3)

    def _refit(self, scorer: SceneScorer, request: RefitRequest, camera: str) -> None:
        self._work(f"refit {camera}")

    def _work(self, what: str) -> None:
        self.begun.append(what)
        self.busy.set()
        assert self.go_on.wait(20)


def test_first_scenes_come_before_refits_and_abandoned_ones_are_not_built(
    shared: SharedParts, scorer: SceneScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(scorer, monkeypatch)
    scene_in_use(shared, "a").fit(Adaptation(SETTINGS))
    assert bench.busy.wait(20)
    left, last = Adaptation(SETTINGS), Adaptation(SETTINGS)
    scene_in_use(shared, "b").refit(Adaptation(SETTINGS), REQUEST)
    scene_in_use(shared, "c").refit(left, REQUEST)
    scene_in_use(shared, "d").fit(Adaptation(SETTINGS))
    scene_in_use(shared, "e").fit(last)
    left.abandoned = True
    bench.go_on.set()
    settle(shared, lambda: len(bench.begun) == 4)
    assert bench.begun == ["a", "d", "e", "refit b"]


def test_closing_waits_for_one_scene_at_most(
    run: RunInfo, scorer: SceneScorer, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(scorer, monkeypatch)
    folder = run.data_folder / "scenes"
    shared = SharedParts.in_folder(folder, scorer, metrics, Clock(), threaded=True)
    scene_in_use(shared, "a").fit(Adaptation(SETTINGS))
    assert bench.busy.wait(20)
    scene_in_use(shared, "b").fit(Adaptation(SETTINGS))
    closing = threading.Thread(target=shared.builder.close)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive(), "torch is at work"
    bench.go_on.set()
    closing.join(20)
    assert not closing.is_alive()
    assert bench.begun == ["a"]


def test_a_refit_that_fails_is_logged_and_the_first_scene_stays(
    shared: SharedParts,
    yard: SceneInUse,
    scorer: SceneScorer,
    store: SceneStore,
    metrics: Metrics,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    adaptation = begun(shared, yard, scorer, monkeypatch)
    first = adaptation.scene

    def fail(*_: object) -> RefitResult:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(scene_builder, "refit_scene", fail)
    with caplog.at_level(logging.WARNING):
        yard.refit(adaptation, REQUEST)
        settle(shared, lambda: count_of(metrics, "not_refitted") == 1)
    assert "no refit on its calibration window: out of memory" in caplog.text
    assert "Traceback" in caplog.text
    assert adaptation.scene is first
    kept = store.load("yard", SIZE_HW)
    assert kept is not None
    assert kept.scene.shots == 3
    monkeypatch.setattr(scene_builder, "refit_scene", lambda *_: None)
    yard.refit(adaptation, REQUEST)
    settle(shared, lambda: count_of(metrics, "not_refitted") == 2)
    assert "too little of it is usable" in caplog.text
    assert count_of(metrics, "refitted") == 0


def test_a_refit_of_an_abandoned_adaptation_changes_nothing(
    shared: SharedParts,
    yard: SceneInUse,
    scorer: SceneScorer,
    store: SceneStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The camera adapts again while the refit runs."""
    adaptation = begun(shared, yard, scorer, monkeypatch)
    first, made = adaptation.scene, threading.Event()

    def late(*_: object) -> RefitResult:
        adaptation.abandoned = True
        made.set()
        return refit_of(scorer)

    monkeypatch.setattr(scene_builder, "refit_scene", late)
    yard.refit(adaptation, REQUEST)
    following = Adaptation(SETTINGS)
    settle(shared, made.is_set)
    yard.fit(following)
    settle(shared, lambda: following.scene is not None)
    assert adaptation.scene is first
    kept = store.load("yard", SIZE_HW)
    assert kept is not None
    assert kept.scene.shots == 3


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_no_calibration_lies_beside_another_scene(
    shared: SharedParts,
    yard: SceneInUse,
    scorer: SceneScorer,
    store: SceneStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The disk is full when the refit is done: it is written later, or nothing is."""
    adaptation = begun(shared, yard, scorer, monkeypatch)
    monkeypatch.setattr(scene_builder, "refit_scene", lambda *_: refit_of(scorer))
    with monkeypatch.context() as patched:
        patched.setattr(scorer, "save_scene", full)
        yard.refit(adaptation, REQUEST)
        settle(shared, lambda: adaptation.refit_result is not None)
        yard.save(adaptation)
        kept = store.load("yard", SIZE_HW)
        assert kept is not None
        assert (kept.scene.shots, kept.calibration) == (3, None)
    yard.save(adaptation)
    kept = store.load("yard", SIZE_HW)
    assert kept is not None
    assert (kept.scene.shots, kept.calibration) == (6, FINAL)
    assert [one.current for one in store.history.scenes("yard")] == [True]


def test_what_could_not_be_kept_at_first_is_kept_later(
    shared: SharedParts,
    yard: SceneInUse,
    scorer: SceneScorer,
    store: SceneStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Until then the earlier scene stays as it is; then it becomes an earlier one, once."""
    store.save_scene("yard", scene_of(scorer, 4).scene, "an earlier one")
    store.save_calibration("yard", replace(FINAL, samples=1))
    with monkeypatch.context() as patched:
        patched.setattr(scorer, "save_scene", full)
        adaptation = begun(shared, yard, scorer, monkeypatch)
        monkeypatch.setattr(scene_builder, "refit_scene", lambda *_: refit_of(scorer))
        yard.refit(adaptation, REQUEST)
        settle(shared, lambda: adaptation.refit_result is not None)
        yard.save(adaptation)
        kept = store.load("yard", SIZE_HW)
        assert kept is not None
        assert (kept.scene.shots, kept.calibration) == (4, replace(FINAL, samples=1))
        assert [one.current for one in store.history.scenes("yard")] == [True]
    yard.save(adaptation)
    kept = store.load("yard", SIZE_HW)
    assert kept is not None
    assert (kept.scene.shots, kept.calibration) == (6, FINAL)
    records = store.history.scenes("yard")
    assert [one.reason for one in records] == ["first seen", "an earlier one"]
    earlier = store.load_other("yard", records[1], SIZE_HW)
    assert earlier is not None
    assert (earlier.scene.shots, earlier.calibration) == (4, replace(FINAL, samples=1))


def test_the_next_scene_is_kept_as_another_one(
    shared: SharedParts,
    yard: SceneInUse,
    scorer: SceneScorer,
    store: SceneStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun(shared, yard, scorer, monkeypatch)
    monkeypatch.setattr(scene_builder, "refit_scene", lambda *_: refit_of(scorer))
    following = Adaptation(SETTINGS, reason="on schedule")
    yard.follow(following, REQUEST)
    settle(shared, lambda: following.state == "ready")
    kept = store.load("yard", SIZE_HW)
    assert kept is not None
    assert (kept.scene.shots, kept.calibration) == (6, FINAL)
    assert [one.reason for one in store.history.scenes("yard")] == ["on schedule", "first seen"]


def test_a_next_scene_that_fails_leaves_the_present_one(
    shared: SharedParts,
    yard: SceneInUse,
    scorer: SceneScorer,
    store: SceneStore,
    metrics: Metrics,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    present = begun(shared, yard, scorer, monkeypatch)
    monkeypatch.setattr(scene_builder, "refit_scene", lambda *_: None)
    following = Adaptation(SETTINGS, reason="on schedule")
    with caplog.at_level(logging.WARNING):
        yard.follow(following, REQUEST)
        settle(shared, lambda: following.abandoned)
    assert "camera yard: no other scene: too little of it is usable" in caplog.text
    assert count_of(metrics, "failed") == 1
    assert not present.abandoned
    assert [one.reason for one in store.history.scenes("yard")] == ["first seen"]
