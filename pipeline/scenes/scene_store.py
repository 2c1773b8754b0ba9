"""Scenes on disk, so that a restart continues without adapting again."""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cameras.picture_statistics import EDGES_HW
from models import AdaptedScene, CheckpointError, SceneScorer
from models.calibration import Calibration, calibration_from_json
from pipeline.scenes.illumination import Illumination, light_to_json
from pipeline.scenes.scene_history import SceneHistory
from pipeline.scenes.scene_paths import SUPPORT
from pipeline.scenes.scene_record import LIGHT, SceneRecord, read_light, read_record, write_json
from pipeline.scenes.scene_watch import REASONS, KnownView
from pipeline.scenes.support_clips import SupportClips, SupportClipsError
from pipeline.scenes.support_clips import load as load_support

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredScene:
    """A stored scene with its calibration and times."""

    scene: AdaptedScene
    calibration: Calibration | None
    """None: it was not stored, or is damaged; it starts again from the scene."""
    adapted_at: float
    """When the scene was built, Unix seconds."""
    used_at: float
    """Since when it is in use, or when it was last in use, Unix seconds."""


class SceneStore:
    """One folder per camera: the files of `SceneScorer.save_scene`, and the calibration."""

    def __init__(self, folder: Path, scorer: SceneScorer) -> None:
        self._folder = folder
        self._scorer = scorer
        self.history = SceneHistory(folder)

    def load(self, camera: str, size_hw: tuple[int, int]) -> StoredScene | None:
        """Load the scene of a camera; None: there is none, or it is unusable, which is logged.

        Args:
            camera: Name of the camera.
            size_hw: Size in pixels of its frames now.
        """
        folder = self._folder / camera
        try:
            if self.history.recover(camera):
                LOG.info("camera %s: moved its scene into place after an interruption", camera)
        except OSError as error:
            LOG.warning("camera %s: its scene could not be moved into place: %s", camera, error)
        record = read_record(folder, current=True)
        if record is None:
            return None
        return self._load(camera, record, folder, size_hw, "its stored scene")

    def load_support(self, camera: str, size_hw: tuple[int, int]) -> SupportClips | None:
        """Load the clips of a stored scene that cannot be used itself; failures are logged.

        Args:
            camera: Name of the camera.
            size_hw: Size in pixels of its frames now.
        """
        if read_record(self._folder / camera, current=True) is None:
            return None
        config = self._scorer.config
        try:
            return load_support(
                self._folder / camera / SUPPORT,
                config.clip_length,
                config.clip_interval_seconds,
                size_hw,
            )
        except SupportClipsError as error:
            LOG.warning("camera %s: adapting again: %s", camera, error)
            return None

    def load_other(
        self, camera: str, record: SceneRecord, size_hw: tuple[int, int]
    ) -> StoredScene | None:
        """Load any stored scene of a camera; None: it is unusable, which is logged."""
        place = self.history.place(camera, record)
        return self._load(camera, record, place, size_hw, f"scene {record.id} is passed over, it")

    def _load(
        self, camera: str, record: SceneRecord, folder: Path, size_hw: tuple[int, int], what: str
    ) -> StoredScene | None:
        try:
            scene = self._scorer.load_scene(folder / "scene")
        except CheckpointError as error:
            LOG.warning("camera %s: %s is unusable: %s", camera, what, error)
            return None
        if scene.size_hw != size_hw:
            LOG.warning(
                "camera %s: %s is of size %s (H, W), want %s", camera, what, scene.size_hw, size_hw
            )
            return None
        calibration = self._load_calibration(camera, folder)
        return StoredScene(scene, calibration, record.adapted_at, record.used_at)

    def save_scene(
        self,
        camera: str,
        scene: AdaptedScene,
        reason: str | None = "",
        calibration: Calibration | None = None,
        same_view: bool = False,
        support: bytes | None = None,
    ) -> None:
        """Store a new scene; the one before becomes an earlier one with its calibration and view.

        Args:
            camera: Name of the camera.
            scene: Newly adapted.
            reason: Why it was built, for people; None: it is a refit of the one before, which
                keeps its reason and is replaced.
            calibration: Of its energies, if it is known.
            same_view: Whether view, illumination and stored clips are those of the one before.
            support: The clips it was built from, as `support_clips.encode` returns them.

        Raises:
            OSError: it cannot be written; what was stored is unchanged.
        """

        def write(folder: Path) -> None:
            self._scorer.save_scene(scene, folder / "scene")
            if calibration is not None:
                write_json(folder / "calibration.json", asdict(calibration))
            if support is not None:
                # It may be a hard link to the file of an earlier scene.
                (folder / SUPPORT).unlink(missing_ok=True)
                (folder / SUPPORT).write_bytes(support)

        self.history.put(camera, write, reason, same_view)

    def save_calibration(self, camera: str, calibration: Calibration) -> None:
        """Store the calibration of the stored scene; replaces the file atomically.

        Raises:
            OSError: it cannot be written.
        """
        write_json(self._folder / camera / "calibration.json", asdict(calibration))

    def save_light(self, camera: str, light: Illumination) -> None:
        """Store the illumination of the stored scene; replaces the file atomically.

        Raises:
            OSError: it cannot be written.
        """
        write_json(self._folder / camera / LIGHT, light_to_json(light))

    def load_light(self, camera: str) -> Illumination | None:
        """The illumination of the stored scene; None: it is not known, or damaged."""
        return read_light(self._folder / camera)

    def save_view(self, camera: str, view: KnownView) -> None:
        """Store the known view of a camera; replaces the file atomically.

        Raises:
            OSError: it cannot be written.
        """
        edges = np.round(view.edges.astype(np.float64), 2).tolist()
        data = {"sharpness": view.sharpness, "fault": view.fault, "edges": edges}
        write_json(self._folder / camera / "view.json", data)

    def load_view(self, camera: str, record: SceneRecord | None = None) -> KnownView | None:
        """Load the known view of a camera; None: there is none, or it is damaged.

        Args:
            camera: Its name.
            record: The scene that it belongs to; None: the one in use.
        """
        folder = self._folder / camera if record is None else self.history.place(camera, record)
        path = folder / "view.json"
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
            LOG.warning("camera %s: learning its view again, %s: %s", camera, path, error)
            return None
        return KnownView(edges, sharpness, fault)

    def _load_calibration(self, camera: str, folder: Path) -> Calibration | None:
        path = folder / "calibration.json"
        if not path.is_file():
            return None
        try:
            return calibration_from_json(json.loads(path.read_text()))
        except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
            LOG.warning("camera %s: calibrating again, as %s is unusable: %s", camera, path, error)
            return None
