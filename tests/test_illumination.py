"""When an illumination counts as another one: it differs and stays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameras.picture_statistics import AREAS_HW, EDGES_HW, Floats, PictureStatistics
from pipeline.scenes.illumination import (
    Illumination,
    IlluminationMonitor,
    IlluminationSettings,
    distance,
    is_other,
    light_from_json,
    light_of,
    light_to_json,
)
from pipeline.scenes.scene_watch import STEADY, ViewState

AFTER = 20.0
SETTINGS = IlluminationSettings(AFTER)
JUMP = ViewState(suppressed=True, usable=False)
DAY, NIGHT = (110.0, 15.0), (50.0, 0.0)
Level = tuple[float, float]


def areas(value: float) -> Floats:
    return np.full(AREAS_HW, value, np.float32)


def picture(level: Level) -> PictureStatistics:
    luma, chroma = level
    return PictureStatistics(areas(luma), areas(chroma), 30.0, 1.0, np.zeros(EDGES_HW, np.float32))


def light(level: Level) -> Illumination:
    return light_of([picture(level)])


class Camera:
    """Looks once a second; the light jumps for as long as a gate would say so."""

    def __init__(self, own: Level | None = DAY, settings: IlluminationSettings = SETTINGS) -> None:
        self.watch = IlluminationMonitor(settings, None if own is None else light(own))
        self.seconds = 0

    def look(
        self, level: Level, seconds: int, sudden: bool = False, score: float = 1.0
    ) -> list[ViewState]:
        """What is said once a second, with what the scene says of each frame."""
        views = []
        for number in range(seconds):
            self.seconds += 1
            view = JUMP if sudden and number < 5 else STEADY
            views.append(self.watch.update(float(self.seconds), picture(level), view))
            self.watch.add_score(float(self.seconds), score)
        return views


def test_lights_are_as_far_apart_both_ways_and_not_from_themselves() -> None:
    day, night = light(DAY), light(NIGHT)
    assert distance(day, day) == 0.0
    assert distance(day, night) == distance(night, day) > 1.0
    assert is_other(light((110, 15)), light((110, 0))), "without colour, as in infrared"
    assert not is_other(light((110, 2)), light((110, 0))), "it had none before"
    assert is_other(light((110, 15)), light((75, 11)))
    assert not is_other(light((110, 15)), light((90, 13)))


def test_change_in_less_than_half_of_the_picture_is_no_illumination_change() -> None:
    van = picture(DAY)
    van.luma[:5] = 250.0
    van.chroma[:5] = 90.0
    assert distance(light(DAY), light_of([van])) == 0.0
    assert distance(light(DAY), light_of([picture(DAY), picture((255, 80)), picture(DAY)])) == 0.0


def test_illuminations_are_stored_to_a_tenth_of_a_level() -> None:
    random = np.random.default_rng(0)
    kept = Illumination(*(random.uniform(0, 255, AREAS_HW).astype(np.float32) for _ in range(2)))
    again = light_from_json(light_to_json(kept))
    assert np.abs(again.luma - kept.luma).max() <= 0.051
    assert np.abs(again.chroma - kept.chroma).max() <= 0.051


@pytest.mark.parametrize(
    "damaged",
    [
        {},
        {"luma": [[1.0]], "chroma": [[1.0]]},
        {"luma": [[float("nan")] * 16] * 12, "chroma": [[0.0] * 16] * 12},
        {"luma": "bright", "chroma": None},
    ],
)
def test_damaged_lights_are_refused(damaged: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        light_from_json(damaged)


def test_a_switch_suppresses_alerts_until_an_answer_is_due() -> None:
    camera = Camera()
    assert set(camera.look(DAY, 30)) == {STEADY}
    views = camera.look(NIGHT, 30, sudden=True)
    assert all(view.suppressed for view in views)
    assert not any(view.usable for view in views), "nothing is learnt in another light"
    assert [view.illumination_changed for view in views].index(True) in (19, 20, 21)
    camera.watch.restart(camera.watch.present)
    assert set(camera.look(NIGHT, 60)) == {STEADY}


@pytest.mark.parametrize("score", [0.1, 0.9])
def test_an_answer_is_due_once_a_slow_change_is_another_light(score: float) -> None:
    camera = Camera()
    views = [camera.look((110.0 - 0.02 * second, 15), 1, score=score)[0] for second in range(2000)]
    illumination_changed = [view.illumination_changed for view in views].index(True)
    held = [view.suppressed for view in views[:illumination_changed]]
    assert sum(held) == (0 if score == 0.1 else AFTER - 1), "no longer than it must be"
    assert not any(held[: 1 - round(AFTER)])
    luma = 110.0 - 0.02 * illumination_changed
    assert 0.70 * 110 < luma < 0.75 * 110


def test_a_passing_cloud_needs_no_answer_and_suppresses_nothing_where_the_scene_matches() -> None:
    camera = Camera()
    camera.look(DAY, 10, score=0.1)
    for _ in range(20):
        for level in ((70, 9), DAY):
            views = camera.look(level, 15, score=0.1)
            assert not any(view.illumination_changed or view.suppressed for view in views)


def test_a_switch_to_a_matching_illumination_is_suppressed_until_that_is_known() -> None:
    camera = Camera()
    camera.look(DAY, 30, score=0.0)
    held = [view.suppressed for view in camera.look((60, 9), 20, sudden=True, score=0.2)]
    assert all(held[:5]), "the light has just jumped"
    assert not any(held[6:])


def test_a_change_between_two_runs_suppresses_alerts() -> None:
    camera = Camera()
    camera.look(DAY, 30)
    camera.watch.connected()
    assert all(view.suppressed for view in camera.look(NIGHT, 10))


def test_a_refused_light_is_stale_until_the_scenes_own_is_back() -> None:
    camera = Camera()
    camera.look(NIGHT, 25, sudden=True)
    camera.watch.refuse()
    views = camera.look(NIGHT, 200)
    assert {view.fault for view in views} == {"light"}
    assert not any(view.illumination_changed for view in views), "it was answered"
    assert camera.look(DAY, 10, sudden=True)[-1] == STEADY


def test_illumination_is_not_compared_in_another_view() -> None:
    camera = Camera()
    moved = ViewState(fault="moved", usable=False)
    for second in range(100):
        assert camera.watch.update(float(second), picture(NIGHT), moved) == moved


def test_without_a_scene_or_with_the_check_off_nothing_changes() -> None:
    for camera in (Camera(own=None), Camera(settings=IlluminationSettings(AFTER, enabled=False))):
        assert set(camera.look(NIGHT, 100)) == {STEADY}
        assert camera.watch.present is not None, "but it is known, to be kept with the scene"


def test_light_that_keeps_changing_does_not_silence_a_camera() -> None:
    camera = Camera()
    held = []
    for number in range(60):
        views = camera.look(NIGHT if number % 2 else DAY, 12, sudden=True)
        held += [view.suppressed for number, view in enumerate(views) if number >= 5]
    assert any(held[:60])
    assert not any(held[-200:])


@pytest.mark.parametrize("jumps", [True, False])
def test_alerts_are_suppressed_again_only_after_steady_light(jumps: bool) -> None:
    """While the light of the scene jumps, alerts are held for that: it is no rest from holding."""
    camera = Camera()
    camera.look(DAY, 1)
    assert sum(view.suppressed for view in camera.look(NIGHT, 300)) == SETTINGS.stay_seconds + AFTER
    for _ in range(40):
        camera.look(DAY, 1, sudden=jumps)
    assert any(view.suppressed for view in camera.look(NIGHT, 300)) != jumps


@settings(max_examples=50)
@given(st.lists(st.floats(-6, 6), min_size=50, max_size=300), st.integers(0, 2**16))
def test_no_walk_inside_the_hysteresis_ever_asks_for_an_answer(
    steps: list[float], seed: int
) -> None:
    camera = Camera(own=(100.0, 10.0))
    random = np.random.default_rng(seed)
    luma, chroma = 100.0, 10.0
    for step in steps:
        luma = min(124.0, max(76.0, luma + step))
        chroma = min(14.0, max(6.0, chroma + random.uniform(-2, 2)))
        (view,) = camera.look((luma, chroma), 1, sudden=bool(random.integers(2)))
        assert not view.illumination_changed


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 255),
            st.integers(0, 60),
            st.integers(1, 90),
            st.booleans(),
            st.floats(-1.5, 1.5),
        ),
        min_size=1,
        max_size=12,  # a thousand seconds: longer ones cost a busy machine minutes
    ),
    st.lists(st.sampled_from(["restart", "elsewhere"]), min_size=50, max_size=50),
)
def test_answers_keep_their_distance_and_suppression_is_bounded(
    course: list[tuple[int, int, int, bool, float]], answers: list[str]
) -> None:
    """Whatever the light does, and however well the answer fits."""
    camera = Camera()
    answered: list[int] = []
    held = rest = 0
    for luma, chroma, seconds, sudden, score in course:
        for _ in range(seconds):
            (view,) = camera.look((luma, chroma), 1, sudden, score)
            if view.illumination_changed:
                answered.append(camera.seconds)
                elsewhere = light((255.0 - luma, 30.0))
                present = camera.watch.present
                camera.watch.restart(present if answers.pop() == "restart" else elsewhere)
            held = held + 1 if view.suppressed and not sudden else held
            rest = 0 if view.suppressed or not view.usable else rest + 1
            held = 0 if rest >= AFTER else held
            assert held <= SETTINGS.stay_seconds + AFTER + 1
    gaps = np.diff(answered)
    assert all(gap >= SETTINGS.stay_seconds for gap in gaps)
