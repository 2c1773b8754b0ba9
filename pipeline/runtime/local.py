"""The local engine: all workers as processes on this machine."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.config import Config
from pipeline.runtime.data_lock import data_lock
from pipeline.runtime.process_table import process_table
from pipeline.runtime.supervisor import Supervisor
from pipeline.transport.topics import private_socket_folder
from pipeline.worker import RunInfo


@contextmanager
def local_service(
    config: Config, data_folder: Path, log_level: str = "INFO"
) -> Iterator[Supervisor]:
    """A supervisor that is ready to run the whole pipeline on a data folder.

    Call its `run` inside the `with`: at the end the sockets' folder and the lock are gone.

    Raises:
        DataFolderInUseError: another service works on the data folder.
        OSError: the data folder cannot be made or written.
        ValueError: the folder for temporary files has too long a name for sockets.
    """
    with data_lock(data_folder), private_socket_folder() as sockets:
        run = RunInfo(
            started_ms=time.time_ns() // 1_000_000,
            socket_folder=sockets,
            data_folder=data_folder.absolute(),
            log_level=log_level,
        )
        metrics = config.metrics
        yield Supervisor(
            process_table(config, run),
            metrics_address=(metrics.host, metrics.port) if metrics.enabled else None,
        )
