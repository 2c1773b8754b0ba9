"""Who minds a camera's scene, view and light, when scenes come late or cannot be written."""

import gc
import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from makers import small_scorer
from stage_parts import (
    SIZE_HW,
    CollectingSink,
    ShiftedClock,
    noise_frames,
    scoring,
    send_all,
    send_cameras,
    small_config,
    worker_context,
)

from models import SceneScorer
from pipeline.ingest.in_flight import InFlight
from pipeline.scenes.build_results import RefitRequest, RefitResult
from pipeline.scenes.refit import refit_scene
from pipeline.scenes.scene_store import SceneStore
from pipeline.scoring import scene_builder
from pipeline.scoring.camera_scorer import CameraScorer
from pipeline.scoring.camera_set import CameraSet
from pipeline.scoring.command_handler import CommandHandler
from pipeline.transport.frames import FrameSender
from pipeline.transport.messages import Answer, Hello, Request, Welcome
from pipeline.worker import RunInfo

ADAPT = {"frames": 3, "spare": 0, "interval": 0.2, "calibrate": 1.0}


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return small_scorer()


def ask(command_handler: CommandHandler, command: str, **arguments: object) -> Answer:
    answer = command_handler.handle(
        Request("1", command, {"name": "street", **arguments}, time.time() + 60)
    )
    assert answer.status == "ok", answer.problem
    return answer


def wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.*") if path.is_file()}


