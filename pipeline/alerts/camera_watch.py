"""One camera in the alert sink: its score log, its tracker, and the picture to be saved next."""

from collections.abc import Sequence

from pipeline.config import Camera
from pipeline.events.event_settings import event_settings
from pipeline.events.event_tracker import Event, EventChange, EventTracker, Sample, TrackerState
from pipeline.events.zones import ZoneReader
from pipeline.storage.score_history import ScoreHistory
from pipeline.storage.score_log import ScoreLog, ScoreRecord, record_of
from pipeline.transport.messages import ScoreMessage

_TELLING_RATIO = 0.6


class CameraWatch:
    """Turns the scores of one camera, some of them sent twice, into changes of its events."""

    def __init__(
        self, log: ScoreLog, camera: Camera, state: TrackerState | None, history: ScoreHistory
    ) -> None:
        """Begin, or go on where a predecessor left off.

        Args:
            log: Open.
            camera: Its configuration.
            state: Of the predecessor's tracker; None: there is none.
            history: Takes the scores of all cameras.
        """
        self._log = log
        self._history = history
        self._tracker = EventTracker(event_settings(camera), state)
        self._zones = ZoneReader.of(camera)
        self._picture: ScoreMessage | None = None
        self.heard_at = 0.0
        """Clock of the sink at the newest score, in seconds."""

    @property
    def tracker(self) -> EventTracker:
        """The machine that makes the events."""
        return self._tracker

    @property
    def zones(self) -> ZoneReader:
        """What looks into the zones."""
        return self._zones

    def read_by(self, camera: Camera) -> None:
        """Go on with other settings and the same past."""
        self._tracker = EventTracker(event_settings(camera), self._tracker.state)
        self._zones = ZoneReader.of(camera)

    def close(self) -> None:
        """Close the score log: the camera is gone."""
        self._log.close()

    def catch_up(self) -> Sequence[EventChange]:
        """Take what was logged, but is not in the tracker: all that a death can have left undone.

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
        """Whether a score was not taken before."""
        return self._log.is_new((message.connection, message.index))

    def record(self, message: ScoreMessage) -> ScoreRecord:
        """What is kept of a new score."""
        return record_of(message, self._zones.read(message))

    def log(self, record: ScoreRecord) -> None:
        """Keep a new score; it counts as taken even if that fails.

        Raises:
            OSError: it cannot be written.
        """
        self._log.append(record)

    def track(self, record: ScoreRecord) -> Sequence[EventChange]:
        """What a new score means for the events."""
        self._history.add(record)
        return self._tracker.update(_sample(record))

    def consider(self, message: ScoreMessage) -> None:
        """Remember the pixels of a score, new or repeated, if they are the best of the event."""
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
        """Pixels for the active event, each given once; None: nothing new."""
        if self._tracker.active is None:
            return None
        picture, self._picture = self._picture, None
        return picture


def shows_peak(message: ScoreMessage, event: Event) -> bool:
    """Whether a score is that of the event's peak."""
    return (message.connection, message.index) == (event.peak_connection, event.peak_index)


def _is_sharper(message: ScoreMessage, chosen: ScoreMessage, event: Event) -> bool:
    """Whether a score is as telling, and has a picture of the source's size, unlike the chosen."""
    if message.picture is None or chosen.picture is not None or message.score is None:
        return False
    return message.score >= _TELLING_RATIO * event.peak_score


def _sample(record: ScoreRecord) -> Sample:
    return Sample(
        camera=record.camera,
        connection=record.connection,
        index=record.index,
        pts_seconds=record.pts_seconds,
        captured_at=record.captured_at,
        score=record.score,
        state=record.state,
        zones=record.zones,
        terms=record.terms,
    )
