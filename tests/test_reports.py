"""The metrics of a run that the supervisor reports itself."""

from pipeline.config import Config
from pipeline.runtime.process_table import GATEWAY
from pipeline.runtime.reports import Reports
from pipeline.runtime.restart_policy import WorkerState
from pipeline.worker import WorkerSpec


def test_a_restart_is_counted_when_it_happens() -> None:
    """The policy counts the end of the process, and the metric its later start."""
    reports = Reports(["gateway"])
    state = WorkerState()
    config = Config.model_validate({"cameras": {}, "api": {"enabled": True}})
    spec = WorkerSpec("gateway", GATEWAY, None, config, None)  # type: ignore[arg-type]

    def counted() -> float | None:
        reports.update([spec], {"gateway": state}, {}, None)
        labels = {"worker": "gateway"}
        return reports.registry.get_sample_value("vedette_worker_restarts_total", labels)

    assert not counted()
    state.restarts += 1
    assert not counted()
    reports.restarted("gateway")
    assert counted() == 1
