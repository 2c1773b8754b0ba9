import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from pipeline.config import Record
from pipeline.events.event import Event
from pipeline.events.event_tracker import TrackerState
from pipeline.events.score_record import ScoreRecord
from pipeline.storage.event_queries import Annotation
from pipeline.storage.housekeeping import Housekeeper
from pipeline.storage.journal import EventJournal
from pipeline.storage.json_lines import read_json_lines
from pipeline.storage.retention import KeptEvent, Limits, removals
from pipeline.storage.score_history import ScoreHistory
from pipeline.storage.store import EventStore
from pipeline.storage.store_errors import StoreError
from pipeline.telemetry.metrics import Metrics

DAY = 86_400
NOW = 1_763_000_000.0
AMPLE = Limits(max_age_seconds=10 * DAY, max_bytes=1e9, min_free_bytes=0, keep_labelled=True)
EVENT = Event("x", "door", 1, 0, NOW, 0.5, NOW, 0.6, 1.4, NOW, 1, 9, "ready", False, 7)


def event(name: str, age_days: float, size: int = 100, **more: bool) -> KeptEvent:
    state = {"active": False, "labelled": False, **more}
    return KeptEvent(name, "door", NOW - age_days * DAY, size, **state)


def decided(events: list[KeptEvent], limits: Limits, free: float = 1e12) -> dict[str, str]:
    return {one.event.id: one.reason for one in removals(events, NOW, free, limits)}


def test_old_events_are_removed_with_or_without_files() -> None:
    events = [event("new", 9), event("old", 11), event("bare", 12, size=0)]
    assert decided(events, AMPLE) == {"bare": "age", "old": "age"}
    assert decided(events, replace(AMPLE, max_age_seconds=100 * DAY)) == {}


def test_above_the_size_limit_the_oldest_are_removed_and_no_more() -> None:
    events = [event(f"e{age}", age) for age in (1, 2, 3, 4, 5)] + [event("bare", 9, size=0)]
    assert decided(events, replace(AMPLE, max_bytes=500)) == {}
    assert decided(events, replace(AMPLE, max_bytes=499)) == {"e5": "size"}
    assert decided(events, replace(AMPLE, max_bytes=250)) == dict.fromkeys(
        ("e5", "e4", "e3"), "size"
    )
    assert len(decided(events, replace(AMPLE, max_bytes=0))) == 5


def test_with_little_free_space_the_oldest_are_removed() -> None:
    events = [event(f"e{age}", age) for age in (1, 2, 3)]
    limits = replace(AMPLE, min_free_bytes=1000)
    assert decided(events, limits, free=1000) == {}
    assert decided(events, limits, free=899) == {"e3": "free", "e2": "free"}
    assert decided(events, limits, free=0) == dict.fromkeys(("e3", "e2", "e1"), "free")


def test_removals_by_age_count_for_the_other_limits() -> None:
    events = [event("old", 11), event("a", 2), event("b", 1)]
    limits = replace(AMPLE, max_bytes=200, min_free_bytes=1000)
    assert decided(events, limits, free=900) == {"old": "age"}


def test_active_and_labelled_events_are_never_removed() -> None:
    events = [event("active", 50, active=True), event("labelled", 40, labelled=True), event("a", 1)]
    tight = replace(AMPLE, max_bytes=0, min_free_bytes=1e9)
    assert decided(events, tight, free=0) == {"a": "size"}
    freely = replace(tight, keep_labelled=False)
    assert decided(events, freely, free=0) == {"labelled": "age", "a": "size"}


