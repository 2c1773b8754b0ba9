"""Errors of the event store, and their translation from the errors of the database drivers.

StoreError
├── StoreUnreachableError
├── StoreFullError
└── StoreDamagedError
"""

import shutil
import sqlite3
from pathlib import Path

import sqlalchemy as sa

_FULL_BYTES = 65_536
_LOCK_NOT_AVAILABLE = "55P03"


class StoreError(Exception):
    """The store cannot be opened, read or written; the text states where and why."""


class StoreUnreachableError(StoreError):
    """The database server does not answer; a later attempt may succeed."""


class StoreFullError(StoreError):
    """The disk has no space left for the store."""


class StoreDamagedError(StoreError):
    """The SQLite file is not a database, or is damaged."""


def store_error(what: str, url: sa.URL, error: Exception) -> StoreError:
    """Translate an error of a driver or of the operating system.

    Args:
        what: Where it happened, and what failed.
        url: URL of the store; its password is removed from the text.
        error: The error.
    """
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    text = "; ".join(str(cause).split("\n")).strip("; ")
    if url.password:
        text = text.replace(str(url.password), "***")
    if isinstance(cause, sqlite3.Error) and _is_full(cause, Path(url.database or "")):
        return StoreFullError(f"{what}: the disk is full ({text})")
    damaged = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    if getattr(cause, "sqlite_errorcode", 0) & 0xFF in damaged:
        return StoreDamagedError(f"{what}: {text}")
    if getattr(cause, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
        text = (
            "want one service that writes to it, got another one (or a session that a pooler "
            "holds with its lock: see pg_locks)"
        )
    elif url.get_backend_name() != "sqlite" and isinstance(error, sa.exc.OperationalError):
        # The server disconnects, refuses or shuts down; errors in statements are other types.
        return StoreUnreachableError(f"{what}: {text}")
    return StoreError(f"{what}: {text}")


def _is_full(error: sqlite3.Error, path: Path) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code != sqlite3.SQLITE_IOERR:  # raised if the index of the log has no space
        return code == sqlite3.SQLITE_FULL
    return shutil.disk_usage(path.parent).free < _FULL_BYTES
