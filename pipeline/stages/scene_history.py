"""Earlier scenes of a camera on disk, so that an adaptation can be taken back."""

import json
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

LOG = logging.getLogger(__name__)

KEPT_SCENES = 5
"""Earlier scenes of a camera that are kept; each takes some eight megabytes."""
_HEAD = "scene.json"
_ABOUT = "about.json"
# In the order in which they are put in place: the head last, for it makes the others a scene.
_FILES = ("scene.safetensors", "calibration.json", "view.json", _ABOUT, _HEAD)


class NoSceneError(ValueError):
    """There is no such scene: which, and what there is."""


@dataclass(frozen=True, slots=True)
class SceneRecord:
    """One scene that a camera has had."""

    id: str
    """Unix milliseconds at which it was made."""
    adapted_at: float
    """The same in seconds."""
    reason: str
    """Why it was made, for people."""
    current: bool
    """Whether it is the one in use."""


class SceneHistory:
    """Under the folder of each camera: its scene in use, and in `history` the earlier ones."""

    def __init__(self, folder: Path, kept: int = KEPT_SCENES) -> None:
        self._folder = folder
        self._kept = kept

    def put_aside(self, camera: str) -> None:
        """Keep the scene in use as an earlier one, if there is one; the oldest ones go.

        Raises:
            OSError: it cannot be written.
        """
        folder = self._folder / camera
        now = _record(folder, current=True)
        if now is None:
            return
        place = folder / "history" / now.id
        partial = place.with_suffix(".tmp")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _copy(folder, partial)
        shutil.rmtree(place, ignore_errors=True)
        os.replace(partial, place)
        for old in self._earlier(camera)[self._kept :]:
            shutil.rmtree(folder / "history" / old.id, ignore_errors=True)

    def made(self, camera: str, reason: str) -> None:
        """Say why the scene in use was made.

        Raises:
            OSError: it cannot be written.
        """
        partial = self._folder / camera / (_ABOUT + ".tmp")
        partial.write_text(json.dumps({"reason": reason}))
        os.replace(partial, self._folder / camera / _ABOUT)

    def scenes(self, camera: str) -> list[SceneRecord]:
        """All scenes of a camera that are kept, the newest first."""
        now = _record(self._folder / camera, current=True)
        earlier = [one for one in self._earlier(camera) if now is None or one.id != now.id]
        return _newest_first([*([now] if now else []), *earlier])

    def restore(self, camera: str, scene: str) -> None:
        """Put an earlier scene in the place of the one in use, which becomes an earlier one.

        Args:
            camera: Its name.
            scene: As `scenes` names it.

        Raises:
            NoSceneError: there is no such scene.
            OSError: it cannot be written.
        """
        folder = self._folder / camera
        records = {record.id: record for record in self.scenes(camera)}
        if scene not in records:
            have = ", ".join(records) or "none"
            raise NoSceneError(f"scene {scene}: want one that is kept, {have}")
        if records[scene].current:
            return
        wanted = folder / "wanted.tmp"
        shutil.rmtree(wanted, ignore_errors=True)
        wanted.mkdir()
        _copy(folder / "history" / scene, wanted)  # before the oldest goes, which it may be itself
        self.put_aside(camera)
        for name in _FILES:
            if (wanted / name).is_file():
                os.replace(wanted / name, folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
        shutil.rmtree(wanted, ignore_errors=True)

    def _earlier(self, camera: str) -> list[SceneRecord]:
        folders = (self._folder / camera / "history").glob("*")
        found = [_record(folder, current=False) for folder in folders if folder.suffix != ".tmp"]
        return _newest_first([one for one in found if one])


def _newest_first(records: list[SceneRecord]) -> list[SceneRecord]:
    return sorted(records, key=lambda one: one.adapted_at, reverse=True)


def _record(folder: Path, current: bool) -> SceneRecord | None:
    try:
        adapted_at = (folder / _HEAD).stat().st_mtime
    except OSError:
        return None
    reason = ""
    try:
        reason = str(json.loads((folder / _ABOUT).read_text())["reason"])
    except (OSError, KeyError, TypeError, ValueError):
        LOG.debug("%s: does not say why it was made", folder)
    return SceneRecord(str(round(adapted_at * 1000)), adapted_at, reason, current)


def _copy(source: Path, target: Path) -> None:
    """Files are only ever replaced, never written again: a second name is as good as a copy."""
    for name in _FILES:
        if not (source / name).is_file():
            continue
        try:
            os.link(source / name, target / name)
        except OSError:  # not every file system has second names
            shutil.copy2(source / name, target / name)
