"""The registry of cameras: those of the configuration file and those attached at run time.

Pure functions: a registry and a command give a new registry or a refusal with a reason. Cameras of
the file can only be enabled or disabled and given another threshold or target rate at run time. If
a name occurs in both, the file takes precedence.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from pipeline.config import Camera, Config
from pipeline.config.model import INHERITED
from pipeline.config.runtime_camera import RuntimeCameraError, read_camera, shown_address
from pipeline.transport.commands import (
    Attach,
    CameraDocument,
    Change,
    Detach,
    SetEnabled,
    SetTarget,
    SetThreshold,
)
from pipeline.transport.messages import AnswerStatus

MOST_CAMERAS = 256
RegistryCommand = Attach | Change | Detach | SetEnabled | SetThreshold | SetTarget
Origin = Literal["file", "attached"]
RESTART_SECTIONS = tuple(
    section for section in Config.model_fields if section not in (*INHERITED, "cameras")
)
"""Sections that a running service cannot change."""
_TARGET = "target_false_alarms_per_day"


class RefusedError(Exception):
    """A command that is refused; the message says why, without credentials."""

    def __init__(self, status: AnswerStatus, message: str) -> None:
        super().__init__(message)
        self.status: AnswerStatus = status


@dataclass(frozen=True, slots=True)
class CameraRegistry:
    """All cameras and their origins."""

    file: Config
    """As it was read."""
    attached: Mapping[str, CameraDocument] = field(default_factory=dict, repr=False)
    """Documents as they were given, with unresolved placeholders."""
    switches: Mapping[str, bool] = field(default_factory=dict)
    """Cameras of the file that were enabled or disabled at run time."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Camera → score at which events begin, where it was set at run time."""
    targets: Mapping[str, float] = field(default_factory=dict)
    """Camera → target rate of false alarms a day, where it was set at run time."""
    cameras: Mapping[str, Camera] = field(default_factory=dict, repr=False)
    """Cameras in force."""
    unusable: Mapping[str, str] = field(default_factory=dict)
    """Attached cameras that can no longer be used → why, such as a placeholder without a value."""

    @classmethod
    def of(
        cls,
        file: Config,
        attached: Mapping[str, CameraDocument] | None = None,
        switches: Mapping[str, bool] | None = None,
        thresholds: Mapping[str, float] | None = None,
        targets: Mapping[str, float] | None = None,
    ) -> Self:
        """Combine a file and the changes made at run time."""
        given = {name: one for name, one in (attached or {}).items() if name not in file.cameras}
        switched = {name: on for name, on in (switches or {}).items() if name in file.cameras}
        cameras: dict[str, Camera] = {
            name: camera.model_copy(update={"enabled": switched.get(name, camera.enabled)})
            for name, camera in file.cameras.items()
        }
        unusable: dict[str, str] = {}
        for name, document in given.items():
            try:
                cameras[name] = read_camera(name, document, file, file.api.allow_file_roots)
            except RuntimeCameraError as error:
                unusable[name] = str(error)
        tuned = {name: enter for name, enter in (thresholds or {}).items() if name in cameras}
        for name, enter in tuned.items():
            cameras[name] = _with_threshold(cameras[name], enter)
        aimed = {name: rate for name, rate in (targets or {}).items() if name in cameras}
        for name, rate in aimed.items():
            cameras[name] = _with_alert(cameras[name], target_false_alarms_per_day=rate)
        return cls(file, given, switched, tuned, aimed, cameras, unusable)

    @property
    def config(self) -> Config:
        """The configuration of the file with the cameras in force."""
        return self.file.model_copy(update={"cameras": dict(self.cameras)})

    def origin(self, name: str) -> Origin:
        """Return the origin of a camera.

        Raises:
            RefusedError: there is no such camera.
        """
        if name in self.file.cameras:
            return "file"
        if name in self.attached:
            return "attached"
        known = ", ".join([*self.file.cameras, *self.attached]) or "none"
        raise RefusedError("unknown", f"camera {name}: want one of {known}")

    def after(self, command: RegistryCommand) -> "CameraRegistry":
        """Apply a command and return the new registry.

        Raises:
            RefusedError: the command cannot be carried out.
        """
        match command:
            case Attach(name=name, camera=document):
                return self._attach(name, document)
            case Change(name=name, patch=patch):
                self._require_attached(name, "changed")
                return self._with(name, merge_patch(self.attached[name], patch))
            case Detach(name=name):
                self._require_attached(name, "removed")
                rest = {other: one for other, one in self.attached.items() if other != name}
                return self._replaced(attached=rest)
            case SetEnabled(name=name, enabled=enabled):
                if self.origin(name) == "file":
                    switches = {**self.switches, name: enabled}
                    return self._replaced(switches=switches)
                return self._with(name, {**self.attached[name], "enabled": enabled})
            case SetThreshold(name=name, threshold=threshold):
                self.origin(name)
                return self._replaced(thresholds={**self.thresholds, name: threshold})
            case SetTarget(name=name, false_alarms_per_day=rate):
                self.origin(name)
                return self._replaced(targets={**self.targets, name: rate})

    def reloaded(self, file: Config) -> "CameraRegistry":
        """Replace the file; a value set at run time is dropped where the file changed its own."""
        switches = {
            name: on
            for name, on in self.switches.items()
            if name in file.cameras
            and name in self.file.cameras
            and file.cameras[name].enabled == self.file.cameras[name].enabled
        }
        # Sections that apply only at the start keep the values that the service runs with.
        running = {section: getattr(self.file, section) for section in RESTART_SECTIONS}
        thresholds = {
            name: enter
            for name, enter in self.thresholds.items()
            if _alert(self.file, name, "enter") == _alert(file, name, "enter")
        }
        targets = {
            name: rate
            for name, rate in self.targets.items()
            if _alert(self.file, name, _TARGET) == _alert(file, name, _TARGET)
        }
        return CameraRegistry.of(
            file.model_copy(update=running), self.attached, switches, thresholds, targets
        )

    def _replaced(
        self,
        attached: Mapping[str, CameraDocument] | None = None,
        switches: Mapping[str, bool] | None = None,
        thresholds: Mapping[str, float] | None = None,
        targets: Mapping[str, float] | None = None,
    ) -> "CameraRegistry":
        return CameraRegistry.of(
            self.file,
            self.attached if attached is None else attached,
            self.switches if switches is None else switches,
            self.thresholds if thresholds is None else thresholds,
            self.targets if targets is None else targets,
        )

    def _attach(self, name: str, document: CameraDocument) -> "CameraRegistry":
        if name in self.file.cameras or name in self.attached:
            raise RefusedError("conflict", f"camera {name}: want a new name, got one in use")
        if len(self.file.cameras) + len(self.attached) >= MOST_CAMERAS:
            raise RefusedError("conflict", f"want at most {MOST_CAMERAS} cameras, got one more")
        return self._with(name, document)

    def _with(self, name: str, document: CameraDocument) -> "CameraRegistry":
        if isinstance(url := document.get("source"), str):
            # A merge patch of a key of the source needs this form.
            document = {**document, "source": {"url": url}}
        try:
            read_camera(name, document, self.file, self.file.api.allow_file_roots)
        except RuntimeCameraError as error:
            raise RefusedError("invalid", str(error)) from None
        return self._replaced(attached={**self.attached, name: document})

    def _require_attached(self, name: str, what: str) -> None:
        if self.origin(name) == "file":
            raise RefusedError(
                "conflict",
                f"camera {name}: is defined in the configuration file and can only be {what} "
                "there; then reload",
            )


