"""Ended events as text, one JSON object a line: for people, `tail -f` and other programs."""

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.alerts.events import Event
from pipeline.alerts.json_lines import JsonLinesFile, read_json_lines


class EventJournal:
    """Holds each event once, however often it is told; open it by `with`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = ExitStack()
        self._known: set[object] = set()

    def __enter__(self) -> Self:
        """Open or make the file.

        Raises:
            OSError: it cannot be opened.
        """
        self._file = self._stack.enter_context(JsonLinesFile(self._path))
        self._known = {record.get("id") for record in read_json_lines(self._path)}
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
        """Write an ended event, unless it is there.

        Raises:
            OSError: it cannot be written, such as on a full disk.
        """
        if event.id not in self._known:
            self._file.append(asdict(event))
            self._known.add(event.id)
