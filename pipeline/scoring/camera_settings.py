"""From the configuration of a camera to the settings of what works for it in the scoring worker."""

from models.calibrator import CalibratorSettings
from pipeline.config import Camera
from pipeline.scenes.adaptation_settings import AdaptationSettings


def adaptation_settings(camera: Camera) -> AdaptationSettings:
    """How the scene of a camera is made, and how its energies are read."""
    adapt, alert = camera.adapt, camera.alert
    reading = CalibratorSettings(
        adapt.calibrate, alert.smoothing, alert.target_false_alarms_per_day
    )
    return AdaptationSettings(
        adapt.frames, adapt.interval, reading, adapt.spare, adapt.max_wait, adapt.widen
    )


def way_of_seeing(camera: Camera) -> tuple[object, ...]:
    """All settings of a camera that its lane was opened with."""
    alert = camera.alert
    reading = alert.smoothing, alert.target_false_alarms_per_day, alert.light_hold
    return camera.detect, camera.adapt, reading
