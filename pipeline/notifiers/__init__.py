"""Who is told of events: MQTT, webhooks, Apprise; each behind its own part of the outbox."""

from pipeline.notifiers.notifiers import Notifiers, open_notifiers

__all__ = ["Notifiers", "open_notifiers"]
