"""Scenes on disk, so that a restart goes on without adapting again."""

import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cameras.picture_statistics import EDGES_HW
from models import AdaptedScene, CheckpointError, SceneScorer
from models.calibration import Calibration, calibration_from_json
from pipeline.stages.scene_history import SceneHistory
from pipeline.stages.scene_watch import REASONS, KnownView

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeptScene:
    """What is known of a camera's scene."""

    scene: AdaptedScene
    calibration: Calibration | None
    """None: it was not kept, or is damaged; begins anew from the scene."""
    adapted_at: float
    """When the scene was made, Unix seconds."""


class SceneStore:
    """One folder a camera: the scene as `SceneScorer.save_scene` writes it, and its calibration."""

    def __init__(self, folder: Path, scorer: SceneScorer) -> None:
        self._folder = folder
        self._scorer = scorer
        self.history = SceneHistory(folder)

    def load(self, camera: str, size_hw: tuple[int, int]) -> KeptScene | None:
        """A camera's scene, if one is kept that can be used; says in the log why one cannot.

        Args:
            camera: Name of the camera.
            size_hw: Size in pixels of its frames now.
        """
        folder = self._folder / camera
        head = folder / "scene.json"
        if not head.is_file():
            return None
        try:
            scene = self._scorer.load_scene(folder / "scene")
        except CheckpointError as error:
            LOG.warning("camera %s: adapting anew, its kept scene is unusable: %s", camera, error)
            return None
        if scene.size_hw != size_hw:
            LOG.warning(
                "camera %s: adapting anew, its kept scene is of size %s (H, W), want %s",
                camera,
                scene.size_hw,
                size_hw,
            )
            return None
        return KeptScene(scene, self._load_calibration(camera), head.stat().st_mtime)

    def save_scene(self, camera: str, scene: AdaptedScene, reason: str = "") -> None:
        """Keep a new scene; the one before is put aside with its calibration and view.

        Args:
            camera: Name of the camera.
            scene: Newly adapted.
            reason: Why it was made, for people.

        Raises:
            OSError: it cannot be written.
        """
        folder = self._folder / camera
        folder.mkdir(parents=True, exist_ok=True)
        self.history.put_aside(camera)
        for of_the_last in ("calibration.json", "view.json"):
            (folder / of_the_last).unlink(missing_ok=True)
        self._scorer.save_scene(scene, folder / "scene")
        self.history.made(camera, reason)

    def save_calibration(self, camera: str, calibration: Calibration) -> None:
        """Keep how the energies of the kept scene are read; replaces the file in one step.

        Raises:
            OSError: it cannot be written.
        """
        path = self._folder / camera / "calibration.json"
        partial = path.with_suffix(".tmp")
        partial.write_text(json.dumps(asdict(calibration)))
        os.replace(partial, path)

    def save_view(self, camera: str, view: KnownView) -> None:
        """Keep what is known of a camera's view; replaces the file in one step.

        Raises:
            OSError: it cannot be written.
        """
        path = self._folder / camera / "view.json"
        partial = path.with_suffix(".tmp")
        edges = np.round(view.edges.astype(np.float64), 2).tolist()
        data = {"sharpness": view.sharpness, "fault": view.fault, "edges": edges}
        partial.write_text(json.dumps(data))
        os.replace(partial, path)

    def load_view(self, camera: str) -> KnownView | None:
        """What is known of a camera's view; None: nothing, or it is damaged."""
        path = self._folder / camera / "view.json"
        if not path.is_file():
            return None
        try:
            data = json.loads(path.read_text())
            edges = np.array(data["edges"], dtype=np.float32)
            sharpness, fault = float(data["sharpness"]), data["fault"]
            if edges.shape != EDGES_HW or not np.isfinite(edges).all():
                raise ValueError(f"edges: want {EDGES_HW}, got {edges.shape}")
            if fault is not None and fault not in REASONS:
                raise ValueError(f"fault: want one of {', '.join(REASONS)}; got {fault!r}")
        except (OSError, KeyError, TypeError, ValueError) as error:
            LOG.warning("camera %s: learning its view anew, %s: %s", camera, path, error)
            return None
        return KnownView(edges, sharpness, fault)

    def _load_calibration(self, camera: str) -> Calibration | None:
        path = self._folder / camera / "calibration.json"
        if not path.is_file():
            return None
        try:
            return calibration_from_json(json.loads(path.read_text()))
        except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
            LOG.warning("camera %s: calibrating anew, as %s is unusable: %s", camera, path, error)
            return None
