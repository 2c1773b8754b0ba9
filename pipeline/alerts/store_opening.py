"""Opens the store for the alert sink, and waits for a database server that is not there yet."""

import logging
from contextlib import ExitStack
from pathlib import Path

import sqlalchemy as sa

from pipeline.alerts.database import (
    StoreDamagedError,
    StoreError,
    StoreUnreachableError,
    store_url,
)
from pipeline.alerts.store import EventStore
from pipeline.telemetry.damaged_files import put_aside
from pipeline.worker import WorkerContext

LOG = logging.getLogger(__name__)

_AGAIN_SECONDS = 2.0


def put_store_aside(url: sa.URL, error: StoreDamagedError) -> None:
    """Move the damaged file of a store aside, so that the next start makes a new one.

    Raises:
        StoreError: it cannot be moved.
    """
    try:
        put_aside(Path(url.database or ""), str(error))
    except OSError as problem:
        raise StoreError(f"{error}; it cannot be moved aside: {problem.strerror}") from error


def open_store(context: WorkerContext, stack: ExitStack) -> EventStore:
    """The store of a run, open for writing until the stack is unwound.

    After a power cut the machine of the database may take longer to start than this one. Nothing is
    lost by waiting but the frames of live cameras, and those are counted. A damaged file is moved
    aside: the new one is filled from the score logs, but the labels and notes of people are not.

    Raises:
        StoreUnreachableError: told to stop while waiting.
        StoreError: it cannot be used.
    """
    spec = context.spec
    url = store_url(spec.config.store.url, spec.run.data_folder)
    while True:
        try:
            return stack.enter_context(EventStore(url))
        except StoreDamagedError as error:
            put_store_aside(url, error)
        except StoreUnreachableError as error:
            LOG.warning("waiting for the database: %s", error)
            context.pulse.beat()
            if context.stop.wait(_AGAIN_SECONDS):
                raise
