"""The scoring worker between real sockets: every frame once, over repeats and restarts."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stage_parts import (
    CollectingSink,
    noise_frames,
    run_info,
    scoring,
    send_all,
    small_config,
    worker_context,
)

from models import AdaptedScene, SceneScorer
from models.calibration import Calibration
from models.support_outliers import SupportCandidates
from pipeline.ingest.in_flight import InFlight
from pipeline.scenes.scene_store import SceneStore
from pipeline.scoring.scoring_worker import CREDITS
from pipeline.transport.frames import FrameSender
from pipeline.transport.messages import Done, Hello, ScoreMessage, Welcome
from pipeline.transport.topics import private_socket_folder
from pipeline.worker import RunInfo, WorkerContext


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return SceneScorer.untrained("vedette", seed=0)


def context_for(
    run: RunInfo, *cameras: str, incarnation: int = 1, **of_each: object
) -> WorkerContext:
    config = small_config(cameras, of_each)
    return worker_context("score", config, run, incarnation=incarnation)


def counter(context: WorkerContext, name: str, **labels: str) -> float:
    return context.metrics.registry.get_sample_value(name, labels) or 0.0


def indexes(scores: list[ScoreMessage]) -> list[int]:
    return [score.index for score in scores]


def test_a_camera_from_its_first_frame_to_ready(run: RunInfo, scorer: SceneScorer) -> None:
    context = context_for(run, "street")
    with scoring(context, scorer), CollectingSink(run) as sink:
        send_all(run, noise_frames("street", 60, seed=0))
    assert indexes(sink.scores) == list(range(60))
    states = [score.state for score in sink.scores]
    assert sorted(set(states), key=states.index) == [
        "collecting",
        "fitting",
        "calibrating",
        "ready",
    ]
    judged = sink.scores[states.index("calibrating") :]
    assert all(score.energy is not None and score.score is not None for score in judged)
    assert all(
        score.anomaly_map is not None and score.anomaly_map.dtype == np.float32 for score in judged
    )
    assert all(score.energy is None for score in sink.scores[: states.index("calibrating")])
    assert counter(context, "vedette_frames_scored_total", camera="street") == 60
    assert counter(context, "vedette_adaptations_total", camera="street", result="ok") == 1
    assert counter(context, "vedette_anomaly_threshold", camera="street") == judged[-1].threshold


@pytest.mark.parametrize(
    ("zones", "level"), [({}, 0.8), ({"a": {"coordinates": "0,0,1,0,1,1", "enter": 0.95}}, 0.76)]
)
def test_pixels_travel_only_where_a_snapshot_may_be_wanted(
    run: RunInfo, scorer: SceneScorer, zones: dict[str, object], level: float
) -> None:
    frames = noise_frames("street", 60, seed=0)
    in_flight = InFlight()
    with CollectingSink(run) as sink:
        with scoring(context_for(run, "street", incarnation=1), scorer):
            send_all(run, frames[:40], in_flight)
        energies = sorted(score.energy for score in sink.scores if score.energy is not None)
        middle = energies[len(energies) // 2]
        narrow = Calibration(middle - 0.8e-3, middle + 0.2e-3, 1e-3, 40, final=True)
        SceneStore(run.data_folder / "scenes", scorer).save_calibration("street", narrow)
        in_flight.pause_until_handshake()
        with scoring(context_for(run, "street", incarnation=2, zones=zones), scorer):
            send_all(run, frames[40:], in_flight)
    with_pixels = [score for score in sink.scores[40:] if score.pixels is not None]
    assert 0 < len(with_pixels) < 20
    for score in sink.scores[40:]:
        assert score.score is not None
        assert (score.pixels is not None) == (score.score >= level)
    assert np.array_equal(with_pixels[0].pixels, frames[with_pixels[0].index].pixels)


def test_nothing_is_done_before_the_sink_has_it(run: RunInfo, scorer: SceneScorer) -> None:
    frames = noise_frames("street", CREDITS, seed=0)
    in_flight = InFlight()
    with scoring(context_for(run, "street"), scorer), FrameSender(run.endpoints, "street") as port:
        welcome = greeted(port, "street")
        assert welcome.credits == CREDITS
        assert welcome.context_seconds == pytest.approx(0.4)
        in_flight.welcome(welcome)
        for frame in frames:
            for message in in_flight.send(frame):
                assert port.send(message)
        assert port.poll(0.5) == []
        with CollectingSink(run) as sink:
            answers: list[Welcome | Done] = []
            deadline = time.monotonic() + 10
            while len(answers) < CREDITS and time.monotonic() < deadline:
                answers += port.poll(0.1)
    assert answers == [Done(1, index) for index in range(CREDITS)]
    assert indexes(sink.scores) == list(range(CREDITS))


def greeted(port: FrameSender, camera: str) -> Welcome:
    for _ in range(100):
        port.hello(Hello(camera, 1))
        for answer in port.poll(0.1):
            if isinstance(answer, Welcome):
                return answer
    raise AssertionError("no welcome in 10 s")


def test_what_is_sent_twice_is_scored_once_and_answered(run: RunInfo, scorer: SceneScorer) -> None:
    frames = noise_frames("street", 3, seed=0)
    context = context_for(run, "street")
    with (
        scoring(context, scorer),
        CollectingSink(run) as sink,
        FrameSender(run.endpoints, "street") as port,
    ):
        scorer_now = greeted(port, "street").incarnation
        for _ in range(3):
            for frame in frames:
                assert port.send(replace(frame, scorer=scorer_now))
            answered = set()
            while len(answered) < 3:
                answered |= {one for one in port.poll(5.0) if isinstance(one, Done)}
            assert answered == {Done(1, 0), Done(1, 1), Done(1, 2)}
    assert indexes(sink.scores) == [0, 1, 2]
    scored = counter(context, "vedette_frames_scored_total", camera="street")
    assert scored == 3, "the sink would hide it if they were scored again"


def test_frames_for_a_predecessor_are_ignored(run: RunInfo, scorer: SceneScorer) -> None:
    frames = noise_frames("street", 4, seed=0)
    with (
        scoring(context_for(run, "street", incarnation=2), scorer),
        CollectingSink(run) as sink,
        FrameSender(run.endpoints, "street") as port,
    ):
        greeted(port, "street")
        assert port.send(replace(frames[3], scorer=1))
        assert port.send(replace(frames[0], scorer=2))
        assert Done(1, 0) in port.poll(5.0)
    assert indexes(sink.scores) == [0]


def test_a_frame_of_odd_size_is_dropped_and_counted(run: RunInfo, scorer: SceneScorer) -> None:
    frames = noise_frames("street", 60, seed=0)
    frames[40] = replace(frames[40], pixels=np.zeros((10, 10, 3), dtype=np.uint8))
    context = context_for(run, "street", "yard")
    with scoring(context, scorer), CollectingSink(run) as sink:
        send_all(run, frames)
        send_all(run, noise_frames("yard", 20, seed=1))
    assert indexes(sink.of("street")) == [index for index in range(60) if index != 40]
    assert indexes(sink.of("yard")) == list(range(20))
    name = "vedette_frames_dropped_total"
    assert counter(context, name, camera="street", reason="unusable") == 1


def test_an_unknown_camera_is_not_welcomed(
    run: RunInfo, scorer: SceneScorer, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        scoring(context_for(run, "street"), scorer),
        FrameSender(run.endpoints, "cellar") as port,
    ):
        deadline = time.monotonic() + 10
        while "'cellar': not in the configuration" not in caplog.text:
            assert time.monotonic() < deadline
            port.hello(Hello("cellar", 1))
            assert port.poll(0.1) == []


def test_a_restarted_scorer_gives_the_same_energies(
    run: RunInfo, scorer: SceneScorer, tmp_path: Path
) -> None:
    """The scene from disk, the clips from the context: as if nothing had happened."""
    frames = noise_frames("street", 80, seed=0)
    with private_socket_folder() as folder:
        elsewhere = run_info(folder, tmp_path / "undisturbed")
        with scoring(context_for(elsewhere, "street"), scorer), CollectingSink(elsewhere) as calm:
            send_all(elsewhere, frames)
    in_flight = InFlight()
    with CollectingSink(run) as sink:
        with scoring(context_for(run, "street", incarnation=1), scorer):
            send_all(run, frames[:60], in_flight)
        in_flight.pause_until_handshake()
        again = context_for(run, "street", incarnation=2)
        with scoring(again, scorer):
            send_all(run, frames[60:], in_flight)
    assert indexes(sink.scores) == list(range(80))
    assert counter(again, "vedette_adaptations_total", camera="street", result="resumed") == 1
    for score, expected in zip(sink.scores, calm.scores, strict=True):
        assert score.state == expected.state
        assert score.energy == pytest.approx(expected.energy, abs=1e-5)
    # The smoothing starts again, and has the same value after ten time constants.
    last, same = sink.scores[-1].score, calm.scores[-1].score
    assert last == pytest.approx(same, abs=0.05)


class PatientScorer(SceneScorer):
    """Begins to adapt only when it may."""

    def __init__(self, scorer: SceneScorer) -> None:
        super().__init__(scorer.model, scorer.model_id, scorer.device)
        self.may = threading.Event()
        self.failures = 0

    def adapt_candidates(self, survey: SupportCandidates, places: Sequence[int]) -> AdaptedScene:
        assert self.may.wait(20)
        if self.failures > 0:
            self.failures -= 1
            raise ValueError("a support of nothing")
        return super().adapt_candidates(survey, places)


def test_building_a_scene_does_not_delay_another_camera(run: RunInfo, scorer: SceneScorer) -> None:
    patient = PatientScorer(scorer)
    street = noise_frames("street", 30, seed=0)
    sender = threading.Thread(target=send_all, args=(run, street))
    with scoring(context_for(run, "street", "yard"), patient), CollectingSink(run) as sink:
        sender.start()
        send_all(run, noise_frames("yard", 5, seed=1))
        wait_for(lambda: len(sink.of("street")) == 9)
        send_all(run, noise_frames("yard", 5, seed=1, connection=2))
        assert len(sink.of("yard")) == 10
        assert [score.state for score in sink.of("street")] == ["collecting"] * 8 + ["fitting"]
        patient.may.set()
        sender.join(20)
    assert indexes(sink.of("street")) == list(range(30))
    assert {score.state for score in sink.of("street")[9:]} == {"calibrating", "ready"}


def test_a_support_that_cannot_be_used_is_collected_again(
    run: RunInfo, scorer: SceneScorer, caplog: pytest.LogCaptureFixture
) -> None:
    patient = PatientScorer(scorer)
    patient.failures = 1
    patient.may.set()
    context = context_for(run, "street")
    with scoring(context, patient), CollectingSink(run) as sink:
        send_all(run, noise_frames("street", 30, seed=0))
    states = [score.state for score in sink.scores]
    assert states[:10] == ["collecting"] * 8 + ["fitting", "collecting"]
    assert states[-1] in ("calibrating", "ready")
    assert counter(context, "vedette_adaptations_total", camera="street", result="failed") == 1
    assert "camera street: adapting again, as it failed: a support of nothing" in caplog.text


def wait_for(condition: Callable[[], bool], timeout_seconds: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.01)
