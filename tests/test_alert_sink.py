import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from os import getpid
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from stage_parts import small_config, worker_context

from cameras.shown_picture import encode
from pipeline.alerts.alert_sink import AlertSink
from pipeline.config import Config
from pipeline.events.event import Event
from pipeline.events.event_settings import event_settings
from pipeline.events.event_tracker import EventTracker
from pipeline.events.score_record import record_of
from pipeline.notifiers import Notifiers
from pipeline.storage.journal import EventJournal
from pipeline.storage.json_lines import JsonLinesFile, read_json_lines
from pipeline.storage.score_log import ScoreLog
from pipeline.storage.snapshots import Snapshots
from pipeline.storage.store import EventStore
from pipeline.storage.store_errors import StoreError, StoreUnreachableError
from pipeline.storage.store_opening import open_store
from pipeline.transport.live import LivePublisher, LiveSubscriber
from pipeline.transport.messages import ScoreMessage
from pipeline.transport.scores import ScoreSender
from pipeline.worker import RunInfo, WorkerContext, WorkerSpec

ALERT = {"min_duration": 0.3, "merge_gap": 0.5, "cooldown": 3}
# Two events and a suppressed one, at 10 frames a second; the first one has two peaks.
COURSE = [0.1] * 10 + [1.2, 1.6, 1.4, 1.1, 1.9, 1.2] + [0.1] * 10 + [1.3] * 6 + [0.1] * 40
COURSE += [1.5] * 8 + [0.2] * 10


def config(alert: Mapping[str, object] | None = None, **of_each: object) -> Config:
    # The events of these tests are of 1970: they must not be deleted at once.
    alert = {**ALERT, **(alert or {})}
    retain = {"retain": {"days": 1e5}}
    return small_config(["door", "yard"], of_each, alert=alert, record=retain)


def score(camera: str, index: int, value: float, connection: int = 7) -> ScoreMessage:
    high = value >= 0.8
    return ScoreMessage(
        camera=camera,
        connection=connection,
        index=index,
        pts_seconds=index / 10,
        captured_at=1000 + index / 10,
        scored_at=1000.05 + index / 10,
        dropped=0,
        state="ready",
        progress="",
        energy=value * 4,
        score=value,
        threshold=4.0,
        anomaly_map=np.full((3, 4), value, np.float32),
        pixels=np.full((48, 64, 3), index, np.uint8) if high else None,
    )


def course(camera: str = "door") -> list[ScoreMessage]:
    return [score(camera, index, value) for index, value in enumerate(COURSE)]


def expected_events(messages: list[ScoreMessage]) -> list[Event]:
    """Events of an uninterrupted tracker."""
    tracker = EventTracker(event_settings(config().cameras["door"]))
    changes = []
    for m in messages:
        changes += tracker.update(record_of(m, {}))
    changes += tracker.finish()
    return [change.event for change in changes if change.kind == "end"]


class OpenSink:
    def __init__(
        self,
        context: WorkerContext,
        stack: ExitStack,
        clock: Callable[[], float],
        notifiers: Notifiers | None = None,
    ):
        folder = context.spec.run.data_folder
        self.context = context
        self.store = stack.enter_context(EventStore(folder / "events.sqlite"))
        journal = stack.enter_context(EventJournal(folder / "events.jsonl"))
        names = context.spec.config.cameras
        logs = {name: stack.enter_context(ScoreLog(folder / "scores", name)) for name in names}
        publisher = stack.enter_context(LivePublisher(context.spec.run.endpoints))
        self.sink = AlertSink(context, self.store, journal, logs, publisher, clock, notifiers)

    def metric(self, name: str, **labels: str) -> float | None:
        registry: CollectorRegistry = self.context.metrics.registry
        return registry.get_sample_value(name, labels)


