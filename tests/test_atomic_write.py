"""Files are replaced as a whole or not at all."""

import stat
from pathlib import Path

import pytest

from pipeline.telemetry.atomic_write import atomic_path, write_atomic, write_private


def test_a_file_is_replaced_only_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "result.json"
    write_atomic(path, b"old")
    with atomic_path(path) as partial:
        partial.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_content_and_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_atomic(path, b"old")

    def write_a_part() -> None:
        with atomic_path(path) as partial:
            partial.write_bytes(b"a part")
            raise RuntimeError("full")

    with pytest.raises(RuntimeError, match="full"):
        write_a_part()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_left_over_temporary_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    (tmp_path / ".tokens.json.partial").write_bytes(b"left by a process that was killed")
    write_private(path, b"{}")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"{}"


def test_a_private_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    path.touch(mode=0o644)
    write_private(path, b"{}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_cannot_be_replaced(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=str(tmp_path)), atomic_path(tmp_path):
        pytest.fail("the block was entered")
