"""Reconcile the ingest workers with the desired cameras. Pure functions.

The ingest worker of a camera starts only when scorer and sink have acknowledged a table with the
camera, and the camera is removed from their table only when its ingest worker has ended: so a
worker never receives a frame of a camera that is not in its table, and the other cameras are not
affected.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.config import Camera, Config
from pipeline.runtime.process_table import ingest_spec
from pipeline.transport.messages import CameraTable
from pipeline.worker import WorkerSpec


@dataclass(frozen=True, slots=True)
class Plan:
    """The next step towards the desired state."""

    table: dict[str, Camera]
    """The table for the workers of all cameras."""
    retire: tuple[str, ...]
    """Cameras whose ingest workers are to end."""
    start: tuple[str, ...]
    """Cameras that need an ingest worker, to be started once the table is acknowledged."""


def plan(wanted: Mapping[str, Camera], running: Mapping[str, Camera]) -> Plan:
    """Compare the desired state with the actual state.

    Args:
        wanted: All cameras, the desired state.
        running: Cameras that have an ingest worker, with the configuration it was started with.
    """
    retire = tuple(
        name
        for name, camera in running.items()
        if name not in wanted or not _is_unaffected(camera, wanted[name])
    )
    table = {name: running[name] if name in retire else camera for name, camera in wanted.items()}
    table |= {name: running[name] for name in retire if name not in wanted}
    start = tuple(name for name, camera in wanted.items() if camera.enabled and name not in running)
    return Plan(table, retire, start)


def _is_unaffected(running: Camera, wanted: Camera) -> bool:
    """Whether an ingest worker can continue: only scorer and sink use the other sections."""
    others = {section: getattr(running, section) for section in ("adapt", "alert", "zones")}
    return wanted.enabled and wanted.model_copy(update=others) == running


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes for the supervisor to carry out, in this order."""

    remove: tuple[str, ...]
    """Retired ingest workers that have ended."""
    retire: tuple[str, ...]
    """Ingest workers that are to end."""
    publish: bool
    """Whether the new table is to be sent to the workers of all cameras."""
    add: tuple[str, ...]
    """Ingest workers that are new in the process table."""


class Reconciler:
    """The specifications of all workers, always current, so that a restarted worker gets them."""

    def __init__(self, table: Sequence[WorkerSpec]) -> None:
        self.specs = {spec.name: spec for spec in table}
        self._servers = [s.name for s in table if s.camera is None and not s.helper]
        self._cameras: dict[str, Camera] = dict(table[0].config.cameras)
        self._revision = 0
        self._acknowledged = dict.fromkeys(self._servers, -1)
        self._retired: set[str] = set()

    @property
    def table(self) -> CameraTable:
        """The newest table of cameras."""
        cameras = {name: one.model_dump(mode="json") for name, one in self._cameras.items()}
        return CameraTable(self._revision, dict(cameras))

    @property
    def servers(self) -> Sequence[str]:
        """Workers of all cameras; they receive each new table."""
        return self._servers

    def spawned(self, worker: str) -> None:
        """Note that a worker was started with its newest specification."""
        if worker in self._acknowledged:
            self._acknowledged[worker] = self.specs[worker].revision

    def acknowledged(self, worker: str, revision: int) -> bool:
        """Note the revision of the table that a worker uses; True: it needs a newer one."""
        if worker not in self._acknowledged:
            return False
        self._acknowledged[worker] = revision
        return revision < self._revision

    def reconcile(self, wanted: Config, over: Callable[[str], bool]) -> Changes:
        """Plan the next changes towards the desired state; to be called at every tick.

        Args:
            wanted: Configuration with all cameras, the desired state.
            over: Whether a worker has ended for good.
        """
        remove = tuple(name for name in self._retired if over(name))
        for name in remove:
            self._retired.discard(name)
            del self.specs[name]
        workers = {spec.camera: spec for spec in self.specs.values() if spec.camera is not None}
        running = {camera: spec.config.cameras[camera] for camera, spec in workers.items()}
        todo = plan(wanted.cameras, running)
        retire = tuple(
            name for camera in todo.retire if (name := workers[camera].name) not in self._retired
        )
        self._retired.update(retire)
        publish = todo.table != self._cameras
        if publish:
            self._revision += 1
            self._cameras = todo.table
        config = wanted.model_copy(update={"cameras": self._cameras})
        for name in self._servers if publish else ():
            self.specs[name] = replace(self.specs[name], config=config, revision=self._revision)
        add: tuple[str, ...] = ()
        if all(revision >= self._revision for revision in self._acknowledged.values()):
            run = next(iter(self.specs.values())).run
            started = [ingest_spec(camera, config, run) for camera in todo.start]
            self.specs |= {spec.name: spec for spec in started}
            add = tuple(spec.name for spec in started)
        return Changes(remove, retire, publish, add)