@contextmanager
def opened(
    run: RunInfo, clock: Callable[[], float] = lambda: 0.0, settings: Config | None = None
) -> Iterator[OpenSink]:
    with ExitStack() as stack:
        sink = OpenSink(worker_context("sink", settings or config(), run), stack, clock)
        sink.sink.recover()
        yield sink


def logged(folder: Path, camera: str = "door") -> list[int]:
    return [line["index"] for line in read_json_lines(folder / "scores" / f"{camera}.jsonl")]


def journalled(folder: Path) -> list[str]:
    return [line["id"] for line in read_json_lines(folder / "events.jsonl")]


def test_scores_become_log_events_pictures_and_metrics(run: RunInfo) -> None:
    with opened(run) as it:
        for message in course():
            it.sink.take(message)
            it.sink.take(message)  # sent twice
        it.sink.finish()
        stored = it.store.events()
        assert stored == expected_events(course())
        assert [event.suppressed for event in stored] == [False, True, False]
        assert it.metric("vedette_events_total", camera="door") == 3
        assert it.metric("vedette_event_active", camera="door") == 0
        assert it.metric("vedette_event_active", camera="yard") == 0
    folder = run.data_folder
    assert logged(folder) == list(range(len(COURSE)))
    assert journalled(folder) == [event.id for event in stored]
    for event in stored:
        place = folder / "events" / "door" / event.id
        assert sorted(file.name for file in place.iterdir()) == ["heatmap.jpg", "snapshot.jpg"]


def test_the_snapshot_has_the_size_of_the_source_where_the_peak_has_a_picture(
    run: RunInfo,
) -> None:
    """The first peak has none: the snapshot is a frame of nearly its score that has one."""
    import cv2

    def seen(message: ScoreMessage) -> ScoreMessage:
        late = message.pixels is not None and message.index not in (11, 14)
        picture = encode(np.full((180, 320, 3), message.index, np.uint8)) if late else None
        return replace(message, source_hw=[180, 320], picture=picture)

    with opened(run) as it, LiveSubscriber(run.endpoints) as updates:
        for message in course():
            it.sink.take(seen(message))
            if message.index == 13:  # the event is active
                (event,) = it.store.events()
                path = Snapshots(run.data_folder / "events").snapshot_path("door", event.id)
                shown = cv2.imread(str(path))
                assert shown.shape == (180, 320, 3)
                assert shown[:100].mean() == pytest.approx(12, abs=1.5)
        bodies = [live.body for live in updates.poll(1.0) if live.kind == "score"]
    assert all("picture" not in body for body in bodies)
    # The second one has none either, but is the peak: in the right shape.
    shown = cv2.imread(str(path))
    assert shown.shape == (180, 320, 3)
    assert shown[:100].mean() == pytest.approx(14, abs=1.5)


def test_the_snapshot_is_the_frame_of_the_peak(run: RunInfo) -> None:
    import cv2

    with opened(run) as it:
        for message in course():
            it.sink.take(message)
    for event in expected_events(course()):
        path = Snapshots(run.data_folder / "events").snapshot_path("door", event.id)
        assert cv2.imread(str(path))[:24].mean() == pytest.approx(event.peak_index, abs=1.5)


def test_live_topic_receives_scores_and_changes(run: RunInfo) -> None:
    with LiveSubscriber(run.endpoints) as watcher, opened(run) as it:
        seen = []
        deadline = time.monotonic() + 10
        index = 0
        while not seen and time.monotonic() < deadline:  # a subscription takes a when
            it.sink.take(score("yard", index, 0.1))
            seen = watcher.poll(0.05)
            index += 1
        for message in course():
            it.sink.take(message)
        it.sink.finish()
        while lives := watcher.poll(0.3):
            seen += lives
    door = [live for live in seen if live.camera == "door"]
    assert [live.body["index"] for live in door if live.kind == "score"] == [*range(len(COURSE))]
    events = [live.body for live in door if live.kind == "event"]
    assert [body["change"] for body in events] == [
        "new", "update", "end", "suppressed", "end", "new", "end",
    ]  # fmt: skip
    assert all(Path(str(body["heatmap"])).is_file() for body in events)
    assert {"state", "progress", "score", "scored_at", "captured_at", "dropped"} <= {*door[0].body}
    assert not {"pixels", "anomaly_map"} & {*door[0].body}


