"""Run all workers as processes on this machine."""

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
from pipeline.runtime.attached_cameras import load_registry, save_registry
from pipeline.runtime.command_router import CommandRouter
from pipeline.runtime.process_table import process_table
from pipeline.runtime.supervisor import Supervisor
from pipeline.storage.retention import free_space_problem
from pipeline.storage.score_log import last_connection
from pipeline.transport.topics import run_endpoints
from pipeline.worker import RunInfo


class DataFolderInUseError(Exception):
    """Another service uses the data folder."""


@contextmanager
def data_lock(folder: Path) -> Iterator[None]:
    """Lock a data folder, created if missing; the kernel releases the lock when the process ends.

    Raises:
        DataFolderInUseError: another process holds the lock.
        OSError: the folder cannot be created or written.
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
        # The file remains when the lock is released: removing it would race with the next owner.
        with suppress(OSError):  # on a full disk the lock is held, but its owner is not recorded
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
    """Create a supervisor that is ready to run the whole pipeline on a data folder.

    Call its `run` inside the `with`: at the end the sockets are closed and the lock is released.

    Args:
        config: The configuration as read.
        data_folder: Where all data is stored, including the cameras attached at run time.
        log_level: Lowest level that the workers log.
        config_path: File from which the configuration is reloaded; None: it cannot be reloaded.
        reload: Set to request a reload.

    Raises:
        AttachedError: the cameras attached at run time cannot be read.
        DataFolderInUseError: another service uses the data folder.
        OSError: the data folder cannot be created or written, or the ports are not available.
        ValueError: the path of the folder for temporary files is too long for sockets, or
            encryption is configured and libzmq does not support it.
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
        if problem := free_space_problem(usage.free, usage.total, min_free_bytes):
            LOG.warning("%s: %s", run.data_folder, problem)
        metrics = config.metrics
        registry = load_registry(run.data_folder, config)
        for reason in registry.unusable.values():
            LOG.error("%s", reason)
        router = CommandRouter(
            registry,
            lambda registry: save_registry(run.data_folder, registry),
            None if config_path is None else lambda: load_config(config_path),
        )
        yield Supervisor(
            process_table(registry.config, run),
            metrics_address=(metrics.host, metrics.port) if metrics.enabled else None,
            router=router,
            reload=reload,
        )
