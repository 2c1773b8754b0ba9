"""Turn signals into an event, for the parent and the workers."""

import os
import signal
import threading
from collections.abc import Callable

ENDING = (signal.SIGTERM, signal.SIGINT)


def stop_on_signals(on_hangup: Callable[[], None] | None = None) -> threading.Event:
    """Return an event that SIGTERM and SIGINT set. Call it once, in the main thread.

    Args:
        on_hangup: Called at each SIGHUP, in another thread; None: SIGHUP ends the process, the
            default.

    The Python signal handlers do nothing: they run in the main thread, in the middle of any
    statement, and `Event.set` inside `Event.wait` deadlocks. Instead, a thread reads the pipe to
    which the interpreter writes every signal. Blocking the signals and waiting for them is not
    enough: threads that libraries started earlier do not block them, and the kernel may deliver a
    signal to such a thread and end the process.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    stop = threading.Event()

    def listen() -> None:
        while True:
            for number in os.read(reader, 64):
                if number in ENDING:
                    stop.set()
                elif number == signal.SIGHUP and on_hangup is not None:
                    on_hangup()

    for number in (*ENDING, *([signal.SIGHUP] if on_hangup else [])):
        signal.signal(number, lambda _number, _frame: None)
    threading.Thread(target=listen, name="signals", daemon=True).start()
    return stop
