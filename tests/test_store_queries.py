"""Queries of the API to the store, on SQLite and on PostgreSQL."""

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from mqtt_broker import free_port
from postgresql_server import (
    PASSWORD,
    PostgresqlServer,
    pooler,
)
from pydantic import ValidationError

from pipeline.events.event import Event
from pipeline.events.event_tracker import TrackerState
from pipeline.events.score_record import ScoreRecord
from pipeline.storage import database, schema
from pipeline.storage.database import store_url
from pipeline.storage.event_queries import Annotation, EventQuery
from pipeline.storage.score_history import ScoreHistory, ScorePoint
from pipeline.storage.store import EventFacts, EventStore
from pipeline.storage.store_errors import StoreError, StoreUnreachableError

EVENT = Event(
    "door-1-5", "door", 1_763_000_000_123, 5, 1_763_000_000.125, 0.5, None, 0.6, 1.4,
    1_763_000_001.0, 1, 9, "ready", False, 7,
)  # fmt: skip
Opener = Callable[..., EventStore]


@pytest.fixture(params=["sqlite", "postgresql"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens the same empty store repeatedly."""
    url: str | None = None
    if request.param == "postgresql":
        url = request.getfixturevalue("server").fresh_url()
    return lambda **how: EventStore(store_url(url, tmp_path), **how)


@pytest.fixture
def store(opener: Opener) -> Iterator[EventStore]:
    with opener() as store:
        yield store


def many() -> list[Event]:
    """Two cameras; every third event at the same time as the previous one; the last are active."""
    events = []
    for n in range(30):
        camera = "door" if n % 2 else "yard"
        started_at = 1_763_000_000.0 + n - (n % 3 == 2)
        ended_at = None if n >= 28 else started_at + 0.5
        events.append(
            replace(
                EVENT,
                id=f"{camera}-1-{n}",
                camera=camera,
                started_at=started_at,
                ended_at=ended_at,
                suppressed=n % 5 == 0,
                suppressed_by="cooldown" if n % 5 == 0 else None,
                zones=((), ("porch",), ("a_b", "porch"), ("aXb", "Porch"))[n % 4],
            )
        )
    return events


def ids(store: EventStore, **query: object) -> list[str]:
    return [one.event.id for one in store.find(EventQuery(**query)).events]  # type: ignore[arg-type]


def test_events_and_trackers_are_restored_exactly(opener: Opener) -> None:
    state = TrackerState("active", EVENT, 1.5, 1_763_000_000.9, 1.0, None, 2.0)
    with opener() as store:
        store.save([EVENT], {"door": state})
        ended = replace(EVENT, ended_at=1_763_000_003.0, peak_score=1 / 3)
        store.save([ended], {"door": state})
    with opener() as store:  # again: an up-to-date store is not migrated
        assert store.events() == [ended]
        assert store.tracker("door") == state


def test_every_filter(store: EventStore) -> None:
    events = many()
    store.save(events, {})
    newest = sorted(events, key=lambda event: (event.started_at, event.id), reverse=True)
    assert ids(store) == [event.id for event in newest]
    store.annotate("door-1-3", Annotation(label="normal"))
    store.annotate("door-1-5", Annotation(label="anomaly", acknowledged=True))
    store.set_clips(["yard-1-4"], True)

    def having(condition: Callable[[Event], bool]) -> list[str]:
        return [event.id for event in newest if condition(event)]

    begin, end = 1_763_000_005.0, 1_763_000_010.0
    assert ids(store, camera="yard") == having(lambda e: e.camera == "yard")
    assert ids(store, begin=begin, end=end) == having(lambda e: begin <= e.started_at < end)
    assert ids(store, active=True) == having(lambda e: e.ended_at is None)
    assert len(ids(store, active=False)) == 28
    assert ids(store, suppressed=True) == having(lambda e: e.suppressed)
    assert ids(store, label="normal") == ["door-1-3"]
    assert ids(store, label="anomaly", acknowledged=True) == ["door-1-5"]
    assert ids(store, label="anomaly", acknowledged=False) == []
    assert len(ids(store, label="none")) == 28
    assert ids(store, has_clip=True) == ["yard-1-4"]
    assert ids(store, camera="unknown") == []
    for zone in ("porch", "a_b", "aXb", "Porch"):
        assert ids(store, zone=zone) == having(lambda e, zone=zone: zone in e.zones)
        assert ids(store, zone=zone, camera="yard") == having(
            lambda e, zone=zone: zone in e.zones and e.camera == "yard"
        )
    assert ids(store, zone="orc") == []


@pytest.mark.parametrize("limit", [1, 7, 30])
def test_pages_contain_each_event_once_while_new_ones_arrive(store: EventStore, limit: int) -> None:
    events = many()
    store.save(events, {})
    seen, cursor = [], None
    while True:
        page = store.find(EventQuery(limit=limit, cursor=cursor))
        assert len(page.events) <= limit
        seen += [one.event.id for one in page.events]
        later = replace(EVENT, id=f"door-2-{len(seen)}", started_at=1_763_000_900.0)
        store.save([later], {})
        cursor = page.next_cursor
        if cursor is None:
            break
    newest = sorted(events, key=lambda event: (event.started_at, event.id), reverse=True)
    assert seen == [event.id for event in newest]


@pytest.mark.parametrize("cursor", ["x", "!!!", "W10", "WzEsMl0", "eyJ9", "W1tbW1tbW1tb"])
def test_an_invalid_cursor_is_rejected(store: EventStore, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor: want one from an earlier page"):
        store.find(EventQuery(cursor=cursor))


def test_limits_out_of_range_are_rejected(store: EventStore) -> None:
    for limit in (0, 1001):
        with pytest.raises(ValueError, match="limit: want 1 to 1000"):
            store.find(EventQuery(limit=limit))
        with pytest.raises(ValueError, match="limit: want 1 to 10000"):
            store.scores("door", 0, 1, 1, limit=limit * 10)


def test_annotations_change_only_given_fields_and_survive_updates(store: EventStore) -> None:
    store.save([EVENT], {})
    assert store.annotate("unknown", Annotation(label="normal")) is None
    first = store.annotate(
        EVENT.id, Annotation(acknowledged=True, label="normal", note="the 'cat'; --"), 12.5
    )
    assert first is not None
    assert (first.acknowledged_at, first.label, first.note) == (12.5, "normal", "the 'cat'; --")
    second = store.annotate(EVENT.id, Annotation(label=None))
    assert second is not None
    assert (second.acknowledged_at, second.label, second.note) == (12.5, None, "the 'cat'; --")
    store.save([replace(EVENT, ended_at=EVENT.started_at + 1)], {})
    third = store.annotate(EVENT.id, Annotation(acknowledged=False))
    assert third is not None
    assert (third.acknowledged_at, third.note) == (None, "the 'cat'; --")
    assert third.event.ended_at is not None


@pytest.mark.parametrize(
    "wrong", [{"label": "cat"}, {"note": "x" * 2001}, {"seen": True}, {"acknowledged": "yes"}]
)
def test_invalid_annotations_are_rejected(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Annotation.model_validate(wrong)


def test_facts_clips_and_deletion(store: EventStore) -> None:
    events = many()
    store.save(events, {})
    store.set_clips([event.id for event in events[:2]], True)
    store.annotate(events[0].id, Annotation(label="anomaly"))
    facts = {one.id: one for one in store.facts()}
    assert len(facts) == 30
    first, last = events[0], events[-1]
    assert facts[first.id] == EventFacts(
        first.id, "yard", first.started_at + 0.5, False, "anomaly", True
    )
    assert facts[last.id] == EventFacts(last.id, "door", last.started_at, True, None, False)
    store.delete_events([event.id for event in events[:-1]])
    assert [event.id for event in store.events()] == [last.id]


def record(at: float, score: float | None, camera: str = "door") -> ScoreRecord:
    threshold = None if score is None else 4.0
    state = "collecting" if score is None else "ready"
    return ScoreRecord(camera, 1, 0, 0.0, at, score, state, energy=score, threshold=threshold)  # type: ignore[arg-type]


def test_scores_are_aggregated_in_seconds_and_minutes(store: EventStore) -> None:
    history = ScoreHistory()
    for at, score in ((60.1, None), (60.4, 0.25), (60.9, 0.75), (61.0, 1.5), (119.9, -1.0)):
        history.add(record(at, score))
    history.add(record(60.5, 9.0, "yard"))
    store.save([], {}, history.pending)
    history.mark_written()
    assert history.pending == []
    assert store.scores("door", 0, 1000, 1) == [
        ScorePoint(60, 0.75, 0.5, 4.0, "ready", 3),
        ScorePoint(61, 1.5, 1.5, 4.0, "ready", 1),
        ScorePoint(119, -1.0, -1.0, 4.0, "ready", 1),
    ]
    assert store.scores("door", 0, 1000, 60) == [ScorePoint(60, 1.5, 0.375, 4.0, "ready", 5)]
    assert [point.begins_at for point in store.scores("door", 61, 119, 1)] == [61]
    assert [point.begins_at for point in store.scores("door", 0, 1000, 1, limit=2)] == [60, 61]
    # More scores of the same second are added; a lower score leaves the highest.
    history.add(record(60.95, 0.5))
    history.add(record(59.0, None))
    store.save([], {}, history.pending)
    assert store.scores("door", 0, 61, 1) == [
        ScorePoint(59, None, None, None, "collecting", 1),
        ScorePoint(60, 0.75, 0.5, 4.0, "ready", 4),
    ]


def test_a_store_without_zones_is_migrated(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    notified = replace(EVENT, id="notified")
    suppressed = replace(EVENT, id="suppressed", suppressed=True)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:2])
        with opener() as store, store._database.begin() as connection:
            names = [
                f.name for f in fields(Event) if f.name not in ("zones", "suppressed_by", "terms")
            ]
            marks = ", ".join(f":{name}" for name in names)
            insert = sa.text(f"INSERT INTO events ({', '.join(names)}) VALUES ({marks})")
            for event in (notified, suppressed):
                connection.execute(insert, {name: getattr(event, name) for name in names})
    with opener() as store:
        assert store.events() == [notified, replace(suppressed, suppressed_by="cooldown")]
        later = replace(notified, id="later", zones=("porch", "path"), suppressed_by="schedule")
        store.save([later], {})
        found = store.event("later")
        assert found is not None
        assert found.event == later


def test_pending_scores_are_bounded() -> None:
    history = ScoreHistory(capacity=20)
    for second in range(100):
        history.add(record(second, 0.5))
    assert len(history.pending) == 20
    assert history.pending[-1].begins_at == 99


def test_old_scores_are_deleted(store: EventStore) -> None:
    now, day = 1_763_000_000, 86_400
    history = ScoreHistory()
    for age_days in (0.5, 2, 29, 31):
        history.add(record(now - age_days * day, 0.5))
    store.save([], {"door": TrackerState()}, history.pending)
    assert store.prune_scores(now) == 4
    assert len(store.scores("door", 0, now, 1)) == 1
    assert len(store.scores("door", 0, now, 60)) == 3
    assert store.prune_scores(now) == 0
    store.reclaim_space()


def test_readers_read_only_and_see_what_is_written(opener: Opener) -> None:
    with opener() as writer, opener(read_only=True) as reader:
        writer.save([EVENT], {})
        assert reader.events() == [EVENT]
        assert reader.find(EventQuery(active=True)).events[0].event == EVENT


def test_sqlite_readers_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    with pytest.raises(StoreError, match=r"no such file; the first run creates it"):
        EventStore(path, read_only=True).__enter__()
    assert not path.exists()
    with EventStore(path) as writer:
        writer.save([EVENT], {})
    with EventStore.for_reading(None, tmp_path) as reader:  # no writer is open
        assert reader.events() == [EVENT]
        with pytest.raises(StoreError, match=r"cannot be written: .*readonly"):
            reader.delete_events([EVENT.id])
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=1")
    connection.close()
    with pytest.raises(StoreError, match="want schema version 4, got 1; the alert sink of the"):
        EventStore(path, read_only=True).__enter__()


def test_many_threads_read_while_one_writes(opener: Opener) -> None:
    """As in the gateway: readers do not block each other or see a partial transaction."""
    stop = threading.Event()
    failures: list[Exception] = []

    def read(reader: EventStore) -> None:
        while not stop.is_set():
            try:
                assert len(reader.events()) % 2 == 0
            except Exception as error:
                failures.append(error)
                return

    with ExitStack() as stack:
        writer = stack.enter_context(opener())
        reader = stack.enter_context(opener(read_only=True))
        threads = [threading.Thread(target=read, args=(reader,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for n in range(0, 60, 2):
            pair = [replace(EVENT, id=f"door-1-{m}") for m in (n, n + 1)]
            writer.save(pair, {})
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []


def test_postgresql_has_one_writer(
    server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = ("SET lock_timeout = '100ms'", *database._ONE_WRITER[1:])
    monkeypatch.setattr(database, "_ONE_WRITER", short)
    url = store_url(server.fresh_url(), Path())
    with EventStore(url) as writer:
        writer.save([EVENT], {})
        with pytest.raises(StoreError, match="want one service that writes to it") as caught:
            EventStore(url).__enter__()
        assert PASSWORD not in str(caught.value)
        other = store_url(server.fresh_url(), Path())
        with EventStore(other) as elsewhere:  # another schema is another store
            assert elsewhere.events() == []
    with EventStore(url) as successor:
        assert successor.events() == [EVENT]


@pytest.fixture(scope="module")
def pgbouncer() -> Path:
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip("lacks PgBouncer; on Debian: apt-get install pgbouncer")
    return Path(found)


def test_a_pooler_in_transaction_mode_is_reported(
    server: PostgresqlServer, pgbouncer: Path
) -> None:
    with pooler(server, pgbouncer, "transaction", free_port()) as url:
        for _ in range(2):  # also with existing sessions
            with pytest.raises(StoreError, match=r"want session pooling \(pool_mode = session\)"):
                EventStore(store_url(url, Path())).__enter__()
    # No lock is left, and readers work with such a pooler.
    direct = server.url.set(drivername="postgresql")
    with EventStore(direct) as store:
        store.save([EVENT], {})
        with pooler(server, pgbouncer, "transaction", free_port()) as url:
            for _ in range(12):  # as often as a driver would need to prepare a statement
                with EventStore(store_url(url, Path()), read_only=True) as reader:
                    assert [event.id for event in reader.events()] == [EVENT.id]
        store.delete_events([EVENT.id])


def test_a_pooler_in_session_mode_works(server: PostgresqlServer, pgbouncer: Path) -> None:
    with pooler(server, pgbouncer, "session", free_port()) as url:
        for _ in range(2):
            with EventStore(store_url(url, Path())) as store:
                store.save([EVENT], {})
                assert [event.id for event in store.events()] == [EVENT.id]
                store.delete_events([EVENT.id])


def test_postgresql_restarts(server: PostgresqlServer) -> None:
    url = store_url(server.fresh_url(), Path())
    with EventStore(url) as store:
        store.save([EVENT], {})
        server.stop()
        try:
            with pytest.raises(StoreUnreachableError) as caught:
                store.save([replace(EVENT, id="door-1-6")], {})
            with pytest.raises(StoreUnreachableError, match="cannot be opened"):
                EventStore(url).__enter__()
        finally:
            server.start()
        assert PASSWORD not in str(caught.value)
        store.save([replace(EVENT, id="door-1-7")], {})
        assert [event.id for event in store.events()] == ["door-1-5", "door-1-7"]


def test_postgresql_never_shows_the_password(server: PostgresqlServer) -> None:
    right = sa.make_url(server.fresh_url())
    for wrong in (right.set(password="other-s3cret"), right.set(username="unknown")):
        with pytest.raises(StoreError) as caught:
            EventStore(wrong).__enter__()
        link: BaseException | None = caught.value
        while link is not None:
            assert "s3cret" not in f"{link!r} {link}"
            link = link.__cause__ or link.__context__
        assert "***@" in str(caught.value)
