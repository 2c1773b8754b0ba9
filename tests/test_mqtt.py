import gc
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as paho
import pytest
import trustme
from mqtt_broker import PASSWORD, Broker, Listener, broker, free_port, listening
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client import CollectorRegistry
from stage_parts import small_config

from pipeline.config import Mqtt
from pipeline.notifiers import mqtt_connection, open_notifiers
from pipeline.notifiers.delivery import DeliveryWorker
from pipeline.notifiers.mqtt import MqttNotifier
from pipeline.notifiers.mqtt_connection import MqttLink, Will
from pipeline.notifiers.mqtt_losses import Losses
from pipeline.notifiers.mqtt_topics import RetainedTopics, Topics, is_significant_change, status_of
from pipeline.notifiers.outbox import Outbox
from pipeline.notifiers.outbox_message import Bounds, OutboxMessage
from pipeline.notifiers.retained_state import ANNOUNCED_NAME
from pipeline.telemetry.metrics import Metrics
from pipeline.transport.commands import AdaptCamera, Command, GetOverview, SetEnabled, SetThreshold
from pipeline.transport.messages import Answer
from pipeline.worker import PermanentError


class Sender:
    """The notifier with its delivery worker and an outbox, as `Notifiers` puts them together."""

    def __init__(self, outbox: Outbox, settings: Mqtt) -> None:
        self.outbox = outbox
        self.lost = threading.Event()
        self.notifier = MqttNotifier(settings, lambda: self.delivery_worker.wake(), self.lost.set)
        metrics = Metrics(CollectorRegistry())
        self.delivery_worker = DeliveryWorker("mqtt", self.notifier, outbox, 1000.0, metrics)

    def event(self, number: int) -> None:
        key = f"e{number}:new:1"
        self.outbox.put(
            OutboxMessage("mqtt", key, f"e{number}", "new", 1, f'{{"n": {number}}}', 1000.0)
        )
        self.delivery_worker.wake()

    def wait_empty(self, seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while self.outbox.backlog("mqtt").messages:
            assert time.monotonic() < deadline, self.outbox.backlog("mqtt")
            time.sleep(0.01)


@contextmanager
def sending(folder: Path, port: int, **more: object) -> Iterator[Sender]:
    settings = Mqtt.model_validate({"enabled": True, "port": port, **more})
    with Outbox(folder / "outbox.sqlite", Bounds()) as outbox:
        sender = Sender(outbox, settings)
        sender.delivery_worker.start()
        sender.notifier.start()
        try:
            yield sender
        finally:
            sender.delivery_worker.stop(time.monotonic() + 5)
            sender.notifier.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Broker]:
    with broker(tmp_path) as it:
        yield it


def has(listener: Listener, topic: str, payload: bytes) -> Callable[[], bool]:
    return lambda: payload in listener.of(topic)


def test_events_and_states_arrive(running: Broker, tmp_path: Path) -> None:
    picture = tmp_path / "snapshot.jpg"
    picture.write_bytes(b"\xff\xd8 not much of a picture \xff\xd9")
    with listening(running.port) as listener, sending(tmp_path, running.port) as sender:
        sender.notifier.announce("door")
        sender.notifier.set_status("door", "watching")
        sender.notifier.set_anomaly("door", active=True)
        sender.notifier.set_score("door", 1.234, 4.0)
        learning = {"trusted": False, "trusted_in_seconds": 33.0, "normal_seconds": 27.0}
        sender.notifier.set_learning("door", learning)
        sender.notifier.set_snapshot("door", picture)
        sender.event(1)
        listener.wait(has(listener, "vedette/available", b"online"))
        listener.wait(has(listener, "vedette/events", b'{"n": 1}'))
        listener.wait(has(listener, "vedette/door/status", b"watching"))
        listener.wait(has(listener, "vedette/door/anomaly", b"ON"))
        listener.wait(has(listener, "vedette/door/score", b"1.23"))
        listener.wait(has(listener, "vedette/door/threshold", b"4"))
        coarse = {"trusted": False, "trusted_in_seconds": 35.0, "normal_seconds": 25.0}
        listener.wait(has(listener, "vedette/door/learning", json.dumps(coarse).encode()))
        listener.wait(has(listener, "vedette/door/snapshot", picture.read_bytes()))
        listener.wait(lambda: listener.of("homeassistant/device/vedette_door/config") != [])
        [announced] = listener.of("homeassistant/device/vedette_door/config")
        for component in json.loads(announced)["components"].values():
            topic = component.get("state_topic", "vedette/door/status")
            if not topic.endswith(("/enabled/state", "/threshold/state")):  # the supervisor's
                listener.wait(lambda topic=topic: listener.of(topic) != [])
        # A later subscriber gets the states, but no old events.
        with listening(running.port) as late:
            late.wait(has(late, "vedette/door/anomaly", b"ON"))
            late.wait(lambda: len(late.received) >= 8)
            assert all(retained for _, _, retained in late.received)
            assert late.of("vedette/events") == []
    assert running_last(running) == b"offline"


