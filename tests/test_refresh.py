"""A scene is made anew on schedule while the present one is watched, from usual moments only."""

import numpy as np
import pytest
from makers import small_scorer
from stage_parts import (
    CollectingSink,
    noise_frames,
    scoring,
    send_all,
    small_config,
    worker_context,
)

from models import SceneScorer
from models.calibrator import CalibratorSettings
from pipeline.stages.adapt import Adaptation, Judgement
from pipeline.stages.adaptation_settings import AdaptationSettings
from pipeline.stages.clips import ClipBuffer
from pipeline.stages.lane import USUAL_SECONDS, Lane
from pipeline.stages.scene_store import SceneStore
from pipeline.transport.messages import FrameMessage
from pipeline.worker import RunInfo

SETTINGS = AdaptationSettings(frames=3, interval_seconds=1.0, calibrator=CalibratorSettings(0))


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return small_scorer()


def test_a_running_camera_gets_another_scene(run: RunInfo, scorer: SceneScorer) -> None:
    adapt = {"frames": 3, "spare": 0, "interval": 0.2, "calibrate": 0, "refresh": 1e-9}
    # Of an untrained model with a provisional threshold; all of life is usual here.
    config = small_config(["street"], adapt=adapt, alert={"enter": 1e6, "exit": 1e6})
    context = worker_context("score", config, run)
    with scoring(context, scorer), CollectingSink(run) as sink:
        send_all(run, noise_frames("street", 150, seed=0))
    states = [score.state for score in sink.scores]
    assert states[-1] == "ready"
    assert len(states) == 150
    assert "collecting" not in states[states.index("ready") :], "the watch goes on"
    records = SceneStore(run.data_folder / "scenes", scorer).history.scenes("street")
    assert len(records) > 1
    assert records[0].reason == "on schedule"
    assert records[-1].reason == "first seen" or len(records) == 6
    ok = context.metrics.registry.get_sample_value(
        "vedette_adaptations_total", {"camera": "street", "result": "ok"}
    )
    assert ok is not None
    assert ok > 1


def frame(number: int) -> FrameMessage:
    pixels = np.full((8, 8, 3), number % 256, np.uint8)
    return FrameMessage("yard", 1, number, number / 2, 0.0, 0.0, 0, False, 1, pixels)


def test_what_is_unusual_is_not_learnt() -> None:
    lane = Lane(ClipBuffer(2, 0.5), Adaptation(SETTINGS))
    lane.successor = Adaptation(SETTINGS)
    taken = []
    for number in range(60):
        lane.take(frame(number))
        work = lane.advance()
        assert work is not None
        score = 0.9 if number == 3 else 0.1
        lane.note(number / 2, Judgement("ready", "", 1.0, score, 2.0), exit_score=0.7)
        taken.append(len(lane.successor.candidate_seconds))
    assert taken[3] == 2, "at 0.5 s and 1.5 s; it is known only afterwards"
    wait = round(2 * USUAL_SECONDS)
    assert taken[3 + wait - 1] == 2
    assert taken[3 + wait] == 3
    assert lane.successor.state == "fitting"


def test_stale_and_held_frames_are_unusual() -> None:
    lane = Lane(ClipBuffer(2, 0.5), Adaptation(SETTINGS))
    lane.successor = Adaptation(SETTINGS)
    lane.take(frame(0))
    lane.advance()
    lane.note(0.0, Judgement("held", "", 1.0, 0.0, 2.0), exit_score=0.7)
    for number in range(1, 20):
        lane.take(frame(number))
        lane.advance()
    assert lane.successor.candidate_seconds == ()


def test_a_scene_that_is_replaced_takes_the_next_one_with_it() -> None:
    lane = Lane(ClipBuffer(2, 0.5), Adaptation(SETTINGS))
    first, following = lane.adaptation, Adaptation(SETTINGS)
    lane.successor = following
    lane.adapt_anew("asked for")
    assert first.abandoned
    assert following.abandoned
    assert lane.adaptation.reason == "asked for"


def test_a_next_scene_that_fails_is_tried_again_when_it_is_time() -> None:
    lane = Lane(ClipBuffer(2, 0.5), Adaptation(SETTINGS))
    present = lane.adaptation
    following = lane.successor = Adaptation(SETTINGS)
    lane.collect_anew(following)
    assert [lane.adaptation, lane.successor] == [present, None]
    lane.collect_anew(present)
    assert lane.adaptation is not present
