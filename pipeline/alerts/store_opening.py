"""Opens the store for the alert sink, and waits for a database server that is not there yet."""

import logging
from contextlib import ExitStack

from pipeline.alerts.database import StoreUnreachableError, store_url
from pipeline.alerts.store import EventStore
from pipeline.worker import WorkerContext

LOG = logging.getLogger(__name__)

_AGAIN_SECONDS = 2.0


def open_store(context: WorkerContext, stack: ExitStack) -> EventStore:
    """The store of a run, open for writing until the stack is unwound.

    After a power cut the machine of the database may take longer to start than this one. Nothing is
    lost by waiting but the frames of live cameras, and those are counted.

    Raises:
        StoreUnreachableError: told to stop while waiting.
        StoreError: it cannot be used.
    """
    spec = context.spec
    url = store_url(spec.config.store.url, spec.run.data_folder)
    while True:
        try:
            return stack.enter_context(EventStore(url))
        except StoreUnreachableError as error:
            LOG.warning("waiting for the database: %s", error)
            context.pulse.beat()
            if context.stop.wait(_AGAIN_SECONDS):
                raise