@pytest.mark.parametrize("seed", range(20))
def test_after_removal_the_limits_hold_and_only_newer_events_remain(seed: int) -> None:
    rng = random.Random(seed)
    events = [
        event(f"e{n}", rng.uniform(0, 20), rng.choice((0, 10, 500)), labelled=rng.random() < 0.2)
        for n in range(60)
    ]
    limits = replace(AMPLE, max_bytes=rng.uniform(0, 9000), min_free_bytes=rng.uniform(0, 5000))
    free = rng.uniform(0, 5000)
    found = removals(events, NOW, free, limits)
    gone = {one.event.id for one in found}
    left = [one for one in events if one.id not in gone and not one.labelled]
    assert not gone & {one.id for one in events if one.labelled}
    size = sum(one.size_bytes for one in events if one.id not in gone)
    free += sum(one.event.size_bytes for one in found)
    with_files = [one for one in left if one.size_bytes]
    if with_files:
        assert size <= limits.max_bytes
        assert free >= limits.min_free_bytes
        newest_gone = max((o.event.last_at for o in found if o.event.size_bytes), default=0)
        assert min(one.last_at for one in with_files) > newest_gone
    assert all(NOW - one.last_at <= limits.max_age_seconds for one in left)


class House:
    """A data folder with a real store."""

    def __init__(self, folder: Path, store: EventStore) -> None:
        self.folder = folder
        self.store = store
        self.failures: list[tuple[str, str]] = []
        self.metrics = Metrics(CollectorRegistry())
        self.free = 10**12

    def add(self, name: str, age_days: float, size: int = 1000, row: bool = True) -> Path:
        at = NOW - age_days * DAY
        if row:
            event = replace(EVENT, id=name, started_at=at - 1, ended_at=at, peak_at=at)
            self.store.save([event], {})
        place = self.folder / "events" / "door" / name
        if size:
            place.mkdir(parents=True)
            (place / "snapshot.jpg").write_bytes(bytes(size))
            os.utime(place / "snapshot.jpg", (at, at))
        return place

    def clean(self, busy: set[str] | None = None, **retain: object) -> None:
        record = Record.model_validate({"min_free_gb": 1, "retain": retain})
        builder = Housekeeper(
            self.store,
            self.folder,
            record,
            self.metrics,
            lambda sink, why: self.failures.append((sink, why)),
            lambda folder: self.free,
        )
        builder.run(NOW, busy or set(), {"door"})

    @property
    def rows(self) -> set[str]:
        return {event.id for event in self.store.events()}

    @property
    def places(self) -> set[str]:
        return {place.name for place in (self.folder / "events").glob("*/*")}

    def deleted(self, reason: str) -> float:
        name = "vedette_retention_deleted_total"
        return self.metrics.registry.get_sample_value(name, {"reason": reason}) or 0.0


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with EventStore(tmp_path / "events.sqlite") as store:
        yield House(tmp_path, store)


