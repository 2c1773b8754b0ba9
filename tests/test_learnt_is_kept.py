"""What a scene has learnt outlives the scorer: wherever it dies, at most a minute is lost."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from makers import small_scorer
from stage_parts import (
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
from models.tail import Tail
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scenes.scene_store import SceneStore
from pipeline.scoring.scene_in_use import SceneInUse
from pipeline.scoring.shared_parts import SharedParts
from pipeline.telemetry.clock import Clock
from pipeline.worker import RunInfo

SIZE_HW = (48, 64)


class KilledError(BaseException):
    """SIGKILL: no handler and no `finally` changes a file any more."""


@contextmanager
def killed_at(number: int, patched: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Dies at a call that changes a file; the call itself is done by half. Gives the calls."""
    calls = [0]

    def wrap(call: Callable[..., Any], half: Callable[..., None]) -> Callable[..., Any]:
        def done(*arguments: Any, **options: Any) -> Any:
            calls[0] += 1
            if calls[0] == number:
                half(*arguments)
            if calls[0] >= number:
                raise KilledError
            return call(*arguments, **options)

        return done

    def nothing(*_: object) -> None: ...

    write, remove = Path.write_text, shutil.rmtree

    def half_a_text(path: Path, text: str) -> None:
        write(path, text[: len(text) // 2])

    def half_a_folder(folder: Path) -> None:
        for path in sorted(folder.glob("*"))[:1]:
            path.unlink()

    patched.setattr(Path, "write_text", wrap(write, half_a_text))
    patched.setattr(Path, "unlink", wrap(Path.unlink, nothing))
    patched.setattr(Path, "mkdir", wrap(Path.mkdir, nothing))
    patched.setattr(os, "replace", wrap(os.replace, nothing))
    patched.setattr(os, "link", wrap(os.link, nothing))
    patched.setattr(shutil, "rmtree", wrap(remove, half_a_folder))
    yield calls


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return small_scorer()


def scene(scorer: SceneScorer, seed: int) -> AdaptedScene:
    clips = np.random.default_rng(seed).integers(0, 255, (2, 5, *SIZE_HW, 3), dtype=np.uint8)
    return scorer.adapt(torch.from_numpy(clips))


def calibration(threshold: float, normal_seconds: float = 60.0) -> Calibration:
    tail = Tail(1.0, (0.5, 0.25), 60.0, 0.5)
    return Calibration(
        0.0, threshold, 1.0, 60, final=True, tail=tail, normal_seconds=normal_seconds,
        learnt_seconds=60.0, alarms=((61.0, 9.0),),
    )  # fmt: skip


def every_kill(
    folder: Path, begin: Callable[[Path], None], change: Callable[[Path], None]
) -> Iterator[Path]:
    """Folders in each of which the change died at another point; the last one did not."""
    for number in range(1, 100):
        place = folder / str(number)
        begin(place)
        with pytest.MonkeyPatch.context() as patched:
            try:
                with killed_at(number, patched):
                    change(place)
            except KilledError:
                pass
            else:
                assert number > 2
                yield place
                return
        yield place
    raise AssertionError("it never ends")


def test_a_kill_anywhere_leaves_the_calibration_before_or_after(
    tmp_path: Path, scorer: SceneScorer
) -> None:
    made = scene(scorer, 1)
    found = []
    for place in every_kill(
        tmp_path,
        lambda place: SceneStore(place, scorer).save_scene("yard", made, "", calibration(5.0)),
        lambda place: SceneStore(place, scorer).save_calibration("yard", calibration(6.0)),
    ):
        kept = SceneStore(place, scorer).load("yard", SIZE_HW)
        assert kept is not None
        assert kept.calibration in (calibration(5.0), calibration(6.0))
        found.append(kept.calibration)
    assert found[0] == calibration(5.0)
    assert found[-1] == calibration(6.0)


def test_a_kill_anywhere_leaves_one_scene_and_its_calibration(
    tmp_path: Path, scorer: SceneScorer
) -> None:
    """The next scene of a camera takes the place of the one before: never none, never half."""
    first, second = scene(scorer, 1), scene(scorer, 2)
    found = []
    for place in every_kill(
        tmp_path,
        lambda place: SceneStore(place, scorer).save_scene("yard", first, "", calibration(5.0)),
        lambda place: SceneStore(place, scorer).save_scene("yard", second, "", calibration(6.0)),
    ):
        kept = SceneStore(place, scorer).load("yard", SIZE_HW)
        assert kept is not None, f"{place.name}: adapts again"
        own = kept.scene.dictionary.own
        which = [torch.equal(own, one.dictionary.own) for one in (first, second)]
        assert which in ([True, False], [False, True])
        assert kept.calibration == calibration(5.0 if which[0] else 6.0)
        found.append(which[1])
    assert found == sorted(found), "the new one from some point on"
    assert found[-1]
    assert not found[0]


def test_what_is_on_the_disk_is_at_most_a_minute_old(run: RunInfo, scorer: SceneScorer) -> None:
    now = [1000.0]
    store = SceneStore(run.data_folder / "scenes", scorer)
    made = scene(scorer, 1)
    store.save_scene("yard", made, "", calibration(5.0))
    metrics = worker_context("score", small_config(["yard"]), run).metrics
    clock = Clock(monotonic=lambda: now[0])
    folder = run.data_folder / "scenes"
    shared = SharedParts.in_folder(folder, scorer, metrics, clock, threaded=False)
    yard = SceneInUse("yard", shared, on_unusable_support=lambda _: None)
    settings = AdaptationSettings(frames=3, calibrator=CalibratorSettings(30.0))
    adaptation = yard.open(settings, SIZE_HW)
    for number in range(6000):
        now[0] += 0.1
        adaptation.judge(number / 10, 0.1 * (number % 12))
        yard.save_when_due(adaptation)
        if number % 500 == 499:
            kept, lives = store.load("yard", SIZE_HW), adaptation.calibration_to_store
            assert kept is not None
            assert kept.calibration is not None
            assert lives is not None
            assert lives.normal_seconds - kept.calibration.normal_seconds <= 60.1
    assert lives.normal_seconds == pytest.approx(660.0, abs=1.0)
    assert lives.threshold != 5.0
    again = Adaptation(settings, made, kept.calibration)
    assert again.state == "ready"
    assert again.calibration is not None
    assert again.calibration.threshold == kept.calibration.threshold


def test_a_scorer_that_starts_again_goes_on_with_the_threshold_it_had(
    run: RunInfo, scorer: SceneScorer
) -> None:
    adapt = {"frames": 3, "spare": 0, "interval": 0.2, "calibrate": 2, "refit": 0}
    settings = small_config(["street"], adapt=adapt, alert={"target_false_alarms_per_day": 1440})
    frames = noise_frames("street", 300, seed=0)
    with scoring(worker_context("score", settings, run), scorer), CollectingSink(run) as sink:
        send_all(run, frames)
    before = sink.scores[-1]
    first = next(score.threshold for score in sink.scores if score.state == "ready")
    assert before.threshold != first, "it has followed"
    kept = SceneStore(run.data_folder / "scenes", scorer).load("street", SIZE_HW)
    assert kept is not None
    assert kept.calibration is not None
    assert before.learning is not None
    assert kept.calibration.normal_seconds == pytest.approx(
        before.learning["normal_seconds"], abs=1.0
    )
    with scoring(worker_context("score", settings, run), scorer), CollectingSink(run) as sink:
        send_all(run, noise_frames("street", 20, seed=1, connection=2))
    again = next(score for score in sink.scores if score.threshold is not None)
    assert again.state == "ready"
    assert again.threshold == pytest.approx(before.threshold)
