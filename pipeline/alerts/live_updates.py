"""Live updates of the alert sink: to the live topic, the metrics, and the log."""

import logging
from dataclasses import asdict, fields
from pathlib import Path

from pipeline.events.event import EventChange, Suppression
from pipeline.telemetry.metrics import Metrics
from pipeline.transport.live import LivePublisher
from pipeline.transport.messages import Live, ScoreMessage
from pipeline.transport.wire import ARRAYS

LOG = logging.getLogger(__name__)

_SUPPRESSION_TEXTS: dict[Suppression, str] = {
    "cooldown": "suppressed in the cool-down of another one",
    "schedule": "suppressed outside of the schedule",
    "calibrating": "suppressed while the scene is calibrated: no notification is sent",
}
_UNPUBLISHED = (*ARRAYS, "source_hw", "number", "after")


class LiveUpdates:
    """Publishes each change and each score once; has no state."""

    def __init__(self, publisher: LivePublisher, metrics: Metrics) -> None:
        """Prepare; `publisher`: open, `metrics`: those of the sink."""
        self._publisher = publisher
        self._metrics = metrics

    def publish_event(
        self, change: EventChange, snapshot: Path | None, heatmap: Path | None
    ) -> None:
        """Publish a change of an event; `snapshot`, `heatmap`: None if there is none yet."""
        event = change.event
        self._metrics.event_active.labels(event.camera).set(change.kind != "end")
        shown = {
            name: None if path is None else str(path)
            for name, path in (("snapshot", snapshot), ("heatmap", heatmap))
        }
        body = {"change": change.kind, **asdict(event), **shown}
        self._publisher.publish(Live(event.camera, "event", body))
        if change.kind in ("new", "suppressed"):
            self._metrics.events.labels(event.camera).inc()
        if change.kind != "update":
            LOG.info("%s", describe(change), extra={"camera": event.camera})

    def publish_score(self, message: ScoreMessage) -> None:
        """Publish a score, without its arrays."""
        names = (field.name for field in fields(message) if field.name not in _UNPUBLISHED)
        body = {name: getattr(message, name) for name in names}
        self._publisher.publish(Live(message.camera, "score", body))


def describe(change: EventChange) -> str:
    """Text of a change of an event for people."""
    event = change.event
    score = f"score {event.peak_score:.2f}"
    place = f" in {', '.join(event.zones)}" if event.zones else ""
    if change.kind == "end":
        return f"event {event.id} ended after {event.duration_seconds:.1f} s{place}, peak {score}"
    if change.kind == "released":
        return f"event {event.id} continues{place} into the hours of the schedule, {score}"
    why = "" if event.suppressed_by is None else f", {_SUPPRESSION_TEXTS[event.suppressed_by]}"
    return f"event {event.id} began{place}, {score}{why}"
