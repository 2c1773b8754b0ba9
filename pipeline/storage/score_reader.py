"""Single scores of a span of time, from the score log of a camera, without reading all of it.

The lines of a log stand in the order in which frames were taken, so that the wall clock rises from
line to line unless it was set; where it was, the search may land beside the span and finds less.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.storage.json_lines import parse_line

_BLOCK_BYTES = 65_536
_SLACK_SECONDS = 2.0


def scores_between(
    folder: Path, camera: str, begin: float, end: float, most: int
) -> list[dict[str, Any]]:
    """The logged scores of a camera in [begin, end), oldest first.

    Args:
        folder: Of the score logs.
        camera: Its name.
        begin: Unix seconds UTC.
        end: Likewise.
        most: More than so many are thinned out evenly.

    Raises:
        OSError: a log cannot be read.
    """
    found: list[dict[str, Any]] = []
    for path in (folder / f"{camera}.1.jsonl", folder / f"{camera}.jsonl"):
        try:
            with path.open("rb") as file:
                found += [
                    one for one in _after(file, begin, end) if begin <= one["captured_at"] < end
                ]
        except FileNotFoundError:
            continue
    step = max(1, -(-len(found) // most))
    return found[::step]


def _after(file: BinaryIO, begin: float, end: float) -> Iterator[dict[str, Any]]:
    low, high = 0, file.seek(0, os.SEEK_END)
    while high - low > _BLOCK_BYTES:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()  # of a line that began before
        line = _parse(file.readline())
        if line is None or line["captured_at"] >= begin:
            high = middle
        else:
            low = middle
    file.seek(low)
    if low > 0:
        file.readline()
    for text in file:
        if (line := _parse(text)) is None:
            continue
        if line["captured_at"] > end + _SLACK_SECONDS:
            return
        yield line


def _parse(text: bytes) -> dict[str, Any] | None:
    line = parse_line(text)
    return line if line and isinstance(line.get("captured_at"), float | int) else None
