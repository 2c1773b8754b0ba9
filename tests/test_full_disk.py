"""The alert sink on a full file system: nothing blocks, is repeated or is lost."""

import json
import logging
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from http_receiver import receiving
from prometheus_client import CollectorRegistry
from stage_parts import small_config, worker_context
from test_alert_sink import ALERT, OpenSink, course, expected_events

from pipeline.cli.cameras import show_all
from pipeline.cli.service_client import ServiceClient
from pipeline.config import Config
from pipeline.notifiers import open_notifiers
from pipeline.runtime.local_engine import DataFolderInUseError, data_lock
from pipeline.runtime.metrics_server import MetricsServer
from pipeline.storage.store_opening import RESERVE_BYTES, RESERVE_NAME, open_store
from pipeline.telemetry.health import WorkerStatus, degradations, readiness
from pipeline.telemetry.metrics import Metrics
from pipeline.telemetry.ongoing_problems import OngoingProblems
from pipeline.worker import RunInfo, WorkerContext, WorkerSpec


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"lacks the right to mount a small tmpfs: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(place: Path) -> Path:
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    return ballast


def settings(port: int) -> Config:
    hooks = {"x": {"url": f"http://127.0.0.1:{port}/"}}
    record = {"retain": {"days": 1e5}, "min_free_gb": 0}
    return small_config(["door"], alert=ALERT, webhooks=hooks, record=record)


