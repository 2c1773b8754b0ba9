"""Commands received by MQTT, and the camera states of the supervisor.

A request to the supervisor may take a while, so that a thread sends it.
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
_POLL_SECONDS = 2.0
_SECONDS_PER_CAMERA = 0.1
_MAX_WAITING = 100


@dataclass(frozen=True, slots=True)
class CameraView:
    """State of a camera according to the supervisor."""

    name: str
    state: str
    reason: str
    """For people, without credentials; may be empty."""
    enabled: bool
    threshold: float | None
    """Score at which an event begins; None: the camera cannot be used."""


def subscriptions(topics: Topics) -> tuple[str, ...]:
    """Topic filters of all command topics."""
    return tuple(f"{topics.prefix}/+/{what}/set" for what in COMMANDS)


def command_of(topics: Topics, topic: str, payload: bytes) -> Command | None:
    """Parse a command; None: the topic is not a command topic.

    Raises:
        CommandError: the payload is invalid; the text states what is wanted.
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
    """Sends commands to the supervisor, and polls the camera states every two seconds."""

    def __init__(
        self,
        ask: Callable[[Command], Answer],
        publish_views: Callable[[Sequence[CameraView]], None],
    ) -> None:
        """Prepare; `start` starts the thread.

        Args:
            ask: Sends a command to the supervisor; may block for some seconds.
            publish_views: Called with the camera states, in the thread of this object.
        """
        self._send_command = ask
        self._publish_views = publish_views
        self._limited_log = LimitedWarning(LOG)
        self._commands: queue.Queue[Command | None] = queue.Queue(_MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="remote", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, command: Command) -> None:
        """Queue a command; if the queue is full it is dropped, and logged."""
        try:
            self._commands.put_nowait(command)
        except queue.Full:
            self._limited_log.warn(
                f"mqtt: want at most {_MAX_WAITING} commands at a time, got more"
            )

    def close(self, seconds: float = 1.0) -> None:
        """End the thread; a pending request is left to the daemon thread."""
        try:
            self._commands.put_nowait(None)
        except queue.Full:
            return
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        poll_at, seconds = time.monotonic(), _POLL_SECONDS
        while True:
            try:
                command = self._commands.get(timeout=max(0.0, poll_at - time.monotonic()))
            except queue.Empty:
                seconds = self._update_views()
            else:
                if command is None:
                    return
                self._execute(command)
                seconds = self._update_views() if self._commands.empty() else seconds
            poll_at = time.monotonic() + seconds

    def _ask(self, command: Command) -> Answer:
        try:
            return self._send_command(command)
        except Exception as error:  # any error of the transport: the next request may succeed
            return Answer("", "failed", problem=f"{type(error).__name__}: {error}")

    def _execute(self, command: Command) -> None:
        answer = self._ask(command)
        what = f"mqtt: {command.command} of camera {getattr(command, 'name', '')}"
        if answer.status == "ok":
            LOG.info("%s: done", what)
        else:
            self._limited_log.warn(f"{what}: {answer.problem}")

    def _update_views(self) -> float:
        answer = self._ask(GetOverview())
        if answer.status != "ok":
            return _POLL_SECONDS
        views = views_of(answer.body)
        self._publish_views(views)
        return max(_POLL_SECONDS, _SECONDS_PER_CAMERA * len(views))