def test_a_scene_its_view_and_its_light_are_kept_together(
    run: RunInfo, scorer: SceneScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full for the weights alone: nothing of the new scene lies beside the old one."""
    context = worker_context("score", small_config(["street"], adapt=ADAPT), run)
    frames = noise_frames("street", 400, seed=0)
    folder = run.data_folder / "scenes" / "street"
    broken = threading.Event()
    whole = scorer.save_scene

    def save(*arguments: object) -> None:
        if broken.is_set():
            raise OSError(28, "No space left on device")
        whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(scorer, "save_scene", save)
    clock = ShiftedClock()
    with scoring(context, scorer, clock.clock) as worker, CollectingSink(run):
        send_all(run, frames[:100])
        wait_for(lambda: {"view.json", "light.json", "calibration.json"} <= set(files(folder)))
        before = files(folder)
        broken.set()
        ask(CommandHandler(worker.cameras), "adapt")
        send_all(run, frames[100:200])
        assert worker.cameras["street"].adaptation.state == "ready"
        assert files(folder) == before
        broken.clear()
        clock.ahead_seconds = 60.0
        send_all(run, frames[200:300])
        wait_for(lambda: worker.cameras["street"].is_stored)
        send_all(run, frames[300:])
        after = files(folder)
    assert {"view.json", "light.json"} <= set(after)
    assert not any(after[name] == before[name] for name in ("scene.safetensors", "about.json"))
    store = SceneStore(run.data_folder / "scenes", scorer)
    records = store.history.scenes("street")
    assert [one.reason for one in records] == ["asked for", "first seen"]
    earlier = files(store.history.place("street", records[1]))
    assert {name: earlier[name] for name in before if name != "about.json"} == {
        name: before[name] for name in before if name != "about.json"
    }


def test_a_restored_scene_is_not_followed_by_one_on_its_way(
    run: RunInfo, scorer: SceneScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on the disk nor in use; and it is used for a while before it is built again."""
    adapt = {**ADAPT, "calibrate": 0, "refit": 0, "refresh": 1.0}
    alert = {"enter": 1e6, "exit": 1e6}
    context = worker_context("score", small_config(["street"], adapt=adapt, alert=alert), run)
    frames = noise_frames("street", 800, seed=0)
    asked, go_on = threading.Event(), threading.Event()

    def late(scorer: SceneScorer, request: RefitRequest, camera: str) -> RefitResult | None:
        asked.set()
        assert go_on.wait(20)
        return refit_scene(scorer, request, camera)

    monkeypatch.setattr(scene_builder, "refit_scene", late)
    clock = ShiftedClock()
    with scoring(context, scorer, clock.clock) as worker, CollectingSink(run):
        camera_scorers = worker.cameras
        command_handler = CommandHandler(camera_scorers)
        send_all(run, frames[:20])
        ask(command_handler, "adapt")
        send_all(run, frames[20:40])
        clock.ahead_seconds = 3600.0
        (old,) = (run.data_folder / "scenes" / "street" / "history").iterdir()
        os.utime(old / "scene.json", (1000.0, 1000.0))
        old.rename(old.with_name("1000000"))
        send_all(run, frames[40:300])
        assert asked.wait(20)
        (earlier,) = [
            one for one in camera_scorers.shared.store.history.scenes("street") if not one.current
        ]
        ask(command_handler, "restore", scene=earlier.id)
        restored = camera_scorers["street"].adaptation
        go_on.set()
        asked.clear()
        send_all(run, frames[300:])
        assert camera_scorers["street"].adaptation is restored
        assert not asked.is_set(), "it is old, but has only now come into use"
    (current,) = [
        one for one in camera_scorers.shared.store.history.scenes("street") if one.current
    ]
    assert current.id == earlier.id
    assert current.used_at > time.time() - 60
    kept = SceneStore(run.data_folder / "scenes", scorer).load("street", SIZE_HW)
    assert kept is not None
    assert (kept.adapted_at, kept.used_at) == (current.adapted_at, current.used_at)


OPENED = ("adaptation", "watch", "light", "feedback")


@pytest.mark.parametrize(
    ("section", "changed", "opened"),
    [
        ("adapt", {"absorb_after": 60}, ()),
        ("adapt", {"absorb_recurring": 2}, ()),
        ("adapt", {"refresh": 24, "scene_bank": 2}, ()),
        ("alert", {"enter": 2.0, "exit": 1.0, "min_duration": 3.0, "cooldown": 5}, ()),
        ("detect", {"fps": 5, "height": 48, "width": 64}, ()),
        ("adapt", {"on_view_change": "readapt"}, ()),
        ("adapt", {"on_view_change": "ignore"}, ("watch",)),
        ("adapt", {"view_change_after": 3.0}, ("watch",)),
        ("alert", {"light_hold": 1.0}, ("watch",)),
        ("adapt", {"on_light_change": "ask"}, ()),
        ("adapt", {"on_light_change": "ignore"}, ("light",)),
        ("adapt", {"light_change_after": 5.0}, ("light",)),
        ("adapt", {"calibrate": 2.0}, OPENED),
        ("adapt", {"refit": 8}, OPENED),
        ("alert", {"smoothing": 1.0}, OPENED),
        ("alert", {"target_false_alarms_per_day": 24}, OPENED),
        ("detect", {"height": 96, "width": 64}, OPENED),
    ],
)
def test_a_changed_setting_opens_only_what_reads_it(
    run: RunInfo,
    scorer: SceneScorer,
    section: str,
    changed: dict[str, object],
    opened: tuple[str, ...],
) -> None:
    before = small_config(["street"], adapt=ADAPT).cameras
    whole: dict[str, dict[str, object]] = {
        "adapt": dict(ADAPT),
        "detect": {"height": 48, "width": 64},
    }
    whole.setdefault(section, {}).update(changed)
    after = small_config(["street"], **whole).cameras
    cameras = CameraSet(worker_context("score", small_config(["street"]), run), scorer, before)

    def parts() -> dict[str, object]:
        street = cameras["street"]
        found = (street.adaptation, street.stepper.watch, street.stepper.light, street.feedback)
        return dict(zip(OPENED, found, strict=True))

    try:
        first = parts()
        cameras.apply_cameras(after)
        assert tuple(name for name, part in parts().items() if part is not first[name]) == opened
        assert cameras["street"].settings is after["street"]
    finally:
        cameras.close()


def test_a_calibration_survives_a_change_for_the_alert_sink(
    run: RunInfo, scorer: SceneScorer
) -> None:
    """It would start again, as a calibration that is not over is not on the disk."""
    adapt = {**ADAPT, "calibrate": 4.0, "refit": 0}
    context = worker_context("score", small_config(["street"], adapt=adapt), run)
    changed = small_config(["street"], adapt={**adapt, "absorb_after": 60}).cameras
    with scoring(context, scorer, controlled=True), CollectingSink(run) as sink:
        send_all(run, noise_frames("street", 40, seed=0))
        send_cameras(run, changed)
        send_all(run, noise_frames("street", 30, seed=0, connection=2))
    states = [score.state for score in sink.scores]
    assert states[39] == "calibrating"
    assert states[-1] == "ready"


def newest_index(camera: CameraScorer) -> int | None:
    return None if camera.newest is None else camera.newest.frame.index


def test_nothing_of_a_detached_camera_stays(run: RunInfo, scorer: SceneScorer) -> None:
    """Neither in memory nor in the metrics, where an acknowledgement is received later."""
    both = small_config(["street", "yard"])
    context = worker_context("score", both, run)

    def series() -> list[str]:
        families = context.metrics.registry.collect()
        return [
            sample.name
            for family in families
            for sample in family.samples
            if sample.labels.get("camera") == "street"
        ]

    in_flight = InFlight()
    with (
        scoring(context, scorer, controlled=True) as worker,
        FrameSender(run.endpoints, "street") as port,
    ):
        while not in_flight.welcomed:
            port.hello(Hello("street", 1))
            for answer in port.poll(0.1):
                if isinstance(answer, Welcome):
                    in_flight.welcome(answer)
        for frame in noise_frames("street", 3, seed=0):
            for message in in_flight.send(frame):
                assert port.send(message)
        wait_for(lambda: newest_index(worker.cameras["street"]) == 2)
        assert series() != []
        removed = weakref.ref(worker.cameras["street"])
        send_cameras(run, {"yard": both.cameras["yard"]})
        assert list(worker.cameras) == ["yard"]
        assert series() == []
        with CollectingSink(run):
            answers: list[object] = []
            wait_for(lambda: answers.extend(port.poll(0.1)) or len(answers) == 3)
        assert series() == []
        wait_for(lambda: gc.collect() >= 0 and removed() is None)
    assert context.cameras.snapshot() == {}
