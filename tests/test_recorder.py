"""From what the alert sink tells to a clip on the disk, over real sockets, from real sources."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import av
import numpy as np
import pytest
from makers import small_scorer, walking_box, write_images, write_video
from pipeline_run import pipeline_run
from stage_parts import CollectingSink, ingesting, scoring, small_config, worker_context

from cameras.packet_ring import PacketRing
from cameras.simulation.rtsp_server import Mount, RtspServer
from cameras.video_file import VideoFile
from models import SceneScorer
from pipeline.config import Record
from pipeline.ingest.recorder import ClipRequest, EventClips, Recorder, ring_for, ring_seconds
from pipeline.storage.event_queries import EventQuery
from pipeline.storage.store import EventStore
from pipeline.transport.live import LivePublisher
from pipeline.transport.messages import Live
from pipeline.worker import RunInfo

RECORD = {"pre_capture": 1, "post_capture": 1, "longest": 5, "min_free_gb": 0}


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return small_scorer()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6 s with a key frame twice a second."""
    path = tmp_path_factory.mktemp("recording") / "street.mp4"
    write_video(path, 150)
    return path


def event(change: str, start: float, duration: float, connection: int = 7) -> dict[str, object]:
    return {
        "change": change,
        "id": f"street-{connection}-{start:g}",
        "connection": connection,
        "started_pts_seconds": start,
        "duration_seconds": duration,
    }


def clips() -> EventClips:
    return EventClips(pre_seconds=5, post_seconds=3, longest_seconds=60)


def test_a_clip_is_due_when_its_end_has_come() -> None:
    event_clips = clips()
    event_clips.update(event("new", 20, 0.5))
    event_clips.update(event("update", 20, 4))
    assert event_clips.due((7, 40)) == []
    event_clips.update(event("end", 20, 10))
    assert event_clips.due((7, 33)) == []
    (order,) = event_clips.due((7, 33.1))
    assert order == ClipRequest("street-7-20", 7, 15, 33)
    event_clips.update(event("end", 20, 10))  # again, by a restarted sink
    assert event_clips.due(None) == []


def test_its_end_alone_is_enough_and_its_beginning_may_be_that_of_the_stream() -> None:
    event_clips = clips()
    event_clips.update(event("end", 2, 1))
    assert event_clips.due((7, 50)) == [ClipRequest("street-7-2", 7, 0, 6)]


def test_a_long_event_is_cut_while_it_goes_on() -> None:
    event_clips = clips()
    event_clips.update(event("suppressed", 20, 0.5))
    assert event_clips.due((7, 83)) == []
    (order,) = event_clips.due((7, 83.1))
    assert (order.begin_seconds, order.end_seconds) == (15, 83)
    event_clips.update(event("end", 20, 500))
    assert event_clips.due(None) == []


def test_an_event_whose_end_alone_arrives_gives_no_longer_clip() -> None:
    event_clips = clips()
    event_clips.update(event("end", 20, 500))
    assert event_clips.due(None) == [ClipRequest("street-7-20", 7, 15, 83)]


def test_a_clip_ends_with_its_connection_and_with_the_camera() -> None:
    event_clips = clips()
    event_clips.update(event("new", 20, 0.5))
    event_clips.update(event("new", 1, 0.5, connection=8))
    assert [order.connection for order in event_clips.due((8, 2.0))] == [7]
    assert [order.connection for order in event_clips.due(None)] == [8]


def test_the_ring_is_as_long_as_the_longest_event() -> None:
    config = small_config(["street"], record=RECORD, alert={"merge_gap": 20})
    ring = ring_for(config.record, config.cameras["street"])
    assert isinstance(ring, PacketRing)
    assert ring_seconds(config.record, config.cameras["street"]) == 1 + 5 + 20 + 10
    assert ring_for(Record(enabled=False), config.cameras["street"]) is None


def wait_for(condition: Callable[[], bool], timeout_seconds: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.01)


def seconds_and_codec(clip: Path) -> tuple[float, str]:
    """Decodes it all."""
    with av.open(str(clip)) as container:
        times = [float(frame.time or 0) for frame in container.decode(video=0)]
        codec = container.streams.video[0].codec_context.codec.canonical_name
    assert times == sorted(times)
    return times[-1] - times[0], codec


