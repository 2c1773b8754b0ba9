"""What serves all cameras of the scoring worker: model, stores, builder, metrics, clock."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from models import SceneScorer
from pipeline.scenes.exemplar_store import ExemplarStore
from pipeline.scenes.scene_store import SceneStore
from pipeline.scoring.scene_builder import SceneBuilder
from pipeline.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Clock:
    """The two clocks of a process."""

    monotonic: Callable[[], float] = time.monotonic
    """Seconds since any time; is never set."""
    unix: Callable[[], float] = time.time
    """Unix seconds UTC; may be set at any time."""


@dataclass(frozen=True, slots=True, eq=False)
class SharedParts:
    """Holds nothing of a camera but its builds in work, and what lies on the disk."""

    scorer: SceneScorer
    store: SceneStore
    """Scenes on the disk."""
    exemplars: ExemplarStore
    """Feedback exemplars on the disk."""
    builder: SceneBuilder
    metrics: Metrics
    clock: Clock = field(default_factory=Clock)

    @classmethod
    def in_folder(
        cls, folder: Path, scorer: SceneScorer, metrics: Metrics, clock: Clock, threaded: bool
    ) -> Self:
        """Open the parts.

        Args:
            folder: Of all scenes.
            scorer: The model.
            metrics: Of the worker.
            clock: For the times of use and of writing.
            threaded: Whether scenes are built in a thread; else by `SceneBuilder.build_pending`.
        """
        builder = SceneBuilder(scorer, clock.monotonic)
        if threaded:
            builder.start()
        store, exemplars = SceneStore(folder, scorer), ExemplarStore(folder)
        return cls(scorer, store, exemplars, builder, metrics, clock)
