import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.events.event import Event
from pipeline.events.score_record import ScoreRecord
from pipeline.storage.journal import EventJournal
from pipeline.storage.json_lines import JsonLinesFile, read_json_lines, read_last_lines
from pipeline.storage.score_log import ScoreLog


def record(connection: int, index: int) -> ScoreRecord:
    return ScoreRecord(
        "door",
        connection,
        index,
        index / 10,
        1000 + index / 10,
        0.25,
        "ready",
        energy=-2.5,
        threshold=7.5,
    )


def positions(log: ScoreLog) -> list[tuple[int, int]]:
    return [stored.position for stored in log.after(None)]


def test_the_watermark_survives_restarts(tmp_path: Path) -> None:
    with ScoreLog(tmp_path, "door") as log:
        assert log.watermark is None
        assert log.is_new((1, 0))
        for index in range(5):
            log.append(record(1, index))
    with ScoreLog(tmp_path, "door") as log:
        assert log.watermark == (1, 4)
        assert not log.is_new((1, 4))
        assert not log.is_new((0, 99))
        assert log.is_new((1, 5))
        assert log.is_new((2, 0))
        assert [*log.after((1, 2))] == [record(1, 3), record(1, 4)]


def test_a_line_contains_all_fields_of_a_score(tmp_path: Path) -> None:
    with ScoreLog(tmp_path, "door") as log:
        log.append(record(3, 7))
    (line,) = (tmp_path / "door.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "camera": "door", "connection": 3, "index": 7, "pts_seconds": 0.7, "captured_at": 1000.7,
        "energy": -2.5, "score": 0.25, "threshold": 7.5, "state": "ready", "dropped": 0,
        "zones": {}, "terms": {},
    }  # fmt: skip


def test_zones_are_restored_and_lines_without_zones_are_read(tmp_path: Path) -> None:
    seen = replace(record(3, 8), zones={"porch": 0.2})
    with ScoreLog(tmp_path, "door") as log:
        log.append(record(3, 7))
        log.append(seen)
    path = tmp_path / "door.jsonl"
    path.write_text(path.read_text().replace(', "zones": {}', "").replace(',"zones":{}', ""))
    assert path.read_text().count("zones") == 1
    with ScoreLog(tmp_path, "door") as log:
        assert [*log.after(None)] == [record(3, 7), seen]


@pytest.mark.parametrize("torn", [b'{"camera":"door","conn', b"{", b"\x00" * 9])
def test_an_incomplete_last_line_is_truncated(tmp_path: Path, torn: bytes) -> None:
    with ScoreLog(tmp_path, "door") as log:
        log.append(record(1, 0))
    path = tmp_path / "door.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    with ScoreLog(tmp_path, "door") as log:
        assert path.read_bytes() == whole
        log.append(record(1, 1))
        assert positions(log) == [(1, 0), (1, 1)]


def test_a_file_of_one_incomplete_line_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "door.jsonl"
    path.write_bytes(b"x" * 200_000)
    with ScoreLog(tmp_path, "door") as log:
        assert log.watermark is None
        assert path.read_bytes() == b""


def test_damaged_lines_are_skipped(tmp_path: Path) -> None:
    with ScoreLog(tmp_path, "door") as log:
        log.append(record(1, 0))
    with (tmp_path / "door.jsonl").open("ab") as file:
        file.write(b'{"camera":"door"}\nnot json\n[1]\n')
    with ScoreLog(tmp_path, "door") as log:
        assert log.watermark == (1, 0)
        log.append(record(1, 1))
        assert positions(log) == [(1, 0), (1, 1)]


def test_it_has_at_most_two_files_of_bounded_size(tmp_path: Path) -> None:
    with ScoreLog(tmp_path, "door", rotate_bytes=1000) as log:
        for index in range(40):
            log.append(record(1, index))
        stored = positions(log)
    assert stored == [(1, index) for index in range(stored[0][1], 40)]
    assert len(stored) < 40
    names = ["door.1.jsonl", "door.jsonl"]
    assert sorted(os.listdir(tmp_path)) == names
    assert all((tmp_path / name).stat().st_size < 1300 for name in names)


def test_a_crash_right_after_rotation_loses_no_watermark(tmp_path: Path) -> None:
    with ScoreLog(tmp_path, "door") as log:
        log.append(record(4, 2))
    os.replace(tmp_path / "door.jsonl", tmp_path / "door.1.jsonl")
    with ScoreLog(tmp_path, "door") as log:
        assert log.watermark == (4, 2)


def test_after_a_kill_every_acknowledged_line_is_in_the_file(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from pipeline.storage.json_lines import JsonLinesFile
        with JsonLinesFile(Path(sys.argv[1])) as file:
            n = 0
            while True:
                file.append({"n": n, "filler": "x" * 5000})
                print(n, flush=True)
                n += 1
    """
    path = tmp_path / "lines.jsonl"
    command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(50)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout]
    with JsonLinesFile(path):
        found = [line["n"] for line in read_json_lines(path)]
    assert found[: len(acknowledged)] == acknowledged
    assert found == list(range(len(found)))


def test_a_full_disk_leaves_the_file_unchanged(tmp_path: Path) -> None:
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / "lines.jsonl"
    try:
        with JsonLinesFile(path) as file:
            file.append({"n": 1})
            whole = path.read_bytes()
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 5, hard))
            with pytest.raises(OSError, match=r"wrote 5 of|too large"):
                file.append({"n": 2})
            assert path.read_bytes() == whole
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            file.append({"n": 3})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert [line["n"] for line in read_json_lines(path)] == [1, 3]


def test_last_lines_of_a_long_file(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    with JsonLinesFile(path) as file:
        for n in range(100):
            file.append({"n": n})
    last = [line["n"] for line in read_last_lines(path, 55)]
    assert last == list(range(94, 100))


def test_journal_contains_each_event_once(tmp_path: Path) -> None:
    event = Event(
        "e1", "door", 1, 5, 1000.0, 0.5, 1002.0, 2.0, 1.4, 1001.0, 1, 9, "ready", False, 20
    )
    path = tmp_path / "events.jsonl"
    for _ in range(2):
        with EventJournal(path) as journal:
            journal.append(event)
            journal.append(event)
    (line,) = read_json_lines(path)
    assert (line["id"], line["peak_score"], line["suppressed"]) == ("e1", 1.4, False)
