"""Which ingest workers come and go, and what the workers of all cameras are told meanwhile. Pure.

A camera's ingest worker is hired only when scorer and sink work by a table that has the camera, and
the camera leaves their table only when its ingest worker is gone: so no frame meets a worker that
does not know its camera, and the other cameras notice nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.config import Camera, Config
from pipeline.runtime.process_table import ingest_spec
from pipeline.transport.messages import CameraTable
from pipeline.worker import WorkerSpec


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now."""

    told: dict[str, Camera]
    """The table for the workers of all cameras."""
    retire: tuple[str, ...]
    """Cameras whose ingest workers shall end."""
    hire: tuple[str, ...]
    """Cameras that want an ingest worker, once the table is known."""


def plan(wanted: Mapping[str, Camera], manned: Mapping[str, Camera]) -> Plan:
    """Compare what is wanted with what is there.

    Args:
        wanted: All cameras as they shall be.
        manned: Those that have an ingest worker, as it was told of them.
    """
    retire = tuple(
        name
        for name, camera in manned.items()
        if name not in wanted or not _serves(camera, wanted[name])
    )
    told = {name: manned[name] if name in retire else camera for name, camera in wanted.items()}
    told |= {name: manned[name] for name in retire if name not in wanted}
    hire = tuple(name for name, camera in wanted.items() if camera.enabled and name not in manned)
    return Plan(told, retire, hire)


def _serves(manned: Camera, wanted: Camera) -> bool:
    """Whether an ingest worker can go on: nothing but scorer and sink look at the rest."""
    others = {section: getattr(manned, section) for section in ("adapt", "alert", "zones")}
    return wanted.enabled and wanted.model_copy(update=others) == manned


@dataclass(frozen=True, slots=True)
class Changes:
    """What the supervisor has to carry out, in this order."""

    forget: tuple[str, ...]
    """Ingest workers that have ended as they should."""
    retire: tuple[str, ...]
    """Ingest workers that shall end."""
    tell: bool
    """The workers of all cameras are to be told the table."""
    add: tuple[str, ...]
    """Ingest workers that are new in the table of processes."""


class Reconciler:
    """The specifications of all workers, kept up to date: also for those that start again."""

    def __init__(self, table: Sequence[WorkerSpec]) -> None:
        self.specs = {spec.name: spec for spec in table}
        self._servers = [s.name for s in table if s.camera is None and not s.helper]
        self._told: dict[str, Camera] = dict(table[0].config.cameras)
        self._revision = 0
        self._known = dict.fromkeys(self._servers, -1)
        self._retired: set[str] = set()

    @property
    def table(self) -> CameraTable:
        """The newest table of cameras."""
        cameras = {name: one.model_dump(mode="json") for name, one in self._told.items()}
        return CameraTable(self._revision, dict(cameras))

    @property
    def servers(self) -> Sequence[str]:
        """Workers that want to be told of changes."""
        return self._servers

    def spawned(self, worker: str) -> None:
        """A worker starts with its newest specification."""
        if worker in self._known:
            self._known[worker] = self.specs[worker].revision

    def enlisted(self, worker: str, revision: int) -> bool:
        """A worker says by which table it works; True where it is to be told a newer one."""
        if worker not in self._known:
            return False
        self._known[worker] = revision
        return revision < self._revision

    def reconcile(self, wanted: Config, over: Callable[[str], bool]) -> Changes:
        """Bring what is there nearer to what is wanted; to be called again and again.

        Args:
            wanted: With all cameras as they shall be.
            over: Whether a worker has ended for good.
        """
        forget = tuple(name for name in self._retired if over(name))
        for name in forget:
            self._retired.discard(name)
            del self.specs[name]
        workers = {spec.camera: spec for spec in self.specs.values() if spec.camera is not None}
        manned = {camera: spec.config.cameras[camera] for camera, spec in workers.items()}
        todo = plan(wanted.cameras, manned)
        retire = tuple(
            name for camera in todo.retire if (name := workers[camera].name) not in self._retired
        )
        self._retired.update(retire)
        tell = todo.told != self._told
        if tell:
            self._revision += 1
            self._told = todo.told
        config = wanted.model_copy(update={"cameras": self._told})
        for name in self._servers if tell else ():
            self.specs[name] = replace(self.specs[name], config=config, revision=self._revision)
        add: tuple[str, ...] = ()
        if all(known >= self._revision for known in self._known.values()):
            run = next(iter(self.specs.values())).run
            hired = [ingest_spec(camera, config, run) for camera in todo.hire]
            self.specs |= {spec.name: spec for spec in hired}
            add = tuple(spec.name for spec in hired)
        return Changes(forget, retire, tell, add)
