"""A worker's process, as its parent holds it."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from pipeline.worker import WorkerSpec


def spawn(spec: WorkerSpec) -> subprocess.Popen[bytes]:
    """Start the process of a worker.

    The specification goes through an anonymous file in memory: arguments and environment could be
    read by other users, and a pipe would make us wait until the child has read it. A session of its
    own keeps Ctrl-C on the terminal from it: only the parent gets that, and drains in order. The
    child dies with the thread that calls this.

    Raises:
        OSError: the process cannot be started.
    """
    document = os.memfd_create("specification", os.MFD_CLOEXEC)
    with open(document, "w+b") as file:
        file.write(spec.to_json().encode())
        file.seek(0)
        return subprocess.Popen(
            # -P: not the current folder, which may well have a folder `models` in it.
            [
                sys.executable,
                "-P",
                "-m",
                "pipeline.runtime.worker_process",
                str(os.getpid()),
                spec.name,
            ],
            stdin=file,
            close_fds=True,
            start_new_session=True,
            env={
                # Threads that spin while they wait take the cores from the other workers: on two
                # cores an adaptation beside a busy decoder then takes many times as long.
                "OMP_WAIT_POLICY": "PASSIVE",
                **os.environ,
                "PYTHONPATH": os.pathsep.join(absolute(sys.path)),
            },
        )


def absolute(path: Sequence[str]) -> list[str]:
    """Our search path for the child, so that it runs the same code from wherever we run it."""
    return [os.path.abspath(entry) for entry in path]


def end_all(children: Sequence[subprocess.Popen[bytes]]) -> None:
    """Kill what still lives, and wait for the kernel to say so."""
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
    for child in children:
        child.wait()
