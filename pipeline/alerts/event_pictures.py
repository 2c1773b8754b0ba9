"""Snapshot and heatmap of each event in the data folder."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from cameras.shown_picture import display_pixels
from pipeline.alerts.camera_watch import SnapshotFrame
from pipeline.events.drawing import in_scale_of
from pipeline.events.event import Event
from pipeline.storage.snapshots import Snapshots
from pipeline.transport.messages import ScoreMessage


class EventPictures:
    """Saves the pictures of events, and finds them."""

    def __init__(self, folder: Path) -> None:
        self._snapshots = Snapshots(folder)

    def improves(self, picture: SnapshotFrame) -> bool:
        """Whether a picture is of the peak, or the event has none yet.

        The existing picture may be a better one of a previous run.
        """
        event = picture.event
        exists = self._snapshots.snapshot_path(event.camera, event.id).exists()
        return picture.shows_peak or not exists

    def save(self, picture: SnapshotFrame) -> None:
        """Save a picture over an earlier one of the event.

        Raises:
            OSError: it cannot be written.
        """
        event, message = picture.event, picture.message
        if message.pixels is None or message.score is None:
            return
        self._snapshots.save(
            event.camera,
            event.id,
            display_pixels(message.pixels, message.picture, message.source_hw),
            _shown(message),
            message.score,
            message.captured_at,
            picture.zones,
        )

    def paths(self, event: Event) -> tuple[Path | None, Path | None]:
        """Snapshot and heatmap of an event; None for one that does not exist."""
        snapshot = self._snapshots.snapshot_path(event.camera, event.id)
        heatmap = self._snapshots.heatmap_path(event.camera, event.id)
        return snapshot if snapshot.exists() else None, heatmap if heatmap.exists() else None


def _shown(message: ScoreMessage) -> npt.NDArray[np.float32] | None:
    """The heatmap to draw, in units of the score."""
    if message.anomaly_map is None or message.gradient is None:
        return message.anomaly_map
    return in_scale_of(message.gradient, message.anomaly_map)
