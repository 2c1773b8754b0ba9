"""The event store of the service, opened for reading; shared by all threads of the gateway."""

import threading
from pathlib import Path

from pipeline.storage.database import store_url
from pipeline.storage.store import EventStore


class ReadableStore:
    """Opens the store at its first use, and again when the sink has created a new one."""

    def __init__(self, url: str | None, data_folder: Path) -> None:
        """Store the place; nothing is opened.

        Args:
            url: `store.url` of the configuration.
            data_folder: Folder of the store where there is no url.
        """
        self._url = url
        self._data_folder = data_folder
        self._store: EventStore | None = None
        self._inode: int | None = None
        self._lock = threading.Lock()

    def open(self) -> EventStore:
        """Return the open store.

        Raises:
            StoreError: it cannot be opened.
        """
        # At the start the sink may not have created it yet.
        with self._lock:
            inode = _inode_of(self._url, self._data_folder)
            if inode != self._inode:
                # The sink has moved a damaged store aside and created a new one.
                self._close()
            if self._store is None:
                self._inode = inode
                store = EventStore.for_reading(self._url, self._data_folder)
                self._store = store.__enter__()
            return self._store

    def close(self) -> None:
        """Close the store."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._store is not None:
            self._store.__exit__(None, None, None)
        self._store = None


def _inode_of(url: str | None, data_folder: Path) -> int | None:
    """Inode of the file of the store; None: it is not a file, or there is none."""
    where = store_url(url, data_folder)
    if where.get_backend_name() != "sqlite":
        return None
    try:
        return Path(where.database or "").stat().st_ino
    except OSError:
        return None