class Killed(BaseException):
    """Simulates a crash of the process at this point."""


CRASH_POINTS = (
    (JsonLinesFile, "append", "before"),
    (JsonLinesFile, "append", "after"),
    (Snapshots, "save", "before"),
    (Snapshots, "save", "after"),
    (EventJournal, "append", "before"),
    (EventJournal, "append", "after"),
    (EventStore, "save", "before"),
    (EventStore, "save", "after"),
)


@pytest.mark.parametrize(("kind", "name", "when"), CRASH_POINTS)
def test_crash_at_any_point_leaves_each_score_and_event_once(
    run: RunInfo, monkeypatch: pytest.MonkeyPatch, kind: type, name: str, when: str
) -> None:
    real = getattr(kind, name)
    rng = random.Random(f"{kind}{name}{when}")
    deaths = 0

    def mortal(*args: object) -> object:
        nonlocal deaths
        dies = deaths == 0 or rng.random() < 0.25
        if dies and when == "before":
            deaths += 1
            raise Killed
        result = real(*args)
        if dies:
            deaths += 1
            raise Killed
        return result

    monkeypatch.setattr(kind, name, mortal)
    messages, taken = course(), 0
    while taken < len(messages):
        try:
            with opened(run) as it:
                while taken < len(messages):
                    it.sink.take(messages[taken])
                    taken += 1  # acknowledged: will not be sent again
        except Killed:
            continue
    monkeypatch.setattr(kind, name, real)
    assert deaths > 0
    with opened(run) as it:
        it.sink.finish()
        events = it.store.events()
    expected = expected_events(messages)
    assert events == expected
    assert logged(run.data_folder) == list(range(len(COURSE)))
    with EventStore.for_reading(None, run.data_folder) as store:
        points = store.scores("door", 0, 1e9, 1)
    assert sum(point.frames for point in points) == len(COURSE), "each score counts once"
    assert journalled(run.data_folder) == [event.id for event in expected]
    for event in expected:
        assert (run.data_folder / "events" / "door" / event.id / "heatmap.jpg").is_file()


def start(run: RunInfo) -> subprocess.Popen[bytes]:
    spec = WorkerSpec("sink", "pipeline.alerts.alert_worker:run", None, config(), run)
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.runtime.worker_process", str(getpid())],
        stdin=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(spec.to_json().encode())
    process.stdin.close()
    return process


def test_killed_processes_lose_and_repeat_nothing(run: RunInfo) -> None:
    messages = {name: [*course(name)] for name in ("door", "yard")}
    for name, stream in messages.items():
        later = [replace(m, connection=8, captured_at=m.captured_at + 60) for m in stream]
        messages[name] = stream + later
    queue = [m for pair in zip(*messages.values(), strict=True) for m in pair]
    total, kills = len(queue), [60, 200]
    process, acknowledged = start(run), 0
    try:
        with ScoreSender(run.endpoints, resend_seconds=0.2) as sender:
            deadline = time.monotonic() + 60
            while acknowledged < total and time.monotonic() < deadline:
                while queue and sender.unacknowledged < 8:
                    sender.send(queue.pop(0))
                acknowledged += len(sender.poll(0.05))
                if kills and acknowledged >= kills[0]:
                    kills.pop(0)
                    process.kill()
                    process.wait()
                    process = start(run)
        assert acknowledged == total
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    with EventStore(run.data_folder / "events.sqlite") as store:
        for name, stream in messages.items():
            assert logged(run.data_folder, name) == [m.index for m in stream]
            expected = expected_events(stream)
            assert len(expected) == 6
            assert store.events(name) == expected
    assert len(set(journalled(run.data_folder))) == len(journalled(run.data_folder)) == 12


