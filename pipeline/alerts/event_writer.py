"""Writes events to the journal and the store, and holds them in memory while a write fails."""

from collections.abc import Callable, Collection, Mapping

from pipeline.alerts.sink_failures import SinkFailures
from pipeline.events.event import Event, EventChange
from pipeline.events.event_tracker import TrackerState
from pipeline.storage.housekeeping import Housekeeper
from pipeline.storage.journal import EventJournal
from pipeline.storage.score_history import ScoreHistory
from pipeline.storage.store import EventStore

_SAVE_INTERVAL_SECONDS = 5.0


class EventWriter:
    """Pending events, and the score history, until journal and store have them."""

    def __init__(
        self,
        store: EventStore,
        journal: EventJournal,
        housekeeper: Housekeeper,
        failures: SinkFailures,
        clock: Callable[[], float],
    ) -> None:
        """Prepare.

        Args:
            store: Open for writing.
            journal: Open.
            housekeeper: Detects the clips of ended events.
            failures: Receives what cannot be written.
            clock: Monotonic seconds.
        """
        self._store = store
        self._journal = journal
        self._housekeeper = housekeeper
        self._failures = failures
        self._clock = clock
        self.history = ScoreHistory()
        """Scores of all cameras, written together with the events."""
        self._unsaved: dict[str, Event] = {}
        self._unjournalled: dict[str, Event] = {}
        self._saved_at = -float("inf")

    @property
    def unsaved(self) -> Collection[str]:
        """Ids of events that are not in the store yet, or not as they are now."""
        return self._unsaved.keys()

    @property
    def is_due(self) -> bool:
        """Whether the last attempt to save is more than 5 s ago."""
        return self._clock() - self._saved_at > _SAVE_INTERVAL_SECONDS

    def queue(self, change: EventChange) -> None:
        """Hold a changed event for the next `save`."""
        self._unsaved[change.event.id] = change.event
        if change.kind == "end":
            self._unjournalled[change.event.id] = change.event
            self._housekeeper.expect_clip(change.event, self._clock())

    def save(self, trackers: Mapping[str, TrackerState]) -> None:
        """Write pending events, tracker states and scores; what fails stays pending."""
        self._saved_at = self._clock()
        for event in [*self._unjournalled.values()]:
            with self._failures.reported("journal"):
                self._journal.append(event)
                del self._unjournalled[event.id]
        if not self._failures.may_try_store:
            return
        with self._failures.reported("store"):
            self._store.save(self._unsaved.values(), trackers, self.history.pending)
            self._unsaved.clear()
            self.history.mark_written()
            self._housekeeper.note_new_clips(self._clock())
