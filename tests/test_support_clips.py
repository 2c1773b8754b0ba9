"""Other weights make a camera's scene of the clips that are kept with it, at once."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from makers import small_scorer
from stage_parts import (
    CollectingSink,
    noise_frames,
    scoring,
    send_all,
    small_config,
    worker_context,
)
from test_scene_builder import SIZE_HW, count_of, settle

from models import SceneScorer
from models.calibrator import CalibratorSettings
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scenes.scene_paths import SUPPORT as FILE
from pipeline.scenes.scene_store import SceneStore
from pipeline.scenes.support_clips import SupportClips, SupportClipsError, encode, load
from pipeline.scoring.scene_in_use import SceneInUse
from pipeline.scoring.shared_parts import SharedParts
from pipeline.telemetry.clock import Clock
from pipeline.telemetry.metrics import Metrics
from pipeline.worker import RunInfo

SETTINGS = AdaptationSettings(frames=3, interval_seconds=1.0, calibrator=CalibratorSettings(30.0))
CLIP = 5, *SIZE_HW, 3


def clips(count: int = 3) -> SupportClips:
    rough = np.random.default_rng(0).integers(0, 255, (count, 5, 6, 8, 3), dtype=np.uint8)
    smooth = rough.repeat(8, axis=2).repeat(8, axis=3)
    ages = tuple(tuple(0.25 * (4 - t) + n for t in range(5)) for n in range(count))
    return SupportClips(smooth, tuple(float(n) for n in range(count)), 0.1, ages)


def read(path: Path) -> SupportClips:
    return load(path, 5, 0.1, SIZE_HW)


def test_stored_clips_are_loaded(tmp_path: Path) -> None:
    kept = clips()
    (tmp_path / FILE).write_bytes(encode(kept))
    found = read(tmp_path / FILE)
    assert (found.seconds, found.interval_seconds) == (kept.seconds, 0.1)
    assert found.clips.shape == (3, *CLIP)
    assert found.ages == kept.ages
    assert np.abs(found.clips.astype(int) - kept.clips).mean() < 2


def test_its_size_is_bounded(tmp_path: Path) -> None:
    whole = encode(clips(8))
    some = encode(clips(8), most_bytes=len(whole) // 3)
    assert len(some) < len(whole) / 2
    (tmp_path / FILE).write_bytes(some)
    assert read(tmp_path / FILE).seconds == (0.0, 4.0)
    with pytest.raises(ValueError, match="want a clip of at most 10 bytes"):
        encode(clips(), most_bytes=10)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: b"", "cannot be read"),
        (lambda data: data[:-1], "cannot be read"),
        (
            lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
            "checksum of the pictures",
        ),
        (lambda data: b"\x80\x04K\x01." * 40, "cannot be read"),
    ],
)
def test_damage_is_noticed(tmp_path: Path, damage: Callable[[bytes], bytes], said: str) -> None:
    (tmp_path / FILE).write_bytes(damage(encode(clips())))
    with pytest.raises(SupportClipsError, match=said):
        read(tmp_path / FILE)


def test_clips_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_bytes(encode(clips()))
    for length, interval, size_hw in ((16, 0.1, SIZE_HW), (5, 0.2, SIZE_HW), (5, 0.1, (240, 320))):
        with pytest.raises(SupportClipsError, match=f"want clips of {length} frames, {interval} s"):
            load(path, length, interval, size_hw)
    with pytest.raises(SupportClipsError, match="no such file"):
        read(tmp_path / "none")


# ---- with the scenes of a camera


@pytest.fixture
def metrics(run: RunInfo) -> Metrics:
    return worker_context("score", small_config(["yard"]), run).metrics


@pytest.fixture
def folder(run: RunInfo) -> Path:
    return run.data_folder / "scenes"


@contextmanager
def keeping(
    folder: Path, scorer: SceneScorer, metrics: Metrics
) -> Iterator[tuple[SharedParts, SceneInUse]]:
    shared = SharedParts.in_folder(folder, scorer, metrics, Clock(), threaded=True)
    try:
        yield shared, SceneInUse("yard", shared, on_unusable_support=lambda _: None)
    finally:
        shared.builder.close()


def adapted(folder: Path, scorer: SceneScorer, metrics: Metrics) -> None:
    """A camera that has adapted, with these weights."""
    adaptation = Adaptation(replace(SETTINGS, spare=1), support=clips(4))
    adaptation.from_stored_clips = False
    with keeping(folder, scorer, metrics) as (shared, yard):
        yard.fit(adaptation)
        settle(shared, lambda: adaptation.scene is not None)
    (folder / "yard" / "light.json").write_text('{"of": "this view"}')


def test_other_weights_build_their_scene_from_stored_clips(
    folder: Path, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    adapted(folder, small_scorer(0), metrics)
    picture = (folder / "yard" / FILE).read_bytes()
    other = small_scorer(1)
    with caplog.at_level(logging.INFO), keeping(folder, other, metrics) as (shared, yard):
        adaptation = yard.open(SETTINGS, SIZE_HW)
        assert adaptation.state == "fitting", "nothing is collected"
        settle(shared, lambda: adaptation.scene is not None)
    assert caplog.text.count("builds its scene of the 3 clips that were stored with it") == 1
    assert "want a scene of model" in caplog.text
    assert "adapting again" not in caplog.text
    assert adaptation.state == "calibrating", "no notification is sent"
    assert count_of(metrics, "remade") == 1
    assert (folder / "yard" / FILE).read_bytes() == picture, "not encoded again and again"
    assert (folder / "yard" / "light.json").is_file(), "of the same view and light"
    store = SceneStore(folder, other)
    kept = store.load("yard", SIZE_HW)
    assert kept is not None
    assert kept.scene.shots == 3
    reasons = [one.reason for one in store.history.scenes("yard")]
    assert reasons == ["the stored scene could not be used", "first seen"]
    with keeping(folder, other, metrics) as (_, yard):
        assert yard.open(SETTINGS, SIZE_HW).scene is not None
    assert count_of(metrics, "resumed") == 1


@pytest.mark.parametrize("damage", ["missing", "cut", "another size"])
def test_without_usable_clips_a_camera_adapts_again_and_logs_why(
    folder: Path, metrics: Metrics, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    adapted(folder, small_scorer(0), metrics)
    path = folder / "yard" / FILE
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        large = replace(clips(), clips=clips().clips.repeat(2, axis=2))
        path.write_bytes(encode(large))
    with caplog.at_level(logging.WARNING), keeping(folder, small_scorer(1), metrics) as (_, yard):
        adaptation = yard.open(SETTINGS, SIZE_HW)
    assert (adaptation.state, adaptation.from_stored_clips) == ("collecting", False)
    (line,) = [one for one in caplog.messages if "adapting again" in one]
    assert line.startswith(f"camera yard: adapting again: {path}: ")


def test_a_damaged_scene_is_built_again_from_its_clips(
    folder: Path, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    adapted(folder, small_scorer(0), metrics)
    (folder / "yard" / "scene.safetensors").write_bytes(b"")
    with caplog.at_level(logging.WARNING), keeping(folder, small_scorer(0), metrics) as (_, yard):
        assert yard.open(SETTINGS, SIZE_HW).state == "fitting"
    assert "its stored scene is unusable" in caplog.text


def test_a_worker_with_other_weights_collects_nothing(
    run: RunInfo, caplog: pytest.LogCaptureFixture
) -> None:
    context = worker_context("score", small_config(["street"]), run)
    with scoring(context, small_scorer(0)), CollectingSink(run) as sink:
        send_all(run, noise_frames("street", 30, seed=0))
        assert "collecting" in {score.state for score in sink.of("street")}
    (run.data_folder / "scenes" / "street" / "calibration.json").unlink(missing_ok=True)
    context = worker_context("score", small_config(["street"]), run, incarnation=2)
    with scoring(context, small_scorer(1)), CollectingSink(run) as sink:
        send_all(run, noise_frames("street", 30, seed=1, connection=2))
        states = {score.state for score in sink.of("street")}
    assert states <= {"calibrating", "ready"}
    assert len(sink.of("street")) == 30
