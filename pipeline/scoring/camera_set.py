"""The scorers of all cameras: cameras are attached, changed and detached."""

from collections.abc import Iterator, Mapping

from models import SceneScorer
from pipeline.config import Camera
from pipeline.scoring.camera_scorer import CameraScorer
from pipeline.scoring.shared_parts import SharedParts
from pipeline.telemetry.clock import PROCESS_CLOCK, Clock
from pipeline.worker import WorkerContext


class CameraSet(Mapping[str, CameraScorer]):
    """One `CameraScorer` for each camera name, and what serves all of them."""

    def __init__(
        self,
        context: WorkerContext,
        scorer: SceneScorer,
        cameras: Mapping[str, Camera],
        clock: Clock = PROCESS_CLOCK,
    ) -> None:
        """Open the scorers of the cameras with what is stored of them.

        Args:
            context: Of the worker.
            scorer: The model.
            cameras: Name and configuration of each.
            clock: For times of use and of writing.
        """
        folder = context.spec.run.data_folder / "scenes"
        self.shared = SharedParts.in_folder(
            folder,
            scorer,
            context.metrics,
            clock,
            threaded=True,
            heatmap=context.spec.config.scoring.heatmap,
        )
        self._scorers = {name: CameraScorer(name, cameras[name], self.shared) for name in cameras}

    def __getitem__(self, camera: str) -> CameraScorer:
        return self._scorers[camera]

    def __iter__(self) -> Iterator[str]:
        return iter(self._scorers)

    def __len__(self) -> int:
        return len(self._scorers)

    def apply_cameras(self, cameras: Mapping[str, Camera]) -> list[str]:
        """Attach new cameras, detach removed ones, and pass changed settings on.

        Returns:
            Names of the removed cameras.
        """
        removed = [name for name in self._scorers if name not in cameras]
        for name in removed:
            self._scorers.pop(name).close()
        for name, settings in cameras.items():
            if name in self._scorers:
                self._scorers[name].apply_settings(settings)
            else:
                self._scorers[name] = CameraScorer(name, settings, self.shared)
        return removed

    def apply_results(self) -> None:
        """Continue with the scenes that were built since the last call."""
        for scorer in self._scorers.values():
            scorer.abandon_outdated()
        self.shared.builder.apply_results()
        for scorer in self._scorers.values():
            scorer.apply_results()

    def close(self) -> None:
        """Write what is not stored, and wait for the build in work."""
        for scorer in self._scorers.values():
            scorer.close()
        self.shared.builder.close()  # last, as the build in work may take seconds
