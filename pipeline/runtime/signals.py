"""Signals as an event: how parent and workers learn that they shall end."""

import signal
import threading
from collections.abc import Callable

ENDING = (signal.SIGTERM, signal.SIGINT)


def stop_on_signals(hung_up: Callable[[], None] | None = None) -> threading.Event:
    """An event that SIGTERM and SIGINT set. Call it in the main thread, before others start.

    Args:
        hung_up: Called at each SIGHUP, in another thread; None: that ends the process as ever.

    The signals are blocked and awaited by a thread: a handler would run in the middle of whatever
    the main thread does, and `Event.set` inside of `Event.wait` waits for ever.
    """
    awaited = (*ENDING, *([signal.SIGHUP] if hung_up else []))
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    stop = threading.Event()

    def listen() -> None:
        while signal.sigwait(awaited) == signal.SIGHUP:
            if hung_up is not None:
                hung_up()
        stop.set()

    threading.Thread(target=listen, name="signals", daemon=True).start()
    return stop
