"""Numbers that must rise go on rising when the wall clock is set back."""

import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pipeline_run import pipeline_run
from prometheus_client import CollectorRegistry
from stage_parts import small_config

from models import FeedbackExemplar
from pipeline.events.score_record import ScoreRecord
from pipeline.notifiers import Notifiers
from pipeline.notifiers.outbox import Outbox
from pipeline.notifiers.outbox_message import Bounds, OutboxMessage
from pipeline.runtime import worker_process as process
from pipeline.scenes.exemplar_paths import accepted_file, exemplar_folder
from pipeline.scenes.exemplar_store import MOST_EVENTS, ExemplarStore, StoredExemplar
from pipeline.scenes.scene_history import SceneHistory
from pipeline.scenes.scene_record import write_json
from pipeline.storage.retention import KeptEvent, Limits, removals
from pipeline.storage.score_log import ScoreLog, last_connection
from pipeline.telemetry.metrics import Metrics
from pipeline.telemetry.wall_clock import ClockWatch, recency
from pipeline.worker import RunInfo, WorkerContext, WorkerSpec

DAY = 86_400.0
NOW = 1_763_000_000.0
STREET = {"url": "synthetic:street?fps=10", "policy": "newest"}


def log_scores(folder: Path, camera: str, connection: int, count: int = 3) -> None:
    with ScoreLog(folder, camera) as log:
        for index in range(count):
            log.append(
                ScoreRecord(
                    camera, connection, index, index / 10, connection / 1000, 0.2, "ready",
                    energy=-2.5, threshold=7.5,
                )
            )  # fmt: skip


def test_scores_continue_after_a_run_whose_clock_was_ahead(tmp_path: Path) -> None:
    ahead = int((time.time() + 2 * DAY) * 1000)
    log_scores(tmp_path / "data" / "scores", "street", ahead)
    with pipeline_run(tmp_path, {"street": STREET}) as run:
        run.wait_for(lambda: len(run.scores("street")) > 8)
        connections = [record["connection"] for record in run.scores("street")]
    assert connections[:3] == [ahead] * 3
    assert connections[3] > ahead  # type: ignore[operator]
    assert connections == sorted(connections)  # type: ignore[type-var]


def test_the_highest_number_of_all_logs_counts(tmp_path: Path) -> None:
    assert last_connection(tmp_path) == 0
    log_scores(tmp_path, "door", 70)
    log_scores(tmp_path, "yard", 50)
    with ScoreLog(tmp_path, "gone", rotate_bytes=10) as log:
        for connection in (90, 91):  # the first file is put aside
            log.append(ScoreRecord("gone", connection, 0, 0.0, 0.0, None, "collecting"))
    (tmp_path / "gone.jsonl").write_text('{"connection": "a foreign line"}\n')
    assert last_connection(tmp_path) == 90


