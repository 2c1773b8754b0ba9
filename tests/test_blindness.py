"""A camera whose frames show nothing is reported, although its frames arrive."""

import io
import threading
from collections.abc import Iterable
from typing import get_args

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from makers import small_scorer
from odd_http_camera import Handler, grainy, head, jpeg, serving
from prometheus_client import CollectorRegistry
from stage_parts import CollectingSink, ingesting, scoring, small_config, worker_context
from test_ingest_worker import wait_for

from cameras.blindness import BlindnessDetector
from pipeline.telemetry.health import WorkerStatus, arriving_cameras, camera_statuses
from pipeline.telemetry.metrics import Metrics
from pipeline.transport.messages import CameraState
from pipeline.worker import RunInfo, WorkerContext

Pixels = npt.NDArray[np.uint8]
AFTER = 10.0


def watched(
    pictures: Iterable[Pixels], step: float = 1.0, keyframes: int = 1, **more: object
) -> list[str | None]:
    """The reason after each frame; every `keyframes`-th frame is a key frame."""
    watch = BlindnessDetector(AFTER, **more)  # type: ignore[arg-type]
    said: list[str | None] = []
    for number, picture in enumerate(pictures):
        now, keyframe = number * step, number % keyframes == 0
        if watch.is_due(now, keyframe):
            watch.update(now, picture, keyframe)
        said.append(watch.reason)
    return said


def grey(level: int, noise: int = 0, seed: int = 0) -> Pixels:
    rng = np.random.default_rng(seed)
    picture = level + rng.integers(-noise, noise + 1, (120, 160, 1))
    return np.repeat(np.clip(picture, 0, 255), 3, 2).astype(np.uint8)


def with_clock(picture: Pixels, number: int) -> Pixels:
    picture = picture.copy()
    place, font = (4, 12), cv2.FONT_HERSHEY_PLAIN
    cv2.putText(picture, f"12:00:{number:02d}", place, font, 0.8, (255, 255, 255))
    return picture


def test_static_scene_with_sensor_noise_is_not_frozen() -> None:
    assert set(watched(grainy(60))) == {None}


def test_repeated_frame_is_frozen_until_it_changes() -> None:
    pictures = grainy(40)
    said = watched([*pictures[:5], *[pictures[5]] * 20, *pictures[6:10]])
    assert said[5:15] == [None] * 10
    assert said[15:25] == ["frozen"] * 10
    assert said[25:] == [None] * 4


def test_frames_between_two_key_frames_may_be_identical() -> None:
    # Without motion an encoder repeats the previous frame for up to a minute.
    scenes = grainy(5)
    pictures = [scene for scene in scenes for _ in range(60)]
    assert set(watched(pictures, keyframes=60)) == {None}


def test_identical_key_frames_are_frozen() -> None:
    key, between, _ = grainy(3)
    said = watched([key, between] * 12, keyframes=2)
    assert said[-1] == "frozen"


def test_motion_between_the_key_frames_is_detected() -> None:
    key = grainy(1)[0]
    moved = key.copy()
    moved[40:80, 40:80] = 250
    assert set(watched([key, moved] * 12, keyframes=2)) == {None}


def test_detection_without_key_frames_takes_longer() -> None:
    picture = grainy(1)[0]
    said = watched([picture] * 400, keyframes=1000)
    assert said.index("frozen") == 300


def test_masked_clock_is_ignored_in_a_frozen_frame() -> None:
    pictures = [with_clock(grainy(1)[0], number) for number in range(30)]
    assert watched(pictures)[-1] is None
    mask = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.2), (0.0, 0.2))
    assert watched(pictures, masks=[mask])[-1] == "frozen"


@pytest.mark.parametrize(("level", "reason"), [(0, "black"), (16, "black"), (128, "constant")])
@pytest.mark.parametrize("noise", [0, 2])
def test_blank_frame(level: int, reason: str, noise: int) -> None:
    pictures = [with_clock(grey(level, noise, seed), seed) for seed in range(12)]
    said = watched([*grainy(3), *pictures, *grainy(2)])
    assert said[:13] == [None] * 13
    assert said[13:15] == [reason] * 2
    assert said[15:] == [None] * 2


def test_masked_areas_are_ignored() -> None:
    half = grainy(20)
    for picture in half:
        picture[:, 80:] = 0
    mask = ((0.0, 0.0), (0.52, 0.0), (0.52, 1.0), (0.0, 1.0))
    assert watched(half)[-1] is None
    assert watched(half, masks=[mask])[-1] == "black"


