"""Geometry of the zones, and their scores."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.events.zones import ZoneReader, cells_inside, strength
from pipeline.transport.messages import ScoreMessage

LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
RIGHT = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))
WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
MAP_HW = (15, 20)
UNIT = st.floats(0, 1)


def message(
    cells: np.ndarray | None, score: float | None, pts: float = 0.0, connection: int = 1
) -> ScoreMessage:
    return ScoreMessage(
        "door", connection, 0, pts, 1000.0, 1000.0, 0, "ready", "", score, score, 1.0, cells
    )


def spot(row: int, column: int, height: float, size: int = 2) -> np.ndarray:
    """A map of -2 everywhere, except for a square."""
    cells = np.full(MAP_HW, -2.0, np.float32)
    cells[row : row + size, column : column + size] = height
    return cells


def test_cells_of_halves_and_of_a_triangle() -> None:
    left, right = cells_inside(LEFT, MAP_HW), cells_inside(RIGHT, MAP_HW)
    assert left[:, :10].all()
    assert not left[:, 10:].any()
    assert (left ^ right).all()
    triangle = cells_inside(((0, 0), (1, 0), (0, 1)), (8, 8))
    assert triangle[0, 0]
    assert triangle[3, 3]
    assert not triangle[5, 5]
    assert triangle.sum() == pytest.approx(32, abs=5)


def test_a_zone_smaller_than_a_cell_has_the_cell_that_it_is_in() -> None:
    tiny = cells_inside(((0.51, 0.31), (0.52, 0.31), (0.52, 0.32), (0.51, 0.32)), MAP_HW)
    assert np.argwhere(tiny).tolist() == [[4, 10]]


@given(st.lists(st.tuples(UNIT, UNIT), min_size=3, max_size=8), st.integers(1, 40))
def test_any_polygon_has_a_cell_and_none_far_from_it(
    polygon: list[tuple[float, float]], width: int
) -> None:
    height = max(1, width * 3 // 4)
    rows, columns = np.nonzero(cells_inside(polygon, (height, width)))
    assert rows.size
    xs, ys = zip(*polygon, strict=True)
    assert min(xs) * width - 1.1 <= columns.min() <= columns.max() <= max(xs) * width + 0.1
    assert min(ys) * height - 1.1 <= rows.min() <= rows.max() <= max(ys) * height + 0.1


def test_strength_is_the_mean_excess_of_the_strongest_hundredth() -> None:
    cells = spot(2, 3, 4.0)
    cells[2, 3] = 10.0
    assert strength(cells) == pytest.approx((10 + 4 + 4) / 3)  # 3 of 300 cells
    assert strength(cells, cells_inside(LEFT, MAP_HW)) == strength(cells)
    assert strength(cells, cells_inside(RIGHT, MAP_HW)) == 0.0
    assert strength(np.full(MAP_HW, -1.0, np.float32)) == 0.0
    bad = np.array([[np.nan, -np.inf, 1.0, 2.0]], np.float32)
    assert strength(bad) == 2.0
    assert math.isfinite(strength(np.full(MAP_HW, np.inf, np.float32)))


@given(st.lists(st.floats(-5, 5, width=32), min_size=48, max_size=48), st.tuples(UNIT, UNIT))
def test_no_part_is_stronger_than_the_whole(
    values: list[float], corner: tuple[float, float]
) -> None:
    cells = np.array(values, np.float32).reshape(6, 8)
    inside = cells_inside(((0, 0), (corner[0], 0), corner), (6, 8))
    assert 0 <= strength(cells, inside) <= strength(cells) + 1e-9


def test_an_anomaly_in_a_zone_has_the_score_of_the_frame_there_and_none_elsewhere() -> None:
    reader = ZoneReader({"left": LEFT, "right": RIGHT, "all": WHOLE}, 0.0)
    scores = reader.read(message(spot(3, 4, 2.0), 1.7))
    assert list(scores) == ["left", "right", "all"]
    assert scores["left"] == scores["all"] == 1.7
    assert 0 <= scores["right"] < 0.1


def test_two_anomalies_have_their_own_strengths() -> None:
    cells = np.maximum(spot(3, 4, 3.0, size=4), spot(9, 15, 1.5))
    scores = ZoneReader({"left": LEFT, "right": RIGHT}, 0.0).read(message(cells, 3.0))
    assert scores["left"] == 3.0
    assert scores["right"] == pytest.approx(1.5, abs=0.1), "however large the other one is"


def test_an_anomaly_partly_in_a_zone_counts_nearly_in_full() -> None:
    cells = spot(4, 8, 2.0, size=4)  # half of it on each side
    scores = ZoneReader({"left": LEFT, "right": RIGHT}, 0.0).read(message(cells, 1.2))
    assert scores == {"left": pytest.approx(1.2), "right": pytest.approx(1.2)}


def test_an_anomaly_that_the_map_does_not_show_counts_in_every_zone() -> None:
    reader = ZoneReader({"left": LEFT, "right": RIGHT}, 0.0)
    quiet = np.full(MAP_HW, -1.0, np.float32)
    assert reader.read(message(quiet, 1.5)) == {"left": 1.5, "right": 1.5}
    assert reader.read(message(quiet, -0.5)) == {"left": -0.5, "right": -0.5}


def test_no_scores_without_zones_or_without_a_score() -> None:
    assert ZoneReader({}, 0.4).read(message(spot(3, 4, 2.0), 1.0)) == {}
    reader = ZoneReader({"left": LEFT}, 0.4)
    assert reader.read(message(None, None)) == {}
    assert reader.read(message(spot(3, 4, 2.0), None)) == {}


def test_shares_are_smoothed_as_the_score_is() -> None:
    """The object is gone, and the average falls slowly: it still belongs to the object."""
    reader = ZoneReader({"left": LEFT, "right": RIGHT}, 0.4)
    reader.read(message(spot(3, 4, 4.0), 3.0, 0.0))
    quiet = np.full(MAP_HW, -1.0, np.float32)
    gone = reader.read(message(quiet, 2.3, 0.1))
    assert gone["left"] > 2.2
    assert gone["right"] < 0.1
    moved = reader.read(message(spot(3, 14, 4.0), 2.3, 10.0))
    assert moved["right"] == pytest.approx(2.3)
    assert moved["left"] < 0.1
    again = replace(message(spot(3, 4, 4.0), 2.3, 0.0), connection=2)
    assert reader.read(again)["left"] == 2.3, "another connection has no past"


def test_maps_of_another_size_are_accepted() -> None:
    reader = ZoneReader({"left": LEFT}, 0.0)
    assert reader.read(message(spot(3, 4, 2.0), 1.0))["left"] == 1.0
    small = np.full((3, 4), -1.0, np.float32)
    small[1, 3] = 5.0
    assert reader.read(message(small, 1.0))["left"] < 0.05
