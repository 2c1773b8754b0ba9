"""What the alert sink tells at once: to whoever watches live, to the metrics, and to the log."""

import logging
from dataclasses import asdict, fields
from pathlib import Path

from pipeline.events.event_tracker import EventChange, Suppression
from pipeline.telemetry.metrics import Metrics
from pipeline.transport.live import LivePublisher
from pipeline.transport.messages import Live, ScoreMessage
from pipeline.transport.wire import ARRAYS

LOG = logging.getLogger(__name__)

_HUSHED: dict[Suppression, str] = {
    "cooldown": "suppressed so soon after another one",
    "schedule": "suppressed outside of the schedule",
    "calibrating": "learning, as the scene is being calibrated: nobody is notified",
}
_UNTOLD = (*ARRAYS, "source_hw", "number", "after")


class LiveUpdates:
    """Tells each change and each score once, and keeps nothing."""

    def __init__(self, publisher: LivePublisher, metrics: Metrics) -> None:
        """Prepare; `publisher`: open, `metrics`: of the sink."""
        self._publisher = publisher
        self._metrics = metrics

    def event(self, change: EventChange, snapshot: Path | None, heatmap: Path | None) -> None:
        """Tell a change of an event; None: there is no such picture yet."""
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
            LOG.info("%s", sentence(change), extra={"camera": event.camera})

    def score(self, message: ScoreMessage) -> None:
        """Tell a score, without its pictures."""
        names = (field.name for field in fields(message) if field.name not in _UNTOLD)
        body = {name: getattr(message, name) for name in names}
        self._publisher.publish(Live(message.camera, "score", body))


def sentence(change: EventChange) -> str:
    """A change of an event for people."""
    event = change.event
    score = f"score {event.peak_score:.2f}"
    place = f" in {', '.join(event.zones)}" if event.zones else ""
    if change.kind == "end":
        return f"event {event.id} ended after {event.duration_seconds:.1f} s{place}, peak {score}"
    if change.kind == "released":
        return f"event {event.id} goes on{place} into the hours of the schedule, {score}"
    why = "" if event.suppressed_by is None else f", {_HUSHED[event.suppressed_by]}"
    return f"event {event.id} began{place}, {score}{why}"
