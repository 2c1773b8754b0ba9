"""The process table: all workers of `vedette run`."""

from pipeline.config import Config
from pipeline.worker import RunInfo, WorkerSpec

INGEST = "pipeline.ingest.ingest_worker:run"
SCORER = "pipeline.scoring.scoring_worker:run"
SINK = "pipeline.alerts.alert_worker:run"
GATEWAY = "pipeline.gateway.server:run"


def process_table(config: Config, run: RunInfo) -> list[WorkerSpec]:
    """The workers of a run, in the order of the data flow, which is the order of draining.

    The entries are strings, so that the parent does not import the modules of the workers.
    """
    cameras = [name for name, camera in config.cameras.items() if camera.enabled]
    return [
        *(ingest_spec(name, config, run) for name in cameras),
        WorkerSpec("scorer", SCORER, None, config, run),
        WorkerSpec("sink", SINK, None, config, run),
        *([WorkerSpec("gateway", GATEWAY, None, config, run, helper=True)] * config.api.enabled),
    ]


def ingest_name(camera: str) -> str:
    """Name of the ingest worker of a camera."""
    return f"ingest:{camera}"


def ingest_spec(camera: str, config: Config, run: RunInfo) -> WorkerSpec:
    """Specification of the ingest worker of a camera."""
    return WorkerSpec(ingest_name(camera), INGEST, camera, config, run)
