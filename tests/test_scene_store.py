"""Scenes survive a restart; an unusable one is refused with a warning."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cameras.picture_statistics import AREAS_HW
from models import AdaptedScene, SceneScorer
from models.calibration import Calibration
from pipeline.scenes import scene_history
from pipeline.scenes.illumination import Illumination
from pipeline.scenes.scene_store import SceneStore

SIZE_HW = (32, 48)
CALIBRATION = Calibration(median=0.5, threshold=3.25, spread=0.5, samples=600, final=True)


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return SceneScorer.untrained("vedette", seed=0)


@pytest.fixture(scope="module")
def scene(scorer: SceneScorer) -> AdaptedScene:
    support = np.random.default_rng(0).integers(0, 255, (3, 5, *SIZE_HW, 3), dtype=np.uint8)
    return scorer.adapt(torch.from_numpy(support))


def test_nothing_is_stored_at_first(tmp_path: Path, scorer: SceneScorer) -> None:
    assert SceneStore(tmp_path, scorer).load("street", SIZE_HW) is None


def test_a_stored_scene_scores_the_same(
    tmp_path: Path, scorer: SceneScorer, scene: AdaptedScene
) -> None:
    store = SceneStore(tmp_path, scorer)
    store.save_scene("street", scene)
    store.save_calibration("street", CALIBRATION)
    kept = SceneStore(tmp_path, scorer).load("street", SIZE_HW)
    assert kept is not None
    assert kept.calibration == CALIBRATION
    clips = torch.from_numpy(
        np.random.default_rng(1).integers(0, 255, (1, 5, *SIZE_HW, 3), dtype=np.uint8)
    )
    assert torch.equal(
        scorer.score(clips, [kept.scene]).energies, scorer.score(clips, [scene]).energies
    )
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_new_scene_does_not_inherit_the_calibration(
    tmp_path: Path, scorer: SceneScorer, scene: AdaptedScene
) -> None:
    store = SceneStore(tmp_path, scorer)
    store.save_scene("street", scene)
    store.save_calibration("street", CALIBRATION)
    store.save_scene("street", scene)
    kept = store.load("street", SIZE_HW)
    assert kept is not None
    assert kept.calibration is None


def test_a_scene_of_another_model_is_refused(
    tmp_path: Path, scorer: SceneScorer, scene: AdaptedScene, caplog: pytest.LogCaptureFixture
) -> None:
    SceneStore(tmp_path, scorer).save_scene("street", scene)
    other = SceneScorer.untrained("vedette", seed=1)
    with caplog.at_level(logging.WARNING):
        assert SceneStore(tmp_path, other).load("street", SIZE_HW) is None
    assert "camera street: its stored scene is unusable" in caplog.text
    assert "want a scene of model" in caplog.text


def test_a_scene_of_another_size_is_refused(
    tmp_path: Path, scorer: SceneScorer, scene: AdaptedScene, caplog: pytest.LogCaptureFixture
) -> None:
    store = SceneStore(tmp_path, scorer)
    store.save_scene("street", scene)
    with caplog.at_level(logging.WARNING):
        assert store.load("street", (240, 320)) is None
    assert "its stored scene is of size (32, 48) (H, W), want (240, 320)" in caplog.text


@pytest.mark.parametrize("text", ["", "[1]", '{"median": 1}', '{"median": "x", "threshold": 2}'])
def test_a_damaged_calibration_starts_again(
    tmp_path: Path,
    scorer: SceneScorer,
    scene: AdaptedScene,
    caplog: pytest.LogCaptureFixture,
    text: str,
) -> None:
    store = SceneStore(tmp_path, scorer)
    store.save_scene("street", scene)
    (tmp_path / "street" / "calibration.json").write_text(text)
    with caplog.at_level(logging.WARNING):
        kept = store.load("street", SIZE_HW)
    assert kept is not None
    assert kept.calibration is None
    assert "camera street: calibrating again" in caplog.text


def test_a_damaged_scene_is_refused(
    tmp_path: Path, scorer: SceneScorer, scene: AdaptedScene, caplog: pytest.LogCaptureFixture
) -> None:
    store = SceneStore(tmp_path, scorer)
    store.save_scene("street", scene)
    tensors = tmp_path / "street" / "scene.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-100])
    with caplog.at_level(logging.WARNING):
        assert store.load("street", SIZE_HW) is None
    assert "its stored scene is unusable" in caplog.text


@pytest.mark.parametrize("broken", ["weights", "about", "aside"])
def test_a_failed_write_changes_nothing(
    tmp_path: Path,
    scorer: SceneScorer,
    scene: AdaptedScene,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    store = SceneStore(tmp_path, scorer)
    store.save_scene("street", scene, "first seen")
    store.save_calibration("street", CALIBRATION)
    support = np.random.default_rng(2).integers(0, 255, (4, 5, *SIZE_HW, 3), dtype=np.uint8)
    following = scorer.adapt(torch.from_numpy(support))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for _ in range(2):
        with monkeypatch.context() as patched:
            if broken == "weights":
                patched.setattr(scorer, "save_scene", full)
            elif broken == "about":
                patched.setattr(scene_history, "write_json", full)
            else:
                patched.setattr(store.history, "_archive_current", full)
            with pytest.raises(OSError, match="No space left"):
                store.save_scene("street", following, "on schedule")
        kept = store.load("street", SIZE_HW)
        assert kept is not None
        assert (kept.scene.shots, kept.calibration) == (3, CALIBRATION)
    store.save_scene("street", following, "on schedule")
    records = store.history.scenes("street")
    assert [one.reason for one in records] == ["on schedule", "first seen"]
    earlier = store.load_other("street", records[1], SIZE_HW)
    assert earlier is not None
    assert (earlier.scene.shots, earlier.calibration) == (3, CALIBRATION)
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_refitted_scene_replaces_the_first_one(
    tmp_path: Path, scorer: SceneScorer, scene: AdaptedScene
) -> None:
    store = SceneStore(tmp_path, scorer)
    store.save_scene("street", scene, "first seen")
    store.save_calibration("street", replace(CALIBRATION, samples=1))
    store.save_light(
        "street",
        Illumination(np.full(AREAS_HW, 110.0, np.float32), np.full(AREAS_HW, 15.0, np.float32)),
    )
    support = np.random.default_rng(2).integers(0, 255, (4, 5, *SIZE_HW, 3), dtype=np.uint8)
    store.save_scene("street", scorer.adapt(torch.from_numpy(support)), None, CALIBRATION, True)
    kept = store.load("street", SIZE_HW)
    assert kept is not None
    assert kept.scene.shots == 4
    assert kept.calibration == CALIBRATION
    assert store.load_light("street") is not None, "it is the same light"
    (record,) = store.history.scenes("street")
    assert record.reason == "first seen"
