"""Open the store for the alert sink, and wait for a database server that is not up yet."""

import logging
import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import sqlalchemy as sa

from pipeline.storage.database import store_url
from pipeline.storage.store import EventStore
from pipeline.storage.store_errors import (
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreUnreachableError,
)
from pipeline.telemetry.damaged_files import put_aside
from pipeline.worker import WorkerContext

LOG = logging.getLogger(__name__)

RESERVE_NAME = "reserve"
RESERVE_BYTES = 2**20
_MIN_FREE = 4
_RETRY_SECONDS = 2.0


def make_reserve(path: Path) -> None:
    """Reserve some space to open SQLite on a full disk later, if enough space is free."""
    try:
        free_bytes = shutil.disk_usage(path.parent).free
        if not path.exists() and free_bytes > _MIN_FREE * RESERVE_BYTES:
            path.write_bytes(os.urandom(RESERVE_BYTES))  # some file systems do not store zeros
    except OSError as error:
        LOG.warning("%s: cannot reserve space: %s", path, error.strerror)
        path.unlink(missing_ok=True)


def put_store_aside(url: sa.URL, error: StoreDamagedError) -> None:
    """Move the damaged file of a store aside, so that the next start creates a new one.

    Raises:
        StoreError: it cannot be moved.
    """
    try:
        put_aside(Path(url.database or ""), str(error))
    except OSError as problem:
        raise StoreError(f"{error}; it cannot be moved aside: {problem.strerror}") from error


def open_store(context: WorkerContext, stack: ExitStack) -> EventStore:
    """Open the store of a run for writing, until the stack is unwound.

    After a power cut the host of the database may take longer to start than this one. Waiting
    costs only frames of live cameras, and those are counted. A damaged file is moved aside: the new
    one is filled from the score logs, but labels and notes of people are lost. SQLite cannot open a
    database on a full disk: the reserved space is released then, or the sink waits for free space.

    Raises:
        StoreUnreachableError, StoreFullError: stopped while waiting.
        StoreError: it cannot be used.
    """
    spec = context.spec
    url = store_url(spec.config.store.url, spec.run.data_folder)
    reserve = spec.run.data_folder / RESERVE_NAME
    while True:
        try:
            store = stack.enter_context(EventStore(url))
            if spec.config.store.url is None:
                make_reserve(reserve)
            context.problems.clear("store")
            return store
        except StoreDamagedError as error:
            put_store_aside(url, error)
        except StoreFullError as error:
            if reserve.exists():
                LOG.warning("%s; releasing the reserved space in %s", error, reserve)
                reserve.unlink()
                continue
            context.problems.set("store", str(error))
            context.watchdog.beat()
            if context.stop.wait(_RETRY_SECONDS):
                raise
        except StoreUnreachableError as error:
            LOG.warning("waiting for the database: %s", error)
            context.watchdog.beat()
            if context.stop.wait(_RETRY_SECONDS):
                raise