def _with_threshold(camera: Camera, enter: float) -> Camera:
    alert = camera.alert
    return _with_alert(camera, enter=enter, exit=enter * alert.exit / alert.enter)


def _with_alert(camera: Camera, **changed: float) -> Camera:
    return camera.model_copy(update={"alert": camera.alert.model_copy(update=changed)})


def _alert(file: Config, name: str, key: str) -> object:
    camera = file.cameras.get(name)
    return None if camera is None else getattr(camera.alert, key)


def merge_patch(document: CameraDocument, patch: CameraDocument) -> CameraDocument:
    """Apply a JSON merge patch to a document (RFC 7386)."""
    merged: CameraDocument = dict(document)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            before = merged.get(key)
            merged[key] = merge_patch(before if isinstance(before, dict) else {}, value)
        else:
            merged[key] = value
    return merged


@dataclass(frozen=True, slots=True)
class ReloadDifference:
    """The changes that a reload makes."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    needs_restart: tuple[str, ...]
    """Sections that differ in the file but take effect only after a restart of the service."""

    @property
    def in_words(self) -> str:
        """Summary: cameras added, removed and changed, and sections that need a restart."""
        parts = [
            f"{what} {', '.join(names)}"
            for what, names in (
                ("added", self.added),
                ("removed", self.removed),
                ("changed", self.changed),
            )
            if names
        ]
        parts.append(f"{len(self.unchanged)} cameras unchanged")
        if self.needs_restart:
            parts.append(f"restart the service for {', '.join(self.needs_restart)}")
        return "; ".join(parts)


def difference(before: CameraRegistry, after: CameraRegistry, file: Config) -> ReloadDifference:
    """Compare two registries.

    Args:
        before: The old registry.
        after: The new registry.
        file: The configuration as read, with the sections that need a restart.
    """
    old, new = before.cameras, after.cameras
    both = [name for name in new if name in old]
    return ReloadDifference(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        changed=tuple(name for name in both if new[name] != old[name]),
        unchanged=tuple(name for name in both if new[name] == old[name]),
        needs_restart=tuple(
            section
            for section in RESTART_SECTIONS
            if getattr(file, section) != getattr(before.file, section)
        ),
    )


def view(registry: CameraRegistry, name: str, status: str) -> dict[str, Any]:
    """Describe a camera without credentials.

    Args:
        registry: The registry.
        name: Name of the camera.
        status: State, optionally followed by ": reason".

    Raises:
        RefusedError: there is no such camera.
    """
    origin = registry.origin(name)
    camera = registry.cameras.get(name)
    if camera is None:
        state, reason, settings = "error", registry.unusable[name], None
    else:
        state, _, reason = status.partition(": ")
        settings = camera.model_dump(mode="json")
        settings["source"]["url"] = shown_address(camera.source.url)
    return {
        "name": name,
        "origin": origin,
        "enabled": camera is not None and camera.enabled,
        "state": state,
        "reason": reason,
        "settings": settings,
    }
