"""State of one camera in the alert sink: score log, event tracker, and the next picture to save."""

from collections.abc import Sequence

from pipeline.config import Camera
from pipeline.events.event import Event, EventChange
from pipeline.events.event_settings import event_settings
from pipeline.events.event_tracker import EventTracker, TrackerState
from pipeline.events.score_record import ScoreRecord, record_of
from pipeline.events.zones import ZoneReader
from pipeline.storage.score_history import ScoreHistory
from pipeline.storage.score_log import ScoreLog
from pipeline.transport.messages import ScoreMessage

_MIN_PEAK_RATIO = 0.6


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
        self._picture: ScoreMessage | None = None
        self.last_score_at = 0.0
        """Clock of the sink at the newest score, in seconds."""

    @property
    def tracker(self) -> EventTracker:
        """The event state machine."""
        return self._tracker

    @property
    def zones(self) -> ZoneReader:
        """Computes the scores of the zones."""
        return self._zones

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
        position = None if last is None else (last.connection, last.index)
        changes: list[EventChange] = []
        for record in self._log.after(position):
            changes += self.track(record)
        return changes

    def is_new(self, message: ScoreMessage) -> bool:
        """Whether a score was not processed before."""
        return self._log.is_new((message.connection, message.index))

    def record(self, message: ScoreMessage) -> ScoreRecord:
        """The log record of a new score."""
        return record_of(message, self._zones.read(message))

    def log(self, record: ScoreRecord) -> None:
        """Log a new score; it counts as processed even if that fails.

        Raises:
            OSError: it cannot be written.
        """
        self._log.append(record)

    def track(self, record: ScoreRecord) -> Sequence[EventChange]:
        """Add a new score to the history and the tracker; returns the changes of the events."""
        self._history.add(record)
        return self._tracker.update(record)

    def consider(self, message: ScoreMessage) -> None:
        """Store a message, new or repeated, if its pixels are the best of the event."""
        event = self._tracker.candidate
        if event is None:
            self._picture = None
        elif message.pixels is not None and (
            self._picture is None
            or shows_peak(message, event)
            or _is_sharper(message, self._picture, event)
        ):
            self._picture = message

    def take_picture(self) -> ScoreMessage | None:
        """Picture for the active event, each returned once; None: nothing new."""
        if self._tracker.active is None:
            return None
        picture, self._picture = self._picture, None
        return picture


def shows_peak(message: ScoreMessage, event: Event) -> bool:
    """Whether a score is that of the event's peak."""
    return (message.connection, message.index) == (event.peak_connection, event.peak_index)


def _is_sharper(message: ScoreMessage, chosen: ScoreMessage, event: Event) -> bool:
    """Whether a score is nearly as high, and unlike the chosen has a picture in source size."""
    if message.picture is None or chosen.picture is not None or message.score is None:
        return False
    return message.score >= _MIN_PEAK_RATIO * event.peak_score
