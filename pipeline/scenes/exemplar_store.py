"""What stood out lately, and what is remembered for good: files beside the scenes.

Each file is written in one step and never changed, so that whoever dies leaves whole files.
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
from models.feedback import merged
from pipeline.scenes.exemplar_paths import (
    SUFFIX,
    accepted_file,
    accepted_folder,
    exemplar_folder,
)
from pipeline.telemetry.wall_clock import recency

LOG = logging.getLogger(__name__)

Edges = npt.NDArray[np.float32]

MOST_MOMENTS = 200
MOST_BYTES = 16 * 2**20
"""Of the moments of a camera together."""
MOST_EVENTS = 20
"""Remembered events of a camera; the oldest goes."""
MOMENTS_OF_EVENT = 16
"""Moments that are remembered of one event."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredExemplar:
    """Evidence, and the view in which it was seen."""

    exemplar: FeedbackExemplar
    edges: Edges | None
    """As `PictureStatistics.edges`; None: nothing was known of the view."""


class ExemplarStore:
    """Under the folder of each camera: `exemplar`, and `memory`."""

    def __init__(
        self, scenes: Path, most_moments: int = MOST_MOMENTS, most_bytes: int = MOST_BYTES
    ) -> None:
        self._scenes = scenes
        self._most_moments = most_moments
        self._most_bytes = most_bytes

    def keep(self, camera: str, captured_at: float, kept: StoredExemplar) -> None:
        """Keep a moment; the oldest ones go.

        Args:
            camera: Its name.
            captured_at: Of its frame, Unix seconds.
            kept: What stood out.

        Raises:
            OSError: it cannot be written.
        """
        folder = exemplar_folder(self._scenes, camera)
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / f"{round(captured_at * 1000)}{SUFFIX}", kept)
        total = 0
        moments = self._moments(camera)
        moments.sort(key=lambda moment: recency(moment[0], captured_at), reverse=True)
        for number, (_, path) in enumerate(moments):
            total += path.stat().st_size
            if number >= self._most_moments or total > self._most_bytes:
                path.unlink(missing_ok=True)

    def between(self, camera: str, begin: float, end: float, newest: bool) -> StoredExemplar | None:
        """What stood out in a span of time; None: nothing, or it is too long ago.

        Args:
            camera: Its name.
            begin: Unix seconds.
            end: Included.
            newest: Of more moments than are remembered of an event the newest ones, as of what
                stays; else ones from all over the span, as of what passes.
        """
        paths = [path for at, path in self._moments(camera) if begin <= at <= end]
        if len(paths) > MOMENTS_OF_EVENT:
            places = np.linspace(0, len(paths) - 1, MOMENTS_OF_EVENT).round().astype(int)
            paths = paths[-MOMENTS_OF_EVENT:] if newest else [paths[place] for place in places]
        found = [kept for path in paths if (kept := _read(path)) is not None]
        if not found:
            return None
        last = found[-1]
        alike = [one.exemplar for one in found if _kind(one) == _kind(last)]
        return StoredExemplar(merged(alike), last.edges)

    def remember(self, camera: str, event: str, kept: StoredExemplar) -> Sequence[str]:
        """Remember an event for good.

        Returns:
            Events that were forgotten for it, as there are too many.

        Raises:
            OSError: it cannot be written.
        """
        accepted_folder(self._scenes, camera).mkdir(parents=True, exist_ok=True)
        newest = self._remembered(camera)[-1:]
        after_ns = newest[0].stat().st_mtime_ns if newest else 0
        path = accepted_file(self._scenes, camera, event)
        _write(path, kept)
        if path.stat().st_mtime_ns <= after_ns:  # the wall clock was set back
            os.utime(path, ns=(after_ns + 1_000_000, after_ns + 1_000_000))
        gone = self._remembered(camera)[:-MOST_EVENTS]
        for path in gone:
            path.unlink(missing_ok=True)
        return [path.stem for path in gone]

    def forget(self, camera: str, event: str) -> bool:
        """Remember an event no more; whether it was remembered.

        Raises:
            OSError: it cannot be deleted.
        """
        path = accepted_file(self._scenes, camera, event)
        if not path.exists():
            return False
        path.unlink()
        return True

    def remembered(self, camera: str) -> list[StoredExemplar]:
        """All that is remembered for a camera, oldest first; what is damaged is left out."""
        # Whoever died after writing the newest has not come to delete the oldest.
        paths = self._remembered(camera)[-MOST_EVENTS:]
        return [kept for path in paths if (kept := _read(path)) is not None]

    def _moments(self, camera: str) -> list[tuple[float, Path]]:
        """Oldest first, each with its time."""
        paths = exemplar_folder(self._scenes, camera).glob("*" + SUFFIX)
        return sorted((int(path.stem) / 1000, path) for path in paths if path.stem.isdigit())

    def _remembered(self, camera: str) -> list[Path]:
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
