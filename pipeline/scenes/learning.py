"""How far a camera has learnt what is normal, in numbers for people. Pure."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class LearningProgress:
    """When a camera will be trusted, and what its threshold rests on."""

    trusted: bool
    """Whether its scene is calibrated: only then people are notified of its events."""
    trusted_in_seconds: float
    """Normal stream time until then, as far as is known; 0 where it is."""
    normal_seconds: float
    """Normal time that was watched in this scene."""
    wanted_seconds: float
    """Normal time that shows how high life goes as rarely as alarms are asked for: one a day wants
    a day. Until then the threshold is extrapolated."""

    @property
    def enough(self) -> bool:
        """Whether the threshold is no longer extrapolated."""
        return self.normal_seconds >= self.wanted_seconds

    def as_json(self) -> dict[str, float | bool]:
        """Plain data for messages, in whole seconds."""
        data = {name: value if isinstance(value, bool) else float(round(value))
                for name, value in asdict(self).items()}  # fmt: skip
        return {**data, "enough": self.enough}
