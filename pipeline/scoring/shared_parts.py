"""What serves all cameras of the scoring worker: model, stores, builder, metrics, clock."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from models import SceneScorer
from pipeline.config.model import Heatmap
from pipeline.scenes.exemplar_store import ExemplarStore
from pipeline.scenes.scene_store import SceneStore
from pipeline.scoring.scene_builder import SceneBuilder
from pipeline.telemetry.clock import PROCESS_CLOCK, Clock
from pipeline.telemetry.metrics import Metrics


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
    clock: Clock = PROCESS_CLOCK
    heatmap: Heatmap = "cells"
    """What is sent with the frames that may become the picture of an event."""

    @classmethod
    def in_folder(
        cls,
        folder: Path,
        scorer: SceneScorer,
        metrics: Metrics,
        clock: Clock,
        threaded: bool,
        heatmap: Heatmap = "cells",
    ) -> Self:
        """Open the parts.

        Args:
            folder: Of all scenes.
            scorer: The model.
            metrics: Of the worker.
            clock: For the times of use and of writing.
            threaded: Whether scenes are built in a thread; else by `SceneBuilder.build_pending`.
            heatmap: See `SharedParts.heatmap`.
        """
        builder = SceneBuilder(scorer, clock.monotonic)
        if threaded:
            builder.start()
        store, exemplars = SceneStore(folder, scorer), ExemplarStore(folder)
        return cls(scorer, store, exemplars, builder, metrics, clock, heatmap)
