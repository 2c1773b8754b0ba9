"""An adaptation can be taken back: earlier scenes are kept, and found again."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from makers import small_scorer
from stage_parts import (
    CollectingSink,
    noise_frames,
    run_info,
    scoring,
    send_all,
    small_config,
    worker_context,
)

from models import AdaptedScene, SceneScorer
from models.calibration import Calibration
from pipeline.stages.orders import Orders
from pipeline.stages.scene_history import KEPT_SCENES, NoSceneError
from pipeline.stages.scene_store import SceneStore
from pipeline.stages.scene_watch import KnownView
from pipeline.transport.messages import Request
from pipeline.transport.topics import private_socket_folder
from pipeline.worker import RunInfo

SIZE_HW = (48, 64)
VIEW = KnownView(np.ones((60, 80), np.float32), 1.0)


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return small_scorer()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunInfo]:
    with private_socket_folder() as folder:
        yield run_info(folder, tmp_path)


def scene(scorer: SceneScorer, seed: int) -> AdaptedScene:
    clips = np.random.default_rng(seed).integers(0, 255, (2, 5, *SIZE_HW, 3), dtype=np.uint8)
    return scorer.adapt(torch.from_numpy(clips))


def calibration(threshold: float) -> Calibration:
    return Calibration(median=0.0, threshold=threshold, spread=1.0, samples=60, final=True)


def keep(store: SceneStore, scorer: SceneScorer, number: int, folder: Path) -> AdaptedScene:
    """A scene that was made in that second of the epoch."""
    made = scene(scorer, number)
    store.save_scene("yard", made, f"reason {number}")
    store.save_calibration("yard", calibration(float(number)))
    store.save_view("yard", VIEW)
    os.utime(folder / "yard" / "scene.json", (number, number))
    return made


def test_earlier_scenes_come_back_whole(tmp_path: Path, scorer: SceneScorer) -> None:
    store = SceneStore(tmp_path, scorer)
    history = store.history
    assert history.scenes("yard") == []
    first = keep(store, scorer, 1, tmp_path)
    keep(store, scorer, 2, tmp_path)
    told = [(one.id, one.reason, one.current) for one in history.scenes("yard")]
    assert told == [("2000", "reason 2", True), ("1000", "reason 1", False)]
    history.restore("yard", "1000")
    kept = store.load("yard", SIZE_HW)
    assert kept is not None
    assert kept.adapted_at == 1.0
    assert kept.calibration == calibration(1.0)
    assert kept.scene.support_energies == first.support_energies
    assert torch.equal(kept.scene.dictionary.own, first.dictionary.own)
    assert store.load_view("yard") is not None
    assert [(one.id, one.current) for one in history.scenes("yard")] == [
        ("2000", False),
        ("1000", True),
    ]
    history.restore("yard", "2000")
    assert [one.current for one in history.scenes("yard")] == [True, False]
    kept = store.load("yard", SIZE_HW)
    assert kept is not None
    assert kept.calibration == calibration(2.0)


def test_what_is_learnt_later_does_not_change_what_was_put_aside(
    tmp_path: Path, scorer: SceneScorer
) -> None:
    store = SceneStore(tmp_path, scorer)
    keep(store, scorer, 1, tmp_path)
    keep(store, scorer, 2, tmp_path)
    store.history.restore("yard", "1000")
    store.save_calibration("yard", calibration(7.0))
    store.history.restore("yard", "2000")
    store.history.restore("yard", "1000")
    kept = store.load("yard", SIZE_HW)
    assert kept is not None
    assert kept.calibration == calibration(7.0), "that of its last use"


def test_the_oldest_go(tmp_path: Path, scorer: SceneScorer) -> None:
    store = SceneStore(tmp_path, scorer)
    for number in range(1, KEPT_SCENES + 4):
        keep(store, scorer, number, tmp_path)
    ids = [one.id for one in store.history.scenes("yard")]
    assert ids == [f"{number}000" for number in range(KEPT_SCENES + 3, 2, -1)]
    oldest = ids[-1]
    store.history.restore("yard", oldest)
    assert [one.id for one in store.history.scenes("yard") if one.current] == [oldest]
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_scene_that_is_not_there(tmp_path: Path, scorer: SceneScorer) -> None:
    store = SceneStore(tmp_path, scorer)
    keep(store, scorer, 1, tmp_path)
    with pytest.raises(NoSceneError, match="scene 5: want one that is kept, 1000"):
        store.history.restore("yard", "5")
    with pytest.raises(NoSceneError, match="want one that is kept"):
        store.history.restore("yard", "../yard")


def test_a_running_camera_goes_back(run: RunInfo, scorer: SceneScorer) -> None:
    context = worker_context("score", small_config(["street"]), run)
    with scoring(context, scorer) as worker, CollectingSink(run) as sink:
        send_all(run, noise_frames("street", 40, seed=0))
        orders = Orders(worker._lanes, worker._keeper, {}, worker._reopen)

        (first,) = worker._keeper.history.scenes("street")
        assert first.reason == "first seen"
        assert orders.carry_out(Request("1", "adapt", {"name": "street"}, 0.0)).status == "ok"
        send_all(run, noise_frames("street", 40, seed=1, connection=2))
        answer = orders.carry_out(Request("2", "scenes", {"name": "street"}, 0.0))
        scenes = answer.body["scenes"]
        assert isinstance(scenes, list)
        assert [one["current"] for one in scenes] == [True, False]
        assert [one["reason"] for one in scenes] == ["asked for", "first seen"]
        back: dict[str, object] = {"name": "street", "scene": first.id}
        assert orders.carry_out(Request("3", "restore", back, 0.0)).status == "ok"
        none: dict[str, object] = {"name": "street", "scene": "12"}
        answer = orders.carry_out(Request("4", "restore", none, 0.0))
        assert answer.status == "unknown"
        assert answer.problem.startswith("camera street: scene 12: want one that is kept, ")
        send_all(run, noise_frames("street", 20, seed=0, connection=3))
    last = sink.scores[-1]
    assert last.state == "ready", "in its calibration"
    earlier = [one.energy for one in sink.scores if one.connection == 1 and one.index >= 10]
    again = [one.energy for one in sink.scores if one.connection == 3 and one.index >= 10]
    assert again == pytest.approx(earlier[: len(again)], abs=1e-4)
