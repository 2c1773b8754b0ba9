"""Cameras that come and go while real processes run, and commands on their way."""

import shutil
import threading
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from makers import walking_box, write_video
from pipeline_run import PipelineRun, pipeline_run
from test_camera_registry import file

from pipeline.config import Camera, Config
from pipeline.runtime.camera_registry import CameraRegistry
from pipeline.runtime.command_router import CommandRouter
from pipeline.runtime.process_table import process_table
from pipeline.runtime.reconciler import Changes, Reconciler
from pipeline.telemetry.health import WorkerPhase, WorkerStatus
from pipeline.transport.commands import (
    AdaptCamera,
    Annotate,
    Attach,
    Change,
    Command,
    Detach,
    GetOverview,
    GetPicture,
    ListScenes,
    Restore,
    SetEnabled,
    arguments_of,
)
from pipeline.transport.control import ControlClient, ControlMember, ControlServer
from pipeline.transport.messages import Answer, CameraTable, Request, RevisionAck
from pipeline.transport.ports import wait
from pipeline.transport.topics import Endpoints
from pipeline.worker import RunInfo

RUN = RunInfo(1, Endpoints.in_folder(Path("/tmp/sockets")), Path("/tmp/data"))


def config(**cameras: object) -> Config:
    return file(Path("/videos"), **cameras)


def camera(url: str = "/videos/a.mp4", **more: object) -> Camera:
    return Camera.model_validate({"source": {"url": url}, **more})


def table(reconciler: Reconciler) -> set[str]:
    return set(reconciler.table.cameras)


def test_new_camera_starts_when_scorer_and_sink_acknowledged_it() -> None:
    reconciler = Reconciler(process_table(config(a={"source": "/videos/a.mp4"}), RUN))
    for name in ("scorer", "sink"):
        reconciler.spawned(name)
    both = config(a={"source": "/videos/a.mp4"}, b={"source": "/videos/b.mp4"})
    assert reconciler.reconcile(both, lambda _: False) == Changes((), (), publish=True, add=())
    assert table(reconciler) == {"a", "b"}
    assert reconciler.specs["scorer"].config.cameras.keys() == {"a", "b"}, "also when it is killed"
    assert not reconciler.acknowledged("scorer", 1)
    assert reconciler.reconcile(both, lambda _: False).add == ()
    assert reconciler.acknowledged("sink", 0), "the sink still uses the old table"
    assert reconciler.reconcile(both, lambda _: False).add == ()
    reconciler.spawned("sink")
    assert reconciler.reconcile(both, lambda _: False).add == ("ingest:b",)
    assert reconciler.reconcile(both, lambda _: False) == Changes((), (), publish=False, add=())


def test_camera_leaves_when_its_ingest_worker_is_gone() -> None:
    both = config(a={"source": "/videos/a.mp4"}, b={"source": "/videos/b.mp4"})
    reconciler = Reconciler(process_table(both, RUN))
    for name in ("scorer", "sink"):
        reconciler.spawned(name)
    one = config(b={"source": "/videos/b.mp4"})
    assert reconciler.reconcile(one, lambda _: False) == Changes((), ("ingest:a",), False, ())
    assert reconciler.reconcile(one, lambda _: False) == Changes((), (), False, ())
    assert table(reconciler) == {"a", "b"}
    assert reconciler.reconcile(one, lambda name: name == "ingest:a").remove == ("ingest:a",)
    assert table(reconciler) == {"b"}


