"""The store on a full disk, after a crash, and on damaged or network file systems."""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from stage_parts import worker_context
from test_alert_sink import config, course, expected_events, opened

from pipeline.alerts.alert_worker import run as sink_run
from pipeline.events.event import Event
from pipeline.events.event_tracker import TrackerState
from pipeline.storage import database as database_module
from pipeline.storage.file_systems import file_system_of
from pipeline.storage.store import EventStore
from pipeline.storage.store_errors import StoreDamagedError, StoreError
from pipeline.storage.store_opening import open_store
from pipeline.worker import RunInfo

EVENT = Event("door-1-0", "door", 1, 0, 1e9, 0.5, None, 0.6, 1.4, 1e9, 1, 9, "ready", False, 7)

WRITER = """
import sys, itertools
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_store_damage import EVENT, TrackerState, EventStore
from test_store_queries import ScoreHistory, record

begin = int(sys.argv[3])
with EventStore(Path(sys.argv[1])) as store:
    for n in itertools.count(begin):
        history = ScoreHistory()
        for m in range(20):
            history.add(record(n + m / 20, 0.5))
        state = TrackerState(now_seconds=float(n))
        store.save([replace(EVENT, id=f"door-1-{n}")], {"door": state}, history.pending)
        print(n, flush=True)
"""


def test_a_killed_writer_leaves_a_consistent_database(tmp_path: Path) -> None:
    path, begin = tmp_path / "events.sqlite", 0
    for kill_after in (3, 20, 41):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, path, str(Path(__file__).parent), str(begin)],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            written = [int(process.stdout.readline()) for _ in range(kill_after)]
        finally:
            process.send_signal(signal.SIGKILL)
            written += [int(line) for line in process.stdout.read().split(b"\n")[:-1]]
            process.stdout.close()
            process.wait()
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
        with EventStore(path) as store:
            stored = {event.id for event in store.events()}
            tracker = store.tracker("door")
            assert tracker is not None
            newest = int(tracker.now_seconds)
            # Every acknowledged event is stored; at most the one in progress in addition, and then
            # completely: event, tracker and scores.
            assert newest - written[-1] in (0, 1)
            assert stored == {f"door-1-{n}" for n in range(newest + 1)}
            points = store.scores("door", 0, 1e9, 1)
            assert [point.frames for point in points] == [20] * (newest + 1)
        begin = newest + 1


def test_a_full_disk_is_reported_and_recovers(tmp_path: Path) -> None:
    with EventStore(tmp_path / "events.sqlite") as store:
        fill(store)
        with pytest.raises(StoreError, match=r"cannot be written: the disk is full"):
            store.save([replace(EVENT, id="door-1-1", camera="x" * 100_000)], {})
        assert store.events() == [EVENT]
        store.delete_events([EVENT.id])
        store.save([replace(EVENT, id="door-1-2")], {})


def fill(store: EventStore) -> None:
    """Do not let the database grow by another page."""
    store.save([EVENT], {"door": TrackerState()})
    with store._database.begin() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}").scalar_one()


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A real file system of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"lacks the right to mount a small tmpfs: {mounted.stderr.decode().strip()}")
    return place


def test_a_real_full_file_system(small_disk: Path) -> None:
    try:
        with EventStore(small_disk / "events.sqlite") as store:
            store.save([EVENT], {})
            (small_disk / "ballast").write_bytes(bytes(small_disk_free(small_disk)))
            more = [replace(EVENT, id=f"door-2-{n}", camera="x" * 3000) for n in range(300)]
            with pytest.raises(StoreError, match=r"the disk is full \("):
                store.save(more, {})
            (small_disk / "ballast").unlink()
            store.save([replace(EVENT, id="door-3-0")], {})
            assert store.event("door-3-0") is not None
    finally:
        subprocess.run(["umount", small_disk], check=True)