def test_a_full_disk_is_counted_and_processing_continues(
    run: RunInfo, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def full_store(*_: object) -> None:
        raise StoreError("event store: cannot be written: database or disk is full")

    messages = course()
    with opened(run) as it:
        with monkeypatch.context() as patch:
            patch.setattr(JsonLinesFile, "append", full)
            patch.setattr(Snapshots, "save", full)
            patch.setattr(EventStore, "save", full_store)
            for message in messages[:40]:
                it.sink.take(message)
        assert it.metric("vedette_events_total", camera="door") == 2
        for sink in ("score_log", "snapshot", "store", "journal"):
            assert (it.metric("vedette_sink_failures_total", sink=sink) or 0) > 0
        assert "No space left" in caplog.text
        for message in messages[40:]:
            it.sink.take(message)
        it.sink.finish()
        assert it.store.events() == expected_events(messages)
    assert journalled(run.data_folder) == [event.id for event in expected_events(messages)]
    assert logged(run.data_folder) == list(range(40, len(COURSE)))


def test_a_silent_camera_ends_its_event(run: RunInfo) -> None:
    now = [100.0]
    with opened(run, lambda: now[0]) as it:
        for message in course()[:16]:
            it.sink.take(message)
        now[0] += 25
        it.sink.tick()
        assert it.metric("vedette_event_active", camera="door") == 1
        now[0] += 10
        it.sink.tick()
        assert it.metric("vedette_event_active", camera="door") == 0
        (event,) = it.store.events()
        assert event.ended_at == 1001.5
        assert (it.metric("vedette_storage_used_bytes") or 0) > 0


def test_scores_of_unknown_cameras_are_counted(run: RunInfo) -> None:
    with opened(run) as it:
        it.sink.take(score("ghost", 0, 2.0))
        assert it.metric("vedette_sink_failures_total", sink="scores") == 1
    assert not (run.data_folder / "scores" / "ghost.jsonl").exists()


def test_a_lost_store_is_rebuilt_from_the_score_log(run: RunInfo) -> None:
    with opened(run) as it:
        for message in course():
            it.sink.take(message)
    for file in run.data_folder.glob("events.sqlite*"):
        file.unlink()
    with opened(run) as it:
        assert [asdict(event) for event in it.store.events()] == [
            asdict(event) for event in expected_events(course())
        ]
        assert it.metric("vedette_events_total", camera="door") is None


def test_an_unreachable_store_is_retried_rarely_and_loses_nothing(
    run: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, now, tries = EventStore.save, [0.0], []

    def unreachable(*args: object) -> None:
        tries.append(now[0])
        raise StoreUnreachableError("event store: the server does not answer")

    with opened(run, lambda: now[0]) as it:
        monkeypatch.setattr(EventStore, "save", unreachable)
        for message in course()[:-1]:
            now[0] += 0.1
            it.sink.take(message)
        assert len(tries) == 1
        monkeypatch.setattr(EventStore, "save", real)
        now[0] += 20
        it.sink.take(course()[-1])
        it.sink._save()
        assert len(tries) == 1
        assert it.store.events() == expected_events(course())
        assert sum(point.frames for point in it.store.scores("door", 0, 1e9, 60)) == len(COURSE)


def test_the_sink_waits_for_a_database_server(
    run: RunInfo, caplog: pytest.LogCaptureFixture
) -> None:
    url = "postgresql://me:pl4nted-s3cret@127.0.0.1:9/vedette"
    config = small_config(["door"], store={"url": url})
    context = worker_context("sink", config, run)
    timer = threading.Timer(0.3, context.stop.set)
    timer.start()
    with pytest.raises(StoreUnreachableError) as caught, ExitStack() as stack:
        open_store(context, stack)
    timer.join()
    assert "waiting for the database: event store postgresql://me:***@127.0.0.1:9" in caplog.text
    assert "s3cret" not in caplog.text + str(caught.value) + repr(caught.value.__cause__)


HALVES = {
    "left": {"coordinates": "0,0,0.5,0,0.5,1,0,1"},
    "right": {"coordinates": "0.5,0,1,0,1,1,0.5,1"},
}


def on_the(side: str, messages: list[ScoreMessage]) -> list[ScoreMessage]:
    """The same scores, of an anomaly in one half of the frame."""
    shown = []
    for message in messages:
        cells = np.full((3, 4), -1.0, np.float32)
        cells[1, 0 if side == "left" else 3] = message.score
        shown.append(replace(message, anomaly_map=cells))
    return shown


def test_events_list_their_zones_and_are_rebuilt_with_them(run: RunInfo) -> None:
    settings = config(zones=HALVES)
    messages = on_the("left", course()[:40]) + on_the("right", course()[40:])
    with opened(run, settings=settings) as it:
        for message in messages:
            it.sink.take(message)
        it.sink.finish()
        events = it.store.events()
    assert [event.zones for event in events] == [("left",), ("left",), ("right",)]
    for event, whole in zip(events, expected_events(messages), strict=True):
        assert (event.id, event.ended_at, event.frames) == (whole.id, whole.ended_at, whole.frames)
        # The smoothed share of a side still includes some of the other side.
        assert event.peak_score == pytest.approx(whole.peak_score, rel=1e-4)
    journal = [line["zones"] for line in read_json_lines(run.data_folder / "events.jsonl")]
    assert journal == [["left"], ["left"], ["right"]]
    for file in run.data_folder.glob("events.sqlite*"):
        file.unlink()
    with opened(run, settings=settings) as it:
        assert it.store.events() == events


def test_zones_and_schedule_change_while_an_event_is_active(run: RunInfo) -> None:
    left = {"left": HALVES["left"]}
    night = {"schedule": {"timezone": "UTC", "active": ["22:00-06:00"]}}
    day = {"schedule": {"timezone": "UTC", "active": ["08:00-22:00"]}}
    scores = on_the("right", [score("door", n, 1.5) for n in range(60)])
    with opened(run, settings=config(zones=left)) as it:
        logs = {name: watch._log for name, watch in it.sink._watches.items()}

        def take(begin: int, end: int) -> list[Event]:
            for message in scores[begin:end]:
                it.sink.take(message)
            return it.store.events()

        assert take(0, 10) == [], "it is not in the zone"
        it.sink.apply_cameras(config(day, zones=HALVES).cameras, logs.__getitem__)
        (event,) = take(10, 20)
        assert (event.zones, event.suppressed_by) == (("right",), "schedule")
        assert event.first_index == 10
        it.sink.apply_cameras(config(night, zones=HALVES).cameras, logs.__getitem__)
        (event,) = take(20, 30)
        assert (event.zones, event.suppressed_by) == (("right",), None)
        it.sink.apply_cameras(config(night).cameras, logs.__getitem__)
        (event,) = take(30, 40)
        assert event.zones == ("right",), "what was is not forgotten"
        assert event.ended_at is None


def test_a_released_event_is_counted_once(run: RunInfo, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    hours = {"schedule": {"timezone": "UTC", "active": ["00:17-00:18"]}}  # from 1020 s on
    levels = [0.1] * 5 + [1.2] * 20 + [0.1] * 10
    with opened(run, settings=config(hours)) as it:
        for n, level in enumerate(levels):
            it.sink.take(replace(score("door", n, level), captured_at=1019 + n / 10))
        it.sink.finish()
        (event,) = it.store.events()
        assert not event.suppressed
        assert it.metric("vedette_events_total", camera="door") == 1
    began, goes_on, over = (r.getMessage() for r in caplog.records if "event door" in r.message)
    assert "suppressed outside of the schedule" in began
    assert "continues into the hours of the schedule" in goes_on
    assert "ended after" in over
