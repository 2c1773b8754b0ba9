"""Do the frame rates of a configuration fit the model that scores the frames?"""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path

from pipeline.config.model import Camera

_TOLERANCE = 0.95


def expected_fps(weights: str) -> float | None:
    """Frames a second that a model wants, read from the head of its checkpoint, without torch.

    Args:
        weights: `scoring.weights`: name of shipped weights, or path of a checkpoint.

    Returns:
        One by the interval of its clips; None: its clips are single frames, or it cannot be read.
    """
    path = Path(weights)
    if "/" not in weights and not weights.endswith((".safetensors", ".json")):
        models = importlib.util.find_spec("models")
        if models is None or models.origin is None:
            return None
        path = Path(models.origin).parent / "weights" / weights
    path = path.with_suffix("") if path.suffix in (".safetensors", ".json") else path
    try:
        head = json.loads((path.parent / f"{path.name}.json").read_bytes())
        interval, length = head["config"]["clip_interval_seconds"], head["config"]["clip_length"]
        return 1.0 / float(interval) if length > 1 else None
    except (OSError, ValueError, TypeError, KeyError, ZeroDivisionError):
        return None  # whoever loads the weights says what is wrong with them


def slow_camera(name: str, camera: Camera, expected: float | None) -> str | None:
    """What to say of a camera whose frames are further apart than the model wants; None: nothing.

    Args:
        name: Of the camera.
        camera: Its configuration.
        expected: Frames a second that the model wants; None: any.
    """
    fps = camera.detect.fps
    if expected is None or fps >= _TOLERANCE * expected:
        return None
    return (
        f"camera {name}: detect.fps is {fps:g}, and the model expects {expected:g} frames/s: its "
        f"clips hold frames more than once, and what moves is scored worse; set it to {expected:g}"
    )


def slow_cameras(cameras: Mapping[str, Camera], expected: float | None) -> list[str]:
    """What to say of all enabled cameras, see `slow_camera`."""
    found = (slow_camera(name, one, expected) for name, one in cameras.items() if one.enabled)
    return [text for text in found if text is not None]
