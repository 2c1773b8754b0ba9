"""The questions of benchmarks/attaching, and the films and the camera that it shows them by."""

import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from benchmarks.attaching.findings import (
    BeforeStale,
    Rates,
    Restarted,
    ViewChange,
    before_stale,
    events_of,
    first,
    is_judged,
    rates,
    spread,
)
from benchmarks.chaos.checks import ObservedEvent
from benchmarks.recordings import write_video
from benchmarks.views import (
    FRAMES_PER_SECOND,
    SIZE_HW,
    Projector,
    sampled,
    write_faults,
    write_scene,
)
from cameras.picture_statistics import measure
from cameras.source import Pixels
from pipeline.datasets.layout import DatasetError
from pipeline.events.score_record import ScoreRecord
from pipeline.transport.messages import SceneState


def record(seconds: float, state: SceneState = "ready", score: float | None = 0.0) -> ScoreRecord:
    """A frame of a camera that is scored ten times a second, since 1000."""
    return ScoreRecord("gate", 1, round(seconds * 10), seconds, 1000 + seconds, score, state)


def test_a_camera_that_goes_on_beside_another_one_and_one_that_does_not() -> None:
    steady = [record(number / 10) for number in range(300)]
    found = rates(steady, 1000, 1010, 1020, 1030)
    assert (found.before, found.during, found.after) == pytest.approx((10, 10, 10))
    assert found.gap_seconds == pytest.approx(0.1)
    assert found.holds
    halted = [one for one in steady if not 1012 < one.captured_at < 1015]
    found = rates(halted, 1000, 1010, 1020, 1030)
    assert found.during == pytest.approx(7.1)
    assert found.gap_seconds == pytest.approx(3.0)
    assert not found.holds
    unscored = [replace(one, score=None) if one.captured_at >= 1021 else one for one in steady]
    found = rates(unscored, 1000, 1010, 1020, 1030)
    assert found.gap_seconds == pytest.approx(9.1), "to the end, too"
    assert not found.holds


def test_a_rate_may_be_a_tenth_lower_and_no_more() -> None:
    assert Rates(10, 9.0, 10, 0.2).holds
    assert not Rates(10, 8.9, 10, 0.2).holds
    assert not Rates(10, 10, 8.9, 0.2).holds


def test_the_first_score_of_a_kind_is_found_by_camera_and_arrival() -> None:
    seen = [
        (1000.2, record(0.0)),
        (1001.2, record(1.0, "collecting", None)),
        (1002.2, replace(record(1.5), camera="corner")),
        (1002.3, record(2.0, "calibrating")),
    ]
    assert first(seen, "gate", 1000.5, is_judged) == seen[3]
    assert first(seen, "gate", 1000.5, lambda _: True) == seen[1]
    assert first(seen, "gate", 1003.0, is_judged) is None


@pytest.mark.parametrize(
    ("state", "score", "judged"),
    [
        ("ready", 0.2, True),
        ("calibrating", 0.2, True),
        ("ready", None, False),
        ("suppressed", 0.2, False),
        ("stale", 0.2, False),
        ("collecting", None, False),
    ],
)
def test_which_scores_could_raise_an_alert(
    state: SceneState, score: float | None, judged: bool
) -> None:
    assert is_judged(record(0, state, score)) == judged


def test_what_was_seen_between_the_change_and_the_first_stale_frame() -> None:
    states: list[SceneState] = ["stale", "suppressed", "suppressed", "ready", "stale", "ready"]
    course = [record(number, state, number / 10) for number, state in enumerate(states)]
    assert before_stale(course, 1001.0) == BeforeStale(frames=3, suppressed=2, highest=0.3)
    assert before_stale(course, 1004.0) == BeforeStale(frames=0, suppressed=0, highest=None)
    assert before_stale(course[:3], 1002.0) == BeforeStale(frames=1, suppressed=1, highest=0.2)


def test_events_fall_between_marks() -> None:
    began = [999.0, 1001.0, 1004.0, 1005.0, 1009.0]
    events = [ObservedEvent(f"gate-{at}", "gate", at, None, suppressed=True) for at in began]
    events.append(ObservedEvent("corner-1", "corner", 1002.0, None, suppressed=False))
    assert events_of(events, "gate", 1000.0, 1004.0, 1008.0, 1020.0) == (1, 2, 1)


