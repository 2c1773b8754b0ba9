"""An adaptation can be undone: earlier scenes are stored and restored."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from makers import small_scorer
from stage_parts import (
    CollectingSink,
    noise_frames,
    scoring,
    send_all,
    small_config,
    worker_context,
)

from cameras.picture_statistics import AREAS_HW
from models import AdaptedScene, SceneScorer
from models.calibration import Calibration
from pipeline.scenes.illumination import Illumination, is_other
from pipeline.scenes.scene_history import MAX_EARLIER_SCENES, NoSceneError, scenes_to_delete
from pipeline.scenes.scene_store import SceneStore
from pipeline.scenes.scene_watch import KnownView
from pipeline.scoring.command_handler import CommandHandler
from pipeline.transport.messages import Answer, Request
from pipeline.worker import RunInfo

SIZE_HW = (48, 64)
VIEW = KnownView(np.ones((60, 80), np.float32), 1.0)


def light(luma: float) -> Illumination:
    return Illumination(np.full(AREAS_HW, luma, np.float32), np.zeros(AREAS_HW, np.float32))


DAY, LAMP, NIGHT = light(120), light(60), light(20)


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return small_scorer()


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


def test_earlier_scenes_are_restored_completely(tmp_path: Path, scorer: SceneScorer) -> None:
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


def test_later_updates_do_not_change_an_earlier_scene(tmp_path: Path, scorer: SceneScorer) -> None:
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


def test_the_oldest_are_deleted(tmp_path: Path, scorer: SceneScorer) -> None:
    store = SceneStore(tmp_path, scorer)
    for number in range(1, MAX_EARLIER_SCENES + 4):
        keep(store, scorer, number, tmp_path)
    ids = [one.id for one in store.history.scenes("yard")]
    assert ids == [f"{number}000" for number in range(MAX_EARLIER_SCENES + 3, 2, -1)]
    oldest = ids[-1]
    store.history.restore("yard", oldest)
    assert [one.id for one in store.history.scenes("yard") if one.current] == [oldest]
    assert not list(tmp_path.rglob("*.tmp"))


def test_one_scene_of_each_illumination_is_deleted_last() -> None:
    earlier = [("d6", DAY), ("d5", DAY), ("d4", None), ("l", LAMP), ("d3", DAY), ("n", NIGHT)]
    assert scenes_to_delete(earlier, bank_size=4, kept=5) == ["d3"]
    assert scenes_to_delete(earlier, bank_size=4, kept=3) == ["d5", "d4", "d3"]
    assert scenes_to_delete(earlier, bank_size=2, kept=3) == ["d4", "d3", "n"], "one other light"
    assert scenes_to_delete(earlier, bank_size=1, kept=5) == ["n"], "the last used stay"
    assert scenes_to_delete(earlier[:5], bank_size=4, kept=5) == []
    assert scenes_to_delete([], bank_size=4, kept=5) == []


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 255)), max_size=12),
    st.integers(1, 6),
    st.integers(1, 5),
)
def test_another_illumination_is_not_deleted_for_more_of_the_same(
    lumas: list[float | None], bank_size: int, kept: int
) -> None:
    lights = [None if luma is None else light(luma) for luma in lumas]
    earlier = [(str(number), one) for number, one in enumerate(lights)]
    gone = scenes_to_delete(earlier, bank_size, kept)
    assert len(gone) == max(0, len(earlier) - kept)
    assert "0" not in gone, "what was used last"
    if kept > 1 and bank_size > 1 and lights and (first := lights[0]) is not None:
        other = [name for name, one in earlier if one is not None and is_other(one, first)]
        assert not other or set(other) - set(gone), "of another light one stays, if there was one"


def test_a_night_scene_survives_many_day_scenes(tmp_path: Path, scorer: SceneScorer) -> None:
    store = SceneStore(tmp_path, scorer)
    keep(store, scorer, 1, tmp_path)
    store.save_light("yard", NIGHT)
    for number in range(2, 2 * MAX_EARLIER_SCENES):
        keep(store, scorer, number, tmp_path)
        store.save_light("yard", DAY)
    scenes = store.history.scenes("yard")
    assert len(scenes) == MAX_EARLIER_SCENES + 1
    assert scenes[-1].id == "1000"
    assert scenes[-1].light == {"luma": 20.0, "chroma": 0.0}
    assert scenes[0].light == {"luma": 120.0, "chroma": 0.0}
    store.history.restore("yard", "1000")
    assert store.load_light("yard") is not None
    store.history.set_bank_size("yard", 1)
    store.history.restore("yard", scenes[0].id)
    for number in range(20, 20 + MAX_EARLIER_SCENES):
        keep(store, scorer, number, tmp_path)
    assert "1000" not in [one.id for one in store.history.scenes("yard")], "if none is wanted"


def test_a_new_scene_does_not_inherit_the_illumination(tmp_path: Path, scorer: SceneScorer) -> None:
    store = SceneStore(tmp_path, scorer)
    keep(store, scorer, 1, tmp_path)
    store.save_light("yard", DAY)
    keep(store, scorer, 2, tmp_path)
    assert store.load_light("yard") is None
    first = store.history.scenes("yard")[-1]
    found = store.history.light("yard", first)
    assert found is not None
    assert np.array_equal(found.luma, DAY.luma)
    assert first.used_at > first.adapted_at
    (tmp_path / "yard" / "history" / "1000" / "light.json").write_text("{}")
    assert store.history.light("yard", first) is None, "damaged is as good as not known"


def test_unknown_scene_is_an_error(tmp_path: Path, scorer: SceneScorer) -> None:
    store = SceneStore(tmp_path, scorer)
    keep(store, scorer, 1, tmp_path)
    with pytest.raises(NoSceneError, match="scene 5: want one that is stored: 1000"):
        store.history.restore("yard", "5")
    with pytest.raises(NoSceneError, match="want one that is stored"):
        store.history.restore("yard", "../yard")


def test_a_running_camera_goes_back(run: RunInfo, scorer: SceneScorer) -> None:
    context = worker_context("score", small_config(["street"]), run)
    with scoring(context, scorer) as worker, CollectingSink(run) as sink:
        send_all(run, noise_frames("street", 40, seed=0))
        orders = CommandHandler(worker.cameras)

        (first,) = worker.cameras.shared.store.history.scenes("street")
        assert first.reason == "first seen"
        assert orders.handle(Request("1", "adapt", {"name": "street"}, 0.0)).status == "ok"
        send_all(run, noise_frames("street", 40, seed=1, connection=2))
        answer = orders.handle(Request("2", "scenes", {"name": "street"}, 0.0))
        scenes = answer.body["scenes"]
        assert isinstance(scenes, list)
        assert [one["current"] for one in scenes] == [True, False]
        assert [one["reason"] for one in scenes] == ["asked for", "first seen"]
        back: dict[str, object] = {"name": "street", "scene": first.id}
        assert orders.handle(Request("3", "restore", back, 0.0)).status == "ok"
        none: dict[str, object] = {"name": "street", "scene": "12"}
        answer = orders.handle(Request("4", "restore", none, 0.0))
        assert answer.status == "unknown"
        assert answer.problem.startswith("camera street: scene 12: want one that is stored: ")
        send_all(run, noise_frames("street", 20, seed=0, connection=3))
    last = sink.scores[-1]
    assert last.state == "ready", "in its calibration"
    earlier = [one.energy for one in sink.scores if one.connection == 1 and one.index >= 10]
    again = [one.energy for one in sink.scores if one.connection == 3 and one.index >= 10]
    assert again == pytest.approx(earlier[: len(again)], abs=1e-4)


def test_single_support_clips_are_replaced(run: RunInfo, scorer: SceneScorer) -> None:
    context = worker_context("score", small_config(["street"]), run)
    with scoring(context, scorer) as worker, CollectingSink(run):
        send_all(run, noise_frames("street", 40, seed=0))
        commands = CommandHandler(worker.cameras)
        store = worker.cameras.shared.store
        before = store.load_support("street", (48, 64))

        def adapt(*replace: int) -> Answer:
            arguments: dict[str, object] = {"name": "street", "replace": list(replace)}
            return commands.handle(Request("1", "adapt", arguments, 0.0))

        assert adapt(0, 3).problem == "replace: want numbers below 3, got 3"
        assert adapt(1).status == "ok"
        send_all(run, noise_frames("street", 40, seed=1, connection=2))
        after = store.load_support("street", (48, 64))
        answer = commands.handle(Request("2", "scenes", {"name": "street"}, 0.0))
    assert before is not None
    assert after is not None
    # JPEG again: nearly the same frames.
    for number, clip in enumerate((before.clips[0], before.clips[2])):
        assert np.abs(after.clips[number].astype(int) - clip).mean() < 3
    assert np.abs(after.clips[2].astype(int) - before.clips[1]).mean() > 10
    scenes = answer.body["scenes"]
    assert isinstance(scenes, list)
    assert [(one["reason"], one["has_support"]) for one in scenes] == [
        ("frames replaced", True),
        ("first seen", True),
    ]


def test_a_failure_leaves_no_mixture_of_scenes(
    tmp_path: Path, scorer: SceneScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever file was the last to be moved into place: the next start moves the others."""
    replace_file = os.replace
    for count in range(3):
        store = SceneStore(tmp_path / str(count), scorer)
        first = keep(store, scorer, 1, tmp_path / str(count))
        left = [count]

        def dies(source: Path, target: Path, left: list[int] = left) -> None:
            if "wanted.ready" in source.parts and source.name == target.name:
                left[0] -= 1
                if left[0] < 0:
                    raise OSError(5, "Input/output error")
            replace_file(source, target)

        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", dies)
            with pytest.raises(OSError, match="Input/output"):
                store.save_scene("yard", scene(scorer, 2), "on schedule", calibration(2.0))
        (earlier,) = store.history.scenes("yard")
        assert (earlier.id, earlier.current) == ("1000", False)
        kept = store.load("yard", SIZE_HW)
        assert kept is not None
        assert kept.calibration == calibration(2.0)
        assert [one.current for one in store.history.scenes("yard")] == [True, False]
        store.history.restore("yard", "1000")
        kept = store.load("yard", SIZE_HW)
        assert kept is not None
        assert kept.calibration == calibration(1.0)
        assert torch.equal(kept.scene.dictionary.own, first.dictionary.own)
