"""Store the changes made at run time on disk, so that they survive a restart.

`cameras.json` in the data folder holds the attached cameras as they were given, with unresolved
placeholders, which cameras of the configuration file were enabled or disabled, and the thresholds
and target rates that were set. It may hold passwords, so only its owner may read it.
"""

import json
from pathlib import Path

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from pipeline.config import Config
from pipeline.config.base import Name, Section
from pipeline.runtime.camera_registry import CameraRegistry
from pipeline.telemetry.atomic_write import write_private
from pipeline.telemetry.damaged_files import put_aside

_NAME = "cameras.json"


class _StoredCameras(Section):
    version: int = 1
    attached: dict[Name, dict[str, JsonValue]]
    switches: dict[Name, bool]
    thresholds: dict[Name, float] = Field(default_factory=dict)
    targets: dict[Name, float] = Field(default_factory=dict)


class AttachedError(Exception):
    """The file cannot be used; the message says where and why, without credentials."""


def load_registry(folder: Path, file: Config) -> CameraRegistry:
    """Load the cameras of a configuration and the attached cameras.

    A damaged file is moved aside and an error is logged: the cameras of the configuration are
    watched nevertheless, and those in the damaged file can be attached again.

    Raises:
        AttachedError: the file cannot be read or moved, or was written by another version.
    """
    path = folder / _NAME
    try:
        stored = TypeAdapter(_StoredCameras).validate_json(path.read_bytes())
    except FileNotFoundError:
        return CameraRegistry.of(file)
    except ValidationError as error:
        places = [".".join(map(str, one["loc"])) or "it" for one in error.errors()]
        reason = f"malformed at {', '.join(places[:5])}; its cameras are not watched"
        try:
            put_aside(path, reason)
        except OSError as problem:
            raise AttachedError(
                f"{path}: {reason}; it cannot be moved aside: {problem.strerror}"
            ) from None
        return CameraRegistry.of(file)
    except OSError as error:
        raise AttachedError(f"{path}: cannot be read: {error.strerror}") from None
    if stored.version != 1:
        raise AttachedError(f"{path}: want version 1, got {stored.version}")
    return CameraRegistry.of(
        file, stored.attached, stored.switches, stored.thresholds, stored.targets
    )


def save_registry(folder: Path, registry: CameraRegistry) -> None:
    """Replace the file atomically.

    Raises:
        OSError: it cannot be written.
    """
    stored = {
        "version": 1,
        "attached": dict(registry.attached),
        "switches": dict(registry.switches),
        "thresholds": dict(registry.thresholds),
        "targets": dict(registry.targets),
    }
    write_private(folder / _NAME, json.dumps(stored, indent=2).encode())
