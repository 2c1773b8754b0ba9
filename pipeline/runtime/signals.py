"""Signals as an event: how parent and workers learn that they shall end."""

import os
import signal
import threading
from collections.abc import Callable

ENDING = (signal.SIGTERM, signal.SIGINT)


def stop_on_signals(hung_up: Callable[[], None] | None = None) -> threading.Event:
    """An event that SIGTERM and SIGINT set. Call it once, in the main thread.

    Args:
        hung_up: Called at each SIGHUP, in another thread; None: that ends the process as ever.

    What Python runs at a signal does nothing, for it would run in the middle of whatever the main
    thread does, and `Event.set` inside of `Event.wait` waits for ever. A thread is told instead, by
    the pipe that the interpreter writes every signal to. Blocking the signals and awaiting them
    would not do: threads that libraries started before block nothing, and the kernel may as well
    end the process through one of them.
    """
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    stop = threading.Event()

    def listen() -> None:
        while True:
            for number in os.read(told, 64):
                if number in ENDING:
                    stop.set()
                elif number == signal.SIGHUP and hung_up is not None:
                    hung_up()

    for number in (*ENDING, *([signal.SIGHUP] if hung_up else [])):
        signal.signal(number, lambda _number, _frame: None)
    threading.Thread(target=listen, name="signals", daemon=True).start()
    return stop
