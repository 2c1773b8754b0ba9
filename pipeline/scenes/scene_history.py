"""Earlier scenes of a camera on disk, to undo an adaptation, and for illuminations that return.

One store serves both. Beyond the limit the least recently used scene is deleted; of scenes in the
same illumination all but one are deleted before the last scene of another illumination.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.scenes.illumination import Illumination, is_other
from pipeline.scenes.scene_paths import HEAD, SUPPORT
from pipeline.scenes.scene_record import (
    ABOUT,
    LIGHT,
    SceneRecord,
    read_light,
    read_record,
    write_json,
)
from pipeline.telemetry.wall_clock import recency

MAX_EARLIER_SCENES = 5
"""Earlier scenes stored per camera; each takes some ten megabytes."""
BANK_SIZE = 4
"""Scenes in different illuminations, that in use included, that take precedence."""
_SAME_VIEW = ("view.json", LIGHT, SUPPORT)
_READY = "wanted.ready"
"""Folder of a complete scene that is being moved into place."""
# In the order in which they are moved into place: the head last, since it completes the scene.
_FILES = ("scene.safetensors", "calibration.json", *_SAME_VIEW, ABOUT, HEAD)


class NoSceneError(ValueError):
    """There is no such scene; names it and those that exist."""


def scenes_to_delete(
    earlier: Sequence[tuple[str, Illumination | None]], bank_size: int, kept: int
) -> list[str]:
    """Select the earlier scenes to delete.

    Args:
        earlier: Id and illumination of each, the last used first.
        bank_size: Number of illuminations to store scenes of, that of the scene in use included.
        kept: Number of earlier scenes that may stay.
    """
    lights = [light for _, light in earlier]
    first = list(range(len(earlier)))[:1]
    others = of_other_lights(lights, bank_size - 1, known=first)
    ranked = [*first, *others]
    ranked += [place for place in range(len(earlier)) if place not in ranked]
    return [earlier[place][0] for place in ranked[kept:]]


def of_other_lights(
    lights: Sequence[Illumination | None], count: int, known: Sequence[int] = ()
) -> list[int]:
    """Indices of the first scene in each illumination, `count` at most.

    Args:
        lights: Illuminations of scenes, the preferred first; None: not known, left out.
        count: How many.
        known: Indices of scenes whose illuminations are left out.
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

    def __init__(self, folder: Path, kept: int = MAX_EARLIER_SCENES) -> None:
        self._folder = folder
        self._kept = kept
        self._bank_sizes: dict[str, int] = {}

    def set_bank_size(self, camera: str, scenes: int) -> None:
        """Set the number of illuminations to store scenes of, that of the scene in use included."""
        self._bank_sizes[camera] = scenes

    def forget(self, camera: str) -> None:
        """Forget the bank size of a removed camera; its scenes stay on the disk."""
        self._bank_sizes.pop(camera, None)

    def place(self, camera: str, scene: SceneRecord) -> Path:
        """Folder of a scene."""
        folder = self._folder / camera
        return folder if scene.current else folder / "history" / scene.id

    def light(self, camera: str, scene: SceneRecord) -> Illumination | None:
        """The illumination that a scene was built in; None: it is not known, or damaged."""
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
            reason: Why it was built, for people; None: it is a refit of the scene in use, which
                keeps its reason and does not become an earlier one.
            same_view: Whether it is of the same view in the same illumination.

        Raises:
            OSError: it cannot be written.
        """
        folder = self._folder / camera
        with self._staging_folder(camera) as staging:
            kept = list(_SAME_VIEW) if same_view else []
            _copy(folder, staging, [*kept, ABOUT] if reason is None else kept)
            write(staging)
            if reason is not None:
                write_json(staging / ABOUT, {"reason": reason})
                self._archive_current(camera)
            self._put_in_place(camera, staging)

    def scenes(self, camera: str) -> list[SceneRecord]:
        """All stored scenes of a camera, the newest first."""
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
            raise NoSceneError(f"scene {scene}: want one that is stored: {have}")
        if records[scene].current:
            return
        with self._staging_folder(camera) as staging:
            # Before the oldest is deleted, which may be this one.
            _copy(folder / "history" / scene, staging)
            write_json(staging / ABOUT, {"reason": records[scene].reason, "used_at": time.time()})
            self._archive_current(camera)
            self._put_in_place(camera, staging)

    @contextmanager
    def _staging_folder(self, camera: str) -> Iterator[Path]:
        """An empty folder for the files of the scene that will be in use."""
        staging = self._folder / camera / "wanted.tmp"
        for left in (staging, staging.with_name(_READY)):
            shutil.rmtree(left, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _archive_current(self, camera: str) -> None:
        """Store the scene in use, if any, as an earlier one; delete those beyond the limit."""
        folder = self._folder / camera
        now = read_record(folder, current=True)
        if now is None:
            return
        place = folder / "history" / now.id
        partial = place.with_suffix(".tmp")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _copy(folder, partial)
        write_json(partial / ABOUT, {"reason": now.reason, "used_at": time.time()})
        shutil.rmtree(place, ignore_errors=True)
        os.replace(partial, place)
        now_seconds = time.time()
        earlier = sorted(
            self._earlier(camera), key=lambda one: recency(one.used_at, now_seconds), reverse=True
        )
        lights = [(one.id, self.light(camera, one)) for one in earlier]
        bank_size = self._bank_sizes.get(camera, BANK_SIZE)
        for old in scenes_to_delete(lights, bank_size, self._kept):
            shutil.rmtree(folder / "history" / old, ignore_errors=True)

    def recover(self, camera: str) -> bool:
        """Finish moving a scene into place after a process was killed during it.

        Returns:
            Whether there was anything to finish.

        Raises:
            OSError: it failed; it can be tried again.
        """
        ready = self._folder / camera / _READY
        if not ready.is_dir():
            return False
        self._move_into_place(camera, ready)
        return True

    def _put_in_place(self, camera: str, staging: Path) -> None:
        """After the rename `recover` can finish the rest if the process is killed."""
        ready = staging.with_name(_READY)
        os.replace(staging, ready)
        self._move_into_place(camera, ready)

    def _move_into_place(self, camera: str, ready: Path) -> None:
        folder = self._folder / camera
        # Without the head there is no scene, rather than a mixture of two.
        if (ready / _FILES[0]).is_file():  # nothing was moved so far
            (folder / HEAD).unlink(missing_ok=True)
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


def _copy(source: Path, target: Path, names: Sequence[str] = _FILES) -> None:
    """Link files instead of copying: they are only ever replaced, never written again."""
    for name in names:
        if not (source / name).is_file():
            continue
        try:
            os.link(source / name, target / name)
        except OSError:  # not every file system has hard links
            shutil.copy2(source / name, target / name)
