"""One service for one data folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class DataFolderInUseError(Exception):
    """Another service works on the data folder."""


@contextmanager
def data_lock(folder: Path) -> Iterator[None]:
    """Hold a data folder, made if missing; the kernel frees it when the process dies.

    Raises:
        DataFolderInUseError: another process holds it.
        OSError: the folder cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "ab+", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read(20).decode("ascii", "replace").strip()
            raise DataFolderInUseError(
                f"data folder {folder}: want one service at a time, "
                f"got another one in process {holder or 'unknown'}"
            ) from error
        # The file stays when the lock is gone: removing it would race with the next owner.
        with suppress(OSError):  # on a full disk nobody can read whose it is, but it is held
            file.truncate(0)
            file.write(f"{os.getpid()}\n".encode())
        yield
