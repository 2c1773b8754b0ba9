"""Check the frame rates of a configuration against the model that scores the frames."""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path

from pipeline.config.model import Camera

_TOLERANCE = 0.95


def expected_fps(weights: str) -> float | None:
    """Frames per second that a model expects, read from its checkpoint header, without torch.

    Args:
        weights: `scoring.weights`: name of shipped weights, or path of a checkpoint.

    Returns:
        Inverse of the clip interval; None: its clips are single frames, or it cannot be read.
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
        return None  # loading the weights reports the error


def slow_camera(name: str, camera: Camera, expected: float | None) -> str | None:
    """Warning for a camera whose frame rate is lower than the model expects; None: it is not.

    Args:
        name: Name of the camera.
        camera: Its configuration.
        expected: Frames per second that the model expects; None: any.
    """
    fps = camera.detect.fps
    if expected is None or fps >= _TOLERANCE * expected:
        return None
    return (
        f"camera {name}: detect.fps is {fps:g}, and the model expects {expected:g} frames/s: "
        f"frames are repeated in its clips, and motion is scored worse; set it to {expected:g}"
    )


def slow_cameras(cameras: Mapping[str, Camera], expected: float | None) -> list[str]:
    """Warnings for all enabled cameras, see `slow_camera`."""
    found = (slow_camera(name, one, expected) for name, one in cameras.items() if one.enabled)
    return [text for text in found if text is not None]
