"""Pictures of an event: the frame at its peak, and the same with the heatmap."""

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.events.drawing import Pixels, Polygon, draw_caption, draw_heatmap
from pipeline.telemetry.atomic_write import write_atomic

SNAPSHOT_NAME = "snapshot.jpg"
HEATMAP_NAME = "heatmap.jpg"
CLIP_NAME = "clip.mp4"
_JPEG_QUALITY = 90


class Snapshots:
    """Pictures of events on disk: `<folder>/<camera>/<event id>/{snapshot,heatmap}.jpg`.

    The ingest worker writes `clip.mp4` to the same folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self, camera: str, event_id: str) -> list[str]:
        """Names of the files of an event."""
        try:
            return os.listdir(os.path.join(self._folder, camera, event_id))
        except OSError:
            return []

    def snapshot_path(self, camera: str, event_id: str) -> Path:
        """Path of the frame at the peak; it need not exist."""
        return self._folder / camera / event_id / SNAPSHOT_NAME

    def heatmap_path(self, camera: str, event_id: str) -> Path:
        """Path of the frame with its heatmap; it need not exist."""
        return self._folder / camera / event_id / HEATMAP_NAME

    def clip_path(self, camera: str, event_id: str) -> Path:
        """Path of the clip; it need not exist."""
        return self._folder / camera / event_id / CLIP_NAME

    def save(
        self,
        camera: str,
        event_id: str,
        pixels: Pixels,
        anomaly_map: npt.NDArray[np.float32] | None,
        score: float,
        captured_at: float,
        zones: Sequence[Polygon] = (),
    ) -> None:
        """Replace both pictures by those of a new peak; each file is complete at any time.

        Args:
            camera: Name in the configuration.
            event_id: Id of the event.
            pixels: uint8 (H, W, 3), RGB.
            anomaly_map: (h, w) in units of the score; None: the heatmap is unchanged.
            score: Score of this frame, written into the heatmap.
            captured_at: Time of this frame, Unix seconds; written into both with the camera name.
            zones: Outlines to draw into the heatmap.

        Raises:
            OSError: they cannot be written.
        """
        shown = draw_caption(pixels, camera, captured_at)
        write_jpeg(self.snapshot_path(camera, event_id), shown)
        if anomaly_map is not None:
            drawn = draw_heatmap(pixels, anomaly_map, score, zones)
            drawn = draw_caption(drawn, camera, captured_at)
            write_jpeg(self.heatmap_path(camera, event_id), drawn)


def write_jpeg(path: Path, pixels: Pixels) -> None:
    """Write a picture by renaming a finished file, so that no reader sees an incomplete one.

    Raises:
        OSError: it cannot be written.
    """
    encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )[1].tobytes()
    write_atomic(path, encoded)