def test_old_events_are_deleted_with_their_rows(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for name, age in (("new", 1), ("old", 11), ("labelled", 12), ("going", 13), ("unsaved", 14)):
        house.add(name, age, row=name != "unsaved")
    house.add("lost", 20, row=False)
    house.add("bare", 15, size=0)
    house.store.annotate("labelled", Annotation(label="anomaly"))
    house.clean(busy={"going", "unsaved"})
    assert house.rows == {"new", "labelled", "going"}
    assert house.places == {"new", "labelled", "going", "unsaved"}
    assert house.deleted("age") == 3
    assert "deleted files of events (3 for age), 0.0 MB" in caplog.text
    house.clean(keep_labelled=False)
    assert house.rows == {"new"}
    assert house.places == {"new"}
    assert house.failures == []


def test_for_size_only_the_files_are_deleted(house: House) -> None:
    for age in range(1, 6):
        place = house.add(f"e{age}", age)
        (place / "clip.mp4").write_bytes(bytes(1000))
    house.clean(max_size_gb=6e-6)
    assert house.rows == {f"e{age}" for age in range(1, 6)}
    assert house.places == {"e1", "e2", "e3"}
    clips = {one.id: one.has_clip for one in house.store.facts()}
    assert clips == {"e1": True, "e2": True, "e3": True, "e4": False, "e5": False}
    assert house.deleted("size") == 2
    (house.folder / "events" / "door" / "e1" / "clip.mp4").unlink()  # by a person
    house.clean()
    assert not house.store.event("e1").has_clip  # type: ignore[union-attr]


def test_a_clip_written_after_its_event_is_detected(house: House) -> None:
    builder = Housekeeper(
        house.store, house.folder, Record(), house.metrics, lambda sink, why: pytest.fail(why)
    )
    for name in ("soon", "never"):
        house.add(name, 0)
        stored = house.store.event(name)
        assert stored is not None
        builder.expect_clip(stored.event, NOW)
    builder.note_new_clips(NOW + 1)
    assert not any(one.has_clip for one in house.store.facts())
    (house.folder / "events" / "door" / "soon" / "clip.mp4").touch()
    builder.note_new_clips(NOW + 6)
    assert {one.id for one in house.store.facts() if one.has_clip} == {"soon"}
    builder.note_new_clips(NOW + 3600)
    (house.folder / "events" / "door" / "never" / "clip.mp4").touch()
    builder.note_new_clips(NOW + 3601)
    assert {one.id for one in house.store.facts() if one.has_clip} == {"soon"}


def test_little_free_space_is_reported_if_nothing_can_be_deleted(house: House) -> None:
    house.add("only", 1)
    house.free = 10**8
    house.clean()
    assert house.places == set()
    assert house.rows == {"only"}
    (failure,) = house.failures
    assert failure[0] == "retention"
    assert "want 1 GB of free space (record.min_free_gb), got 0.10 GB" in failure[1]
    assert house.metrics.registry.get_sample_value("vedette_storage_free_bytes") == 10**8


def test_links_are_not_followed(house: House, tmp_path: Path) -> None:
    precious = tmp_path / "elsewhere" / "old"
    precious.mkdir(parents=True)
    (precious / "file").write_bytes(bytes(10))
    house.add("new", 1)
    (house.folder / "events" / "away").symlink_to(precious.parent)
    (house.folder / "events" / "door" / "link").symlink_to(precious)
    house.clean(days=0.001)
    assert (precious / "file").exists()


def test_a_folder_that_cannot_be_deleted_does_not_block_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    real = shutil.rmtree

    def stubborn(path: Path) -> None:
        if path.name == "stuck":
            raise PermissionError(13, "Permission denied")
        real(path)

    monkeypatch.setattr(shutil, "rmtree", stubborn)
    for name in ("stuck", "old"):
        house.add(name, 20)
    house.clean()
    assert house.rows == {"stuck"}
    assert [sink for sink, _ in house.failures] == ["retention"]
    assert "stuck: cannot be deleted: Permission denied" in house.failures[0][1]


def test_a_store_failure_is_reported(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(store: EventStore) -> None:
        raise StoreError("event store: full")

    monkeypatch.setattr(EventStore, "facts", fail)
    house.clean()
    assert house.failures == [("retention", "event store: full")]


def test_old_scores_and_logs_of_removed_cameras_are_deleted(house: House) -> None:
    history = ScoreHistory()
    for at in (NOW - 2 * DAY, NOW - 10):
        history.add(ScoreRecord("door", 1, 0, 0.0, at, 0.5, "ready", energy=1.0, threshold=2.0))
    house.store.save([], {"door": TrackerState()}, history.pending)
    logs = house.folder / "scores"
    logs.mkdir()
    for name, age in (("door", 20), ("gone", 20), ("gone.1", 20), ("late", 1)):
        path = logs / f"{name}.jsonl"
        path.touch()
        os.utime(path, (NOW - age * DAY,) * 2)
    house.clean()
    assert len(house.store.scores("door", 0, NOW, 1)) == 1
    assert {path.name for path in logs.iterdir()} == {"door.jsonl", "late.jsonl"}
    assert house.failures == []


def test_the_journal_has_at_most_two_files_and_each_event_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for n in range(40):  # opened repeatedly, as after restarts
        with EventJournal(path, rotate_bytes=2000) as journal:
            for m in (n - 1, n, n):
                journal.append(replace(EVENT, id=f"door-1-{m}"))
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["events.1.jsonl", "events.jsonl"]
    names = [line["id"] for file in files for line in read_json_lines(tmp_path / file)]
    assert len(names) == len(set(names))
    assert names[-1] == "door-1-39"
    assert all((tmp_path / file).stat().st_size < 2500 for file in files)
