"""How scenes are made: values of the configuration that are passed to `Adaptation`."""

from dataclasses import dataclass, field

from models.calibrator import CalibratorSettings
from pipeline.scenes.calibration_window import LEAST_SECONDS, candidates_of

CANDIDATES_A_CLIP = 3
"""Candidates for each clip of a wider support, at least: the others calibrate."""


@dataclass(frozen=True, slots=True)
class AdaptationSettings:
    """How a scene is made."""

    frames: int = 10
    """Number K of support clips."""
    interval_seconds: float = 1.0
    """Stream time between two support clips, if nothing stands out among them."""
    calibrator: CalibratorSettings = field(default_factory=CalibratorSettings)
    """How its energies are read."""
    spare: int = 0
    """Number of further clips that are looked at in the same time: those that stand out are left
    out of the support. 0: the first K clips are the support."""
    max_wait_seconds: float = 120.0
    """Stream time without a usable picture after which candidates are taken all the same."""
    widen: int = 20
    """Number of support clips of the wider scene that is made of the first minute when it is over,
    at least `frames`; 0: the first scene stays. See `widens`."""

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
        if self.widen < 0:
            raise ValueError(f"adapt.refit: want >= 0, got {self.widen}")

    def widens(self, candidates: int) -> bool:
        """Whether there can be a wider scene: there must be time for it, and clips enough.

        Args:
            candidates: Number of clips of the first support that it may be made of, too.
        """
        seconds = self.calibrator.calibrate_seconds
        if self.widen == 0 or seconds < LEAST_SECONDS:
            return False
        return (candidates + candidates_of(seconds)) // CANDIDATES_A_CLIP >= self.frames

    @property
    def wider_clips(self) -> int:
        """Number of support clips of a scene that is made of a whole minute."""
        return max(self.widen, self.frames)

    @property
    def candidates(self) -> int:
        """Number of clips that the support is chosen from."""
        return self.frames + self.spare

    @property
    def candidate_interval_seconds(self) -> float:
        """Stream time between two candidates: as many more of them, as much closer together."""
        if self.spare == 0:
            return self.interval_seconds
        return self.interval_seconds * max(1, self.frames - 1) / (self.candidates - 1)
