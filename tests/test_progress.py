"""How far a file got, kept for a restarted worker of the same run and for no other."""

import logging
from pathlib import Path

import pytest

from pipeline.ingest.in_flight import Progress, ProgressFile

PROGRESS = Progress(connection=1000, index=41, context_index=37)


def test_nothing_at_first(tmp_path: Path) -> None:
    assert ProgressFile(tmp_path / "state" / "street.json", 1000).load() is None


def test_a_restarted_worker_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "street.json"
    ProgressFile(path, 1000).save(PROGRESS)
    assert ProgressFile(path, 1000).load() == PROGRESS
    assert [one.name for one in path.parent.iterdir()] == ["street.json"]


def test_another_run_starts_at_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "street.json"
    ProgressFile(path, 1000).save(PROGRESS)
    assert ProgressFile(path, 2000).load() is None


def test_nothing_new_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "street.json"
    progress = ProgressFile(path, 1000)
    progress.save(PROGRESS)
    path.unlink()
    progress.save(PROGRESS)
    progress.save(None)
    assert not path.exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"run_started_ms": 1000}',
        '{"run_started_ms": 1000, "connection": "x", "index": 1, "context_index": 0}',
    ],
)
def test_a_damaged_file_gives_no_progress_and_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    path = tmp_path / "street.json"
    path.write_text(text)
    with caplog.at_level(logging.WARNING):
        assert ProgressFile(path, 1000).load() is None
    assert "starting at the beginning" in caplog.text
