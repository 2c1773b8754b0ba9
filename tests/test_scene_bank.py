"""Through the scoring worker: a lasting light gets a scene that fits, a stored or a new one."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from stage_parts import (
    CollectingSink,
    noise_frames,
    scoring,
    send_all,
    small_config,
    worker_context,
)

from benchmarks.light_changes import SIZE_HW as DRAWN_HW
from benchmarks.light_changes import Pixels, day, infrared
from cameras.simulation import SyntheticStreet
from models import SceneScorer
from pipeline.ingest.in_flight import InFlight
from pipeline.scenes.scene_history import SceneHistory
from pipeline.scenes.scene_store import SceneStore
from pipeline.scoring.command_handler import CommandHandler
from pipeline.transport.messages import FrameMessage, Request, ScoreMessage
from pipeline.worker import RunInfo, WorkerContext

SIZE_HW = (144, 192)
FRAMES = 160
NIGHT = range(50, 110)


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    """The shipped weights: random ones do not mind the light."""
    torch.set_num_threads(1)
    return SceneScorer.load("vedette", "cpu")


@pytest.fixture(scope="module")
def moments() -> list[tuple[Pixels, Pixels]]:
    """Each by day and in infrared."""
    street = SyntheticStreet(3, DRAWN_HW, frames_per_second=10)
    drawn = [street.render(index).pixels for index in range(FRAMES)]
    return [(_small(day(one, n)), _small(infrared(one, n))) for n, one in enumerate(drawn)]


def _small(picture: Pixels) -> Pixels:
    return np.asarray(cv2.resize(picture, SIZE_HW[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def frames(moments: list[tuple[Pixels, Pixels]], night: range = NIGHT) -> list[FrameMessage]:
    return [
        replace(frame, pixels=moments[frame.index][frame.index in night])
        for frame in noise_frames("street", FRAMES, seed=0)
    ]


def context_for(run: RunInfo, incarnation: int = 1, **adapt: object) -> WorkerContext:
    quick = {"frames": 3, "spare": 0, "interval": 0.3, "calibrate": 2.0, "light_change_after": 1.0}
    config = small_config(
        ["street"],
        adapt={**quick, **adapt},
        detect={"height": SIZE_HW[0], "width": SIZE_HW[1]},
        alert={"light_hold": 0.5},
    )
    return worker_context("score", config, run, incarnation=incarnation)


def states(scores: Sequence[ScoreMessage]) -> list[str]:
    """Each state once for every time it begins."""
    found: list[str] = []
    for score in scores:
        if found[-1:] != [score.state]:
            found.append(score.state)
    return found


def answers(context: WorkerContext) -> dict[str, float]:
    """How often each answer was given."""
    found = {}
    for result in ("kept", "switched", "adapting", "refused"):
        labels = {"camera": "street", "result": result}
        count = context.metrics.registry.get_sample_value("vedette_light_changes_total", labels)
        if count:
            found[result] = count
    return found


def scenes(run: RunInfo) -> list[tuple[str, bool]]:
    history = SceneHistory(run.data_folder / "scenes")
    return [(one.reason, one.current) for one in history.scenes("street")]


def in_the_calibration_of(thresholds: set[float | None], scores: Sequence[ScoreMessage]) -> bool:
    """Whether scores have a threshold that was known, or what was learnt of it since."""
    known = max(one for one in thresholds if one is not None)
    return all(score.threshold == pytest.approx(known, rel=0.1) for score in scores)


ADAPTING = ["collecting", "fitting", "calibrating", "ready"]


def test_the_day_comes_back_from_the_bank(
    run: RunInfo, scorer: SceneScorer, moments: list[tuple[Pixels, Pixels]]
) -> None:
    context = context_for(run)
    with scoring(context, scorer), CollectingSink(run) as sink:
        send_all(run, frames(moments))
    assert states(sink.scores) == [*ADAPTING, "suppressed", *ADAPTING, "suppressed", "ready"]
    assert answers(context) == {"adapting": 1, "switched": 1}
    assert scenes(run) == [("another light", False), ("first seen", True)]
    collecting = [score for score in sink.scores[NIGHT.start :] if score.state == "collecting"]
    assert collecting[0].progress == "1/3, another light"
    by_day = {score.threshold for score in sink.scores[40:50]}
    assert in_the_calibration_of(by_day, sink.scores[-10:])
    assert all(score.score is None or score.score < 1 for score in sink.scores[-20:])
    kept = json.loads((run.data_folder / "scenes/street/light.json").read_text())
    assert np.median(kept["luma"]) > 90


def test_a_light_that_the_scene_fits_changes_nothing(
    run: RunInfo, scorer: SceneScorer, moments: list[tuple[Pixels, Pixels]]
) -> None:
    grey = [
        (light, np.repeat(light.mean(-1, keepdims=True).astype(np.uint8), 3, axis=2))
        for light, _ in moments
    ]
    context = context_for(run)
    with scoring(context, scorer), CollectingSink(run) as sink:
        send_all(run, frames(grey, range(50, FRAMES)))
    assert states(sink.scores) == [*ADAPTING, "suppressed", "ready"]
    assert answers(context) == {"kept": 1}
    assert scenes(run) == [("first seen", True)]


def test_who_wants_to_be_asked_is(
    run: RunInfo, scorer: SceneScorer, moments: list[tuple[Pixels, Pixels]]
) -> None:
    context = context_for(run, on_light_change="ask")
    in_flight = InFlight()
    film = frames(moments)
    with scoring(context, scorer), CollectingSink(run) as sink:
        send_all(run, film[: NIGHT.stop], in_flight)
        stale = context.cameras.snapshot()["street"]
        in_flight.pause_until_handshake()
        send_all(run, film[NIGHT.stop :], in_flight)
    assert stale == "stale: the light is another one"
    assert states(sink.scores) == [*ADAPTING, "suppressed", "stale", "suppressed", "ready"]
    assert answers(context) == {"refused": 1}
    held = context.metrics.registry.get_sample_value(
        "vedette_view_changes_total", {"camera": "street", "kind": "light"}
    )
    assert held is None, "it is the same view"


def test_who_does_not_mind_the_light_goes_on(
    run: RunInfo, scorer: SceneScorer, moments: list[tuple[Pixels, Pixels]]
) -> None:
    context = context_for(run, on_light_change="ignore")
    with scoring(context, scorer), CollectingSink(run) as sink:
        send_all(run, frames(moments, range(50, FRAMES)))
    assert states(sink.scores) == [*ADAPTING, "suppressed", "ready"]
    assert answers(context) == {}
    assert (run.data_folder / "scenes/street/light.json").is_file(), "for who minds it later"


def test_a_light_that_goes_back_before_its_scene_is_made(
    run: RunInfo, scorer: SceneScorer, moments: list[tuple[Pixels, Pixels]]
) -> None:
    context = context_for(run, interval=1.0)
    with scoring(context, scorer), CollectingSink(run) as sink:
        send_all(run, frames(moments, range(64, 94)))
    assert states(sink.scores) == [*ADAPTING, "suppressed", "collecting", "ready"]
    assert answers(context) == {"adapting": 1, "switched": 1}
    assert scenes(run) == [("first seen", True)], "of a few moments of night none was made"


def test_a_restart_in_another_light(
    run: RunInfo, scorer: SceneScorer, moments: list[tuple[Pixels, Pixels]]
) -> None:
    """The scene of the night is in use, and it is day as the watch goes on."""
    with scoring(context_for(run), scorer), CollectingSink(run):
        send_all(run, frames(moments)[: NIGHT.stop])
    assert scenes(run) == [("another light", True), ("first seen", False)]
    again = context_for(run, incarnation=2)
    film = [replace(frame, connection=2) for frame in frames(moments, range(0))]
    with scoring(again, scorer), CollectingSink(run) as sink:
        send_all(run, film[:60])
    known = [score for score in sink.scores if score.energy is not None]
    assert states(known) == ["suppressed", "ready"], "it came while the service was down"
    assert answers(again) == {"switched": 1}


def test_scenes_without_a_light_learn_it_and_are_passed_over_until_then(
    run: RunInfo, scorer: SceneScorer, moments: list[tuple[Pixels, Pixels]]
) -> None:
    """As an older version left them."""
    film = frames(moments)
    with scoring(context_for(run), scorer), CollectingSink(run):
        send_all(run, film[: NIGHT.stop])
    folder = run.data_folder / "scenes" / "street"
    for path in folder.rglob("light.json"):
        path.unlink()
    for path in folder.rglob("about.json"):
        path.write_text(json.dumps({"reason": json.loads(path.read_text())["reason"]}))
    again = context_for(run, incarnation=2)
    nightly = [replace(frame, connection=2) for frame in frames(moments, range(40))]
    with scoring(again, scorer), CollectingSink(run) as sink:
        send_all(run, nightly[:120])
    assert answers(again) == {"adapting": 1}
    assert states(sink.scores)[-4:] == ADAPTING
    luma = [np.median(json.loads(path.read_text())["luma"]) for path in folder.rglob("light.json")]
    assert sorted(value > 90 for value in luma) == [False, True]


def test_a_disk_that_does_not_give_the_scene_back_costs_an_adaptation(
    run: RunInfo,
    scorer: SceneScorer,
    moments: list[tuple[Pixels, Pixels]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def restore(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SceneHistory, "restore", restore)
    context = context_for(run)
    with scoring(context, scorer), CollectingSink(run) as sink:
        send_all(run, frames(moments))
    assert answers(context) == {"adapting": 2}
    assert states(sink.scores)[:9] == [*ADAPTING, "suppressed", *ADAPTING]
    assert states(sink.scores)[9:11] == ["suppressed", "collecting"]


def test_scenes_of_another_view_are_not_tried(
    run: RunInfo, scorer: SceneScorer, moments: list[tuple[Pixels, Pixels]]
) -> None:
    """The day's scene was one of the street as seen before the camera was moved."""
    context = context_for(run)
    film, in_flight = frames(moments), InFlight()
    with scoring(context, scorer), CollectingSink(run):
        send_all(run, film[: NIGHT.stop], in_flight)
        (view,) = (run.data_folder / "scenes/street/history").glob("*/view.json")
        known = json.loads(view.read_text())
        known["edges"] = np.roll(known["edges"], (17, 29), (0, 1)).tolist()
        view.write_text(json.dumps(known))
        in_flight.pause_until_handshake()
        send_all(run, film[NIGHT.stop :], in_flight)
    assert answers(context) == {"adapting": 2}


