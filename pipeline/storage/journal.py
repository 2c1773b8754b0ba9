"""Ended events as text, one JSON object per line: for people, `tail -f` and other programs."""

import os
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.events.event import Event
from pipeline.storage.json_lines import JsonLinesFile, read_json_lines

ROTATE_BYTES = 16 * 1024 * 1024


class EventJournal:
    """Stores each event once, even if it is appended again, in at most two files."""

    def __init__(self, path: Path, rotate_bytes: int = ROTATE_BYTES) -> None:
        self._path = path
        self._previous = path.with_suffix(f".1{path.suffix}")
        self._rotate_bytes = rotate_bytes
        self._stack = ExitStack()
        self._known: set[object] = set()

    def __enter__(self) -> Self:
        """Open or create the file.

        Raises:
            OSError: it cannot be opened.
        """
        self._file = self._stack.enter_context(JsonLinesFile(self._path))
        self._known = _ids(self._path) | (
            _ids(self._previous) if self._previous.exists() else set()
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._stack.close()

    def append(self, event: Event) -> None:
        """Write an ended event, unless it is already stored.

        Raises:
            OSError: it cannot be written, such as on a full disk.
        """
        if event.id not in self._known:
            if self._file.size_bytes >= self._rotate_bytes:
                self._rotate()
            self._file.append(asdict(event))
            self._known.add(event.id)

    def _rotate(self) -> None:
        self._stack.close()
        try:
            os.replace(self._path, self._previous)
            self._known = _ids(self._previous)
        finally:
            self._file = self._stack.enter_context(JsonLinesFile(self._path))


def _ids(path: Path) -> set[object]:
    return {record.get("id") for record in read_json_lines(path)}
