"""Log of every score of one camera, each once: `<folder>/<camera>.jsonl`.

The last line is the watermark: a score at or before it is a duplicate. A score is written before it
is acknowledged, so that it is either in the file or will be sent again.
"""

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.events.score_record import Position, ScoreRecord
from pipeline.storage.json_lines import JsonLinesFile, read_json_lines, read_last_lines

LOG = logging.getLogger(__name__)

ROTATE_BYTES = 64 * 1024 * 1024


class ScoreLog:
    """Log of one camera, at most two files of `rotate_bytes`; open it by `with`."""

    def __init__(self, folder: Path, camera: str, rotate_bytes: int = ROTATE_BYTES) -> None:
        self._path = folder / f"{camera}.jsonl"
        self._previous = folder / f"{camera}.1.jsonl"
        self._rotate_bytes = rotate_bytes
        self._stack = ExitStack()
        self._watermark: Position | None = None

    def __enter__(self) -> Self:
        """Open the log and read the watermark.

        Raises:
            OSError: it cannot be opened.
        """
        self._file = self._stack.enter_context(JsonLinesFile(self._path))
        for path in (self._path, self._previous):
            if path.exists() and (records := [*_records(read_last_lines(path))]):
                self._watermark = records[-1].position
                break
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the log."""
        self.close()

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._stack.close()

    @property
    def watermark(self) -> Position | None:
        """Position of the newest score that was appended; None before the first."""
        return self._watermark

    def is_new(self, position: Position) -> bool:
        """Whether a score is after the watermark."""
        return self._watermark is None or position > self._watermark

    def append(self, record: ScoreRecord) -> None:
        """Append a new score. The watermark advances even if the score cannot be written.

        Raises:
            OSError: it cannot be written, such as on a full disk.
        """
        self._watermark = record.position
        if self._file.size_bytes >= self._rotate_bytes:
            self._rotate()
        self._file.append(asdict(record))

    def after(self, position: Position | None) -> Iterator[ScoreRecord]:
        """The stored scores after a position, oldest first.

        Raises:
            OSError: they cannot be read.
        """
        for path in (self._previous, self._path):
            if path.exists():
                for record in _records(read_json_lines(path)):
                    if position is None or record.position > position:
                        yield record

    def _rotate(self) -> None:
        self._stack.close()
        try:
            os.replace(self._path, self._previous)
        finally:
            self._file = self._stack.enter_context(JsonLinesFile(self._path))


def last_connection(folder: Path) -> int:
    """Highest connection number at the end of the score logs of a folder; 0: there is none.

    New connections must get higher numbers, or their scores would count as duplicates.
    """
    last = 0
    for path in folder.glob("*.jsonl"):
        try:
            records = [*_records(read_last_lines(path))]
        except OSError as error:
            LOG.warning("%s: cannot be read, its last connection is unknown: %s", path, error)
            continue
        last = max(last, *(record.connection for record in records), 0)
    return last


def _records(lines: Iterable[dict[str, Any]]) -> Iterator[ScoreRecord]:
    names = {field.name for field in fields(ScoreRecord)}
    for line in lines:
        # Other lines are damaged or foreign, and are skipped.
        if line.keys() in (names, names - {"zones"}):  # older ones have no zones
            yield ScoreRecord(**line)
