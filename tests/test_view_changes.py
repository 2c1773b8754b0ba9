"""Through the scoring worker: a moved camera is reported, raises no alert, and may adapt again."""

import json
from dataclasses import replace

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
from pipeline.ingest.in_flight import InFlight
from pipeline.transport.messages import FrameMessage, ScoreMessage
from pipeline.worker import RunInfo, WorkerContext

AFTER = 1.0
LIFE = ["collecting", "fitting", "calibrating", "ready"]


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return small_scorer()


def context_for(
    run: RunInfo, answer: str, incarnation: int = 1, interval: float = 0.2, **more: object
) -> WorkerContext:
    adapt = {
        "frames": 3,
        "spare": 0,
        "interval": interval,
        "calibrate": 1.0,
        "on_view_change": answer,
        "view_change_after": AFTER,
        **more,
    }
    config = small_config(["street"], adapt=adapt, alert={"light_hold": 0.5})
    return worker_context("score", config, run, incarnation=incarnation)


def street(count: int, moved: range) -> list[FrameMessage]:
    """Frames of which some show another part of the scene."""
    return [
        replace(frame, pixels=np.ascontiguousarray(np.roll(frame.pixels, (7, 13), (0, 1))))
        if frame.index in moved
        else frame
        for frame in noise_frames("street", count, seed=0)
    ]


def states(scores: list[ScoreMessage]) -> list[str]:
    """Each state once for every time it begins."""
    found: list[str] = []
    for score in scores:
        if found[-1:] != [score.state]:
            found.append(score.state)
    return found


def counter(context: WorkerContext, name: str, **labels: str) -> float:
    return context.metrics.registry.get_sample_value(name, labels) or 0.0


def test_a_moved_camera_is_stale_until_it_is_back(run: RunInfo, scorer: SceneScorer) -> None:
    frames = street(100, range(40, 65))
    context = context_for(run, "ask")
    in_flight = InFlight()
    with scoring(context, scorer), CollectingSink(run) as sink:
        send_all(run, frames[:60], in_flight)
        assert context.cameras.snapshot() == {"street": "stale: the view has changed"}
        kept = json.loads((run.data_folder / "scenes/street/view.json").read_text())
        assert kept["fault"] == "moved"
        in_flight.pause_until_handshake()
        send_all(run, frames[60:], in_flight)
    assert [score.index for score in sink.scores] == list(range(100)), "scores go on"
    assert states(sink.scores) == [
        "collecting",
        "fitting",
        "calibrating",
        "ready",
        "stale",
        "ready",
    ]
    stale = [score for score in sink.scores if score.state == "stale"]
    assert stale[0].index == pytest.approx(40 + AFTER * 10, abs=1)
    assert all(score.score is not None and score.pixels is None for score in stale)
    assert {score.progress for score in stale} == {"the view has changed"}
    assert context.cameras.snapshot() == {"street": "watching"}
    assert counter(context, "vedette_view_changes_total", camera="street", kind="moved") == 1
    name = "vedette_frames_suppressed_total"
    assert counter(context, name, camera="street", reason="stale") == len(stale)


def test_another_view_is_adapted_to_if_wanted(run: RunInfo, scorer: SceneScorer) -> None:
    context = context_for(run, "readapt")
    with scoring(context, scorer), CollectingSink(run) as sink:
        send_all(run, street(110, range(40, 110)))
    assert states(sink.scores) == [*LIFE, "stale", *LIFE]
    assert counter(context, "vedette_adaptations_total", camera="street", result="ok") == 2
    kept = json.loads((run.data_folder / "scenes/street/view.json").read_text())
    assert kept["fault"] is None


def test_a_move_while_the_service_is_down_is_noticed(run: RunInfo, scorer: SceneScorer) -> None:
    frames = street(90, range(40, 90))
    in_flight = InFlight()
    with CollectingSink(run) as sink:
        with scoring(context_for(run, "ask"), scorer):
            send_all(run, frames[:40], in_flight)
        in_flight.pause_until_handshake()
        with scoring(context_for(run, "ask", incarnation=2), scorer):
            send_all(run, frames[40:60], in_flight)
        in_flight.pause_until_handshake()
        third = context_for(run, "ask", incarnation=3)
        with scoring(third, scorer):
            send_all(run, frames[60:], in_flight)
    assert states(sink.scores)[-1] == "stale"
    assert all(score.state == "stale" for score in sink.scores[60:]), "from its first frame on"
    assert counter(third, "vedette_view_changes_total", camera="street", kind="moved") == 0


def test_views_are_not_compared_if_changes_are_ignored(run: RunInfo, scorer: SceneScorer) -> None:
    context = context_for(run, "ignore")
    with scoring(context, scorer), CollectingSink(run) as sink:
        send_all(run, street(70, range(40, 70)))
    assert "stale" not in states(sink.scores)


def test_a_camera_that_is_turned_while_it_adapts_collects_again(
    run: RunInfo, scorer: SceneScorer
) -> None:
    context = context_for(run, "ask", interval=0.6)
    with scoring(context, scorer), CollectingSink(run) as sink:
        send_all(run, street(80, range(13, 80)))
    assert states(sink.scores)[-1] == "ready"
    assert counter(context, "vedette_adaptations_total", camera="street", result="ok") == 1
    learnt = [score.index for score in sink.scores if score.state == "fitting"]
    assert learnt[0] >= 13 + AFTER * 10 + 2 * 6


def test_a_light_switch_is_held_and_not_learnt_from(run: RunInfo, scorer: SceneScorer) -> None:
    frames = noise_frames("street", 60, seed=0)
    frames[40:] = [
        replace(frame, pixels=(frame.pixels * 0.6).astype(np.uint8)) for frame in frames[40:]
    ]
    context = context_for(run, "ask", on_light_change="ignore")
    with scoring(context, scorer), CollectingSink(run) as sink:
        send_all(run, frames)
    held = [score.index for score in sink.scores if score.state == "suppressed"]
    assert held[0] == 40
    assert 5 <= len(held) <= 17
    assert states(sink.scores)[-2:] == ["suppressed", "ready"]
    name = "vedette_frames_suppressed_total"
    assert counter(context, name, camera="street", reason="light") == len(held)
