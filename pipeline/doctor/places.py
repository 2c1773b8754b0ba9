"""Checks of storage and network: data folder, disk, temporary files, ports."""

import errno
import fcntl
import os
import shutil
import socket
import tempfile
import time
from pathlib import Path

from pipeline.config.retention import BYTES_PER_GB
from pipeline.doctor.check import Check, judge
from pipeline.storage.file_systems import DOUBTFUL, NETWORK, file_system_of
from pipeline.storage.retention import free_space_problem
from pipeline.transport.listening import listen

GIB = 2**30
_TRIAL_BYTES = 16 * 2**20
_LEAST_FREE_BYTES = GIB
_AMPLE_FREE_BYTES = 5 * GIB
_SLOW_BYTES_A_SECOND = 10e6


def data_folder(folder: Path, min_free_gb: float = 0.0) -> Check:
    """Check that the data folder is writable, its speed, and its free space.

    Writes 16 MiB and removes them again. A folder that does not exist is not created.

    Args:
        folder: Need not exist.
        min_free_gb: `record.min_free_gb`.
    """
    place = _existing(folder)
    name = f"data folder {folder}"
    try:
        rate = _write_rate(place)
    except OSError as error:
        advice = f"make {place} writable for this user, or name another one in storage.folder"
        if error.errno == errno.ENOSPC:
            advice = "free some of the disk"
        reason = (error.strerror or "cannot be written").lower()
        return Check(name, "fail", f"{place}: {reason}", advice)
    usage = shutil.disk_usage(place)
    if advice := free_space_problem(usage.free, usage.total, min_free_gb * BYTES_PER_GB):
        found = f"{usage.free / GIB:.1f} of {usage.total / GIB:.1f} GiB free"
        return Check(name, "warn", found, advice)
    return judge_disk(name, usage.free, rate)


def judge_disk(name: str, free_bytes: int, bytes_a_second: float) -> Check:
    """Judge free space and speed of a disk."""
    found = f"{free_bytes / GIB:.1f} GiB free, writes {bytes_a_second / 1e6:.0f} MB/s"
    fails = "free some of the disk, or move storage.folder"
    if free_bytes < _LEAST_FREE_BYTES:
        return Check(name, "fail", found, fails)
    if free_bytes < _AMPLE_FREE_BYTES:
        return Check(name, "warn", found, fails)
    slow = "a slow disk delays scores and events: move storage.folder"
    return judge(name, found, warns=slow if bytes_a_second < _SLOW_BYTES_A_SECOND else "")


def file_system(folder: Path, mounts: str | None = None) -> Check:
    """Check that the data folder is on a local disk, as the event store requires.

    Args:
        folder: Need not exist.
        mounts: In the form of /proc/mounts; None: the machine's own.
    """
    kind = file_system_of(folder, mounts)
    found = kind or "of unknown kind"
    fails = "SQLite loses data there: put storage.folder on a disk of this machine"
    warns = "make sure that it supports file locks, or put storage.folder on a disk"
    return judge(
        "file system",
        found,
        fails if kind in NETWORK else "",
        warns if kind in DOUBTFUL else "",
    )


def temporary_files() -> Check:
    """Check that sockets can be created in the folder of temporary files."""
    folder = Path(tempfile.gettempdir())
    try:
        with (
            tempfile.TemporaryDirectory(prefix="vedette-", dir=folder) as made,
            socket.socket(socket.AF_UNIX) as one,
        ):
            one.bind(str(Path(made) / "frames"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        advice = "set TMPDIR to a writable folder with a short path"
        return Check("sockets", "fail", f"{folder}: {reason}", advice)
    return Check("sockets", "ok", f"in {folder}")


def port(what: str, host: str, number: int, folder: Path) -> Check:
    """Check that an address can be listened on.

    Args:
        what: Section of the configuration.
        host: Its host.
        number: Its port; 0: any free one.
        folder: Data folder; a service that uses it may be the one that listens.
    """
    name = f"port {number} ({what})"
    try:
        listen(host, number).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _in_use(folder):
            return Check(name, "ok", f"{host}: in use, and a service is running on the data folder")
        reason = (error.strerror or "cannot be listened on").lower()
        return Check(name, "fail", f"{host}: {reason}", f"set {what}.port or {what}.host")
    return Check(name, "ok", f"{host}: free")


def _existing(folder: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return place


def _write_rate(folder: Path) -> float:
    """Bytes per second written and synchronised to the disk."""
    block = os.urandom(_TRIAL_BYTES)  # some disks do not write zeros
    with tempfile.TemporaryFile(dir=folder) as file:
        began = time.monotonic()
        file.write(block)
        file.flush()
        os.fsync(file.fileno())
        return _TRIAL_BYTES / max(1e-6, time.monotonic() - began)


def _in_use(folder: Path) -> bool:
    try:
        with open(folder / "lock", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
