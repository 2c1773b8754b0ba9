"""Rendered streets for benchmarks: exact labels, normal clips from before the anomalies."""

import numpy as np
import pytest
from makers import small_scorer

from benchmarks.rendered_streets import RenderedStreet, StreetOptions, planned
from cameras.simulation import ANOMALY_KINDS
from pipeline.training.measuring import CLIP_LENGTH, Detector, MeasuringOptions, measure

SHORT = StreetOptions(
    size_hw=(90, 120),
    normal_seconds=5,
    anomaly_seconds=1,
    pause_seconds=0.4,
    cycle_seconds=30,
)


def test_every_kind_is_planned_once_in_an_order_of_its_own() -> None:
    orders = {tuple(one.kind for one in planned(number, SHORT)) for number in range(6)}
    assert len(orders) > 1
    for order in orders:
        assert sorted(order) == sorted(ANOMALY_KINDS)
    first, *_, last = planned(0, SHORT)
    assert (first.start_seconds, last.end_seconds) == (5, pytest.approx(5 + 5 * 1.4 - 0.4))


def test_a_street_is_measured() -> None:
    street = RenderedStreet(3, SHORT)
    drawn = street.draw(shots=2, queries=12)
    assert drawn.support.shape == (2, CLIP_LENGTH, 90, 120)
    assert len(drawn.planted) == len(drawn.kinds) >= 12
    assert set(drawn.kinds) <= set(ANOMALY_KINDS)
    assert len(set(drawn.kinds)) >= 3
    assert all(place < 50 for _, place in drawn.support_places)
    (recording,) = street.recordings()
    clips = list(recording)
    assert len(clips) == 50 - (CLIP_LENGTH - 1)
    for clip in (*drawn.normal, *drawn.support):
        assert any(clip.equal(other) for other in clips)
    assert not any(clip.equal(other) for clip in drawn.planted for other in clips)

    options = MeasuringOptions(shots=2, draws=1, queries=4)
    found = measure(street, [Detector("model", small_scorer().model)], options)
    (scores,) = found.detectors["model", "energy"]
    assert len(scores.recordings[0].values) == len(clips)
    assert np.isfinite(scores.planted).all()
    with pytest.raises(ValueError, match="want contaminated support clips"):
        measure(street, [Detector("model", small_scorer().model, contaminated=0.5)], options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normal_seconds": 1}, "normal_seconds >= 5, got 1"),
        ({"cycle_seconds": -1}, "got -1"),
    ],
)
def test_impossible_streets_are_named(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StreetOptions(**changes)