def test_a_street_at_night_is_not_black() -> None:
    rng = np.random.default_rng(5)
    pictures = []
    for _ in range(30):
        picture = 6 + 12 * np.linspace(0, 1, 120)[:, None, None] + rng.normal(0, 1.5, (120, 160, 1))
        picture = np.repeat(picture, 3, 2)
        picture[30:50, 60:80] += 120  # a lamp, and its light on the road
        picture[60:100, 40:110] += 15
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    assert set(watched(pictures)) == {None}


def test_zero_disables_the_detector() -> None:
    assert not BlindnessDetector(0.0).is_due(100.0, True)


def up_as_supervised(*workers: WorkerContext) -> dict[str, float | None]:
    """`vedette_camera_up` as the supervisor computes it from the states of workers."""
    statuses = [
        WorkerStatus(one.spec.name, "running", 1, 0, cameras=one.cameras.snapshot())
        for one in workers
    ]
    reported = camera_statuses(statuses)
    states = {name: status.partition(":")[0] for name, status in reported.items()}
    metrics = Metrics(CollectorRegistry())
    metrics.show_cameras(states, arriving_cameras(statuses), get_args(CameraState))
    value = metrics.registry.get_sample_value
    return {name: value("vedette_camera_up", {"camera": name}) for name in states}


def test_a_camera_whose_encoder_hangs_is_stale_until_the_picture_changes(run: RunInfo) -> None:
    hangs, pictures = threading.Event(), [jpeg(picture) for picture in grainy(40)]

    def answer(handler: Handler, over: threading.Event) -> None:
        head(handler, "multipart/x-mixed-replace; boundary=frame")
        number = 0
        while not over.wait(0.05):
            picture = pictures[7 if hangs.is_set() else number % len(pictures)]
            part = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            handler.wfile.write(part.encode() + picture + b"\r\n")
            number += 1

    with serving(answer) as address:
        config = small_config({"yard": {"url": f"{address}/live", "blind_after": 2}})
        ingest = worker_context("ingest:yard", config, run, "yard")
        scorer = worker_context("scorer", config, run)
        up = lambda: up_as_supervised(ingest, scorer)["yard"]  # noqa: E731
        frozen = "stale: the picture is frozen: always the same, bit by bit"
        with scoring(scorer, small_scorer()), CollectingSink(run) as sink, ingesting(ingest):
            wait_for(lambda: sink.scores[-1:] != [] and sink.scores[-1].state == "ready")
            assert ingest.cameras.snapshot() == {"yard": "watching"}
            assert up() == 1
            hangs.set()
            wait_for(lambda: ingest.cameras.snapshot() == {"yard": frozen})
            assert up() == 0
            wait_for(lambda: sink.scores[-1].state == "stale")
            assert scorer.cameras.snapshot() == {"yard": frozen}
            kinds = {"camera": "yard", "kind": "frozen"}
            count = scorer.metrics.registry.get_sample_value("vedette_view_changes_total", kinds)
            assert count == 1
            hangs.clear()
            wait_for(lambda: ingest.cameras.snapshot() == {"yard": "watching"})
            wait_for(lambda: sink.scores[-1].state == "ready")
            assert up() == 1


def decoded(pictures: Iterable[Pixels], fps: int = 5) -> list[tuple[Pixels, bool]]:
    """Frames after H.264 coding, each with whether it is a key frame."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        options = {"g": "10", "bf": "0", "crf": "28", "preset": "ultrafast"}
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.height, stream.width, stream.pix_fmt = 120, 160, "yuv420p"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as container:
        return [
            (np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), bool(frame.key_frame))
            for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize(("hangs", "said"), [(False, {None}), (True, {None, "frozen"})])
@pytest.mark.parametrize("light", [1.0, 0.1])
def test_over_h264(hangs: bool, said: set[str | None], light: float) -> None:
    rng = np.random.default_rng(2)
    room = light * np.kron(rng.integers(40, 200, (6, 8, 3)), np.ones((20, 20, 1)))
    first = np.clip(room + rng.normal(0, 1, (120, 160, 1)), 0, 255).astype(np.uint8)
    pictures = (
        first
        if hangs
        else np.clip(room + rng.normal(0, 0.5, (120, 160, 1)), 0, 255).astype(np.uint8)
        for _ in range(5 * 40)
    )
    watch, reasons = BlindnessDetector(AFTER), set()
    for number, (picture, keyframe) in enumerate(decoded(pictures)):
        if watch.is_due(number / 5, keyframe):
            watch.update(number / 5, picture, keyframe)
        reasons.add(watch.reason)
    assert reasons == said
