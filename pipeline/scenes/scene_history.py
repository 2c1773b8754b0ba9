"""Earlier scenes of a camera on disk, to take back an adaptation, and for a light that returns.

One store serves both. What goes when there are too many is what was not in use for longest, but of
scenes in the same light before the last one of another light.
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.scenes.illumination import Illumination, is_other, light_from_json
from pipeline.scenes.support_clips import FILE
from pipeline.telemetry.atomic_write import write_atomic
from pipeline.telemetry.wall_clock import recency

LOG = logging.getLogger(__name__)

KEPT_SCENES = 5
"""Earlier scenes of a camera that are kept; each takes some ten megabytes."""
CONDITIONS = 4
"""Scenes in different lights, that in use included, that are kept before others."""
_HEAD = "scene.json"
_ABOUT = "about.json"
_VIEW = "view.json"
_LIGHT = "light.json"
_SAME_VIEW = (_VIEW, _LIGHT, FILE)
_READY = "wanted.ready"
"""Folder of a scene that is whole and is being put in place."""
# In the order in which they are put in place: the head last, for it makes the others a scene.
_FILES = ("scene.safetensors", "calibration.json", *_SAME_VIEW, _ABOUT, _HEAD)


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
    used_at: float
    """When it was last in use, Unix seconds; of the one in use, since when it is."""
    light: dict[str, float] | None
    """Typical luma and chroma of the light that it was made in, 0..255; None: it is not known."""


def superfluous(
    earlier: Sequence[tuple[str, Illumination | None]], conditions: int, kept: int
) -> list[str]:
    """Which earlier scenes are to go.

    Args:
        earlier: Name and light of each, the last used first.
        conditions: How many lights are to be known, with that of the scene in use.
        kept: How many earlier scenes may stay.
    """
    lights = [light for _, light in earlier]
    first = list(range(len(earlier)))[:1]
    others = of_other_lights(lights, conditions - 1, known=first)
    ranked = [*first, *others]
    ranked += [place for place in range(len(earlier)) if place not in ranked]
    return [earlier[place][0] for place in ranked[kept:]]


def of_other_lights(
    lights: Sequence[Illumination | None], count: int, known: Sequence[int] = ()
) -> list[int]:
    """Places of the first scene in each light, `count` at most.

    Args:
        lights: Of some scenes, the most wanted first; None: not known, and passed over.
        count: How many.
        known: Places of scenes whose lights are not wanted again.
    """
    seen = [light for light in (lights[place] for place in known) if light is not None]
    found: list[int] = []
    for place, light in enumerate(lights):
        if len(found) < count and light is not None and all(is_other(light, one) for one in seen):
            found.append(place)
            seen.append(light)
    return found


class SceneHistory:
    """Under the folder of each camera: its scene in use, and in `history` the earlier ones."""

    def __init__(self, folder: Path, kept: int = KEPT_SCENES) -> None:
        self._folder = folder
        self._kept = kept
        self._conditions: dict[str, int] = {}

    def know(self, camera: str, conditions: int) -> None:
        """Say how many lights of a camera are to be known, with that of the scene in use."""
        self._conditions[camera] = conditions

    def forget(self, camera: str) -> None:
        """Forget that of a removed camera; its scenes stay on the disk."""
        self._conditions.pop(camera, None)

    def place(self, camera: str, scene: SceneRecord) -> Path:
        """Folder of a scene."""
        folder = self._folder / camera
        return folder if scene.current else folder / "history" / scene.id

    def light(self, camera: str, scene: SceneRecord) -> Illumination | None:
        """The light that a scene was made in; None: it is not known, or damaged."""
        return read_light(self.place(camera, scene))

    def put(
        self,
        camera: str,
        write: Callable[[Path], object],
        reason: str | None,
        same_view: bool = False,
    ) -> None:
        """Put a new scene in the place of the one in use, which becomes an earlier one.

        The new one is written first: where that fails, nothing has changed.

        Args:
            camera: Its name.
            write: Writes the files of the scene into a folder.
            reason: Why it was made, for people; None: as the one in use, which was made wider, and
                becomes no earlier one.
            same_view: Whether it is of the same view in the same light.

        Raises:
            OSError: it cannot be written.
        """
        folder = self._folder / camera
        with self._wanted(camera) as wanted:
            kept = list(_SAME_VIEW) if same_view else []
            _copy(folder, wanted, [*kept, _ABOUT] if reason is None else kept)
            write(wanted)
            if reason is not None:
                write_json(wanted / _ABOUT, {"reason": reason})
                self._put_aside(camera)
            self._put_in_place(camera, wanted)

    def scenes(self, camera: str) -> list[SceneRecord]:
        """All scenes of a camera that are kept, the newest first."""
        now = read_record(self._folder / camera, current=True)
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
        with self._wanted(camera) as wanted:
            # Before the oldest goes, which it may be itself.
            _copy(folder / "history" / scene, wanted)
            write_json(wanted / _ABOUT, {"reason": records[scene].reason, "used_at": time.time()})
            self._put_aside(camera)
            self._put_in_place(camera, wanted)

    @contextmanager
    def _wanted(self, camera: str) -> Iterator[Path]:
        """An empty folder for the files of the scene that is to be in use."""
        wanted = self._folder / camera / "wanted.tmp"
        for left in (wanted, wanted.with_name(_READY)):
            shutil.rmtree(left, ignore_errors=True)
        wanted.mkdir(parents=True)
        try:
            yield wanted
        finally:
            shutil.rmtree(wanted, ignore_errors=True)

    def _put_aside(self, camera: str) -> None:
        """Keep the scene in use as an earlier one, if there is one; too many are not kept."""
        folder = self._folder / camera
        now = read_record(folder, current=True)
        if now is None:
            return
        place = folder / "history" / now.id
        partial = place.with_suffix(".tmp")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _copy(folder, partial)
        write_json(partial / _ABOUT, {"reason": now.reason, "used_at": time.time()})
        shutil.rmtree(place, ignore_errors=True)
        os.replace(partial, place)
        now_seconds = time.time()
        earlier = sorted(
            self._earlier(camera), key=lambda one: recency(one.used_at, now_seconds), reverse=True
        )
        lights = [(one.id, self.light(camera, one)) for one in earlier]
        conditions = self._conditions.get(camera, CONDITIONS)
        for old in superfluous(lights, conditions, self._kept):
            shutil.rmtree(folder / "history" / old, ignore_errors=True)

    def recover(self, camera: str) -> bool:
        """Finish putting a scene in place where a process died in the midst of it.

        Returns:
            Whether there was anything to finish.

        Raises:
            OSError: it cannot be finished; it can be tried again.
        """
        ready = self._folder / camera / _READY
        if not ready.is_dir():
            return False
        self._finish(camera, ready)
        return True

    def _put_in_place(self, camera: str, wanted: Path) -> None:
        """From the rename on a process that dies leaves what `recover` needs to go on."""
        ready = wanted.with_name(_READY)
        os.replace(wanted, ready)
        self._finish(camera, ready)

    def _finish(self, camera: str, ready: Path) -> None:
        folder = self._folder / camera
        # Without a head there is no scene, rather than one of parts of two.
        if (ready / _FILES[0]).is_file():  # nothing was moved so far
            (folder / _HEAD).unlink(missing_ok=True)
            for name in _FILES:
                if not (ready / name).is_file():
                    (folder / name).unlink(missing_ok=True)
        for name in _FILES:
            if (ready / name).is_file():
                os.replace(ready / name, folder / name)
        shutil.rmtree(ready)

    def _earlier(self, camera: str) -> list[SceneRecord]:
        folders = (self._folder / camera / "history").glob("*")
        found = [
            read_record(folder, current=False) for folder in folders if folder.suffix != ".tmp"
        ]
        return _newest_first([one for one in found if one])


def _newest_first(records: list[SceneRecord]) -> list[SceneRecord]:
    return sorted(records, key=lambda one: one.adapted_at, reverse=True)


def read_record(folder: Path, current: bool) -> SceneRecord | None:
    """What a folder says of the scene in it; None: there is none."""
    try:
        adapted_at = (folder / _HEAD).stat().st_mtime
    except OSError:
        return None
    about: dict[str, object] = {}
    try:
        about = dict(json.loads((folder / _ABOUT).read_text()))
    except (OSError, TypeError, ValueError):
        LOG.debug("%s: does not say why it was made", folder)
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
    """The light of the scene in a folder; None: it is not known, or damaged."""
    path = folder / _LIGHT
    if not path.is_file():
        return None
    try:
        return light_from_json(json.loads(path.read_text()))
    except (OSError, KeyError, TypeError, ValueError) as error:
        LOG.warning("%s: unusable, the light of the scene is not known: %s", path, error)
        return None


def write_json(path: Path, data: dict[str, object]) -> None:
    """Write a small file in one step.

    Raises:
        OSError: it cannot be written; what was there is as it was.
    """
    write_atomic(path, json.dumps(data).encode())


def _copy(source: Path, target: Path, names: Sequence[str] = _FILES) -> None:
    """Files are only ever replaced, never written again: a second name is as good as a copy."""
    for name in names:
        if not (source / name).is_file():
            continue
        try:
            os.link(source / name, target / name)
        except OSError:  # not every file system has second names
            shutil.copy2(source / name, target / name)