def test_on_a_full_disk_each_message_is_sent_once_and_stored_later(
    run: RunInfo, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    run = replace(run, data_folder=small_disk)
    now, messages = [100.0], course()
    with receiving() as receiver, ExitStack() as stack:
        config = settings(receiver.port)
        metrics = Metrics(CollectorRegistry())
        spec = WorkerSpec("sink", "tests:none", None, config, run)
        context = WorkerContext(
            spec,
            threading.Event(),
            metrics,
            1,
            problems=OngoingProblems(metrics.degraded, lambda: now[0]),
        )
        notifiers = stack.enter_context(
            open_notifiers(config, small_disk, metrics, context.problems)
        )
        it = OpenSink(context, stack, lambda: now[0], notifiers)
        it.sink.recover()
        for message in messages[:14]:
            it.sink.take(message)
        receiver.wait(1)
        ballast = fill(small_disk)
        caplog.clear()
        for message in messages[14:]:
            it.sink.take(message)
            now[0] += 0.1
            it.sink.tick()
        it.sink.finish()
        ends = [event.id for event in expected_events(messages) if not event.suppressed]
        receiver.wait(2 * len(ends))
        time.sleep(
            1.5
        )  # longer than a step of the delivery workers: a repetition would arrive by then
        bodies = [json.loads(post.body) for post in receiver.posts]
        keys = [body["key"] for body in bodies]
        assert len(keys) == len(set(keys))
        assert [body["id"] for body in bodies if body["type"] == "end"] == ends
        degraded = context.problems.snapshot()
        assert {"store", "journal", "score_log", "outbox"} <= degraded.keys()
        assert "full" in degraded["store"]
        assert metrics.registry.get_sample_value("vedette_degraded", {"part": "store"}) == 1
        warnings = [one for one in caplog.records if one.levelno >= logging.WARNING]
        assert len(warnings) <= len(degraded)

        ballast.unlink()
        now[0] += 60
        it.sink.tick()
        deadline = time.monotonic() + 10
        while "outbox" in context.problems.snapshot():
            assert time.monotonic() < deadline
            notifiers.tick()
            now[0] += 1.0
            time.sleep(0.05)
        assert it.store.events() == expected_events(messages)
        it.sink.take(replace(messages[-1], index=messages[-1].index + 1))
        now[0] += 10
        assert context.problems.snapshot() == {}
        assert metrics.registry.get_sample_value("vedette_degraded", {"part": "store"}) == 0
        assert "store: works again after" in caplog.text


def test_a_sink_starts_on_a_full_disk_with_its_reserved_space(
    run: RunInfo, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    run = replace(run, data_folder=small_disk)
    with ExitStack() as stack:
        store = open_store(worker_context("sink", settings(9), run), stack)
        event = expected_events(course())[0]
        store.save([event], {})
    assert (small_disk / RESERVE_NAME).stat().st_size == RESERVE_BYTES
    fill(small_disk)
    with ExitStack() as stack:
        store = open_store(worker_context("sink", settings(9), run), stack)
        assert store.events() == [event]
        store.save([replace(event, id="door-9-9")], {})
    assert "releasing the reserved space" in caplog.text
    assert not (small_disk / RESERVE_NAME).exists()
    for file in small_disk.glob("events.sqlite-*"):
        file.unlink()


def test_a_full_data_folder_can_be_held(small_disk: Path) -> None:
    fill(small_disk)
    with data_lock(small_disk), pytest.raises(DataFolderInUseError), data_lock(small_disk):
        pass


def test_without_a_reserve_the_sink_waits_for_space_and_reports_it(
    run: RunInfo, small_disk: Path
) -> None:
    run = replace(run, data_folder=small_disk)
    ballast, now = fill(small_disk), [0.0]
    problems = OngoingProblems(clock=lambda: now[0])
    context = replace(worker_context("sink", settings(9), run), problems=problems)
    opened = threading.Event()

    def work() -> None:
        with ExitStack() as stack:
            open_store(context, stack)
            opened.set()

    thread = threading.Thread(target=work)
    thread.start()
    deadline = time.monotonic() + 20
    while "full" not in context.problems.snapshot().get("store", ""):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    ballast.unlink()
    assert opened.wait(20)
    thread.join()
    now[0] += 10.0
    assert context.problems.snapshot() == {}


def test_health_answers_state_what_is_degraded_and_why() -> None:
    full = WorkerStatus("sink", "running", 1, 0, degraded={"store": "the disk is full"})
    tight = replace(full, degraded={"retention": "want 1 GB of free space"})
    assert readiness([full]) == (
        False,
        "sink: running\nsink: degraded: store: the disk is full\n",
    )
    assert readiness([tight])[0]  # nothing is lost yet
    with MetricsServer(
        "127.0.0.1", 0, CollectorRegistry(), lambda: True, lambda: readiness([full]),
        lambda: degradations([full]),
    ) as server:  # fmt: skip
        url = f"http://127.0.0.1:{server.port}"
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
            assert answer.read() == b"degraded\nsink: degraded: store: the disk is full\n"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{url}/readyz", timeout=5)
        assert refused.value.code == 503
        assert b"the disk is full" in refused.value.read()
        refused.value.close()


def test_a_problem_is_logged_at_its_beginning_rarely_and_at_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    now = [0.0]
    problems = OngoingProblems(clock=lambda: now[0])
    for second in range(1300):
        now[0] = float(second)
        problems.set("store", "the disk is full")
    problems.clear("store")
    now[0] += 5.0
    assert problems.snapshot() == {"store": "the disk is full"}  # it may fail again at once
    problems.set("store", "the disk is full")
    problems.clear("store")
    now[0] += 10.0
    problems.clear("store")
    assert problems.snapshot() == {}
    assert [record.getMessage() for record in caplog.records] == [
        "degraded: store: the disk is full",
        "degraded since 600 s: store: the disk is full",
        "degraded since 1200 s: store: the disk is full",
        "store: works again after 1314 s",
    ]


def test_the_list_of_cameras_shows_what_is_degraded(capsys: pytest.CaptureFixture[str]) -> None:
    class Service(ServiceClient):
        def __init__(self) -> None:
            pass

        def ask(self, method: str, path: str, body: object = None, **parameters: object) -> Any:
            full = {"name": "sink", "degraded": {"store": "the disk is full"}}
            return {"/cameras": {"cameras": []}, "/service": {"workers": [full]}}[path]

    show_all(Service(), as_json=False)
    assert capsys.readouterr().out.endswith("degraded: sink: store: the disk is full\n")
