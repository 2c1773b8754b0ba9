"""Apprise: events to more than a hundred services for people, as a sentence and a picture.

The library is an extra. It does not tell a service that is down from one that refuses, so that
every failure is tried again until the message is too old.
"""

import logging
from pathlib import Path
from typing import Any

from pipeline.config import Apprise
from pipeline.notifiers.message import EventMessage, read_message
from pipeline.notifiers.outbox import OutboxMessage
from pipeline.notifiers.retry_policy import Delivered, Failed, Outcome
from pipeline.worker import PermanentError


class AppriseNotifier:
    """One service."""

    def __init__(self, name: str, settings: Apprise, data_folder: Path) -> None:
        """Read the address; nothing is opened yet.

        Raises:
            PermanentError: the library is missing, or does not know the address.
        """
        try:
            import apprise
        except ImportError:
            raise PermanentError(
                f"apprise.{name}: want the library Apprise, got none; pip install vedette[apprise]"
            ) from None
        # What it tells below that has addresses in it, which are as good as passwords.
        logging.getLogger("apprise").setLevel(logging.WARNING)
        self._settings = settings
        self._data_folder = data_folder
        # No plugins from files, and nothing of an address is ever taken for a template.
        asset = apprise.AppriseAsset(plugin_paths=[], secure_logging=True, app_id="Vedette")
        self._service: Any = apprise.Apprise.instantiate(settings.url, asset=asset)
        if not self._service:
            raise PermanentError(f"apprise.{name}.url: want an address that Apprise knows")

    def deliver(self, queued_message: OutboxMessage) -> Outcome:
        """Send one message."""
        message = read_message(queued_message.body)
        title, body = sentences(message)
        picture = self._picture(message)
        if self._service.notify(title=title, body=body, attach=picture):
            return Delivered()
        return Failed("the service took no message")

    def refresh(self, now: float) -> None:
        """Nothing is due besides messages."""

    def close(self) -> None:
        """Nothing is open between messages."""

    def _picture(self, message: EventMessage) -> Any:
        import apprise

        if not self._settings.picture or message.snapshot is None:
            return None
        file = self._data_folder / message.snapshot
        return apprise.AppriseAttachment(str(file)) if file.is_file() else None


def sentences(message: EventMessage) -> tuple[str, str]:
    """Title and text for people."""
    place = f" ({', '.join(message.zones)})" if message.zones else ""
    if message.type == "end":
        return (
            f"{message.camera}: over",
            f"What had no place at {message.camera}{place} lasted {message.duration_seconds:.0f} s "
            f"from {message.started_at_iso}; highest score {message.peak_score:.1f}.",
        )
    return (
        f"{message.camera}: anomaly",
        f"Something that has no place in the scene of {message.camera}{place} since "
        f"{message.started_at_iso}; score {message.peak_score:.1f}.",
    )
