"""What was done at run time, on disk: it comes back after a restart.

`cameras.json` in the data folder holds the attached cameras as they were given, placeholders and
all, and the switches of those of the file. It may hold passwords: nobody else may read it.
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


class AttachedError(Exception):
    """The file cannot be used; the text says where and why, without credentials."""


def load_registry(folder: Path, file: Config) -> CameraRegistry:
    """The cameras of a configuration, and those that were attached.

    A damaged file is moved aside, with an error in the log: the cameras of the configuration are
    watched all the same, and those in the other file can be attached again.

    Raises:
        AttachedError: the file cannot be read or moved, or was written by another Vedette.
    """
    path = folder / _NAME
    try:
        kept = TypeAdapter(_StoredCameras).validate_json(path.read_bytes())
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
    if kept.version != 1:
        raise AttachedError(f"{path}: want version 1, got {kept.version}")
    return CameraRegistry.of(file, kept.attached, kept.switches, kept.thresholds)


def keep_registry(folder: Path, registry: CameraRegistry) -> None:
    """Replace the file in one step, so that it is whole at any time.

    Raises:
        OSError: it cannot be written.
    """
    kept = {
        "version": 1,
        "attached": dict(registry.attached),
        "switches": dict(registry.switches),
        "thresholds": dict(registry.thresholds),
    }
    write_private(folder / _NAME, json.dumps(kept, indent=2).encode())
