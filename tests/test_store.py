import json
import sqlite3
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipeline.events.event import Event
from pipeline.events.event_tracker import TrackerState
from pipeline.events.score_record import ScoreRecord
from pipeline.storage import schema as schema_module
from pipeline.storage.event_queries import Annotation, StoredEvent
from pipeline.storage.store import EventStore
from pipeline.storage.store_errors import StoreError

EVENT = Event(
    "door-1-5", "door", 1, 5, 1000.0, 0.5, None, 0.6, 1.4, 1001.0, 1, 9, "calibrating", True, 7,
    ("porch", "path"), "schedule",
)  # fmt: skip


def test_events_and_trackers_are_restored(tmp_path: Path) -> None:
    sample = ScoreRecord("door", 1, 9, 0.9, 1000.9, 1.4, "ready", {"porch": 1.3, "path": 0.2})
    state = TrackerState("active", EVENT, 1.5, 1000.9, 1.0, None, 2.0, sample, {"porch": 1.2})
    with EventStore(tmp_path / "deep" / "events.sqlite") as store:
        store.save([EVENT], {"door": state})
    with EventStore(tmp_path / "deep" / "events.sqlite") as store:
        assert store.events() == [EVENT]
        assert store.tracker("door") == state
        assert store.tracker("yard") is None


def test_saving_again_replaces(tmp_path: Path) -> None:
    ended = replace(EVENT, ended_at=1003.0, peak_score=2.0)
    other = replace(EVENT, id="yard-1-0", camera="yard", started_at=999.0)
    with EventStore(tmp_path / "events.sqlite") as store:
        store.save([EVENT, other], {"door": TrackerState()})
        store.save([ended], {"door": TrackerState(phase="pending")})
        assert store.events() == [other, ended]
        assert store.events("door") == [ended]
        assert store.tracker("door") == TrackerState(phase="pending")


def test_a_save_is_one_transaction(tmp_path: Path) -> None:
    with EventStore(tmp_path / "events.sqlite") as store:
        broken = replace(EVENT, id="door-1-6", started_at=None)  # type: ignore[arg-type]
        with pytest.raises(StoreError, match="cannot be written"):
            store.save([EVENT, broken], {"door": TrackerState()})
        assert store.events() == []
        assert store.tracker("door") is None


def test_readers_see_saved_events_while_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    with EventStore(path) as writer, EventStore(path) as reader:
        writer.save([EVENT], {})
        assert reader.events() == [EVENT]


FIRST_SCHEMA = (
    """CREATE TABLE events (
        id TEXT PRIMARY KEY,
        camera TEXT NOT NULL,
        connection INTEGER NOT NULL,
        first_index INTEGER NOT NULL,
        started_at REAL NOT NULL,
        started_pts_seconds REAL NOT NULL,
        ended_at REAL,
        duration_seconds REAL NOT NULL,
        peak_score REAL NOT NULL,
        peak_at REAL NOT NULL,
        peak_connection INTEGER NOT NULL,
        peak_index INTEGER NOT NULL,
        state TEXT NOT NULL,
        suppressed BOOLEAN NOT NULL,
        frames INTEGER NOT NULL
    )""",
    "CREATE INDEX events_by_time ON events (camera, started_at)",
    "CREATE TABLE trackers (camera TEXT PRIMARY KEY, state TEXT NOT NULL)",
    "PRAGMA user_version=1",
)
"""Schema of version 1, written out, so that later changes do not affect it."""


def test_a_file_of_the_first_version_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    connection = sqlite3.connect(path)
    for statement in FIRST_SCHEMA:
        connection.execute(statement)
    row = {k: v for k, v in asdict(EVENT).items() if k not in ("zones", "suppressed_by", "terms")}
    marks = ", ".join("?" * len(row))
    connection.execute(
        f"INSERT INTO events ({', '.join(row)}) VALUES ({marks})", list(row.values())
    )
    connection.execute("INSERT INTO trackers VALUES ('door', '{\"phase\": \"pending\"}')")
    connection.commit()
    connection.close()
    with EventStore(path) as store:
        brought_up = replace(EVENT, zones=(), suppressed_by="cooldown")
        assert store.event(EVENT.id) == StoredEvent(brought_up, None, None, None, False)
        assert store.tracker("door") == TrackerState(phase="pending")
        assert store.annotate(EVENT.id, Annotation(label="normal"), 5.0) is not None
        assert store.scores("door", 0, 1e9, 60) == []


def test_a_tracker_state_without_zones_is_read(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    sample = {"camera": "door", "connection": 1, "index": 9, "pts_seconds": 0.9}
    sample |= {"captured_at": 1000.9, "score": 1.4, "state": "ready"}
    with EventStore(path) as store:
        connection = sqlite3.connect(path)
        state = json.dumps({"phase": "fading", "now_seconds": 2.0, "last": sample})
        connection.execute("INSERT INTO trackers VALUES ('door', ?)", (state,))
        connection.commit()
        connection.close()
        last = ScoreRecord("door", 1, 9, 0.9, 1000.9, 1.4, "ready")
        assert store.tracker("door") == TrackerState(phase="fading", now_seconds=2.0, last=last)


def test_migrations_run_once_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.sqlite"
    with EventStore(path) as store:
        store.save([EVENT], {})
    later = (*schema_module.MIGRATIONS, ("CREATE TABLE added (n INTEGER)",))
    monkeypatch.setattr(schema_module, "MIGRATIONS", later)
    for _ in range(2):
        with EventStore(path) as store:
            assert store.events() == [EVENT]
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(later),)
        assert connection.execute("SELECT count(*) FROM added").fetchone() == (0,)
    connection.close()


def test_a_failing_migration_leaves_the_old_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events.sqlite"
    with EventStore(path):
        pass
    bad = ("CREATE TABLE added (n INTEGER)", "CREATE TABLE events (n INTEGER)")
    monkeypatch.setattr(schema_module, "MIGRATIONS", (*schema_module.MIGRATIONS, bad))
    with pytest.raises(StoreError, match="already exists"), EventStore(path):
        pass
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (4,)
    assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'added'").fetchall()
    connection.close()


def test_store_of_a_newer_version_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StoreError, match="got 99; it was written by a newer"), EventStore(path):
        pass


def test_not_a_database_and_not_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    path.write_bytes(b"this is no database, and long enough to be taken for one" * 20)
    with pytest.raises(StoreError, match=r"events\.sqlite: cannot be opened"), EventStore(path):
        pass
    with pytest.raises(StoreError, match="cannot be opened"), EventStore(path / "below.sqlite"):
        pass


def test_tracker_state_of_another_version_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    with EventStore(path) as store:
        store.save([], {"door": TrackerState()})
        connection = sqlite3.connect(path)
        connection.execute('UPDATE trackers SET state = \'{"phase": "flying"}\'')
        connection.commit()
        connection.close()
        assert store.tracker("door") is None