def test_processes_are_numbered_by_the_monotonic_clock(
    run: RunInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = replace(run, started_ms=5_000, started_monotonic=time.monotonic() - 1.5)
    numbers: list[int] = []

    def note(context: WorkerContext) -> None:
        numbers.append(context.incarnation)

    spec = WorkerSpec("sink", "tests:none", None, small_config(["street"]), run)
    monkeypatch.setattr(process, "resolve", lambda _: note)
    for seconds in (NOW, NOW - 2 * DAY, 0.0):
        monkeypatch.setattr(time, "time", lambda seconds=seconds: seconds)
        monkeypatch.setattr(time, "time_ns", lambda seconds=seconds: int(seconds * 1e9))
        assert process.work(WorkerSpec.from_json(spec.to_json()), threading.Event()) == 0
    assert 6_500 <= numbers[0] <= numbers[1] <= numbers[2] < 60_000


def test_time_stamps_of_a_clock_that_was_ahead_are_the_oldest() -> None:
    stamps = [NOW + 2 * DAY, NOW, NOW - DAY, NOW + 60, NOW + DAY]
    ordered = sorted(stamps, key=lambda at: recency(at, NOW))
    assert ordered == [NOW + DAY, NOW + 2 * DAY, NOW - DAY, NOW, NOW + 60]


def test_retention_deletes_events_of_the_future_first() -> None:
    events = [
        KeptEvent(name, "door", NOW + days * DAY, 100, active=False, labelled=False)
        for name, days in (("new", -0.1), ("old", -3.0), ("ahead", 2.0))
    ]
    limits = Limits(10 * DAY, max_bytes=150, min_free_bytes=0, keep_labelled=True)
    found = [one.event.id for one in removals(events, NOW, 1e12, limits)]
    assert found == ["ahead", "old"]


def exemplar(number: int) -> StoredExemplar:
    vectors, zero = torch.ones(1, 64).half(), torch.zeros(1).half()
    return StoredExemplar(
        FeedbackExemplar(torch.tensor([number]), vectors, zero, (6, 8), "m"), None
    )


def test_new_moments_and_events_are_kept_before_those_of_a_clock_that_was_ahead(
    tmp_path: Path,
) -> None:
    store = ExemplarStore(tmp_path, max_samples=5)
    for number in range(5):
        store.keep("yard", NOW + 2 * DAY + number, exemplar(number))
    for number in range(3):
        store.keep("yard", NOW + number, exemplar(10 + number))
    stamps = {int(path.stem) / 1000 for path in exemplar_folder(tmp_path, "yard").iterdir()}
    assert {NOW, NOW + 1, NOW + 2} <= stamps
    assert len(stamps) == 5

    for number in range(MOST_EVENTS):
        store.remember("yard", f"yard-1-{number}", exemplar(number))
        path = accepted_file(tmp_path, "yard", f"yard-1-{number}")
        later = time.time() + 2 * DAY + number
        os.utime(path, (later, later))
    assert store.remember("yard", "yard-2-0", exemplar(40)) == ["yard-1-0"]
    assert store.remember("yard", "yard-2-1", exemplar(41)) == ["yard-1-1"]
    assert [int(kept.exemplar.cells[0]) for kept in store.remembered("yard")][-2:] == [40, 41]


def test_the_scene_just_put_aside_stays_before_those_of_a_clock_that_was_ahead(
    tmp_path: Path,
) -> None:
    history = SceneHistory(tmp_path, kept=2)
    made_at = time.time() + 2 * DAY

    def write(folder: Path) -> None:
        (folder / "scene.safetensors").write_bytes(b"scene")
        write_json(folder / "scene.json", {})

    for number in range(4):
        history.put("yard", write, f"ahead {number}")
        os.utime(tmp_path / "yard" / "scene.json", (made_at + number, made_at + number))
        for about in (tmp_path / "yard" / "history").glob("*/about.json"):
            used_at = json.loads(about.read_text())["used_at"]
            if used_at < made_at:  # as the clock said then
                data = json.loads(about.read_text()) | {"used_at": made_at + number}
                about.write_text(json.dumps(data))
    history.put("yard", write, "right")
    history.put("yard", write, "right again")
    reasons = {one.reason for one in history.scenes("yard") if not one.current}
    assert "right" in reasons


def test_events_of_a_clock_that_had_not_been_set_are_not_too_old() -> None:
    events = [
        KeptEvent(name, "door", at, 100, active=False, labelled=False)
        for name, at in (("at boot", 30.0), ("old", NOW - 11 * DAY), ("new", NOW))
    ]
    ample = Limits(10 * DAY, max_bytes=1e9, min_free_bytes=0, keep_labelled=True)
    assert [one.event.id for one in removals(events, NOW, 1e12, ample)] == ["old"]
    tight = replace(ample, max_bytes=250)
    assert [one.event.id for one in removals(events, NOW, 1e12, tight)] == ["at boot", "old"]


def test_step_of_the_clock_is_distinguished_from_elapsed_time() -> None:
    watch = ClockWatch()
    assert watch.step_seconds(NOW, 50.0) == 0
    assert watch.step_seconds(NOW + 3600, 3650.0) == 0
    assert watch.step_seconds(NOW + 3600 + 30, 3651.0) == 0, "as a server of time may do"
    assert watch.step_seconds(NOW - DAY, 3652.0) == pytest.approx(-DAY - 3631)
    assert watch.step_seconds(NOW - DAY + 1, 3653.0) == 0


def test_messages_that_wait_while_the_clock_is_set_are_not_too_old(tmp_path: Path) -> None:
    wall, mono = [1000.0], [0.0]
    bounds = Bounds(age_seconds=DAY)
    with Outbox(tmp_path / "outbox.sqlite", bounds) as outbox:
        outbox.put(
            OutboxMessage("webhook:x", "door-1-1:new:1", "door-1-1", "new", 1, "{}", wall[0])
        )
        notifiers = Notifiers(
            outbox, {}, None, tmp_path, Metrics(CollectorRegistry()),
            clock=lambda: mono[0], wall_clock=lambda: wall[0],
        )  # fmt: skip
        notifiers.tick()
        wall[0], mono[0] = NOW, 700.0  # the board has found a server of time
        notifiers.tick()
        kept = outbox.oldest("webhook:x")
        assert kept is not None
        assert NOW - kept.created_at == pytest.approx(700)
        wall[0], mono[0] = NOW + 2 * DAY, 700.0 + 2 * DAY
        notifiers.tick()
        assert outbox.oldest("webhook:x") is None
