"""The ingest worker on real sources, with a real scoring worker behind it."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from makers import small_scorer, walking_box, write_images, write_video
from stage_parts import (
    CollectingSink,
    ingesting,
    scoring,
    small_config,
    worker_context,
)

from cameras.simulation.rtsp_server import Mount, RtspServer
from cameras.video_file import VideoFile
from models import SceneScorer
from pipeline.config import Config, SourceSection
from pipeline.ingest.ingest_worker import mailbox_policy
from pipeline.worker import RunInfo, WorkerContext


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return small_scorer()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """75 pictures, 25 a second: 30 frames at 10 a second."""
    path = tmp_path_factory.mktemp("clips") / "street.mp4"
    write_video(path, pictures=walking_box(75))
    return path


def contexts(run: RunInfo, config: Config) -> tuple[WorkerContext, WorkerContext]:
    return (
        worker_context("ingest:street", config, run, "street"),
        worker_context("scorer", config, run),
    )


def wait_for(condition: Callable[[], bool], timeout_seconds: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.01)


def test_a_file_to_its_end(run: RunInfo, scorer: SceneScorer, clip: Path) -> None:
    config = small_config({"street": {"url": str(clip), "pace": "fast"}})
    ingest_context, scorer_context = contexts(run, config)
    with (
        scoring(scorer_context, scorer),
        CollectingSink(run) as sink,
        ingesting(ingest_context) as worker,
    ):
        worker.join(20)
        assert not worker.is_alive(), "it ends by itself"
    assert [score.index for score in sink.scores] == list(range(30))
    assert {score.connection for score in sink.scores} == {run.started_ms}
    assert [score.pts_seconds for score in sink.scores] == pytest.approx(
        [index / 10 for index in range(30)], abs=0.03
    )
    assert ingest_context.cameras.snapshot() == {"street": "ended"}
    received = ingest_context.metrics.registry.get_sample_value(
        "vedette_frames_received_total", {"camera": "street"}
    )
    assert received == 75


def test_damaged_pictures_are_counted_and_not_scored(
    run: RunInfo, scorer: SceneScorer, tmp_path: Path
) -> None:
    """The last picture of the folder is damaged, too: nothing comes after it to tell of it."""
    write_images(tmp_path, walking_box(40), "jpg")
    images = sorted(tmp_path.iterdir())
    for number in (20, 21, 39):
        images[number].write_bytes(images[number].read_bytes()[:300])
    config = small_config({"street": {"url": str(tmp_path), "pace": "fast", "fps": 10}})
    ingest_context, scorer_context = contexts(run, config)
    with (
        scoring(scorer_context, scorer),
        CollectingSink(run) as sink,
        ingesting(ingest_context) as worker,
    ):
        worker.join(20)
    times = [round(10 * score.pts_seconds) for score in sink.scores]
    assert times == [number for number in range(39) if number not in (20, 21)]
    damaged = ingest_context.metrics.registry.get_sample_value(
        "vedette_frames_dropped_total", {"camera": "street", "reason": "damaged"}
    )
    assert damaged == 3


def test_a_loop_numbers_its_passes(run: RunInfo, scorer: SceneScorer, clip: Path) -> None:
    config = small_config({"street": {"url": str(clip), "pace": "fast", "loop": True}})
    ingest_context, scorer_context = contexts(run, config)
    with (
        scoring(scorer_context, scorer),
        CollectingSink(run) as sink,
        ingesting(ingest_context),
    ):
        wait_for(lambda: len(sink.scores) >= 70)
    places = [(score.connection, score.index) for score in sink.scores]
    assert places[:70] == [(run.started_ms + n // 30, n % 30) for n in range(70)]


def test_a_restarted_worker_goes_on(run: RunInfo, scorer: SceneScorer, tmp_path: Path) -> None:
    """8 s long and half done, so that a busy machine has seconds to spare on either side."""
    clip = tmp_path / "street.mp4"
    write_video(clip, pictures=walking_box(200))
    config = small_config({"street": {"url": str(clip), "pace": "live"}})
    first, scorer_context = contexts(run, config)
    second = worker_context("ingest:street", config, run, "street", incarnation=2)
    with scoring(scorer_context, scorer), CollectingSink(run) as sink:
        with ingesting(first):
            wait_for(lambda: len(sink.scores) >= 40)
        so_far = len(sink.scores)
        begin = time.monotonic()
        with ingesting(second) as worker:
            worker.join(20)
        seconds = time.monotonic() - begin
    assert so_far < 78
    assert [score.index for score in sink.scores] == list(range(80))
    assert seconds < 7.9, "what is done already takes no time"


def test_a_stop_ends_it_with_nothing_undone(run: RunInfo, scorer: SceneScorer, clip: Path) -> None:
    config = small_config({"street": {"url": str(clip), "loop": True}})
    ingest_context, scorer_context = contexts(run, config)
    with scoring(scorer_context, scorer), CollectingSink(run) as sink:
        with ingesting(ingest_context) as worker:
            wait_for(lambda: len(sink.scores) >= 5)
            ingest_context.stop.set()
            begin = time.monotonic()
            worker.join(20)
        assert time.monotonic() - begin < 3.0
        count = len(sink.scores)
        assert [score.index for score in sink.scores] == list(range(count))


def test_a_missing_file_is_an_error_and_no_crash(
    run: RunInfo, caplog: pytest.LogCaptureFixture
) -> None:
    context, _ = contexts(run, small_config({"street": "/nowhere/clip.mp4"}))
    with ingesting(context) as worker:
        worker.join(20)
        assert not worker.is_alive()
    assert context.cameras.snapshot() == {"street": "error: not_found"}
    assert "camera street: not_found:" in caplog.text


def test_an_rtsp_camera_whose_scorer_was_away(
    run: RunInfo, scorer: SceneScorer, clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Missing numbers are the dropped count, and a password stays secret."""
    with RtspServer({"street": Mount(lambda: VideoFile(clip, "live"))}) as server:
        url = server.address("street").replace("rtsp://", "rtsp://me:hunter2@")
        config = small_config({"street": {"url": url}})
        ingest_context, _ = contexts(run, config)
        with CollectingSink(run) as sink, ingesting(ingest_context):
            for incarnation in (1, 2):
                before = len(sink.scores)
                with scoring(
                    worker_context("scorer", config, run, incarnation=incarnation), scorer
                ):
                    wait_for(lambda before=before: len(sink.scores) >= before + 8)
                    assert ingest_context.cameras.snapshot() == {"street": "watching"}
                time.sleep(0.5)
    assert len({score.connection for score in sink.scores}) == 1
    for number, score in enumerate(sink.scores):
        assert score.index - score.dropped == number
    assert sink.scores[-1].dropped > 0
    assert "hunter2" not in caplog.text


def test_a_dead_host_is_offline(run: RunInfo, caplog: pytest.LogCaptureFixture) -> None:
    context, _ = contexts(run, small_config({"street": "rtsp://me:hunter2@127.0.0.1:9/street"}))
    with ingesting(context):
        wait_for(lambda: context.cameras.snapshot().get("street") == "offline: refused")
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    ("policy", "live", "expected"),
    [
        ("auto", True, "newest"),
        ("auto", False, "wait"),
        ("wait", True, "wait"),
        ("newest", False, "newest"),
    ],
)
def test_mailbox_policy(policy: str, live: bool, expected: str) -> None:
    assert (
        mailbox_policy(SourceSection.model_validate({"url": "x", "policy": policy}), live)
        == expected
    )


def test_a_worker_for_no_camera_is_refused(run: RunInfo) -> None:
    from pipeline.ingest import ingest_worker as ingest

    with pytest.raises(ValueError, match="want the name of a camera, got none"):
        ingest.run(worker_context("ingest", small_config(["street"]), run))
