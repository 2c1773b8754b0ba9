"""The local engine: all workers as processes on this machine."""

import fcntl
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.config import Config, load_config
from pipeline.config.retention import BYTES_PER_GB
from pipeline.runtime.attached_cameras import keep_registry, load_registry
from pipeline.runtime.command_router import CommandRouter
from pipeline.runtime.process_table import process_table
from pipeline.runtime.supervisor import Supervisor
from pipeline.storage.retention import too_small
from pipeline.storage.score_log import last_connection
from pipeline.transport.topics import run_endpoints
from pipeline.worker import RunInfo


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


LOG = logging.getLogger(__name__)


@contextmanager
def local_service(
    config: Config,
    data_folder: Path,
    log_level: str = "INFO",
    config_path: Path | None = None,
    reload: threading.Event | None = None,
) -> Iterator[Supervisor]:
    """A supervisor that is ready to run the whole pipeline on a data folder.

    Call its `run` inside the `with`: at the end the sockets and the lock are gone.

    Args:
        config: As it was read.
        data_folder: Where everything is kept, also the cameras that were attached at run time.
        log_level: Least level of what the workers log.
        config_path: Where the configuration can be read again; None: nowhere.
        reload: Set when it shall be read again.

    Raises:
        AttachedError: what was attached at run time cannot be read.
        DataFolderInUseError: another service works on the data folder.
        OSError: the data folder cannot be made or written, or the ports cannot be had.
        ValueError: the folder for temporary files has too long a name for sockets, or keys are
            wanted and libzmq has none.
    """
    with data_lock(data_folder), run_endpoints(config.transport) as endpoints:
        run = RunInfo(
            started_ms=max(
                time.time_ns() // 1_000_000, 1 + last_connection(data_folder / "scores")
            ),
            endpoints=endpoints,
            data_folder=data_folder.absolute(),
            log_level=log_level,
        )
        usage = shutil.disk_usage(run.data_folder)
        min_free_bytes = config.record.min_free_gb * BYTES_PER_GB
        if problem := too_small(usage.free, usage.total, min_free_bytes):
            LOG.warning("%s: %s", run.data_folder, problem)
        metrics = config.metrics
        registry = load_registry(run.data_folder, config)
        for reason in registry.unusable.values():
            LOG.error("%s", reason)
        router = CommandRouter(
            registry,
            lambda registry: keep_registry(run.data_folder, registry),
            None if config_path is None else lambda: load_config(config_path),
        )
        yield Supervisor(
            process_table(registry.config, run),
            metrics_address=(metrics.host, metrics.port) if metrics.enabled else None,
            router=router,
            reload=reload,
        )
