"""How scenes are built: values of the configuration that are passed to `Adaptation`."""

from dataclasses import dataclass, field

from models.calibrator import CalibratorSettings
from pipeline.config import Camera
from pipeline.scenes.calibration_window import LEAST_SECONDS, max_candidates

CANDIDATES_PER_CLIP = 3
"""Least number of candidates per clip of the support of a refit: the others calibrate."""


@dataclass(frozen=True, slots=True)
class AdaptationSettings:
    """How a scene is built."""

    frames: int = 10
    """Number K of support clips."""
    interval_seconds: float = 1.0
    """Stream time between two support clips, if there are no outliers among them."""
    calibrator: CalibratorSettings = field(default_factory=CalibratorSettings)
    """How its energies are mapped to scores."""
    spare: int = 0
    """Number of further candidates taken in the same time, so that outliers can be left out of the
    support. 0: the first K clips are the support."""
    max_wait_seconds: float = 120.0
    """Stream time without a usable frame after which candidates are taken regardless."""
    refit: int = 20
    """Number of support clips of the refit at the end of the calibration window, at least `frames`;
    0: the first scene stays. See `can_refit`."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            ValueError: names the setting, what was got and what is wanted.
        """
        if self.frames < 1:
            raise ValueError(f"adapt.frames: want >= 1, got {self.frames}")
        if self.interval_seconds <= 0:
            raise ValueError(f"adapt.interval: want > 0 s, got {self.interval_seconds}")
        if self.spare < 0:
            raise ValueError(f"adapt.spare: want >= 0, got {self.spare}")
        if self.refit < 0:
            raise ValueError(f"adapt.refit: want >= 0, got {self.refit}")

    def can_refit(self, candidates: int) -> bool:
        """Whether a refit is possible: it takes time and enough clips.

        Args:
            candidates: Number of candidates of the first support that it may use too.
        """
        seconds = self.calibrator.calibrate_seconds
        if self.refit == 0 or seconds < LEAST_SECONDS:
            return False
        return (candidates + max_candidates(seconds)) // CANDIDATES_PER_CLIP >= self.frames

    @property
    def refit_clips(self) -> int:
        """Number of support clips of a refitted scene."""
        return max(self.refit, self.frames)

    @property
    def candidates(self) -> int:
        """Number of clips that the support is chosen from."""
        return self.frames + self.spare

    @property
    def candidate_interval_seconds(self) -> float:
        """Stream time between two candidates: the more spare ones, the shorter."""
        if self.spare == 0:
            return self.interval_seconds
        return self.interval_seconds * max(1, self.frames - 1) / (self.candidates - 1)


def adaptation_settings(camera: Camera) -> AdaptationSettings:
    """All settings of a camera that its scene is built and calibrated with."""
    adapt, alert = camera.adapt, camera.alert
    reading = CalibratorSettings(
        adapt.calibrate, alert.smoothing, alert.target_false_alarms_per_day
    )
    return AdaptationSettings(
        adapt.frames, adapt.interval, reading, adapt.spare, adapt.max_wait, adapt.refit
    )