def running_last(running: Broker) -> bytes:
    with listening(running.port) as late:
        late.wait(lambda: late.of("vedette/available") != [])
        return late.of("vedette/available")[0]


def test_a_broker_that_is_killed_and_restarts_loses_no_event(
    running: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long after the listener, which comes back within a second: events are not retained.
    monkeypatch.setattr(mqtt_connection, "_MIN_RECONNECT_SECONDS", 4)
    with listening(running.port) as listener, sending(tmp_path, running.port) as sender:
        sender.notifier.set_anomaly("door", active=True)
        for number in range(20):
            sender.event(number)
        listener.wait(lambda: len(listener.of("vedette/events")) >= 10)
        running.kill()
        assert sender.lost.wait(5)
        for number in range(20, 40):
            sender.event(number)
        sender.notifier.set_anomaly("door", active=False)
        assert sender.outbox.backlog("mqtt").messages >= 20
        before = len(listener.received)
        running.start()
        listener.wait_subscribed()
        sender.wait_empty()
        listener.wait(has(listener, "vedette/events", b'{"n": 39}'))
        listener.wait(has(listener, "vedette/door/anomaly", b"OFF"))
        listener.wait(lambda: ("vedette/available", b"online") in now(listener, before))
    got = [json.loads(body)["n"] for body in listener.of("vedette/events")]
    # The listener may have missed the first ones after the restart; order holds, and the
    # killed broker may have forwarded one that it did not acknowledge.
    assert got == sorted(got)
    assert set(got[:10]) | set(range(20)) == set(range(20))
    assert len(got) <= 41


def now(listener: Listener, since: int) -> list[tuple[str, bytes]]:
    return [(topic, payload) for topic, payload, _ in listener.received[since:]]


def test_waiting_events_are_neither_lost_nor_duplicated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The listener is there first: every event arrives exactly once, in order."""
    with broker(tmp_path) as it:
        port = it.port
        it.kill()
        with sending(tmp_path, port) as sender:
            for number in range(30):
                sender.event(number)
            assert sender.lost.wait(5)
            it.start()
            with listening(port) as listener:
                listener.wait(has(listener, "vedette/events", b'{"n": 29}'))
                sender.wait_empty()
            got = [json.loads(body)["n"] for body in listener.of("vedette/events")]
    assert got == sorted(set(got))
    assert got[-1] == 29
    assert "cannot be reached (connection refused); trying again" in caplog.text
    assert {one.levelname for one in caplog.records} <= {"INFO", "WARNING"}


def test_a_late_acknowledgement_prevents_a_second_publication(
    running: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.notifiers.mqtt_connection._ACKNOWLEDGED_SECONDS", 0.2)
    connected = threading.Event()
    link = MqttLink(
        Mqtt(enabled=True, port=running.port), Will("gone", "offline"), (),
        connected.set, lambda _topic, _payload, _retained: None, lambda _reason: None,
    )  # fmt: skip
    with listening(running.port) as listener:
        link.start()
        assert connected.wait(5)
        running.pause()
        assert link.publish("event", "events", b"1", retain=False) == "waiting"
        running.go_on()
        listener.wait(has(listener, "events", b"1"))
        assert link.publish("state", "states", b"ON", retain=True) == "acknowledged"
        assert link.publish("event", "events", b"1", retain=False) == "acknowledged"
        assert link.publish("last", "events", b"2", retain=False) == "acknowledged"
        listener.wait(has(listener, "events", b"2"))
        link.close(Will("gone", "offline"))
    assert listener.of("events") == [b"1", b"2"]


def test_a_message_on_which_the_broker_disconnects_is_not_published(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A state, and an event; messages behind it are published."""
    picture = tmp_path / "snapshot.jpg"
    picture.write_bytes(bytes(9000))
    caplog.set_level(logging.INFO)
    with (
        broker(tmp_path, lines=("max_packet_size 6000",)) as it,
        listening(it.port) as listener,
        sending(tmp_path, it.port) as sender,
    ):
        sender.notifier.announce("door")
        sender.notifier.set_snapshot("door", picture)
        sender.notifier.set_status("door", "watching")
        sender.event(1)
        listener.wait(has(listener, "vedette/events", b'{"n": 1}'), 20)
        listener.wait(has(listener, "vedette/door/status", b"watching"))
        refusal = "not published on vedette/door/snapshot: the broker closed the connection 3 times"
        assert refusal in caplog.text
        lost = caplog.text.count("connected to the MQTT broker")
        body = "x" * 8000  # nearly as large
        sender.outbox.put(OutboxMessage("mqtt", "big:new:1", "big", "new", 1, body, 1000.0))
        sender.event(2)
        listener.wait(has(listener, "vedette/events", b'{"n": 2}'), 3)
        assert sender.outbox.backlog("mqtt").refused == 1
    assert caplog.text.count("connected to the MQTT broker") == lost
    assert "client_id" not in caplog.text
    assert lost == 4


def test_an_event_on_which_the_broker_disconnects_is_put_aside(tmp_path: Path) -> None:
    with (
        broker(tmp_path, lines=("max_packet_size 6000",)) as it,
        listening(it.port) as listener,
        sending(tmp_path, it.port) as sender,
    ):
        body = "x" * 7000
        sender.outbox.put(OutboxMessage("mqtt", "big:new:1", "big", "new", 1, body, 1000.0))
        sender.event(2)
        listener.wait(has(listener, "vedette/events", b'{"n": 2}'), 20)
        assert sender.outbox.backlog("mqtt").refused == 1


def retained(port: int) -> dict[str, bytes]:
    with listening(port) as late:
        late.publish("sentinel", "1")
        late.wait(has(late, "sentinel", b"1"))
        return {topic: payload for topic, payload, kept in late.received if kept}


@pytest.mark.parametrize("change", ["camera", "prefix", "discovery", "damaged"])
def test_obsolete_topics_of_an_earlier_run_are_cleared(
    running: Broker, tmp_path: Path, change: str
) -> None:
    path = tmp_path / ANNOUNCED_NAME
    metrics = Metrics(CollectorRegistry())

    def run(cameras: list[str], **mqtt: object) -> None:
        settings = {"enabled": True, "port": running.port, **mqtt}
        with open_notifiers(small_config(cameras, mqtt=settings), tmp_path, metrics) as notifiers:
            for camera in cameras:
                notifiers.add_camera(camera, None)
            wait_for(lambda: has_told(cameras, mqtt))
            deadline = time.monotonic() + 0.3
            while time.monotonic() < deadline:  # obsolete topics are cleared, too
                notifiers.tick()
                time.sleep(0.02)

    def has_told(cameras: list[str], mqtt: dict[str, object]) -> bool:
        prefix = mqtt.get("topic_prefix", "vedette")
        return all(f"{prefix}/{camera}/anomaly" in retained(running.port) for camera in cameras)

    run(["door", "shed"])
    assert any("shed" in topic for topic in retained(running.port))
    if change == "camera":
        run(["door"])
        assert not any("shed" in topic for topic in retained(running.port))
        assert "homeassistant/device/vedette_door/config" in retained(running.port)
        assert "shed" not in path.read_text()
    elif change == "prefix":
        run(["door", "shed"], topic_prefix="other")
        left = retained(running.port)
        assert all("other" in topic for topic in left)
        assert "other/shed/anomaly" in left
    elif change == "discovery":
        run(["door", "shed"], discovery={"enabled": False})
        assert not any("homeassistant" in topic for topic in retained(running.port))
    else:
        path.write_bytes(b"\0" * 30)
        run(["door", "shed"])
        assert len(list(tmp_path.glob("announced.json.damaged-*"))) == 1
        assert "vedette/shed/status" in path.read_text()


def overview(**changes: object) -> Answer:
    camera = {
        "name": "door", "state": "watching", "reason": "", "enabled": True,
        "settings": {"alert": {"enter": 1.0}}, **changes,
    }  # fmt: skip
    return Answer("", "ok", {"cameras": [camera]})


def test_commands_are_executed_and_their_results_published(
    running: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    commands: list[Command] = []
    shown = [overview()]

    def ask(command: Command) -> Answer:
        if isinstance(command, GetOverview):
            return shown[0]
        commands.append(command)
        match command:
            case SetEnabled(enabled=enabled):
                shown[0] = overview(enabled=enabled, state="disabled")
            case SetThreshold(threshold=threshold):
                shown[0] = overview(settings={"alert": {"enter": threshold}})
            case AdaptCamera():
                return Answer("", "conflict", problem="camera door: is disabled")
        return Answer("", "ok")

    settings = small_config(["door"], mqtt={"enabled": True, "port": running.port})
    metrics = Metrics(CollectorRegistry())
    with listening(running.port) as listener:
        listener.publish_retained("vedette/door/adapt/set", "PRESS")  # must not be executed
        with open_notifiers(settings, tmp_path, metrics, ask=ask) as notifiers:
            notifiers.add_camera("door", None)
            listener.wait(has(listener, "vedette/door/enabled/state", b"ON"))
            listener.wait(has(listener, "vedette/door/threshold/state", b"1"))
            listener.publish("vedette/door/enabled/set", "OFF")
            listener.wait(has(listener, "vedette/door/enabled/state", b"OFF"))
            listener.wait(has(listener, "vedette/door/status", b"disabled"))
            listener.publish("vedette/door/threshold/set", "1.4")
            listener.wait(has(listener, "vedette/door/threshold/state", b"1.4"))
            for topic, payload in (
                ("door/threshold/set", "-1"), ("door/threshold/set", "high"),
                ("door/enabled/set", "perhaps"), ("do or/adapt/set", "PRESS"),
            ):  # fmt: skip
                listener.publish(f"vedette/{topic}", payload)
            listener.publish("vedette/door/adapt/set", "PRESS")
            wait_for(lambda: len(commands) == 3)
            wait_for(lambda: "mqtt: adapt of camera door: camera door: is disabled" in caplog.text)
    assert commands == [
        SetEnabled(name="door", enabled=False),
        SetThreshold(name="door", threshold=1.4),
        AdaptCamera(name="door"),
    ]
    assert "commands that are not retained" in caplog.text


def test_commands_can_be_disabled(running: Broker, tmp_path: Path) -> None:
    commands: list[Command] = []

    def ask(command: Command) -> Answer:
        commands.append(command)
        return overview(state="offline", reason="refused")

    mqtt = {"enabled": True, "port": running.port, "commands": False}
    settings, metrics = small_config(["door"], mqtt=mqtt), Metrics(CollectorRegistry())
    with (
        listening(running.port) as listener,
        open_notifiers(settings, tmp_path, metrics, ask=ask) as notifiers,
    ):
        notifiers.add_camera("door", None)
        listener.wait(has(listener, "vedette/door/status", b"offline"))
        listener.publish("vedette/door/enabled/set", "OFF")
        wait_for(lambda: len(commands) >= 3)
        [device] = listener.of("homeassistant/device/vedette_door/config")
        details = json.loads(listener.of("vedette/door/details")[-1])
    assert set(map(type, commands)) == {GetOverview}
    assert "command_topic" not in device.decode()
    assert details == {"status": "offline", "reason": "refused"}


def test_a_state_is_published_at_most_once_a_second_and_only_if_changed(
    running: Broker, tmp_path: Path
) -> None:
    with listening(running.port) as listener, sending(tmp_path, running.port) as sender:
        begin = time.monotonic()
        for number in range(100):
            sender.notifier.set_status("door", "starting" if number % 2 else "adapting")
            sender.notifier.set_anomaly("door", active=number % 4 < 2)
            time.sleep(0.01)
        sender.notifier.set_status("door", "watching")
        sender.notifier.set_status("door", "watching")
        listener.wait(has(listener, "vedette/door/status", b"watching"))
        seconds = time.monotonic() - begin
    for what in ("status", "details", "anomaly"):
        assert len(listener.of(f"vedette/door/{what}")) <= seconds + 1


def test_two_clients_with_one_id_get_a_hint(
    running: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with sending(tmp_path, running.port) as one:
        one.lost.clear()
        for _ in range(3):
            rival = paho.Client(CallbackAPIVersion.VERSION2, "vedette")
            connected = threading.Event()
            rival.on_connect = lambda *_, connected=connected: connected.set()
            wait_for(lambda: one.notifier.connected)
            rival.connect("127.0.0.1", running.port)
            rival.loop_start()
            assert connected.wait(5)
            assert one.lost.wait(5)
            one.lost.clear()
            rival.disconnect()
            rival.loop_stop()
    assert "another client uses the client_id 'vedette'" in caplog.text
    assert "its own mqtt.client_id" in caplog.text
    assert "unspecified" not in caplog.text


def wait_for(done: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_no_message_is_refused_if_the_broker_accepts_none() -> None:
    losses = Losses()
    for at in range(10):
        losses.lost(("a", 1), float(at))
        assert losses.refusal(("a", 1), 5000, float(at)) == ""
    losses.acknowledged(("b", 2), 4000)
    assert "5000 bytes" in losses.refusal(("a", 1), 5000, 10.0)
    assert "5000 bytes" in losses.refusal(("a", 1), 5000, 11.0)  # also after a reconnection
    assert losses.refusal(("c", 3), 6000, 11.0) != ""
    assert losses.refusal(("c", 3), 4999, 11.0) != ""  # nearly as large, and none such was taken
    assert losses.refusal(("c", 3), 4000, 11.0) == ""
    assert losses.refusal(("c", 3), 6000, 3700.0) == ""  # the limit may have been raised


def test_password_authentication(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with broker(tmp_path, password=True) as it:
        with sending(tmp_path, it.port, user="vedette", password=PASSWORD + "x") as sender:
            sender.event(1)
            assert sender.lost.wait(5)
            assert sender.outbox.backlog("mqtt").messages == 1
        assert "not authorized" in caplog.text
        with (
            listening(it.port, user="vedette") as listener,
            sending(tmp_path, it.port, user="vedette", password=PASSWORD) as sender,
        ):
            sender.wait_empty()
            listener.wait(has(listener, "vedette/events", b'{"n": 1}'))
    assert PASSWORD not in caplog.text


# The library leaves the socket of a failed handshake, and the pair by which it wakes itself, to the
# garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <(ssl.SSLSocket|socket.socket)")
def test_tls_requires_a_trusted_certificate(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    pem, ca, other = (tmp_path / name for name in ("server.pem", "ca.pem", "other.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pem))
    authority.cert_pem.write_to_path(str(ca))
    stranger.cert_pem.write_to_path(str(other))
    with broker(tmp_path, tls=pem) as it:
        with sending(tmp_path, it.port, tls=True, ca=str(other)) as sender:
            sender.event(1)
            assert sender.lost.wait(5)
            assert sender.outbox.backlog("mqtt").messages == 1
        with (
            listening(it.port, ca=ca) as listener,
            sending(tmp_path, it.port, tls=True, ca=str(ca)),
        ):
            listener.wait(has(listener, "vedette/events", b'{"n": 1}'))
    gc.collect()


def test_an_invalid_ca_file(tmp_path: Path) -> None:
    with (
        pytest.raises(PermanentError, match=r"mqtt\.ca: want a file in PEM"),
        sending(tmp_path, free_port(), tls=True, ca=str(tmp_path / "none.pem")),
    ):
        pass


CLIENT = """
import sys, threading, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_mqtt import sending
with sending(Path(sys.argv[1]), int(sys.argv[2])) as sender:
    sender.notifier.set_status("door", "watching")
    threading.Event().wait()
"""


def test_the_last_will_after_kill_9(running: Broker, tmp_path: Path) -> None:
    with listening(running.port) as listener:
        folder = str(Path(__file__).parent)
        command = [sys.executable, "-c", CLIENT, str(tmp_path), str(running.port), folder]
        process = subprocess.Popen(command)
        try:
            listener.wait(has(listener, "vedette/door/status", b"watching"), 30)
            assert listener.of("vedette/available") == [b"online"]
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        listener.wait(has(listener, "vedette/available", b"offline"))
    assert running_last(running) == b"offline"


def test_discovery_is_repeated_on_home_assistants_birth_message(
    running: Broker, tmp_path: Path
) -> None:
    topic = "homeassistant/device/vedette_door/config"
    with listening(running.port) as listener, sending(tmp_path, running.port) as sender:
        sender.notifier.announce("door")
        sender.notifier.set_status("door", "watching")
        listener.wait(has(listener, "vedette/door/status", b"watching"))
        listener.wait(lambda: len(listener.of(topic)) == 1)
        listener.publish("homeassistant/status", "offline")
        listener.publish("homeassistant/status", "online")
        listener.wait(lambda: len(listener.of(topic)) == 2)
        assert len(set(listener.of(topic))) == 1
        assert listener.of("vedette/door/status") == [b"watching"]  # only the announcement again
        sender.notifier.withdraw("door")
        listener.wait(has(listener, topic, b""))
        listener.wait(has(listener, "vedette/door/snapshot", b""))
    with listening(running.port) as late:
        late.wait(lambda: late.of("vedette/available") != [])
        topics = {topic for topic, _, _ in late.received}
        assert topics - {"homeassistant/status"} == {"vedette/available"}


def test_states_are_published_newest_only_and_rate_limited() -> None:
    retained = RetainedTopics()
    assert retained.set("a", b"1")
    assert not retained.set("a", b"1")
    assert retained.set("score", b"0.1", 10.0)
    published = []
    for now_seconds in range(25):
        retained.set("score", f"0.{now_seconds}".encode(), 10.0)
        while (due := retained.due(float(now_seconds))) is not None:
            topic, payload, version = due
            retained.mark_published(topic, version, float(now_seconds))
            published.append((topic, payload))
    assert published == [("a", b"1"), ("score", b"0.0"), ("score", b"0.10"), ("score", b"0.20")]
    retained.republish(lambda topic: topic == "a")
    assert retained.due(25.0) == ("a", b"1", 1)


def test_a_state_set_during_publication_is_published_too() -> None:
    retained = RetainedTopics()
    retained.set("a", b"1")
    due = retained.due(0.0)
    assert due is not None
    retained.set("a", b"2")
    retained.mark_published("a", due[2], 0.0)
    due = retained.due(0.0)
    assert due is not None
    assert due[1] == b"2"


def test_which_score_changes_are_significant() -> None:
    assert is_significant_change(None, 0.1)
    assert not is_significant_change(0.30, 0.33)
    assert is_significant_change(0.30, 0.36)
    assert is_significant_change(0.99, 1.0)
    assert [status_of(s) for s in ("collecting", "fitting", "calibrating", "ready", "stale")] == [
        "adapting", "adapting", "watching", "watching", "stale",
    ]  # fmt: skip


def test_topic_names() -> None:
    topics = Topics("home/vedette", "homeassistant")
    assert topics.available == "home/vedette/available"
    assert topics.of("front_door", "score") == "home/vedette/front_door/score"
    assert topics.device("front_door") == "homeassistant/device/home_vedette_front_door/config"
