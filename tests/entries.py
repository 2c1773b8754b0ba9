"""Workers for the tests of the runtime: what they do is named by their camera's name."""

import os
import signal
import threading
import time

from pipeline.worker import PermanentError, WorkerContext


def count(context: WorkerContext) -> None:
    """Count frames until asked to stop."""
    context.ready.set()
    camera = context.spec.camera or "all"
    context.cameras.set(camera, "watching")
    while not context.stop.wait(0.01):
        context.metrics.frames_received.labels(camera).inc()


def prepare(context: WorkerContext) -> None:
    """Count a frame, and be ready when that is wanted in the data folder."""
    context.metrics.frames_received.labels(context.spec.camera).inc()
    while not context.stop.wait(0.02):
        if (context.spec.run.data_folder / "prepared").exists():
            context.ready.set()


def finish(context: WorkerContext) -> None:
    """Count seven frames and return, like a file at its end."""
    context.metrics.frames_received.labels(context.spec.camera).inc(7)


def crash(context: WorkerContext) -> None:
    """Raise, with a password in the message."""
    raise ValueError("cannot open rtsp://admin:hunter2@camera/stream")


def reveal(context: WorkerContext) -> None:
    """Raise, with the keys of the run in the message."""
    keys = context.spec.run.endpoints.keys
    assert keys
    raise ValueError(f"wrong key {keys.worker.secret} for {keys.server.secret}")


def despair(context: WorkerContext) -> None:
    """Find the configuration impossible."""
    raise PermanentError("weights: want a model, got a scene")


def freeze(context: WorkerContext) -> None:
    """Stop the whole process, including its heartbeat thread."""
    os.kill(os.getpid(), signal.SIGSTOP)


def hang(context: WorkerContext) -> None:
    """Turn once and then hang; the heartbeat thread continues."""
    context.ready.set()
    context.watchdog.beat()
    threading.Event().wait()


def linger(context: WorkerContext) -> None:
    """Ignore the stop; a file in the data folder shows that this worker runs."""
    context.ready.set()
    (context.spec.run.data_folder / "lingers").touch()
    while True:
        time.sleep(0.05)


def finish_after(context: WorkerContext) -> None:
    """Like `finish`, once the lingering worker runs: a signal before its start would end it."""
    while not (context.spec.run.data_folder / "lingers").exists():
        time.sleep(0.05)
    finish(context)


def wait(context: WorkerContext) -> None:
    """Wait for the stop, as scorer and sink do."""
    context.ready.set()
    context.stop.wait()


def say_end(context: WorkerContext) -> None:
    """Say on standard output when it begins, and when it ends."""
    context.ready.set()
    _say(f"{context.spec.name} begins")
    context.stop.wait()
    _say(f"{context.spec.name} ends")


def _say(line: str) -> None:
    """In one write: what two processes print at once is else mixed up."""
    os.write(1, f"{line}\n".encode())


def say_end_too(context: WorkerContext) -> None:
    """Do the same under another name: workers with the same entry are drained together."""
    say_end(context)
