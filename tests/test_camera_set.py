"""Who minds a camera's scene, view and light, when scenes come late or cannot be written."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
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

from models import SceneScorer
from pipeline.scenes.build_results import RefitRequest, RefitResult
from pipeline.scenes.refit import widen
from pipeline.scenes.scene_store import SceneStore
from pipeline.scoring import scene_builder
from pipeline.scoring.command_handler import CommandHandler
from pipeline.transport.messages import Answer, Request
from pipeline.worker import RunInfo

ADAPT = {"frames": 3, "spare": 0, "interval": 0.2, "calibrate": 1.0}


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return small_scorer()


def ask(command_handler: CommandHandler, command: str, **arguments: object) -> Answer:
    answer = command_handler.carry_out(
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
    monkeypatch.setattr(scene_builder, "_RETRY_SECONDS", 0.2)
    with scoring(context, scorer) as worker, CollectingSink(run):
        send_all(run, frames[:100])
        wait_for(lambda: {"view.json", "light.json", "calibration.json"} <= set(files(folder)))
        before = files(folder)
        broken.set()
        ask(CommandHandler(worker._camera_scorers, {}), "adapt")
        send_all(run, frames[100:200])
        assert worker._camera_scorers["street"].adaptation.state == "ready"
        assert files(folder) == before
        broken.clear()
        send_all(run, frames[200:300])
        wait_for(lambda: worker._camera_scorers.builder.holds("street"))
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
    """Neither on the disk nor in use; and it is used for a while before it is made anew."""
    adapt = {**ADAPT, "calibrate": 0, "refit": 0, "refresh": 1.0}
    alert = {"enter": 1e6, "exit": 1e6}
    context = worker_context("score", small_config(["street"], adapt=adapt, alert=alert), run)
    frames = noise_frames("street", 800, seed=0)
    asked, go_on = threading.Event(), threading.Event()

    def late(scorer: SceneScorer, widening: RefitRequest, camera: str) -> RefitResult | None:
        asked.set()
        assert go_on.wait(20)
        return widen(scorer, widening, camera)

    monkeypatch.setattr(scene_builder, "widen", late)
    with scoring(context, scorer) as worker, CollectingSink(run):
        camera_scorers = worker._camera_scorers
        command_handler = CommandHandler(camera_scorers, {})
        send_all(run, frames[:20])
        ask(command_handler, "adapt")
        send_all(run, frames[20:40])
        camera_scorers.builder._used_since["street"] -= 3600  # as if it had been in use for so long
        (old,) = (run.data_folder / "scenes" / "street" / "history").iterdir()
        os.utime(old / "scene.json", (1000.0, 1000.0))
        old.rename(old.with_name("1000000"))
        send_all(run, frames[40:300])
        assert asked.wait(20)
        (earlier,) = [
            one for one in camera_scorers.builder.history.scenes("street") if not one.current
        ]
        ask(command_handler, "restore", scene=earlier.id)
        restored = camera_scorers["street"].adaptation
        go_on.set()
        asked.clear()
        send_all(run, frames[300:])
        assert camera_scorers["street"].adaptation is restored
        assert not asked.is_set(), "it is old, but has only now come into use"
    (current,) = [one for one in camera_scorers.builder.history.scenes("street") if one.current]
    assert current.id == earlier.id
    assert current.used_at > time.time() - 60
    kept = SceneStore(run.data_folder / "scenes", scorer).load("street", SIZE_HW)
    assert kept is not None
    assert (kept.adapted_at, kept.used_at) == (current.adapted_at, current.used_at)
