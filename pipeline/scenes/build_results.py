"""What an adaptation and whoever makes its scenes tell each other."""

from dataclasses import dataclass

from models import AdaptedScene
from models.calibration import Calibration
from models.calibrator import CalibratorSettings
from models.scene_model import Observation
from pipeline.scenes.calibration_window import CalibrationWindow
from pipeline.scenes.support_clips import SupportClips


@dataclass(frozen=True, slots=True, eq=False)
class BuiltScene:
    """A first scene."""

    scene: AdaptedScene
    seen: Observation | None = None
    """What the network saw in the candidates, float16 on the CPU; None: nobody needs it again."""
    support: SupportClips | None = None
    """What it was made of; None: it is not to be kept."""


@dataclass(frozen=True, slots=True, eq=False)
class RefitRequest:
    """What a wider scene is made of."""

    minute: CalibrationWindow
    size_hw: tuple[int, int]
    """Of the clips, in pixels."""
    reading: CalibratorSettings
    """How its energies are read."""
    wanted: int
    """Number of support clips, if there are candidates enough."""
    least: int = 1
    """With fewer it would be no better than the scene that there is."""
    seen: Observation | None = None
    """The candidates of the first support, if they may be part of it."""
    seen_seconds: tuple[float, ...] = ()
    """When they were taken, rising."""


@dataclass(frozen=True, slots=True, eq=False)
class RefitResult:
    """A wider scene, with its calibration."""

    scene: AdaptedScene
    calibration: Calibration
    """Final."""
    seconds: tuple[float, ...]
    """Of the moments that it was calibrated by."""
    energies: tuple[float, ...]
    """Theirs, in this scene."""
    step_seconds: float
    """Between two of them, where none is left out."""
