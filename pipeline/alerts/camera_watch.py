"""One camera in the alert sink: score log, zones, event tracker, and the picture of the event."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.config import Camera
from pipeline.events.drawing import Polygon
from pipeline.events.event import Event, EventChange
from pipeline.events.event_settings import event_settings
from pipeline.events.event_tracker import EventTracker, TrackerState
from pipeline.events.score_record import ScoreRecord, record_of
from pipeline.events.zones import ZoneReader
from pipeline.storage.score_history import ScoreHistory
from pipeline.storage.score_log import ScoreLog
from pipeline.transport.messages import ScoreMessage

_MIN_PEAK_RATIO = 0.6


@dataclass(frozen=True, slots=True)
class SnapshotFrame:
    """A frame to save as the snapshot of an event."""

    event: Event
    message: ScoreMessage
    """With pixels and a score."""
    zones: Sequence[Polygon]
    """Zones of the camera."""

    @property
    def shows_peak(self) -> bool:
        """Whether it is the frame of the event's peak."""
        return _shows_peak(self.message, self.event)


@dataclass(frozen=True, slots=True)
class Taken:
    """Result of one score."""

    is_new: bool
    """False: the score was processed before, and is sent again."""
    changes: Sequence[EventChange] = ()
    """Changes of the events of the camera; empty unless the score is new."""
    log_error: OSError | None = None
    """Why the score could not be logged; None: it was, or is not new."""
    picture: SnapshotFrame | None = None
    """The next picture of the active event; each is returned once."""


class CameraWatch:
    """Converts the scores of one camera, some of them sent twice, to changes of its events."""

    def __init__(
        self, log: ScoreLog, camera: Camera, state: TrackerState | None, history: ScoreHistory
    ) -> None:
        """Start, or continue from a stored state.

        Args:
            log: Open.
            camera: Configuration of the camera.
            state: Stored state of the tracker; None: there is none.
            history: Score history of all cameras.
        """
        self._log = log
        self._history = history
        self._tracker = EventTracker(event_settings(camera), state)
        self._zones = ZoneReader.of(camera)
        self._best: ScoreMessage | None = None
        self.last_score_at = 0.0
        """Clock of the sink at the newest score, in seconds."""

    @property
    def tracker(self) -> EventTracker:
        """The event state machine."""
        return self._tracker

    def apply_settings(self, camera: Camera) -> None:
        """Continue with other settings and the same state of the tracker."""
        self._tracker = EventTracker(event_settings(camera), self._tracker.state)
        self._zones = ZoneReader.of(camera)

    def close(self) -> None:
        """Close the score log: the camera was removed."""
        self._log.close()

    def replay_log(self) -> Sequence[EventChange]:
        """Process scores that are logged, but not in the tracker: the sink was killed in between.

        Raises:
            OSError: the log cannot be read.
        """
        last = self._tracker.state.last
        changes: list[EventChange] = []
        for record in self._log.after(None if last is None else last.position):
            changes += self._track(record)
        return changes

    def take(self, message: ScoreMessage) -> Taken:
        """Process one score, new or repeated.

        A new score is logged before it is tracked; it counts as processed even if the log cannot
        be written. A repeated score may still bring the pixels of an event.
        """
        is_new = self._log.is_new((message.connection, message.index))
        changes: Sequence[EventChange] = ()
        log_error = None
        if is_new:
            record = record_of(message, self._zones.read(message))
            try:
                self._log.append(record)
            except OSError as error:
                log_error = error
            changes = self._track(record)
        self._choose(message)
        return Taken(is_new, changes, log_error, self._next_picture())

    def _track(self, record: ScoreRecord) -> Sequence[EventChange]:
        self._history.add(record)
        return self._tracker.update(record)

    def _choose(self, message: ScoreMessage) -> None:
        """Store a message if its pixels are the best of the event so far."""
        event = self._tracker.candidate
        if event is None:
            self._best = None
        elif message.pixels is not None and (
            self._best is None
            or _shows_peak(message, event)
            or _is_sharper(message, self._best, event)
        ):
            self._best = message

    def _next_picture(self) -> SnapshotFrame | None:
        event = self._tracker.active
        if event is None:
            return None
        best, self._best = self._best, None
        if best is None or best.score is None:
            return None
        return SnapshotFrame(event, best, self._zones.polygons)


def _shows_peak(message: ScoreMessage, event: Event) -> bool:
    return (message.connection, message.index) == (event.peak_connection, event.peak_index)


def _is_sharper(message: ScoreMessage, chosen: ScoreMessage, event: Event) -> bool:
    """Whether a score is nearly as high, and unlike the chosen has a picture in source size."""
    if message.picture is None or chosen.picture is not None or message.score is None:
        return False
    return message.score >= _MIN_PEAK_RATIO * event.peak_score