def test_only_another_view_needs_another_ingest_worker() -> None:
    reconciler = Reconciler(process_table(config(a={"source": "/videos/a.mp4"}), RUN))
    for name in ("scorer", "sink"):
        reconciler.spawned(name)
    calm = config(a={"source": "/videos/a.mp4", "alert": {"cooldown": 99}})
    assert reconciler.reconcile(calm, lambda _: False) == Changes((), (), True, ())
    hours = {"timezone": "UTC", "active": ["sat-sun"]}
    zoned = config(
        a={
            "source": "/videos/a.mp4",
            "alert": {"schedule": hours},
            "zones": {"porch": {"coordinates": "0,0,1,0,1,1"}},
        }
    )
    assert reconciler.reconcile(zoned, lambda _: False) == Changes((), (), True, ())
    assert "porch" in reconciler.specs["sink"].config.cameras["a"].zones
    other = config(a={"source": "/videos/other.mp4"})
    assert reconciler.reconcile(other, lambda _: False).retire == ("ingest:a",)
    assert reconciler.reconcile(other, lambda _: True).remove == ("ingest:a",)
    for name in ("scorer", "sink"):
        reconciler.spawned(name)
    assert reconciler.reconcile(other, lambda _: True).add == ("ingest:a",)
    assert reconciler.specs["ingest:a"].config.cameras["a"].source.url == "/videos/other.mp4"


RUNNING = tuple(
    WorkerStatus(name, "running", 1, 0, cameras=cameras)
    for name, cameras in (("ingest:a", {"a": "watching"}), ("scorer", {"a": "watching"}))
)


def request(command: Command, deadline: float = 10.0) -> Request:
    return Request("1", command.command, arguments_of(command), deadline)


def router(now: float = 0.0) -> CommandRouter:
    registry = CameraRegistry.of(config(a={"source": "/videos/a.mp4"}))
    return CommandRouter(registry, lambda _: None, clock=lambda: now)


def answer(to: CommandRouter, message: Request, stopping: bool = False) -> Answer:
    ((client, routed),) = to.handle(b"me", message, RUNNING, stopping)
    assert client == b"me"
    assert isinstance(routed, Answer)
    assert routed.id == message.id
    return routed


def test_a_camera_shows_its_learning_progress() -> None:
    learning: dict[str, float | bool] = {"trusted": False, "trusted_in_seconds": 34.0}
    ingest, scorer = RUNNING
    workers = (ingest, replace(scorer, learning={"a": learning}))
    for statuses, wanted in ((workers, learning), (RUNNING, None)):
        ((_, routed),) = router().handle(b"me", request(GetOverview()), statuses)
        assert isinstance(routed, Answer)
        (shown,) = routed.body["cameras"]  # type: ignore[misc]
        assert shown["learning"] == wanted


def test_late_requests_and_requests_while_stopping_are_refused() -> None:
    attach = Attach(name="b", camera={"source": "synthetic:street"})
    late = router(now=11.0)
    assert late.handle(b"me", request(attach), RUNNING) == []
    assert "b" not in late.registry.cameras
    assert answer(router(), request(attach), stopping=True).status == "unavailable"
    assert answer(router(), request(GetOverview()), stopping=True).status == "ok"
    assert answer(router(), Request("1", "no", {}, 9.0)).status == "invalid"
    assert answer(router(), request(Annotate(event="a-1-1"))).status == "unavailable", "no sink"
    assert answer(router(), request(AdaptCamera(name="b"))).status == "unknown"


def workers_with(phase: WorkerPhase, status: str) -> tuple[WorkerStatus, ...]:
    return (
        WorkerStatus("ingest:a", phase, None, 5, "SIGSEGV", cameras={"a": status}),
        WorkerStatus("scorer", "running", 1, 0),
    )


def ask_with(to: CommandRouter, command: Command, workers: tuple[WorkerStatus, ...]) -> Answer:
    ((_, routed),) = to.handle(b"me", request(command), workers)
    assert isinstance(routed, Answer)
    return routed


def test_enabling_a_failed_camera_retries_it() -> None:
    one, failed = router(), workers_with("failed", "error: given up")
    answer = ask_with(one, SetEnabled(name="a", enabled=True), failed)
    assert (answer.status, answer.body["state"]) == ("ok", "starting")
    assert one.pop_retries() == {"ingest:a"}
    assert one.pop_retries() == set(), "once"
    assert ask_with(one, SetEnabled(name="a", enabled=False), failed).body["state"] == "disabled"
    assert ask_with(one, SetEnabled(name="a", enabled=True), RUNNING).status == "ok"
    assert one.pop_retries() == set()


