"""An anomaly that stays, or comes again and again, becomes normal, never silently.

The scoring worker, which has what was seen, is asked to remember it; asking may take a while, and
so a thread does it. When it is remembered the event is labelled normal, with a note that says why:
that is how it is seen, and taken back, as any label of a person. Its score falls, and so it ends.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeAlias

from pipeline.events.event_tracker import Event
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
_AGAIN_SECONDS = 60.0
"""Until an event that goes on all the same is absorbed again, as it shows itself by then."""

_RECURRING_SECONDS = 86_400.0
"""Time in which events must recur."""
_MOST_EARLIER = 20
_REST_SECONDS = 3600.0
"""Between two events of a camera that are absorbed because they recurred."""

AskedOf: TypeAlias = AcceptAsNormal | AcceptRecurring | RevokeNormal
Order: TypeAlias = tuple[Event, AskedOf]


@dataclass(frozen=True, slots=True)
class _Recurring:
    """What was asked about an event that may recur."""

    times: int
    against: list[bool]
    """Of each earlier event, whether a person is against it."""


class Absorption:
    """Of the alert sink: asks for what is due, and labels what is done."""

    def __init__(
        self,
        ask: Callable[[AskedOf], Answer],
        store: EventStore,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is asked before its `with`.

        Args:
            ask: Has a command carried out; is called in a thread of its own, and may wait.
            store: Open for writing.
            metrics: Of the sink.
            clock: Monotonic seconds.
        """
        self._ask = ask
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._considered_at: dict[str, float] = {}
        self._again: dict[str, tuple[float, Order]] = {}
        self._absorbed: dict[str, Event] = {}
        self._recurring: dict[str, _Recurring] = {}
        self._rested_at: dict[str, float] = {}
        self._why: dict[str, str] = {}
        self._orders: SimpleQueue[Order | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[Order, Answer]] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="absorption", daemon=True)

    @classmethod
    def through(cls, endpoints: Endpoints, store: EventStore, metrics: Metrics) -> "Absorption":
        """One that asks the scoring worker over the control topic."""

        def ask(command: AskedOf) -> Answer:
            with ControlClient(endpoints) as client:
                return client.ask(command, _ASK_SECONDS)

        return cls(ask, store, metrics)

    def __enter__(self) -> "Absorption":
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the answer that is on its way."""
        self._orders.put(None)
        self._thread.join()

    def consider(self, event: Event, after_seconds: float) -> None:
        """Have an event that goes on absorbed, if it is time, and no person is against it.

        Args:
            event: In the store, and not ended.
            after_seconds: `adapt.absorb_after` of its camera; 0: never.

        Raises:
            StoreError: its label cannot be read.
        """
        if after_seconds == 0 or event.duration_seconds < after_seconds:
            return
        now, recent = self._clock(), self._considered_at
        if now - recent.get(event.id, -float("inf")) < _AGAIN_SECONDS:
            return
        recent = {one: at for one, at in recent.items() if now - at < _AGAIN_SECONDS}
        self._considered_at = {**recent, event.id: now}
        stored = self._store.event(event.id)
        if stored is None or stored.label == "anomaly" or _taken_back(stored):
            return
        began = event.started_at
        command = AcceptAsNormal(name=event.camera, event=event.id, begin=began, newest=True)
        self._orders.put((event, command))

    def consider_recurring(self, event: Event, times: int) -> None:
        """Have an event that is over absorbed, if so many alike ones came within a day.

        At most one of a camera in an hour; and none that is like one of which a person said that
        it is an anomaly, or took the label away.

        Args:
            event: In the store, and ended.
            times: `adapt.absorb_recurring` of its camera; 0: never.

        Raises:
            StoreError: the earlier events cannot be read.
        """
        rested = self._clock() - self._rested_at.get(event.camera, -float("inf"))
        if times == 0 or event.ended_at is None or event.state != "ready" or rested < _REST_SECONDS:
            return
        query = EventQuery(
            camera=event.camera,
            begin=event.started_at - _RECURRING_SECONDS,
            end=event.started_at,
            active=False,
            limit=_MOST_EARLIER,
        )
        earlier = [one for one in self._store.find(query).events if one.label != "normal"]
        if len(earlier) < times - 1:
            return
        against = [one.label == "anomaly" or _taken_back(one) for one in earlier]
        self._recurring[event.id] = _Recurring(times, against)
        spans = [(one.event.started_at, one.event.ended_at or 0.0) for one in earlier]
        command = AcceptRecurring(
            name=event.camera, begin=event.started_at, end=event.ended_at, earlier=spans
        )
        self._orders.put((event, command))

    def settle(self) -> None:
        """Label what is remembered by now; what fails is tried again, also once it has ended.

        Raises:
            StoreError: it cannot be written.
        """
        now = self._clock()
        while not self._answers.empty():
            self._hear(*self._answers.get(), now)
        for event_id, (at, order) in [*self._again.items()]:
            if now >= at:
                del self._again[event_id]
                self._orders.put(order)
        for event in [*self._absorbed.values()]:
            self._label(event)
            del self._absorbed[event.id]

    def _hear(self, order: Order, answer: Answer, now: float) -> None:
        event, command = order
        if isinstance(command, AcceptRecurring):
            self._hear_recurring(event, answer, now)
        elif answer.status != "ok":
            LOG.warning("event %s: not absorbed, tried again: %s", event.id, answer.problem)
            self._again[event.id] = now + _RETRY_SECONDS, order
        elif answer.body.get("remembered"):
            self._absorbed[event.id] = event
        elif isinstance(command, AcceptAsNormal):
            LOG.warning("event %s: not absorbed, as nothing is kept of it", event.id)

    def _hear_recurring(self, event: Event, answer: Answer, now: float) -> None:
        asked = self._recurring.pop(event.id)
        found = answer.body.get("alike")
        if answer.status != "ok" or not isinstance(found, list):
            return  # the next one of its kind is asked about again
        alike = [against for against, same in zip(asked.against, found, strict=False) if same]
        rested = now - self._rested_at.get(event.camera, -float("inf"))
        if len(alike) < asked.times - 1 or any(alike) or rested < _REST_SECONDS:
            return
        self._rested_at[event.camera] = now
        self._why[event.id] = f"it was there {len(alike) + 1} times in a day"
        begin, end = event.started_at, event.ended_at
        command = AcceptAsNormal(name=event.camera, event=event.id, begin=begin, end=end)
        self._orders.put((event, command))

    def _label(self, event: Event) -> None:
        stored = self._store.event(event.id)
        if stored is None:
            return
        if stored.label == "anomaly":  # a person said so while the scorer was asked
            self._orders.put((event, RevokeNormal(name=event.camera, event=event.id)))
        if stored.label is not None:
            return
        why = self._why.pop(event.id, f"it had gone on for {event.duration_seconds:.0f} s")
        note = f"{_ABSORBED}{why}, and counts as normal since"
        self._store.annotate(event.id, Annotation(label="normal", note=stored.note or note))
        self._metrics.events_absorbed.labels(event.camera).inc()
        LOG.info(
            "event %s: absorbed, as %s; what it shows is normal from now on",
            event.id,
            why,
            extra={"camera": event.camera},
        )

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            self._answers.put((order, self._ask(order[1])))


def _taken_back(stored: StoredEvent) -> bool:
    """Whether it was absorbed before, and a person took the label away."""
    return stored.label is None and (stored.note or "").startswith(_ABSORBED)
