"""Exemplars on disk: recent peak samples, and events accepted as normal.

Each file is written atomically and never changed, so that a process that is killed leaves complete
files.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from cameras.picture_statistics import EDGES_HW
from models import CheckpointError, FeedbackExemplar
from models.checkpoint import load_exemplar, save_exemplar
from models.feedback import merge_exemplars
from pipeline.scenes.exemplar_paths import (
    SUFFIX,
    accepted_file,
    accepted_folder,
    exemplar_folder,
)
from pipeline.telemetry.wall_clock import recency

LOG = logging.getLogger(__name__)

Edges = npt.NDArray[np.float32]

MAX_SAMPLES = 200
MOST_BYTES = 16 * 2**20
"""Of all peak samples of a camera together."""
MOST_EVENTS = 20
"""Accepted events of a camera; beyond it the oldest is deleted."""
SAMPLES_PER_EVENT = 16
"""Samples that are stored of one accepted event."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredExemplar:
    """An exemplar, and the view in which it was taken."""

    exemplar: FeedbackExemplar
    edges: Edges | None
    """As `PictureStatistics.edges`; None: the view was not known."""


class ExemplarStore:
    """Under the folder of each camera: `exemplar`, and `memory`."""

    def __init__(
        self, scenes: Path, max_samples: int = MAX_SAMPLES, most_bytes: int = MOST_BYTES
    ) -> None:
        self._scenes = scenes
        self._max_samples = max_samples
        self._most_bytes = most_bytes

    def keep(self, camera: str, captured_at: float, kept: StoredExemplar) -> None:
        """Store a peak sample, and delete the oldest ones beyond the limits.

        Args:
            camera: Its name.
            captured_at: Of its frame, Unix seconds.
            kept: Its exemplar.

        Raises:
            OSError: it cannot be written.
        """
        folder = exemplar_folder(self._scenes, camera)
        folder.mkdir(parents=True, exist_ok=True)
        milliseconds = round(captured_at * 1000)
        while (path := folder / f"{milliseconds}{SUFFIX}").exists():
            milliseconds += 1  # a camera that stalled sends many frames at once
        _write(path, kept)
        total = 0
        samples = self._samples(camera)
        samples.sort(key=lambda sample: recency(sample[0], captured_at), reverse=True)
        for number, (_, path) in enumerate(samples):
            total += path.stat().st_size
            if number >= self._max_samples or total > self._most_bytes:
                path.unlink(missing_ok=True)

    def between(self, camera: str, begin: float, end: float, newest: bool) -> StoredExemplar | None:
        """Merge the peak samples of a span of time; None: there are none, or they were deleted.

        Args:
            camera: Its name.
            begin: Unix seconds.
            end: Included.
            newest: Where there are more than are stored of an event: whether to take the newest,
                as for what stays in view, or samples spread over the span, as for what passes.
        """
        paths = [path for at, path in self._samples(camera) if begin <= at <= end]
        if len(paths) > SAMPLES_PER_EVENT:
            places = np.linspace(0, len(paths) - 1, SAMPLES_PER_EVENT).round().astype(int)
            paths = paths[-SAMPLES_PER_EVENT:] if newest else [paths[place] for place in places]
        found = [kept for path in paths if (kept := _read(path)) is not None]
        if not found:
            return None
        last = found[-1]
        alike = [one.exemplar for one in found if _kind(one) == _kind(last)]
        return StoredExemplar(merge_exemplars(alike), last.edges)

    def remember(self, camera: str, event: str, kept: StoredExemplar) -> Sequence[str]:
        """Store an event that was accepted as normal.

        Returns:
            Accepted events that were deleted for it, as there are too many.

        Raises:
            OSError: it cannot be written.
        """
        accepted_folder(self._scenes, camera).mkdir(parents=True, exist_ok=True)
        newest = self._accepted_files(camera)[-1:]
        after_ns = newest[0].stat().st_mtime_ns if newest else 0
        path = accepted_file(self._scenes, camera, event)
        _write(path, kept)
        if path.stat().st_mtime_ns <= after_ns:  # the wall clock was set back
            os.utime(path, ns=(after_ns + 1_000_000, after_ns + 1_000_000))
        gone = self._accepted_files(camera)[:-MOST_EVENTS]
        for path in gone:
            path.unlink(missing_ok=True)
        return [path.stem for path in gone]

    def forget(self, camera: str, event: str) -> bool:
        """Delete an accepted event; whether it existed.

        Raises:
            OSError: it cannot be deleted.
        """
        path = accepted_file(self._scenes, camera, event)
        if not path.exists():
            return False
        path.unlink()
        return True

    def remembered(self, camera: str) -> list[StoredExemplar]:
        """All accepted events of a camera, oldest first; damaged files are left out."""
        # A process killed after it wrote the newest has not deleted the oldest.
        paths = self._accepted_files(camera)[-MOST_EVENTS:]
        return [kept for path in paths if (kept := _read(path)) is not None]

    def _samples(self, camera: str) -> list[tuple[float, Path]]:
        """Peak samples, oldest first, each with its time."""
        paths = exemplar_folder(self._scenes, camera).glob("*" + SUFFIX)
        return sorted((int(path.stem) / 1000, path) for path in paths if path.stem.isdigit())

    def _accepted_files(self, camera: str) -> list[Path]:
        paths = accepted_folder(self._scenes, camera).glob("*" + SUFFIX)
        return sorted(paths, key=lambda path: (path.stat().st_mtime_ns, path.name))


def _kind(kept: StoredExemplar) -> tuple[object, ...]:
    one = kept.exemplar
    return one.model_id, one.grid_hw, one.vectors.shape[1]


def _write(path: Path, kept: StoredExemplar) -> None:
    beside = {} if kept.edges is None else {"edges": torch.from_numpy(kept.edges).half()}
    save_exemplar(kept.exemplar, path, beside)


def _read(path: Path) -> StoredExemplar | None:
    try:
        exemplar, beside = load_exemplar(path)
    except CheckpointError as error:
        LOG.warning("left out: %s", error)
        return None
    edges = beside.get("edges")
    if edges is None or tuple(edges.shape) != EDGES_HW:
        return StoredExemplar(exemplar, None)
    return StoredExemplar(exemplar, edges.float().numpy())
