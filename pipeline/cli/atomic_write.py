"""A file that is there only once it is complete."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to; the file takes its name only when all went well.

    Raises:
        OSError: the folder cannot be made or written, or a folder has that name.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.touch()  # so that a place that cannot be written is known before the work
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
