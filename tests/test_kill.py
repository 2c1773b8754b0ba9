"""Every worker killed in turn: of a recording nothing is lost, of a live camera all is counted."""

from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from makers import walking_box, write_video
from pipeline_run import PipelineRun, leftovers, pipeline_run

from cameras.simulation.rtsp_server import Mount, RtspServer
from cameras.video_file import VideoFile

FRAMES = 150


@pytest.mark.timeout(300)
def test_every_worker_killed_in_turn(tmp_path: Path) -> None:
    clip = tmp_path / "street.mp4"
    write_video(clip, pictures=walking_box(FRAMES), frames_per_second=10)
    before = leftovers()
    with RtspServer(
        {"street": Mount(lambda: VideoFile(clip, "live"), frames_per_second=10)}
    ) as server:
        sources = {
            "file": {"url": str(clip), "pace": "live"},
            "hasty": {"url": str(clip), "loop": True, "policy": "newest"},
            "rtsp": {"url": server.address("street")},
        }
        with pipeline_run(tmp_path, sources) as run:
            run.wait_for(lambda: len(run.scores("file")) > 10)
            run.kill("ingest:file")
            run.wait_for(lambda: all(len(run.scores(name)) > 10 for name in sources))
            for worker in ("ingest:hasty", "scorer", "sink", "ingest:rtsp"):
                run.kill(worker)
                goes_on(run)
            run.wait_for(lambda: len(run.scores("file")) == FRAMES)
            run.stop.set()
            assert run.wait(60).failed == {}
    assert leftovers() == before

    file = run.scores("file")
    assert [score["index"] for score in file] == list(range(FRAMES))
    assert {score["dropped"] for score in file} == {0}
    assert len({score["connection"] for score in file}) == 1
    for camera in ("hasty", "rtsp"):
        groups = connections_of(run, camera)
        assert len(groups) > 1
        for group in groups:
            assert [one["index"] - one["dropped"] for one in group] == list(range(len(group)))
    lost = sum(group[-1]["dropped"] for group in connections_of(run, "hasty"))
    assert lost > 0, "the killed scorer was away for long enough to lose some"


def goes_on(run: PipelineRun) -> None:
    """Wait until all cameras have scores that they had not."""
    before = {name: len(run.scores(name)) for name in ("file", "rtsp")}
    run.wait_for(
        lambda: (
            len(run.scores("rtsp")) > before["rtsp"]
            and (len(run.scores("file")) > before["file"] or before["file"] == FRAMES)
        )
    )


def connections_of(run: PipelineRun, camera: str) -> list[list[dict[str, Any]]]:
    """Scores of each connection."""
    groups = groupby(run.scores(camera), lambda score: score["connection"])
    return [list(scores) for _, scores in groups]
