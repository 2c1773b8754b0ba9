"""The alert sink with real receivers: no message is lost, whichever process is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from http_receiver import receiving
from mqtt_broker import broker, free_port, listening
from prometheus_client import CollectorRegistry
from stage_parts import small_config, worker_context
from test_alert_sink import ALERT, Killed, OpenSink, course, score

from pipeline.config import Config, Webhook
from pipeline.events.event import Event, EventChange
from pipeline.notifiers import Notifiers, open_notifiers
from pipeline.notifiers.apprise_service import title_and_body
from pipeline.notifiers.delivery import DeliveryWorker, Receiver
from pipeline.notifiers.message import (
    EventMessage,
    event_message,
    message_for,
    read_message,
)
from pipeline.notifiers.outbox import Outbox
from pipeline.notifiers.outbox_message import Bounds
from pipeline.notifiers.webhook import WebhookNotifier
from pipeline.storage.store import EventStore
from pipeline.telemetry.metrics import Metrics
from pipeline.transport.scores import ScoreSender
from pipeline.worker import PermanentError, RunInfo, WorkerSpec

SECRET = "planted-webhook-secret"


def config(**receivers: object) -> Config:
    return small_config(["door"], alert=ALERT, **receivers)


def hook(port: int, **more: object) -> dict[str, object]:
    return {"x": {"url": f"http://127.0.0.1:{port}/planted-path", "secret": SECRET, **more}}


def change(kind: str, frames: int, *, suppressed: bool = False) -> EventChange:
    ended_at = 1003.5 if kind == "end" else None
    event = Event(
        "door-7-10", "door", 7, 10, 1000.0, 1.0, ended_at, 2.5, 1.9, 1001.25, 7, 14, "ready",
        suppressed, frames,
    )  # fmt: skip
    return EventChange(kind, event)  # type: ignore[arg-type]


def start(run: RunInfo, settings: Config) -> subprocess.Popen[bytes]:
    spec = WorkerSpec("sink", "pipeline.alerts.alert_worker:run", None, settings, run)
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.runtime.worker_process", str(os.getpid())],
        stdin=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(spec.to_json().encode())
    process.stdin.close()
    return process


def test_fields_of_a_message() -> None:
    message = event_message(change("end", 25), "events/door/door-7-10/snapshot.jpg", None, api=True)
    assert message is not None
    assert replace(message, before=None, after=None) == EventMessage(
        version=1,
        key="door-7-10:end:25",
        type="end",
        id="door-7-10",
        camera="door",
        revision=25,
        started_at=1000.0,
        started_at_iso="1970-01-01T00:16:40.000Z",
        ended_at=1003.5,
        ended_at_iso="1970-01-01T00:16:43.500Z",
        duration_seconds=2.5,
        peak_score=1.9,
        peak_at=1001.25,
        peak_at_iso="1970-01-01T00:16:41.250Z",
        scene="ready",
        snapshot="events/door/door-7-10/snapshot.jpg",
        heatmap=None,
        snapshot_url="/api/v1/events/door-7-10/snapshot.jpg",
        heatmap_url=None,
    )
    without = event_message(change("new", 4), "a.jpg", "b.jpg", api=False)
    assert without is not None
    assert (without.snapshot, without.snapshot_url, without.ended_at) == ("a.jpg", None, None)


def test_a_message_lists_the_zones_and_a_released_event_is_new() -> None:
    began = change("released", 40)
    released = event_message(
        replace(began, event=replace(began.event, zones=("porch", "path"))), None, None, api=False
    )
    assert released is not None
    assert (released.type, released.key, released.zones) == (
        "new",
        "door-7-10:new:40",
        ("porch", "path"),
    )
    body = json.loads(message_for("mqtt", released, 1000.0).body)
    assert body["zones"] == ["porch", "path"]
    del body["zones"]
    waiting = read_message(json.dumps(body))
    assert waiting == replace(released, zones=()), "a message that waited since before the zones"
    assert "door (porch, path)" in title_and_body(released)[1]
    assert "door since" in title_and_body(waiting)[1]


@pytest.mark.parametrize("kind", ["suppressed", "update", "end"])
def test_suppressed_events_have_no_message(kind: str) -> None:
    assert event_message(change(kind, 5, suppressed=True), None, None, api=False) is None


def test_the_alert_path_does_not_wait_for_receivers(tmp_path: Path) -> None:
    """One receiver stalls, one and the broker are unreachable: `notify` does not block."""
    metrics = Metrics(CollectorRegistry())
    with receiving() as stalling:
        stalling.stall = threading.Event()
        hooks = {**hook(stalling.port, timeout=30), "y": hook(free_port())["x"]}
        settings = config(webhooks=hooks, mqtt={"enabled": True, "port": free_port()})
        with open_notifiers(settings, tmp_path, metrics) as notifiers:
            notifiers.add_camera("door", None)
            notifiers.notify(change("new", 1), None, None)
            stalling.wait(1)
            begin = time.monotonic()
            for frames in range(2, 202):
                notifiers.notify(change("update", frames), None, None)
                notifiers.publish_score(score("door", frames, frames / 100))
            notifiers.tick()
            assert (time.monotonic() - begin) / 200 < 0.05
            read = metrics.registry.get_sample_value
            # Of 200 updates the newest is left; the first message is still in flight.
            for sink in ("webhook:x", "webhook:y", "mqtt"):
                assert read("vedette_outbox_messages", {"sink": sink}) == 2
                assert read("vedette_outbox_oldest_seconds", {"sink": sink}) is not None
            begin = time.monotonic()
        assert time.monotonic() - begin < 6  # the supervisor would kill after 10 s
    with Outbox(tmp_path / "outbox.sqlite", Bounds()) as outbox:
        waiting = outbox.oldest("webhook:y")
        assert waiting is not None
        assert read_message(waiting.body).type == "new"


def test_messages_of_an_unwritable_outbox_are_delivered_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    metrics = Metrics(CollectorRegistry())
    with receiving() as receiver:
        with open_notifiers(config(webhooks=hook(receiver.port)), tmp_path, metrics) as notifiers:
            with sqlite3.connect(tmp_path / "outbox.sqlite", isolation_level=None) as other:
                other.execute("BEGIN IMMEDIATE")
                notifiers.notify(change("new", 1), None, None)
                notifiers.notify(change("end", 9), None, None)
                other.execute("ROLLBACK")
            other.close()
            failures = metrics.registry.get_sample_value(
                "vedette_sink_failures_total", {"sink": "outbox"}
            )
            assert failures
            notifiers.tick()
            receiver.wait(2)
        assert [json.loads(post.body)["type"] for post in receiver.posts] == ["new", "end"]


def test_a_404_of_a_proxy_during_a_restart_loses_no_message(
    tmp_path: Path,
) -> None:
    statuses = [404, 403, 502, 410]
    with receiving() as receiver:
        receiver.answer = lambda number: (([*statuses, 204])[min(number, 4)], {})
        metrics = Metrics(CollectorRegistry())
        with open_notifiers(config(webhooks=hook(receiver.port)), tmp_path, metrics) as notifiers:
            notifiers.notify(change("new", 1), None, None)
            notifiers.notify(change("end", 9), None, None)
            receiver.wait(len(statuses) + 2, 40)
    kinds = [json.loads(post.body)["type"] for post in receiver.posts]
    assert kinds == ["new"] * (len(statuses) + 1) + ["end"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("kind", "name"), [(Outbox, "put"), (EventStore, "save")])
def test_a_crash_between_outbox_and_store_queues_each_message_once(
    run: RunInfo, monkeypatch: pytest.MonkeyPatch, kind: type, name: str, when: str
) -> None:
    real, rng, crashes = getattr(kind, name), random.Random(f"{name}{when}"), 0

    def mortal(*args: object) -> object:
        nonlocal crashes
        dies = rng.random() < 0.3
        crashes += dies
        if dies and when == "before":
            raise Killed
        result = real(*args)
        if dies:
            raise Killed
        return result

    messages, taken = course(), 0
    while taken < len(messages):
        # The sink of a new process, with a delivery worker that is never started.
        with ExitStack() as stack:
            outbox = stack.enter_context(Outbox(run.data_folder / "outbox.sqlite", Bounds()))
            context = worker_context("sink", config(), run)
            hook = WebhookNotifier("x", Webhook(url="http://127.0.0.1:1/"))
            delivery_worker = DeliveryWorker("webhook:x", hook, outbox, 1.0, context.metrics)
            receivers = {
                "webhook:x": Receiver(hook, delivery_worker, frozenset({"new", "update", "end"}))
            }
            notifiers = Notifiers(outbox, receivers, None, run.data_folder, context.metrics)
            sink = OpenSink(context, stack, lambda: 0.0, notifiers).sink
            try:
                with monkeypatch.context() as patch:
                    sink.recover()
                    patch.setattr(kind, name, mortal)
                    while taken < len(messages):
                        sink.take(messages[taken])
                        taken += 1
            except Killed:
                continue
    assert crashes > 0
    keys = []
    with Outbox(run.data_folder / "outbox.sqlite", Bounds()) as outbox:
        while (queued_message := outbox.oldest("webhook:x")) is not None:
            keys.append(queued_message.key)
            outbox.delivered(queued_message)
    # 7.5 - 7.2 is a little less than 0.3: the second event is reported one frame later.
    assert keys == ["door-7-10:new:4", "door-7-10:end:6", "door-7-72:new:5", "door-7-72:end:8"]


def test_a_receiver_that_starts_late_gets_all_messages_in_order(tmp_path: Path) -> None:
    port = free_port()
    metrics = Metrics(CollectorRegistry())
    settings = config(webhooks=hook(port, max_rate=100))
    with open_notifiers(settings, tmp_path, metrics) as notifiers:
        for kind, frames in (("new", 4), ("update", 5), ("update", 6), ("end", 9)):
            notifiers.notify(change(kind, frames), None, None)
        labels = {"sink": "webhook:x"}
        deadline = time.monotonic() + 10
        read = metrics.registry.get_sample_value
        while not read("vedette_sink_failures_total", labels) and time.monotonic() < deadline:
            time.sleep(0.01)
        with receiving(port) as receiver:
            receiver.wait(2)
    keys = [post.headers["Idempotency-Key"] for post in receiver.posts]
    assert keys == ["door-7-10:new:4", "door-7-10:end:9"]
    assert [json.loads(post.body)["key"] for post in receiver.posts] == keys


def test_a_killed_sink_delivers_everything_once(run: RunInfo) -> None:
    """Scores over ZeroMQ into a real sink, which is killed while the receiver fails."""
    # Of today: the sink deletes events beyond the retention age.
    shift = time.time() - 1100
    messages = [replace(m, captured_at=m.captured_at + shift) for m in course()]
    with receiving() as receiver, broker(run.data_folder) as mqtt:
        receiver.answer = lambda number: (503 if number % 3 == 0 else 200, {})
        settings = config(webhooks=hook(receiver.port), mqtt={"enabled": True, "port": mqtt.port})
        process, acknowledged, kills, queue = start(run, settings), 0, [18], [*messages]
        try:
            with listening(mqtt.port) as listener:
                with ScoreSender(run.endpoints, resend_seconds=0.2) as sender:
                    deadline = time.monotonic() + 60
                    while acknowledged < len(messages) and time.monotonic() < deadline:
                        while queue and sender.unacknowledged < 4:
                            sender.send(queue.pop(0))
                        acknowledged += len(sender.poll(0.05))
                        if kills and acknowledged >= kills[0]:
                            kills.pop(0)
                            process.kill()
                            process.wait()
                            process = start(run, settings)
                assert acknowledged == len(messages)
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0
                listener.wait(lambda: listener.of("vedette/available")[-1:] == [b"offline"])
                published = [json.loads(body) for body in listener.of("vedette/events")]
                anomaly = listener.of("vedette/door/anomaly")
        finally:
            process.kill()
            process.wait()
        # What is left after the short shutdown of the last run is delivered by the next one.
        with open_notifiers(settings, run.data_folder, Metrics(CollectorRegistry())):
            deadline = time.monotonic() + 20
            while waiting(run.data_folder) and time.monotonic() < deadline:
                time.sleep(0.02)
    accepted = [
        json.loads(post.body) for number, post in enumerate(receiver.posts) if number % 3 != 0
    ]
    for messages in (accepted, published):
        unique = {message["key"]: message for message in messages}
        ends = [message for message in unique.values() if message["type"] == "end"]
        begins = [message["id"] for message in unique.values() if message["type"] == "new"]
        assert begins == [end["id"] for end in ends] == ["door-7-10", "door-7-72"]
        assert [round(end["peak_score"], 2) for end in ends] == [1.9, 1.5]
    assert anomaly[-1] == b"OFF"
    assert b"ON" in anomaly
    assert (run.data_folder / ends[0]["snapshot"]).is_file()
    logs = "".join(file.read_text() for file in (run.data_folder / "logs").iterdir())
    assert "webhook:x" in logs
    assert SECRET not in logs
    assert "planted-path" not in logs


def waiting(folder: Path) -> int:
    with Outbox(folder / "outbox.sqlite", Bounds()) as outbox:
        return outbox.backlog("webhook:x").messages


def test_without_receivers_there_is_no_outbox(tmp_path: Path) -> None:
    with open_notifiers(config(), tmp_path, Metrics(CollectorRegistry())) as notifiers:
        notifiers.add_camera("door", None)
        notifiers.notify(change("new", 1), None, None)
        notifiers.tick()
    assert list(tmp_path.iterdir()) == []


def test_a_camera_without_scores_is_offline(tmp_path: Path) -> None:
    with broker(tmp_path) as mqtt, listening(mqtt.port) as listener:
        settings = config(mqtt={"enabled": True, "port": mqtt.port})
        with open_notifiers(settings, tmp_path, Metrics(CollectorRegistry())) as notifiers:
            now = 100.0
            notifiers._clock = lambda: now
            notifiers.add_camera("door", None)
            notifiers.add_camera("shed", None, enabled=False)
            listener.wait(lambda: b"starting" in listener.of("vedette/door/status"))
            notifiers.publish_score(score("door", 1, 0.2))
            listener.wait(lambda: b"watching" in listener.of("vedette/door/status"))
            now = 131.0
            notifiers.tick()
            listener.wait(lambda: b"offline" in listener.of("vedette/door/status"))
            notifiers.publish_score(score("door", 2, 0.2))
            listener.wait(lambda: listener.of("vedette/door/status")[-1] == b"watching")
    assert listener.of("vedette/shed/status") == [b"disabled"]


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # a dependency of the library's
def test_apprise_delivers_to_a_real_service(tmp_path: Path) -> None:
    pytest.importorskip("apprise", reason="no Apprise: pip install vedette[apprise]")
    picture = tmp_path / "events" / "door" / "door-7-10" / "snapshot.jpg"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"\xff\xd8 picture \xff\xd9")
    with receiving() as receiver:
        url = f"json://127.0.0.1:{receiver.port}/planted-path"
        settings = config(apprise={"phone": {"url": url, "ends": True, "max_rate": 100}})
        metrics = Metrics(CollectorRegistry())
        with open_notifiers(settings, tmp_path, metrics) as notifiers:
            receiver.answer = lambda number: (500 if number == 0 else 200, {})
            for kind, frames in (("new", 4), ("update", 6), ("end", 9)):
                notifiers.notify(change(kind, frames), picture, None)
            receiver.wait(3)
    posts = [json.loads(post.body) for post in receiver.posts]
    assert [post["title"] for post in posts] == [
        "door: anomaly",
        "door: anomaly",
        "door: anomaly ended",
    ]
    assert "score 1.9" in posts[1]["message"]
    assert "2 s from 1970-01-01T00:16:40.000Z" in posts[2]["message"]
    assert posts[1]["attachments"][0]["filename"] == "snapshot.jpg"


def test_apprise_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    settings = config(apprise={"phone": {"url": "json://planted"}})
    with (
        pytest.raises(PermanentError, match=r"apprise\.phone: .* pip install vedette\[apprise\]"),
        open_notifiers(settings, tmp_path, Metrics(CollectorRegistry())),
    ):
        pass


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")
def test_an_address_that_apprise_does_not_support(tmp_path: Path) -> None:
    pytest.importorskip("apprise", reason="no Apprise: pip install vedette[apprise]")
    settings = config(apprise={"phone": {"url": "carrier-pigeon://planted"}})
    with (
        pytest.raises(PermanentError, match=r"apprise\.phone\.url: want") as caught,
        open_notifiers(settings, tmp_path, Metrics(CollectorRegistry())),
    ):
        pass
    assert "planted" not in str(caught.value)
