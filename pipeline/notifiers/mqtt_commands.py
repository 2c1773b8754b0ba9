"""Commands that come by MQTT, and how the cameras are, as the supervisor sees it.

Asking the supervisor may take a while, and so a thread does it.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.notifiers.mqtt_topics import Topics
from pipeline.telemetry.log_rate_limit import LimitedWarning
from pipeline.transport.commands import (
    Command,
    CommandError,
    GetOverview,
    read_command,
)
from pipeline.transport.messages import Answer

LOG = logging.getLogger(__name__)

COMMANDS = ("enabled", "adapt", "threshold")
"""Parts of the topics `PREFIX/CAMERA/…/set`."""
_LOOK_SECONDS = 2.0
_SECONDS_PER_CAMERA = 0.1
_MOST_WAITING = 100


@dataclass(frozen=True, slots=True)
class CameraView:
    """A camera as the supervisor sees it."""

    name: str
    state: str
    reason: str
    """For people, without credentials; may be empty."""
    enabled: bool
    threshold: float | None
    """Score at which an event begins; None: the camera cannot be used."""


def subscriptions(topics: Topics) -> tuple[str, ...]:
    """Filters of all topics with commands."""
    return tuple(f"{topics.prefix}/+/{what}/set" for what in COMMANDS)


def command_of(topics: Topics, topic: str, payload: bytes) -> Command | None:
    """The command that a message means; None: its topic is none of commands.

    Raises:
        CommandError: it is not understood; the text says what is wanted.
    """
    if not topic.startswith(f"{topics.prefix}/"):
        return None
    parts = topic.removeprefix(f"{topics.prefix}/").split("/")
    if len(parts) != 3 or parts[2] != "set":
        return None
    camera, what, _ = parts
    text = payload.decode(errors="replace").strip()
    if what == "enabled":
        wanted = {"ON": True, "OFF": False}
        if text.upper() not in wanted:
            raise CommandError(f"{topic}: want ON or OFF, got {text!r:.20}")
        return read_command("set_enabled", {"name": camera, "enabled": wanted[text.upper()]})
    if what == "adapt":
        if text.upper() not in ("PRESS", "ON"):
            raise CommandError(f"{topic}: want PRESS, got {text!r:.20}")
        return read_command("adapt", {"name": camera})
    if what == "threshold":
        try:
            threshold = float(text)
        except ValueError:
            raise CommandError(f"{topic}: want a number such as 1.2, got {text!r:.20}") from None
        return read_command("set_threshold", {"name": camera, "threshold": threshold})
    return None


def views_of(overview: Mapping[str, Any]) -> list[CameraView]:
    """The cameras of an overview."""
    views = []
    for camera in overview["cameras"]:
        settings = camera["settings"]
        threshold = None if settings is None else float(settings["alert"]["enter"])
        views.append(
            CameraView(
                camera["name"], camera["state"], camera["reason"], camera["enabled"], threshold
            )
        )
    return views


class MqttCommands:
    """Has commands carried out, and looks how the cameras are every two seconds."""

    def __init__(
        self,
        ask: Callable[[Command], Answer],
        show: Callable[[Sequence[CameraView]], None],
    ) -> None:
        """Prepare; `start` begins.

        Args:
            ask: Has a command carried out; may wait some seconds.
            show: Told how the cameras are; is called in the thread of this.
        """
        self._asked = ask
        self._show = show
        self._floods = LimitedWarning(LOG)
        self._commands: queue.Queue[Command | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="remote", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, command: Command) -> None:
        """Have a command carried out, after those before it; one too many is dropped, and said."""
        try:
            self._commands.put_nowait(command)
        except queue.Full:
            self._floods.warn(f"mqtt: want at most {_MOST_WAITING} commands at a time, got more")

    def close(self, seconds: float = 1.0) -> None:
        """End; an answer that is awaited is left to its daemon thread."""
        try:
            self._commands.put_nowait(None)
        except queue.Full:
            return
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        look_at, seconds = time.monotonic(), _LOOK_SECONDS
        while True:
            try:
                command = self._commands.get(timeout=max(0.0, look_at - time.monotonic()))
            except queue.Empty:
                seconds = self._look()
            else:
                if command is None:
                    return
                self._carry_out(command)
                seconds = self._look() if self._commands.empty() else seconds
            look_at = time.monotonic() + seconds

    def _ask(self, command: Command) -> Answer:
        try:
            return self._asked(command)
        except Exception as error:  # whatever the transport thinks of: the next one may pass
            return Answer("", "failed", problem=f"{type(error).__name__}: {error}")

    def _carry_out(self, command: Command) -> None:
        answer = self._ask(command)
        what = f"mqtt: {command.command} of camera {getattr(command, 'name', '')}"
        if answer.status == "ok":
            LOG.info("%s: done", what)
        else:
            self._floods.warn(f"{what}: {answer.problem}")

    def _look(self) -> float:
        answer = self._ask(GetOverview())
        if answer.status != "ok":
            return _LOOK_SECONDS
        views = views_of(answer.body)
        self._show(views)
        return max(_LOOK_SECONDS, _SECONDS_PER_CAMERA * len(views))
