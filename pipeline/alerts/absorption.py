"""Absorption: an anomaly that persists, or recurs, becomes normal, and is labelled so.

The scoring worker, which has the features, is asked to accept the event as normal; a request may
take a while, so that a thread sends it. When it is accepted the event is labelled normal, with a
note that states why: the label is visible, and can be removed like a label of a person. The score
of the event falls, and so it ends.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeAlias

from pipeline.events.event import Event
from pipeline.storage.event_queries import Annotation, EventQuery, StoredEvent
from pipeline.storage.store import EventStore
from pipeline.telemetry.metrics import Metrics
from pipeline.transport.commands import AcceptAsNormal, AcceptRecurring, RevokeNormal
from pipeline.transport.control import ControlClient
from pipeline.transport.messages import Answer
from pipeline.transport.topics import Endpoints

LOG = logging.getLogger(__name__)

_ABSORBED = "absorbed: "
_ASK_SECONDS = 2.0
_RETRY_SECONDS = 5.0
_RECONSIDER_SECONDS = 60.0
"""Until an event that continues nevertheless is absorbed again, with its newer appearance."""

_RECURRING_SECONDS = 86_400.0
"""Time within which events must recur."""
_MAX_EARLIER = 20
_RECURRING_INTERVAL_SECONDS = 3600.0
"""Minimum time between two events of a camera that are absorbed because they recurred."""

AbsorptionCommand: TypeAlias = AcceptAsNormal | AcceptRecurring | RevokeNormal
PendingCommand: TypeAlias = tuple[Event, AbsorptionCommand]


@dataclass(frozen=True, slots=True)
class _Recurring:
    """Pending request about an event that may recur."""

    times: int
    rejected: list[bool]
    """For each earlier event, whether a person labelled it an anomaly or removed its label."""


class Absorption:
    """Requests the absorption of events that are due, and labels those that are accepted."""

    def __init__(
        self,
        ask: Callable[[AbsorptionCommand], Answer],
        store: EventStore,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; `with` starts the thread.

        Args:
            ask: Sends a command to the scoring worker; called in a separate thread, may block.
            store: Open for writing.
            metrics: Metrics of the sink.
            clock: Monotonic seconds.
        """
        self._ask = ask
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._considered_at: dict[str, float] = {}
        self._retries: dict[str, tuple[float, PendingCommand]] = {}
        self._absorbed: dict[str, Event] = {}
        self._recurring: dict[str, _Recurring] = {}
        self._recurring_absorbed_at: dict[str, float] = {}
        self._reasons: dict[str, str] = {}
        self._commands: SimpleQueue[PendingCommand | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[PendingCommand, Answer]] = SimpleQueue()
        self._thread = threading.Thread(target=self._send_commands, name="absorption", daemon=True)

    @classmethod
    def from_endpoints(
        cls, endpoints: Endpoints, store: EventStore, metrics: Metrics
    ) -> "Absorption":
        """Create one that sends its commands over the control topic."""

        def ask(command: AbsorptionCommand) -> Answer:
            with ControlClient(endpoints) as client:
                return client.ask(command, _ASK_SECONDS)

        return cls(ask, store, metrics)

    def __enter__(self) -> "Absorption":
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the pending answer, and end the thread."""
        self._commands.put(None)
        self._thread.join()

    def consider(self, event: Event, after_seconds: float) -> None:
        """Request the absorption of an active event if it is due, and no person has rejected it.

        Args:
            event: In the store, and not ended.
            after_seconds: `adapt.absorb_after` of its camera; 0: never.

        Raises:
            StoreError: its label cannot be read.
        """
        if after_seconds == 0 or event.duration_seconds < after_seconds:
            return
        now, recent = self._clock(), self._considered_at
        if now - recent.get(event.id, -float("inf")) < _RECONSIDER_SECONDS:
            return
        recent = {one: at for one, at in recent.items() if now - at < _RECONSIDER_SECONDS}
        self._considered_at = {**recent, event.id: now}
        stored = self._store.event(event.id)
        if stored is None or stored.label == "anomaly" or _label_was_removed(stored):
            return
        began = event.started_at
        command = AcceptAsNormal(name=event.camera, event=event.id, begin=began, newest=True)
        self._commands.put((event, command))

    def consider_recurring(self, event: Event, times: int) -> None:
        """Request the absorption of an ended event if it has recurred often enough within a day.

        At most one event per camera and hour; none that is similar to an event that a person
        labelled an anomaly, or whose label a person removed.

        Args:
            event: In the store, and ended.
            times: `adapt.absorb_recurring` of its camera; 0: never.

        Raises:
            StoreError: the earlier events cannot be read.
        """
        rested = self._clock() - self._recurring_absorbed_at.get(event.camera, -float("inf"))
        if (
            times == 0
            or event.ended_at is None
            or event.state != "ready"
            or rested < _RECURRING_INTERVAL_SECONDS
        ):
            return
        query = EventQuery(
            camera=event.camera,
            begin=event.started_at - _RECURRING_SECONDS,
            end=event.started_at,
            active=False,
            limit=_MAX_EARLIER,
        )
        earlier = [one for one in self._store.find(query).events if one.label != "normal"]
        if len(earlier) < times - 1:
            return
        rejected = [one.label == "anomaly" or _label_was_removed(one) for one in earlier]
        self._recurring[event.id] = _Recurring(times, rejected)
        spans = [(one.event.started_at, one.event.ended_at or 0.0) for one in earlier]
        command = AcceptRecurring(
            name=event.camera, begin=event.started_at, end=event.ended_at, earlier=spans
        )
        self._commands.put((event, command))

    def apply_results(self) -> None:
        """Label the events that were accepted; failed requests are retried, also after the event.

        Raises:
            StoreError: it cannot be written.
        """
        now = self._clock()
        while not self._answers.empty():
            self._handle_answer(*self._answers.get(), now)
        for event_id, (at, order) in [*self._retries.items()]:
            if now >= at:
                del self._retries[event_id]
                self._commands.put(order)
        for event in [*self._absorbed.values()]:
            self._label(event)
            del self._absorbed[event.id]

    def _handle_answer(self, order: PendingCommand, answer: Answer, now: float) -> None:
        event, command = order
        if isinstance(command, AcceptRecurring):
            self._handle_recurring_answer(event, answer, now)
        elif answer.status != "ok":
            LOG.warning("event %s: not absorbed, trying again: %s", event.id, answer.problem)
            self._retries[event.id] = now + _RETRY_SECONDS, order
        elif answer.body.get("remembered"):
            self._absorbed[event.id] = event
        elif isinstance(command, AcceptAsNormal):
            LOG.warning("event %s: not absorbed, as no features of it are stored", event.id)

    def _handle_recurring_answer(self, event: Event, answer: Answer, now: float) -> None:
        request = self._recurring.pop(event.id)
        found = answer.body.get("alike")
        if answer.status != "ok" or not isinstance(found, list):
            return  # the next similar event is checked again
        alike = [rejected for rejected, same in zip(request.rejected, found, strict=False) if same]
        rested = now - self._recurring_absorbed_at.get(event.camera, -float("inf"))
        if len(alike) < request.times - 1 or any(alike) or rested < _RECURRING_INTERVAL_SECONDS:
            return
        self._recurring_absorbed_at[event.camera] = now
        self._reasons[event.id] = f"it occurred {len(alike) + 1} times in a day"
        begin, end = event.started_at, event.ended_at
        command = AcceptAsNormal(name=event.camera, event=event.id, begin=begin, end=end)
        self._commands.put((event, command))

    def _label(self, event: Event) -> None:
        stored = self._store.event(event.id)
        if stored is None:
            return
        if stored.label == "anomaly":  # labelled by a person while the request was pending
            self._commands.put((event, RevokeNormal(name=event.camera, event=event.id)))
        if stored.label is not None:
            return
        why = self._reasons.pop(event.id, f"it had lasted {event.duration_seconds:.0f} s")
        note = f"{_ABSORBED}{why}, and counts as normal since then"
        self._store.annotate(event.id, Annotation(label="normal", note=stored.note or note))
        self._metrics.events_absorbed.labels(event.camera).inc()
        LOG.info(
            "event %s: absorbed, as %s; its appearance counts as normal from now on",
            event.id,
            why,
            extra={"camera": event.camera},
        )

    def _send_commands(self) -> None:
        while (order := self._commands.get()) is not None:
            self._answers.put((order, self._ask(order[1])))


def _label_was_removed(stored: StoredEvent) -> bool:
    """Whether the event was absorbed before, and a person removed the label."""
    return stored.label is None and (stored.note or "").startswith(_ABSORBED)
