"""A call into a source that never returns: the worker exits, and its successor continues.

An image that is a pipe without a writer blocks in the kernel, as a file on an unreachable server.
"""

import os
import threading
import time
from pathlib import Path

import pytest
from makers import walking_box, write_images
from pipeline_run import pipeline_run
from stage_parts import small_config, worker_context

from cameras import SourceError
from pipeline.ingest import ingest_worker as ingest
from pipeline.worker import RunInfo


@pytest.fixture
def hanging(tmp_path: Path) -> Path:
    """A folder of images; reading the eighth one blocks."""
    folder = tmp_path / "images"
    write_images(folder, walking_box(30))
    (folder / "008.png").unlink()
    os.mkfifo(folder / "008.png")
    return folder


def test_the_worker_exits(run: RunInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its decoder thread stays in the call."""
    returns = threading.Event()

    def hang(*_: object) -> None:
        returns.wait()
        raise SourceError("timeout", "too late to matter")

    monkeypatch.setattr(ingest, "LEAST_HUNG_SECONDS", 0.5)
    monkeypatch.setattr(ingest, "open_source", hang)
    source = {"url": "rtsp://127.0.0.1/x", "stall_timeout": 0.1}
    context = worker_context("ingest:x", small_config({"x": source}), run, "x")
    began = time.monotonic()
    with pytest.raises(ingest.HungSourceError, match=r"camera x: .* not returned"):
        ingest.run(context)
    assert 0.4 < time.monotonic() - began < 10
    context.stop.set()
    returns.set()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_its_successor_continues(hanging: Path, tmp_path: Path) -> None:
    """With real processes: only the hung one is replaced."""
    other = tmp_path / "other"
    write_images(other, walking_box(30))
    sources = {
        "hung": {"url": str(hanging), "loop": True, "stall_timeout": 0.5},
        "well": {"url": str(other), "loop": True},
    }
    with pipeline_run(tmp_path, sources) as run:
        run.wait_for(lambda: len(run.scores("hung")) == 7)
        first, well = run.pid("ingest:hung"), run.pid("ingest:well")
        began = time.monotonic()
        run.wait_for(lambda: run.pid("ingest:hung") not in (first, None))
        assert time.monotonic() - began < 60
        (hanging / "008.png").unlink()
        (hanging / "008.png").write_bytes((other / "008.png").read_bytes())
        run.wait_for(lambda: len(run.scores("hung")) > 30)
        assert run.pid("ingest:well") == well
        indices = [score["index"] for score in run.scores("hung")][:30]
        assert indices == list(range(30)), "a recording loses no frame by it"
