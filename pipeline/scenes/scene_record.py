"""What the folder of a stored scene says of it: when and why it was built, and its illumination."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from pipeline.scenes.illumination import Illumination, light_from_json
from pipeline.scenes.scene_paths import HEAD
from pipeline.telemetry.atomic_write import write_atomic

LOG = logging.getLogger(__name__)

ABOUT = "about.json"
LIGHT = "light.json"


@dataclass(frozen=True, slots=True)
class SceneRecord:
    """A stored scene of a camera."""

    id: str
    """Unix milliseconds at which it was built."""
    adapted_at: float
    """The same in seconds."""
    reason: str
    """Why it was built, for people."""
    current: bool
    """Whether it is the one in use."""
    used_at: float
    """When it was last in use, Unix seconds; of the scene in use, since when."""
    light: dict[str, float] | None
    """Typical luma and chroma of its illumination, 0..255; None: it is not known."""


def read_record(folder: Path, current: bool) -> SceneRecord | None:
    """Read the record of the scene in a folder; None: there is none."""
    try:
        adapted_at = (folder / HEAD).stat().st_mtime
    except OSError:
        return None
    about: dict[str, object] = {}
    try:
        about = dict(json.loads((folder / ABOUT).read_text()))
    except (OSError, TypeError, ValueError):
        LOG.debug("%s: does not say why it was built", folder)
    used_at = about.get("used_at")
    light = read_light(folder)
    return SceneRecord(
        id=str(round(adapted_at * 1000)),
        adapted_at=adapted_at,
        reason=str(about.get("reason", "")),
        current=current,
        used_at=used_at if isinstance(used_at, float) else adapted_at,
        light=None if light is None else dict(zip(("luma", "chroma"), light.levels, strict=True)),
    )


def read_light(folder: Path) -> Illumination | None:
    """The illumination of the scene in a folder; None: it is not known, or damaged."""
    path = folder / LIGHT
    if not path.is_file():
        return None
    try:
        return light_from_json(json.loads(path.read_text()))
    except (OSError, KeyError, TypeError, ValueError) as error:
        LOG.warning("%s: unusable, the illumination of the scene is not known: %s", path, error)
        return None


def write_json(path: Path, data: dict[str, object]) -> None:
    """Write a small file in one step.

    Raises:
        OSError: it cannot be written; what was there is as it was.
    """
    write_atomic(path, json.dumps(data).encode())
