"""An append-only file, one JSON object per line, that survives a crash in mid-line."""

import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from pipeline.telemetry.damaged_files import put_aside

_BLOCK_BYTES = 65_536
_DAMAGES = (errno.EIO, errno.EISDIR, errno.ELOOP, errno.EUCLEAN)


class JsonLinesFile:
    """An append-only file, opened by `with`; only one process may have it open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._size_bytes = 0

    def __enter__(self) -> Self:
        """Open or create the file, and truncate an incomplete last line.

        A file that is damaged, or not a regular file, is moved aside.

        Raises:
            OSError: it cannot be opened.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            if error.errno not in _DAMAGES:
                raise
            put_aside(self._path, str(error.strerror))
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        # Unbuffered: a line is in the file once `append` has returned, even if the process dies.
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        self._size_bytes = _end_of_last_line(self._file)
        self._file.truncate(self._size_bytes)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def size_bytes(self) -> int:
        """Size of all complete lines."""
        return self._size_bytes

    def append(self, record: Mapping[str, object]) -> None:
        """Write one line; after an error the file is unchanged.

        Raises:
            OSError: it cannot be written, such as on a full disk.
            ValueError: a number is not finite.
        """
        assert self._file is not None
        text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        line = text.encode() + b"\n"
        try:
            self._file.seek(self._size_bytes)
            written = self._file.write(line)
            if written != len(line):
                raise OSError(f"{self._path}: wrote {written} of {len(line)} bytes")
        except OSError:
            self._file.truncate(self._size_bytes)
            raise
        self._size_bytes += len(line)


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file in order; other lines, such as an incomplete last one, are skipped.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        for line in file:
            if record := parse_line(line):
                yield record


def read_last_lines(path: Path, max_bytes: int = _BLOCK_BYTES) -> list[dict[str, Any]]:
    """The objects of the complete lines in the last `max_bytes` of a file, oldest first.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        begin = max(0, size - max_bytes)
        file.seek(begin)
        lines = file.read().splitlines(keepends=True)
    if begin:
        lines = lines[1:]  # the first one may be incomplete
    return [record for line in lines if (record := parse_line(line))]


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The object of a line; None: the line is incomplete, or not an object."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _end_of_last_line(file: BinaryIO) -> int:
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        begin = max(0, end - _BLOCK_BYTES)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0