def test_a_successor_opens_it_on_a_full_disk(tmp_path: Path) -> None:
    """A sink that ends there must restart, and must not stop the service."""
    path = tmp_path / "events.sqlite"
    with EventStore(path) as store:
        store.save([EVENT], {"door": TrackerState(now_seconds=7.0)})
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            # The write-ahead log of the killed sink is there, as an open reader keeps it.
            with EventStore(path) as successor:
                assert successor.events() == [EVENT]
                assert successor.tracker("door") == TrackerState(now_seconds=7.0)
                with pytest.raises(StoreError, match="cannot be written"):
                    successor.save([replace(EVENT, id="door-1-1")], {})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("content", [b"", os.urandom(8192), b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_store_is_moved_aside_and_rebuilt_from_the_score_log(
    run: RunInfo, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = run.data_folder / "events.sqlite"
    with opened(run) as it:
        for message in course():
            it.sink.take(message)
        it.sink.finish()
    for file in run.data_folder.glob("events.sqlite-*"):
        file.unlink()
    path.write_bytes(content)
    context = worker_context("sink", config(), run)
    with ExitStack() as stack:
        open_store(context, stack)
    with opened(run) as it:
        assert it.store.events() == expected_events(course())
    assert len(list(run.data_folder.glob("events.sqlite.damaged-*"))) == (content != b"")
    assert ("is damaged" in caplog.text) == (content != b"")


def test_a_store_damaged_while_in_use_is_rebuilt_at_the_next_start(
    run: RunInfo,
) -> None:
    path = run.data_folder / "events.sqlite"
    with opened(run) as it:
        for message in course():
            it.sink.take(message)
        it.sink.finish()
    noise = bytearray(path.read_bytes())
    noise[4096:] = os.urandom(len(noise) - 4096)
    path.write_bytes(noise)
    context = worker_context("sink", config(), run)
    context.stop.set()
    with pytest.raises(StoreDamagedError):
        sink_run(context)
    assert len(list(run.data_folder.glob("events.sqlite.damaged-*"))) == 1
    sink_run(context)
    with EventStore(path) as store:
        assert store.events() == expected_events(course())


@pytest.mark.parametrize("name", ["events.jsonl", "scores/door.jsonl"])
@pytest.mark.parametrize("kind", ["noise", "empty", "folder"])
def test_a_damaged_log_does_not_stop_processing(run: RunInfo, name: str, kind: str) -> None:
    path = run.data_folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(os.urandom(8192) if kind == "noise" else b"")
    with opened(run) as it:
        for message in course():
            it.sink.take(message)
        it.sink.finish()
        assert it.store.events() == expected_events(course())
    assert path.is_file()


def small_disk_free(place: Path) -> int:
    status = os.statvfs(place)
    return status.f_bavail * status.f_frsize


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
nas:/cameras /mnt/nas nfs4 rw 0 0
//box/share /mnt/with\\040blank cifs rw 0 0
tmpfs /mnt/nas/here tmpfs rw 0 0
/dev/sdb1 /srv ext4 rw 0 0
host:/x /srv fuse.sshfs rw 0 0
broken
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/vedette", "ext4"),
        ("/mnt/nas", "nfs4"),
        ("/mnt/nas/vedette/events.sqlite", "nfs4"),
        ("/mnt/nasty/events.sqlite", "ext4"),
        ("/mnt/with blank/x", "cifs"),
        ("/mnt/nas/here/x", "tmpfs"),
        ("/srv/x", "fuse.sshfs"),
    ],
)
def test_file_system_of_a_path(path: str, kind: str) -> None:
    assert file_system_of(Path(path), MOUNTS) == kind


def test_this_machines_file_systems_are_known() -> None:
    assert file_system_of(Path("/proc/self")) == "proc"
    assert file_system_of(Path("/proc"), "") is None


def test_network_file_systems_are_rejected_and_doubtful_ones_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "deep" / "events.sqlite"
    monkeypatch.setattr(database_module, "file_system_of", lambda path: "nfs4")
    with pytest.raises(StoreError, match=r"got a network file system \(nfs4\).*want a folder on"):
        EventStore(path).__enter__()
    assert not path.parent.exists()
    monkeypatch.setattr(database_module, "file_system_of", lambda path: "fuse.mergerfs")
    with EventStore(path):
        assert "on a shared folder (fuse.mergerfs)" in caplog.text


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"wants the package psycopg, got none; install vedette\["):
        EventStore(sa.make_url("postgresql://u:p@127.0.0.1/x"))


def test_deleted_space_is_reclaimed(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    with EventStore(path) as store:
        events = [replace(EVENT, id=f"door-1-{n}", camera="x" * 2000) for n in range(200)]
        store.save(events, {})
        store.delete_events([event.id for event in events])
        with sqlite3.connect(path) as connection:
            before = connection.execute("PRAGMA page_count").fetchone()[0]
            store.reclaim_space(50)
            after = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.close()
        assert before - after == 50
