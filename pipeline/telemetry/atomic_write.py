"""Write files atomically: a reader finds the old content or the new content, never a part of it."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """A path to write to, in the same folder; renamed to `path` if the block raises nothing.

    The folder is created if missing. The temporary file is created at once, so that a place that
    cannot be written is found before the work, and removed if the block raises.

    Args:
        path: The file to create or replace.
        mode: Permissions of the file, before the umask.

    Raises:
        OSError: the folder cannot be created or written, or `path` is a folder.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_atomic(path: Path, content: bytes) -> None:
    """Replace a file; after a power failure the new content may be missing.

    Raises:
        OSError: it cannot be written; the old content remains.
    """
    with atomic_path(path) as partial:
        partial.write_bytes(content)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file that holds secrets: mode 0600, and on the disk when this returns.

    Raises:
        OSError: it cannot be written; the old content remains.
    """
    with atomic_path(path, mode=0o600) as partial, partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