def test_clips_of_a_camera(
    run: RunInfo, scorer: SceneScorer, recording: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An event that is over, and one that goes on when the worker is stopped."""
    caplog.set_level("INFO")
    mount = Mount(lambda: VideoFile(recording, "live"), keyframe_seconds=0.4)
    with RtspServer({"street": mount}) as server, LivePublisher(run.endpoints) as sink:
        url = server.address("street").replace("rtsp://", "rtsp://me:hunter2@")
        config = small_config({"street": url}, record=RECORD)
        context = worker_context("ingest:street", config, run, "street")
        clip = run.data_folder / "events" / "street" / "over" / "clip.mp4"
        with (
            scoring(worker_context("scorer", config, run), scorer),
            CollectingSink(run) as scores,
            ingesting(context),
        ):
            wait_for(lambda: bool(scores.scores) and scores.scores[-1].pts_seconds > 1)
            connection = scores.scores[0].connection
            over = {**event("end", 1.5, 0.5, connection), "id": "over"}

            def written() -> bool:
                sink.publish(Live("yard", "event", {**over, "id": "elsewhere"}))
                sink.publish(Live("street", "event", over))  # the subscription takes a moment
                time.sleep(0.02)
                return clip.exists()

            wait_for(written)
            start = scores.scores[-1].pts_seconds
            on = {**event("new", start, 0.0, connection), "id": "on"}
            sink.publish(Live("street", "event", on))
            wait_for(lambda: scores.scores[-1].pts_seconds > start + 0.5)
    length, codec = seconds_and_codec(clip)
    assert codec == "h264"
    assert 2.4 <= length <= 2.5 + 0.5  # from 0.5 s to 3.0 s, and back to a key frame
    length, _ = seconds_and_codec(run.data_folder / "events" / "street" / "on" / "clip.mp4")
    assert 1.4 <= length < 6
    assert not (run.data_folder / "events" / "street" / "elsewhere").exists()
    assert "event over: clip written" in caplog.text
    assert "hunter2" not in caplog.text


def test_why_there_is_no_clip(
    run: RunInfo, recording: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    full = Record.model_validate({**RECORD, "min_free_gb": 1e9})
    ring = PacketRing(60, 2**20)
    source = VideoFile(recording, "fast")
    source.on_packet = ring.start_stream()
    with source, closing(iter(source)) as pictures:
        for picture in pictures:
            ring.mark(7, picture)
    for record, kept, change, why in (
        (full, ring, event("end", 2, 1), r"want 1e+09 GB of free space, got "),
        (Record.model_validate(RECORD), ring, event("end", 2, 1, 6), "no longer there"),
        (Record.model_validate(RECORD), PacketRing(1, 1), event("end", 2, 1), "no encoded packets"),
    ):
        recorder = Recorder(run.endpoints, tmp_path, "street", record, kept)
        recorder.update(change)
        recorder.write_due(None)
        assert f"event {change['id']}: no clip: " in caplog.text
        assert why in caplog.text
    assert not (tmp_path / "events").exists()


def calm_then_wild(frames_per_second: int) -> Iterator[np.ndarray]:
    """12 s of the usual movement, enough for a scene to be calibrated; then 3 s of an anomaly."""
    yield from walking_box(12 * frames_per_second)
    rng = np.random.default_rng(1)
    for picture in walking_box(3 * frames_per_second):
        picture[24:48, 20:44] = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
        yield picture


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_whole_pipeline_makes_clips(tmp_path: Path) -> None:
    """Events that begin and never end; of images there are no clips, and the store says so."""
    recording = tmp_path / "street.mp4"
    write_video(recording, pictures=calm_then_wild(25))
    write_images(tmp_path / "images", calm_then_wild(10))
    mount = Mount(lambda: VideoFile(recording, "live"), keyframe_seconds=0.4)
    with RtspServer({"street": mount}) as server:
        sources = {
            "file": {"url": str(recording), "loop": True},
            "rtsp": server.address("street"),
            "images": {"url": str(tmp_path / "images"), "loop": True},
        }
        alert = {"enter": 1e-6, "exit": 1e-6, "min_duration": 0.1, "merge_gap": 60}
        record = {**RECORD, "longest": 0.5}
        with pipeline_run(tmp_path, sources, alert=alert, record=record) as run:
            folder = run.data_folder / "events"
            run.wait_for(
                lambda: all([*folder.glob(f"{name}/*/clip.mp4")] for name in ("file", "rtsp"))
            )
            run.wait_for(lambda: any(folder.glob("images/*/snapshot.jpg")))
            run.stop.set()
            assert run.wait(60).failed == {}
    with EventStore.for_reading(None, run.data_folder) as store:
        found = store.find(EventQuery(limit=1000)).events
    clips = {one.event.camera: one for one in found if one.has_clip}
    assert clips.keys() == {"file", "rtsp"}
    for camera, one in clips.items():
        seconds, codec = seconds_and_codec(folder / camera / one.event.id / "clip.mp4")
        assert codec == ("mpeg4" if camera == "file" else "h264")
        assert 0.3 < seconds < 4
    log = (run.data_folder / "logs" / "ingest-images.log").read_text()
    assert "no clip: the source has no encoded packets" in log
