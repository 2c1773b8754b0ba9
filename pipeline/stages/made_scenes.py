"""What an adaptation and whoever makes its scenes tell each other."""

from dataclasses import dataclass

from models import AdaptedScene
from models.calibration import Calibration
from models.scene_model import Observation
from pipeline.stages.adaptation_settings import AdaptationSettings
from pipeline.stages.first_minute import FirstMinute


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A first scene."""

    scene: AdaptedScene
    seen: Observation | None = None
    """What the network saw in the candidates, float16 on the CPU; None: nobody needs it again."""


@dataclass(frozen=True, slots=True, eq=False)
class Widening:
    """What a wider scene is made of."""

    seen: Observation | None
    """The candidates of the first support; None: it is a kept scene, whose candidates are gone."""
    seen_seconds: tuple[float, ...]
    """When they were taken, rising."""
    minute: FirstMinute
    size_hw: tuple[int, int]
    """Of the clips, in pixels."""
    settings: AdaptationSettings
    only_usual: bool = False
    """Whether the first scene is right even where it finds most of the minute unusual."""


@dataclass(frozen=True, slots=True, eq=False)
class Widened:
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