def test_what_a_change_of_the_view_promises() -> None:
    reported = {"moved": 1, "covered": 0, "defocused": 0}
    before = BeforeStale(frames=100, suppressed=50, highest=2.0)
    moved = ViewChange("a, then b", "moved", "readapt", reported, 1, 10.1, before, 20.3, (1, 0, 2))
    assert moved.right, "an alert before it is stale, and those of the new scene, are none of it"
    for change in (
        replace(moved, reported={**reported, "defocused": 1}),
        replace(moved, reported={**reported, "moved": 2}),
        replace(moved, scenes_made=0),
        replace(moved, stale_seconds=None),
        replace(moved, judged_seconds=None),
        replace(moved, events=(0, 1, 0)),
    ):
        assert not change.right, change
    covered = replace(
        moved, kind="covered", reported={**reported, "moved": 0, "covered": 1}, scenes_made=0
    )
    assert covered.right
    assert not replace(covered, scenes_made=1).right, "a covered view is not adapted to"


def test_a_restart_goes_on_with_what_was_kept() -> None:
    kept = Restarted({"a": 6.0, "b": 6.5}, {"a": 1, "b": 1}, {"a": 0, "b": 0})
    assert kept.kept
    assert not replace(kept, scores={"a": 6.0, "b": None}).kept
    assert not replace(kept, resumed={"a": 1, "b": 0}).kept
    assert not replace(kept, made={"a": 0, "b": 1}).kept


def test_figures_for_people() -> None:
    assert spread([3.0, 1.0, None, 2.04]) == "2.0 (1.0 to 3.0)"
    assert spread([1.26], 2) == "1.26"
    assert spread([None]) == "–"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two seconds of a scene, and two of another one."""
    folder = tmp_path_factory.mktemp("films")
    collection = folder / "collection"
    (collection / "checks").mkdir(parents=True)
    rows, columns = np.indices((120, 200)) // 20
    board = np.repeat(np.uint8(40 + 160 * ((rows + columns) % 2))[..., None], 3, axis=2)
    write_video(collection / "checks" / "01.mp4", [board] * 50, frames_per_second=25)
    films = {"checks": write_scene(folder, "checks", collection)}
    films |= write_faults(films["checks"])
    return films


def test_a_scene_that_is_not_there_is_named(films: dict[str, Path]) -> None:
    folder = films["checks"].parent
    with pytest.raises(KeyError, match="yard"):
        write_scene(folder, "yard", folder / "collection")
    with pytest.raises(DatasetError, match="nothing"):
        write_scene(folder, "yard", folder / "nothing")


def test_films_have_one_size_and_rate_and_show_what_they_are_called(
    films: dict[str, Path],
) -> None:
    plain, covered, blurred = (
        list(sampled([films[name]])) for name in ("checks", "covered", "defocused")
    )
    assert len(plain) == len(blurred) == 2 * FRAMES_PER_SECOND
    assert {one.shape for one in (*plain, *covered, *blurred)} == {(*SIZE_HW, 3)}
    assert max(float(one.mean()) for one in covered) < 12
    assert measure(blurred[5]).sharpness < 0.5 * measure(plain[5]).sharpness


def test_the_projector_goes_round_in_its_time_and_turns_on_request(films: dict[str, Path]) -> None:
    projector = Projector(films, "checks")
    pictures: list[tuple[float, Pixels]] = []
    turned: list[float] = []
    began_at = time.time()
    with projector as source:
        count = 3 * FRAMES_PER_SECOND
        for picture in islice(source, count):
            pictures.append((picture.pts_seconds, picture.pixels))
            if len(pictures) == count - 5:
                turner = Thread(target=lambda: turned.append(projector.show("covered")))
                turner.start()
        turner.join()
    assert [pts for pts, _ in pictures] == pytest.approx([n / FRAMES_PER_SECOND for n in range(30)])
    assert time.time() - began_at >= 2.8
    light = [float(pixels.mean()) > 50 for _, pixels in pictures]
    assert all(light[: count - 5]), "the film of two seconds began again"
    assert not light[-1]
    assert began_at + 2.4 <= turned[0] <= time.time()
    with pytest.raises(KeyError, match="yard"):
        projector.show("yard")
