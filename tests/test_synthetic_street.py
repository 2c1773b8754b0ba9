"""The synthetic street: deterministic, with exact labels and anomalies only as planned."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from cameras.simulation import ANOMALY_KINDS, PlannedAnomaly, SyntheticStreet, planned_demo
from cameras.simulation.plan import NORMAL_SECONDS, AnomalyKind
from cameras.simulation.street import Street
from cameras.simulation.traffic import RUNNING_SPEED, WALKING_SPEEDS, Incidents, Traffic

SMALL = (135, 240)
PLAN = tuple(
    PlannedAnomaly(kind, 2.0 + 9.0 * number, 6.0) for number, kind in enumerate(ANOMALY_KINDS)
)


@cache
def street(seed: int = 3) -> SyntheticStreet:
    return SyntheticStreet(seed, SMALL, frames_per_second=10, anomalies=PLAN)


def test_a_frame_depends_only_on_its_index() -> None:
    again = SyntheticStreet(3, SMALL, frames_per_second=10, anomalies=PLAN)
    for index in (40, 3, 41, 40):
        first, second = street().render(index), again.render(index)
        assert np.array_equal(first.pixels, second.pixels)
        assert np.array_equal(first.mask, second.mask)
        assert first.kinds == second.kinds
    assert first.pixels.shape == (*SMALL, 3)
    assert first.pixels.dtype == np.uint8
    assert first.pixels.flags.c_contiguous


def test_seeds_give_different_streets() -> None:
    pictures = [SyntheticStreet(seed, SMALL).render(0).pixels.astype(int) for seed in range(3)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(pictures[one] - pictures[other]).mean() > 15


def test_the_background_is_static_except_for_noise() -> None:
    one, other = (street().render(index).pixels.astype(int) for index in (0, 1))
    difference = np.abs(one - other).max(axis=2)
    assert np.median(difference) > 0
    assert (difference > 20).mean() < 0.1


@pytest.mark.parametrize("number", range(len(PLAN)))
def test_an_anomaly_is_visible_only_as_planned(number: int) -> None:
    planned = PLAN[number]
    for seconds in np.arange(planned.start_seconds - 1.5, planned.end_seconds + 1.5, 0.3):
        rendered = street().render(round(seconds * 10))
        exact = round(seconds * 10) / 10
        if planned.start_seconds + 1.2 < exact < planned.start_seconds + 3.5:
            assert rendered.kinds == (planned.kind,)
            assert rendered.mask.sum() >= 10
        elif not planned.start_seconds <= exact <= planned.end_seconds:
            assert rendered.kinds == ()
        assert bool(rendered.kinds) == bool(rendered.mask.any())


@pytest.mark.parametrize("number", range(len(PLAN)))
def test_the_mask_covers_the_anomaly(number: int) -> None:
    planned = PLAN[number]
    index = round((planned.start_seconds + 2.0) * 10)
    normal = SyntheticStreet(3, SMALL, frames_per_second=10).render(index)
    assert normal.kinds == ()
    rendered = street().render(index)
    changed = np.abs(rendered.pixels.astype(int) - normal.pixels.astype(int)).max(axis=2) > 12
    if planned.kind == "left_object":  # the people who bring and take it are not in the mask
        columns = np.flatnonzero(rendered.mask.any(axis=0))
        changed[:, : columns[0] - 2] = changed[:, columns[-1] + 3 :] = False
    assert changed[rendered.mask].mean() > 0.75
    # Changes outside of the mask are its shadow and its soft edge, below and beside it.
    rows = np.flatnonzero(rendered.mask.any(axis=1))
    assert not changed[: max(0, rows[0] - 12)].any()


def test_a_walker_in_front_occludes_the_mask() -> None:
    plan = [PlannedAnomaly("left_object", 4.0, 200.0)]
    scene = SyntheticStreet(3, SMALL, frames_per_second=2, anomalies=plan)
    sizes = [scene.render(index).mask.sum() for index in range(12, 120, 1)]
    assert min(sizes) < 0.7 * max(sizes)


@pytest.mark.parametrize("seed", range(6))
def test_there_are_always_some_people_and_never_a_crowd(seed: int) -> None:
    plan = Street.from_seed(seed, (360, 640))
    traffic = Traffic(plan)
    counts = []
    for seconds in range(0, 600, 4):
        visible = 0
        for actor in traffic.actors(float(seconds)):
            left, right = plan.viewpoint.visible_range(actor.placement.y)
            visible += left < actor.placement.x < right
        counts.append(visible)
    assert min(counts) >= 2
    assert max(counts) <= 9
    assert np.mean([3 <= count <= 8 for count in counts]) > 0.95


def test_an_occupancy_cycle_has_empty_and_crowded_phases() -> None:
    plan = Street.from_seed(3, (360, 640))
    cyclic, constant = Traffic(plan, cycle_seconds=90.0), Traffic(plan)
    counts = [len(cyclic.actors(float(seconds))) for seconds in range(0, 900, 3)]
    assert min(counts) <= 1
    assert max(counts) >= 9
    usual = np.mean([len(constant.actors(float(seconds))) for seconds in range(0, 900, 3)])
    assert np.mean(counts) == pytest.approx(usual, rel=0.2)
    fullest = [max(counts[start : start + 30]) for start in range(0, 300, 30)]  # one in each cycle
    emptiest = [min(counts[start : start + 30]) for start in range(0, 300, 30)]
    assert min(fullest) >= 6
    assert max(emptiest) <= 4


def test_people_walk_in_both_directions() -> None:
    traffic = Traffic(Street.from_seed(0, (360, 640)))
    headings = set()
    for seconds in range(0, 120, 5):
        now, soon = traffic.actors(float(seconds)), traffic.actors(seconds + 0.1)
        headings |= {actor.placement.heading[0] for actor in now}
        for actor in now:
            placement = actor.placement
            moved = [
                abs(other.placement.x - placement.x) / 0.1
                for other in soon
                if other.placement.y == placement.y
            ]
            if moved:
                assert WALKING_SPEEDS[0] - 0.01 <= min(moved) <= WALKING_SPEEDS[1] + 0.01
    assert headings == {-1.0, 1.0}


@pytest.mark.parametrize("kind", ["runner", "cyclist", "vehicle"])
@pytest.mark.parametrize("seed", [0, 1, 5])
def test_runners_cyclists_and_vehicles_are_faster_than_every_walker(
    kind: AnomalyKind, seed: int
) -> None:
    incidents = Incidents(Street.from_seed(seed, (360, 640)), (PlannedAnomaly(kind, 0.0, 20.0),))
    (one,), (other,) = incidents.actors(1.0), incidents.actors(1.1)
    speed = abs(other.placement.x - one.placement.x) / 0.1
    assert RUNNING_SPEED - 0.01 <= speed <= 6
    assert speed > 2 * WALKING_SPEEDS[1]


def test_the_demo_shows_every_kind_once_after_a_minute_of_normal_activity() -> None:
    planned = planned_demo()
    assert sorted(one.kind for one in planned) == sorted(ANOMALY_KINDS)
    assert planned[0].start_seconds >= NORMAL_SECONDS == 70
    assert planned[-1].end_seconds <= 118
    for one, other in pairwise(planned):
        assert other.start_seconds - one.end_seconds >= 4
    assert planned_demo(60) == ()
    assert len(planned_demo(95)) == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: PlannedAnomaly("cow", 0, 5), "want kind of cyclist"),  # type: ignore[arg-type]
        (lambda: PlannedAnomaly("runner", -1, 5), "start_seconds >= 0, got -1"),
        (lambda: PlannedAnomaly("runner", 1, 0), "duration_seconds >= 1, got 0"),
        (lambda: SyntheticStreet(-1), "seed >= 0, got -1"),
        (lambda: SyntheticStreet(0, (20, 640)), "at least"),
        (lambda: SyntheticStreet(0, SMALL, 0), "frames_per_second > 0"),
        (
            lambda: SyntheticStreet(0, SMALL, cycle_seconds=0),
            "cycle_seconds > 0, got 0",
        ),
        (lambda: street().render(-1), "index >= 0, got -1"),
    ],
)
def test_invalid_parameters_are_rejected(wrong: object, message: str) -> None:
    assert callable(wrong)
    with pytest.raises(ValueError, match=message):
        wrong()
