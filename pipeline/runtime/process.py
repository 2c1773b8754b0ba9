"""Start and kill worker processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from pipeline.worker import WorkerSpec


def spawn(spec: WorkerSpec) -> subprocess.Popen[bytes]:
    """Start the process of a worker.

    The specification is passed in an anonymous memory file: other users could read arguments and
    environment, and a pipe would block until the child has read it. The child runs in its own
    session, so Ctrl-C on the terminal reaches only the parent, which drains the workers in order.
    The kernel kills the child when the thread that calls this function ends.

    Raises:
        OSError: the process cannot be started.
    """
    document = os.memfd_create("specification", os.MFD_CLOEXEC)
    with open(document, "w+b") as file:
        file.write(spec.to_json().encode())
        file.seek(0)
        return subprocess.Popen(
            # -P: do not import from the current folder, which may contain a folder `models`.
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
                # Threads that spin while they wait occupy the cores of the other workers: on two
                # cores, an adaptation beside a busy decoder then takes many times as long.
                "OMP_WAIT_POLICY": "PASSIVE",
                **os.environ,
                "PYTHONPATH": os.pathsep.join(absolute(sys.path)),
            },
        )


def absolute(path: Sequence[str]) -> list[str]:
    """Search path with absolute entries, so that the child imports the same code."""
    return [os.path.abspath(entry) for entry in path]


def kill_all(children: Sequence[subprocess.Popen[bytes]]) -> None:
    """Kill all processes that still run, and wait until they have ended."""
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
    for child in children:
        child.wait()
