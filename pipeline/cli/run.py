"""`vedette run`: watch the cameras of a configuration, and print what happens."""

import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.live import Live as LiveDisplay

from pipeline.cli.live_view import LiveView, event_line
from pipeline.config import Config, load_config
from pipeline.gateway.authentication import Authenticator
from pipeline.runtime.local_engine import local_service
from pipeline.runtime.signals import stop_on_signals
from pipeline.runtime.supervisor import RunOutcome, Supervisor
from pipeline.telemetry.health import WorkerStatus, camera_statuses
from pipeline.telemetry.logs import Redactor, secrets_of, set_up_logging
from pipeline.transport.live import LiveSubscriber
from pipeline.transport.messages import Live

_TURN_SECONDS = 0.2
_REDRAWS_PER_SECOND = 5


def run(
    config_path: Path,
    data_folder: Path | None = None,
    seconds: float | None = None,
    quiet: bool = False,
) -> None:
    """Watch until stopped, until every recording has ended, or for so many seconds.

    Args:
        config_path: The configuration file.
        data_folder: Where all files are stored; None: as the configuration says.
        seconds: Ends by itself after so long; None: does not.
        quiet: Print nothing but warnings.

    Raises:
        ConfigError: the configuration cannot be used.
        DataFolderInUseError: another service works on the data folder.
        ExposedError: other machines could reach an API without tokens.
        OSError: the data folder cannot be written, or the metrics' address is taken.
        SystemExit: with 1, a worker was given up or a camera ended in an error.
    """
    reload = threading.Event()
    # On a terminal a hang-up ends it, as for any other command.
    stop = stop_on_signals(None if sys.stdin.isatty() else reload.set)
    config = load_config(config_path)
    folder = data_folder or config.storage.folder
    if config.api.enabled:
        Authenticator(config.api, folder)  # before anything starts: it may raise
    console = Console()
    drawn = console.is_terminal and not quiet
    level = "WARNING" if drawn or quiet else "INFO"
    redactor = Redactor(secrets_of(config.model_dump(mode="json")))
    set_up_logging("vedette", redactor, level=level, folder=folder / "logs")
    with local_service(config, folder, level, config_path, reload) as supervisor:
        # Without the table the log prints the same, with date and zone.
        outcome = watch(supervisor, config, stop, console if drawn else None, seconds)
    failed = [f"{name}: {why}" for name, why in outcome.failed.items()]
    failed += errors_of(supervisor.statuses)
    for line in failed:
        print(f"vedette: {line}", file=sys.stderr)
    if failed:
        raise SystemExit(1)


def _no_remark(_update: Live) -> str:
    return ""


def watch(
    supervisor: Supervisor,
    config: Config,
    stop: threading.Event,
    console: Console | None,
    seconds: float | None = None,
    remark: Callable[[Live], str] = _no_remark,
) -> RunOutcome:
    """Run a supervisor and show what it does.

    Args:
        supervisor: Ready to run.
        config: What it runs.
        stop: Ends it.
        console: Where to show; None: nowhere.
        seconds: Sets `stop` after so long; None: does not.
        remark: Called for every live update, in another thread; what it returns for an event is
            printed with it.
    """
    over = threading.Event()
    with ExitStack() as stack:
        if seconds is not None:
            timer = threading.Timer(seconds, stop.set)
            timer.start()
            stack.callback(timer.cancel)
        if console is not None:
            show = Show(supervisor, config, console, remark)
            thread = threading.Thread(target=show.run, args=(over,), name="show")
            thread.start()
            stack.callback(thread.join)
        stack.callback(over.set)
        # In this thread: the kernel ends the workers with the thread that started them.
        return supervisor.run(stop)


class Show:
    """Prints changes and, on a terminal, a table of all cameras below them."""

    def __init__(
        self,
        supervisor: Supervisor,
        config: Config,
        console: Console,
        remark: Callable[[Live], str],
    ) -> None:
        """Prepare to show.

        Args:
            supervisor: Whose workers are shown.
            config: Names the cameras.
            console: Where to show.
            remark: Called for every live update; what it returns for an event is printed with it.
        """
        self._supervisor = supervisor
        self._console = console
        self._remark = remark
        cameras = [name for name, camera in config.cameras.items() if camera.enabled]
        self._view = LiveView(cameras)

    def run(self, over: threading.Event) -> None:
        """Print until `over` is set."""
        with ExitStack() as stack:
            updates = stack.enter_context(LiveSubscriber(self._supervisor.run_info.endpoints))
            display: LiveDisplay | None = None
            if self._console.is_terminal:
                display = stack.enter_context(
                    LiveDisplay(
                        self._view.table(),
                        console=self._console,
                        refresh_per_second=_REDRAWS_PER_SECOND,
                    )
                )
            while not over.is_set():
                self._take(updates.poll(_TURN_SECONDS))
                if display is not None:
                    display.update(self._view.table())
            self._take(updates.poll(0.0))

    def _take(self, updates: Iterable[Live]) -> None:
        for live in updates:
            remark = self._remark(live)
            if live.kind == "score":
                self._view.update_score(live.camera, live.body, time.monotonic())
            elif (line := event_line(live.body)) is not None:
                self._say(f"{line}{remark}")
        for camera, status in camera_statuses(self._supervisor.statuses).items():
            if self._view.update_status(camera, status):
                self._say(f"{camera}: {status}")

    def _say(self, line: str) -> None:
        # Soft wrap: a path that is broken over lines cannot be clicked or copied.
        clock = time.strftime("%H:%M:%S")
        self._console.print(f"{clock} {line}", highlight=False, markup=False, soft_wrap=True)


def errors_of(workers: Iterable[WorkerStatus]) -> list[str]:
    """Cameras that ended in an error, such as a file that is not there; one line each."""
    return [
        f"camera {camera}: {status}"
        for camera, status in camera_statuses(workers).items()
        if status.startswith("error")
    ]
