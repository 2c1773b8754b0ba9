"""What an adaptation requests of the code that builds scenes, and the results."""

from dataclasses import dataclass

from models import AdaptedScene
from models.calibration import Calibration
from models.calibrator import CalibratorSettings
from models.scene_model import Observation
from pipeline.scenes.calibration_window import CalibrationWindow
from pipeline.scenes.support_clips import SupportClips


@dataclass(frozen=True, slots=True, eq=False)
class BuiltScene:
    """A scene that was built from the candidates of an adaptation."""

    scene: AdaptedScene
    candidate_features: Observation | None = None
    """Features of all candidates, float16 on the CPU; None: no refit will need them."""
    support: SupportClips | None = None
    """The clips that it was built from; None: they are not to be stored."""


@dataclass(frozen=True, slots=True, eq=False)
class RefitRequest:
    """The input of a refit."""

    window: CalibrationWindow
    size_hw: tuple[int, int]
    """Of the clips, in pixels."""
    calibrator: CalibratorSettings
    """How its energies are mapped to scores."""
    wanted: int
    """Number of support clips, if there are enough candidates."""
    least: int = 1
    """Least number of support clips: with fewer it is no better than the scene in use."""
    candidate_features: Observation | None = None
    """Features of the candidates of the first support, if they may become part of it."""
    candidate_seconds: tuple[float, ...] = ()
    """Their times, increasing."""


@dataclass(frozen=True, slots=True, eq=False)
class RefitResult:
    """A refitted scene with its calibration."""

    scene: AdaptedScene
    calibration: Calibration
    """Final."""
    seconds: tuple[float, ...]
    """Times of the samples that calibrated it."""
    energies: tuple[float, ...]
    """Energies of these samples in this scene."""
    step_seconds: float
    """Between two samples, where none is left out."""