def test_people_see_the_lights_of_the_scenes(
    run: RunInfo, scorer: SceneScorer, moments: list[tuple[Pixels, Pixels]]
) -> None:
    context = context_for(run)
    with scoring(context, scorer) as worker, CollectingSink(run):
        send_all(run, frames(moments)[: NIGHT.stop])
        orders = CommandHandler(worker.cameras)
        answer = orders.handle(Request("1", "scenes", {"name": "street"}, 0.0))
    shown = answer.body["scenes"]
    assert isinstance(shown, list)
    assert [one["reason"] for one in shown] == ["another light", "first seen"]
    assert shown[0]["light"]["luma"] < 50 < 90 < shown[1]["light"]["luma"]
    assert shown[1]["used_at"] > shown[1]["adapted_at"]
    json.dumps(shown)


def test_a_refitted_scene_comes_back_with_its_light(
    run: RunInfo, scorer: SceneScorer, moments: list[tuple[Pixels, Pixels]]
) -> None:
    night, length = range(260, 330), 380
    there_and_back = [*range(FRAMES), *reversed(range(FRAMES))] * 2
    film = [
        replace(frame, pixels=moments[there_and_back[frame.index]][frame.index in night])
        for frame in noise_frames("street", length, seed=0)
    ]
    context = context_for(run, calibrate=20.0, refit=6)
    in_flight = InFlight()
    labels = {"camera": "street", "result": "refitted"}
    with scoring(context, scorer), CollectingSink(run) as sink:
        send_all(run, film[:230], in_flight)
        deadline = time.monotonic() + 60
        while not context.metrics.registry.get_sample_value("vedette_adaptations_total", labels):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        in_flight.pause_until_handshake()
        send_all(run, film[230:], in_flight)
    assert states(sink.scores) == [*ADAPTING, "suppressed", *ADAPTING[:3], "suppressed", "ready"]
    assert answers(context) == {"adapting": 1, "switched": 1}
    assert scenes(run) == [("another light", False), ("first seen", True)]
    kept = SceneStore(run.data_folder / "scenes", scorer).load("street", SIZE_HW)
    assert kept is not None
    assert kept.scene.shots == 6
    assert kept.calibration is not None
    assert kept.calibration.final
    by_day = {score.threshold for score in sink.scores[240:250]}
    assert in_the_calibration_of(by_day, sink.scores[-10:])