def test_commands_that_would_do_nothing_are_refused() -> None:
    one, ended = router(), workers_with("finished", "ended")
    enable = ask_with(one, SetEnabled(name="a", enabled=True), ended)
    assert enable.status == "conflict"
    assert "its recording has ended" in enable.problem
    for workers, state in (
        (ended, "ended"),
        (workers_with("failed", "error: given up"), r"error (given up)"),
    ):
        adapt = ask_with(one, AdaptCamera(name="a"), workers)
        assert adapt.status == "conflict"
        assert adapt.problem.endswith(f"got one that is {state}")
    assert ask_with(one, SetEnabled(name="a", enabled=False), RUNNING).status == "ok"
    adapt = ask_with(one, AdaptCamera(name="a"), RUNNING)
    assert adapt.problem == (
        "camera a: want a camera whose frames arrive, got one that is disabled"
    )


def test_change_that_cannot_be_stored_is_not_made() -> None:
    def fail(_registry: CameraRegistry) -> None:
        raise OSError(28, "No space left on device")

    full = CommandRouter(CameraRegistry.of(config()), fail, clock=lambda: 0.0)
    attach = Attach(name="b", camera={"source": "synthetic:street"})
    assert answer(full, request(attach)).problem == "cannot be stored: No space left on device"
    assert full.registry.cameras == {}


def test_answer_of_a_worker_finds_its_way_back() -> None:
    one = router()
    ((worker, order),) = one.handle(b"me", request(AdaptCamera(name="a")), RUNNING)
    assert worker == b"scorer"
    assert isinstance(order, Request)
    assert order.id != "1", "two clients may choose the same"
    ((client, back),) = one.handle(b"scorer", Answer(order.id, "ok"), RUNNING)
    assert (client, back.id) == (b"me", "1")
    assert one.handle(b"scorer", Answer(order.id, "ok"), RUNNING) == []


def test_over_real_sockets(endpoints: Endpoints) -> None:
    answers: list[Answer] = []

    def ask() -> None:
        with ControlClient(endpoints) as client:
            answers.append(client.ask(GetOverview(), 10.0))
            answers.append(client.ask(GetOverview(), 0.05))

    thread = threading.Thread(target=ask)
    thread.start()
    with ControlServer(endpoints) as server, ControlMember(endpoints, "sink", 3) as member:
        found = server.poll(10.0)
        server.send(found[0][0], Answer("another", "ok"))
        server.send(found[0][0], Answer(found[0][1].id, "ok", {"a": 1}))  # type: ignore[union-attr]
        thread.join(10)
        assert [one.status for one in answers] == ["ok", "unavailable"]
        assert answers[0].body == {"a": 1}
        acknowledged: list[tuple[bytes, object]] = []
        while not acknowledged:
            member.poll()
            acknowledged = [one for one in server.poll(0.05) if isinstance(one[1], RevisionAck)]
        assert acknowledged[0] == (b"sink", RevisionAck("sink", 3))
        now = time.monotonic()
        for message in (
            CameraTable(3, {}),
            CameraTable(4, {}),
            Request("late", "overview", {}, now - 1),
            Request("good", "overview", {}, now + 60),
        ):
            server.send(b"sink", message)
        got: list[object] = []
        while len(got) < 2:
            wait(5.0, member)
            got += member.poll()
        assert got == [CameraTable(4, {}), Request("good", "overview", {}, now + 60)]


