"""Receivers of events: MQTT, webhooks, Apprise; each with its own queue in the outbox."""

from pipeline.notifiers.notifiers import Notifiers
from pipeline.notifiers.opening import open_notifiers

__all__ = ["Notifiers", "open_notifiers"]
