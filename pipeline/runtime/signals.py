"""Signals as an event: how parent and workers learn that they shall end."""

import signal
import threading

ENDING = (signal.SIGTERM, signal.SIGINT)


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set. Call it in the main thread, before others start.

    The signals are blocked and awaited by a thread: a handler would run in the middle of whatever
    the main thread does, and `Event.set` inside of `Event.wait` waits for ever.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    stop = threading.Event()

    def listen() -> None:
        signal.sigwait(ENDING)
        stop.set()

    threading.Thread(target=listen, name="signals", daemon=True).start()
    return stop