def tell(run: PipelineRun, command: Command) -> Answer:
    with ControlClient(run.supervisor.run_info.endpoints) as client:
        return client.ask(command, 20.0)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_cameras_are_added_and_removed_without_effect_on_the_others(tmp_path: Path) -> None:
    clip = tmp_path / "street.mp4"
    write_video(clip, pictures=walking_box(150), frames_per_second=10)
    looped = {"url": str(clip), "loop": True}
    with pipeline_run(tmp_path, {"first": looped}) as run:
        run.wait_for(lambda: len(run.scores("first")) > 3)
        pids = {name: run.pid(name) for name in ("scorer", "sink", "ingest:first")}
        added = tell(run, Attach(name="second", camera={"source": "synthetic:street"}))
        assert (added.status, added.body["state"]) == ("ok", "starting")
        run.wait_for(lambda: any(s["state"] == "ready" for s in run.scores("second")))
        picture = tell(run, GetPicture(name="second"))
        assert picture.pixels is not None
        assert picture.pixels.shape == (48, 64, 3)
        assert tell(run, Annotate(event="first-1-1", acknowledged=True)).status == "unknown"
        assert {name: run.pid(name) for name in pids} == pids

        run.kill("scorer")
        run.kill("sink")
        before = len(run.scores("second"))
        run.wait_for(lambda: len(run.scores("second")) > before)

        pids = {name: run.pid(name) for name in ("scorer", "sink", "ingest:second")}
        hours = {"timezone": "UTC", "active": ["sat-sun"]}
        patch: dict[str, object] = {
            "alert": {"cooldown": 99, "schedule": hours},
            "zones": {"porch": {"coordinates": "0,0.5,1,0.5,1,1"}},
        }
        assert tell(run, Change(name="second", patch=patch)).status == "ok"
        run.wait_for(lambda: run.scores("second")[-1]["zones"] != {})
        assert {name: run.pid(name) for name in pids} == pids
        off = tell(run, SetEnabled(name="second", enabled=False))
        assert off.body["state"] == "disabled"
        run.wait_for(lambda: all(s.name != "ingest:second" for s in run.supervisor.statuses))
        assert tell(run, SetEnabled(name="second", enabled=True)).status == "ok"
        before = len(run.scores("second"))
        run.wait_for(lambda: len(run.scores("second")) > before)
        run.stop.set()
        assert run.wait(60).failed == {}
        first = run.scores("first")
    for one, two in pairwise(first):
        if one["connection"] == two["connection"]:
            assert two["index"] == one["index"] + 1, "not a frame was lost"  # type: ignore[operator]

    shutil.rmtree(tmp_path / "weights")
    with pipeline_run(tmp_path, {"first": looped}) as run:
        before = len(run.scores("second"))
        run.wait_for(lambda: len(run.scores("second")) > before + 5)
        assert {score["state"] for score in run.scores("second")[before:]} == {"ready"}
        assert tell(run, Detach(name="second")).status == "ok"
        run.wait_for(lambda: all(s.name != "ingest:second" for s in run.supervisor.statuses))
        assert tell(run, AdaptCamera(name="second")).status == "unknown"
        before = len(run.scores("first"))
        assert tell(run, AdaptCamera(name="first")).status == "ok"
        run.wait_for(lambda: any(s["state"] == "collecting" for s in run.scores("first")[before:]))
        run.wait_for(lambda: run.scores("first")[-1]["state"] == "ready")
        made = scenes_of(run, "first")
        assert tell(run, Restore(name="first", scene="1")).status == "unknown"
        assert tell(run, Restore(name="first", scene=made[-1])).status == "ok"
        before = len(run.scores("first"))
        run.wait_for(lambda: len(run.scores("first")) > before + 3)
        assert "collecting" not in {s["state"] for s in run.scores("first")[before:]}


def scenes_of(run: PipelineRun, camera: str) -> list[str]:
    """Scenes that a camera has had, newest first."""
    scenes = tell(run, ListScenes(name=camera)).body["scenes"]
    assert isinstance(scenes, list)
    assert scenes
    return [scene["id"] for scene in scenes]
