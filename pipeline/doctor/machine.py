"""Checks of the machine: cores, memory, shared memory, open files, clocks."""

import ctypes
import os
import resource
import shutil
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from pipeline.doctor.check import Check, judge

MIB = 2**20
_LEAST_MEMORY_BYTES = 2**30
_MEMORY_A_CAMERA_BYTES = 200 * MIB
_LEAST_SHARED_BYTES = 64 * MIB
_FILES = 128
_FILES_A_CAMERA = 16
_OLDEST_CLOCK = 1_735_689_600.0  # 2025: older than this program
_UNSYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)
_TIMEX_BYTES = 512  # more than `struct timex` has anywhere


def cores_and_memory(cameras: int) -> Check:
    """Check the cores that this process may use, and the free memory."""
    cores = len(os.sched_getaffinity(0))
    free_bytes = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            free_bytes = int(line.split()[1]) * 1024
    wanted = _LEAST_MEMORY_BYTES + cameras * _MEMORY_A_CAMERA_BYTES
    warns = f"want about {wanted / MIB:.0f} MiB for {cameras} cameras: free some or watch fewer"
    found = f"{cores} cores, {free_bytes / MIB:.0f} MiB of memory free"
    return judge("machine", found, warns="" if free_bytes >= wanted else warns)


def shared_memory(folder: Path = Path("/dev/shm")) -> Check:
    """Check the size of the shared memory, which is small in containers."""
    if not folder.is_dir():
        advice = f"mount a tmpfs at {folder}"
        return Check("shared memory", "warn", f"{folder}: does not exist", advice)
    usage = shutil.disk_usage(folder)
    warns = "" if usage.total >= _LEAST_SHARED_BYTES else "give the container more: --shm-size=256m"
    found = f"{usage.total / MIB:.0f} MiB, {usage.free / MIB:.0f} MiB free"
    return judge("shared memory", found, warns=warns)


def open_files(cameras: int) -> Check:
    """Check that enough files and sockets may be open at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES + cameras * _FILES_A_CAMERA
    advice = f"want at least {wanted}: `ulimit -n {wanted}`, or LimitNOFILE= of the service"
    return judge(
        "open files", f"at most {soft} (hard limit {hard})", "" if soft >= wanted else advice
    )


def clocks() -> Check:
    """Check that the monotonic clock runs forward and the wall clock is set."""
    ticks = [time.monotonic() for _ in range(10_000)]
    return judge_clocks(ticks, time.time(), _synchronised())


def judge_clocks(ticks: Sequence[float], now: float, synchronised: bool | None) -> Check:
    """Judge readings of the clocks.

    Args:
        ticks: Readings of the monotonic clock, one after the other.
        now: Wall clock, Unix seconds.
        synchronised: Whether the kernel reports that it follows a time server; None: unknown.
    """
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if any(late < early for early, late in pairwise(ticks)):
        advice = "times cannot be trusted here: change the clock source of the (virtual) machine"
        return Check("clocks", "fail", "the monotonic clock runs backwards", advice)
    if now < _OLDEST_CLOCK:
        return Check(
            "clocks", "fail", f"the wall clock reads {shown}", "set the clock of the machine"
        )
    state = {True: "synchronised", False: "not synchronised", None: "unknown whether synchronised"}
    warns = "events get wrong times: run a time client, such as chrony"
    found = f"{shown}, {state[synchronised]}"
    return judge("clocks", found, warns=warns if synchronised is False else "")


def _synchronised() -> bool | None:
    """Read the state of the kernel clock; changes nothing."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    state = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))  # all zero: reads only
    return None if state < 0 else state != _UNSYNCHRONISED


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
