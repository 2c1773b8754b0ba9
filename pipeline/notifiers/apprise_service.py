"""Apprise: events as text and picture, to more than a hundred messaging services.

The library is an optional dependency. It does not distinguish a service that is down from one that
rejects a message, so that every failure is retried until the message is too old.
"""

import logging
from pathlib import Path
from typing import Any

from pipeline.config import Apprise
from pipeline.notifiers.message import EventMessage, read_message
from pipeline.notifiers.outbox_message import OutboxMessage
from pipeline.notifiers.retry_policy import Delivered, Failed, Outcome
from pipeline.worker import PermanentError


class AppriseNotifier:
    """One service."""

    def __init__(self, name: str, settings: Apprise, data_folder: Path) -> None:
        """Read the address; nothing is opened yet.

        Raises:
            PermanentError: the library is missing, or does not support the address.
        """
        try:
            import apprise
        except ImportError:
            raise PermanentError(
                f"apprise.{name}: want the library Apprise, got none; pip install vedette[apprise]"
            ) from None
        # Its lower log levels contain addresses, which are as sensitive as passwords.
        logging.getLogger("apprise").setLevel(logging.WARNING)
        self._settings = settings
        self._data_folder = data_folder
        # No plugins from files, and no part of an address is ever interpreted as a template.
        asset = apprise.AppriseAsset(plugin_paths=[], secure_logging=True, app_id="Vedette")
        self._service: Any = apprise.Apprise.instantiate(settings.url, asset=asset)
        if not self._service:
            raise PermanentError(f"apprise.{name}.url: want an address that Apprise supports")

    def deliver(self, queued_message: OutboxMessage) -> Outcome:
        """Send one message."""
        message = read_message(queued_message.body)
        title, body = title_and_body(message)
        picture = self._picture(message)
        if self._service.notify(title=title, body=body, attach=picture):
            return Delivered()
        return Failed("the service did not accept the message")

    def refresh(self, now: float) -> None:
        """Nothing to do besides messages."""

    def close(self) -> None:
        """Nothing is open between messages."""

    def _picture(self, message: EventMessage) -> Any:
        import apprise

        if not self._settings.picture or message.snapshot is None:
            return None
        file = self._data_folder / message.snapshot
        return apprise.AppriseAttachment(str(file)) if file.is_file() else None


def title_and_body(message: EventMessage) -> tuple[str, str]:
    """Title and text for people."""
    place = f" ({', '.join(message.zones)})" if message.zones else ""
    if message.type == "end":
        return (
            f"{message.camera}: anomaly ended",
            f"Anomaly at {message.camera}{place} lasted {message.duration_seconds:.0f} s "
            f"from {message.started_at_iso}; highest score {message.peak_score:.1f}.",
        )
    return (
        f"{message.camera}: anomaly",
        f"Anomaly at {message.camera}{place} since {message.started_at_iso}; "
        f"score {message.peak_score:.1f}.",
    )
