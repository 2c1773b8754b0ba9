"""The level that normal life passes so often: against laws whose tail is known."""

import math
import random
from itertools import pairwise

import pytest

from models.tail import ExceedanceClusters, Tail, tail_of


def exponential_tail(count: int, mean: float, seconds: float) -> Tail:
    source = random.Random(3)
    excesses = tuple(source.expovariate(1 / mean) for _ in range(count))
    return Tail(base=2.0, excesses=excesses, seconds=seconds, prior_mean=mean)


def test_level_of_an_exponential_law_is_the_one_in_the_books() -> None:
    tail = exponential_tail(400, mean=0.5, seconds=4000.0)  # 8,640 clusters a day
    for per_day in (1.0, 24.0, 1000.0):
        wanted = 0.5 * math.log(8640 / per_day)
        assert tail.level(per_day) - 2.0 == pytest.approx(wanted, rel=0.2)
    assert tail.shape == pytest.approx(0.0, abs=0.12)


def test_a_tail_that_ends_gives_a_lower_level() -> None:
    source = random.Random(4)
    bounded = Tail(2.0, tuple(source.random() for _ in range(400)), 4000.0, 0.5)
    assert bounded.shape < -0.2
    assert bounded.level(1.0) < exponential_tail(400, 0.5, 4000.0).level(1.0)


def test_rarer_alarms_want_a_higher_level() -> None:
    tail = exponential_tail(12, 0.5, 60.0)
    levels = [tail.level(per_day) for per_day in (1000.0, 24.0, 1.0, 0.01)]
    assert all(low < high for low, high in pairwise(levels))
    assert tail.level(1e9) == tail.base


def test_without_a_cluster_the_prior_decides() -> None:
    low, high = (Tail(2.0, (), 60.0, mean).level(1.0) for mean in (0.1, 1.0))
    assert 2.0 < low < high


def test_level_holds_on_correlated_life() -> None:
    """Half an hour is watched; the next ten hours pass the level about as often as asked."""
    source = random.Random(5)
    value, energies = 0.0, []
    for _ in range(18_000 + 360_000):
        value = 0.9 * value + source.gauss(0, math.sqrt(1 - 0.81))
        energies.append(value)
    watched, later = energies[:18_000], energies[18_000:]
    tail = tail_of(watched, 0.1, base=sorted(watched)[16_200], prior_mean=0.5)
    counter = ExceedanceClusters(tail.level(per_day=48.0))
    clusters = sum(counter.push(energy, 0.1) is not None for energy in later)
    assert 5 <= clusters <= 60  # 20 wanted


def test_one_walker_is_one_cluster() -> None:
    counter = ExceedanceClusters(base=1.0)
    energies = [0.0, 1.5, 3.0, 0.5, 2.0, *[0.0] * 12, 1.25, *[0.0] * 12]
    found = [counter.push(energy, 0.1) for energy in energies]
    assert [excess for excess in found if excess is not None] == [2.0, 0.25]


def test_a_cluster_that_became_an_alarm_is_forgotten() -> None:
    counter = ExceedanceClusters(base=1.0)
    counter.push(1.5, 0.1)
    counter.discard()
    assert all(counter.push(0.0, 0.1) is None for _ in range(20))
    assert counter.flush() is None


def test_what_was_up_for_too_short_a_time_is_no_cluster() -> None:
    counter = ExceedanceClusters(base=1.0, gap_seconds=0.2, least_seconds=0.5)
    found = [counter.push(energy, 0.1) for energy in [3.0] * 5 + [0.0] * 5 + [4.0] * 6 + [0.0] * 5]
    assert [excess for excess in found if excess is not None] == [3.0]


def test_clusters_are_forgotten_after_a_day_of_normal_time() -> None:
    """Five restless minutes raise the level; two calm days later they do not count any more."""
    source = random.Random(7)
    calm = Tail(0.0, tuple(source.expovariate(2.0) for _ in range(30)), 43_200.0, 0.5)
    restless = calm
    for _ in range(30):
        restless = restless.after(10.0).with_peak(5.0 + source.random())
    later = restless
    for _ in range(60):
        later = later.after(2_880.0).with_peak(source.expovariate(2.0))
    assert restless.level(1.0) > 2 * calm.level(1.0)
    assert later.seconds == 86_400.0
    assert later.level(1.0) == pytest.approx(calm.level(1.0), rel=0.3)


def test_peaks_that_are_all_the_same_give_a_level() -> None:
    """As of a recording in a loop."""
    assert 2.5 < Tail(2.0, (0.5,) * 60, 600.0, 0.2).level(1.0) < 10.0


def test_livelier_life_than_the_base_knew_does_not_lift_the_level_out_of_reach() -> None:
    """Nearly all clusters reach 8 above an old base, give or take: so does the level."""
    source = random.Random(6)
    peaks = tuple(source.gauss(8.0, 0.7) for _ in range(100))
    level = Tail(0.0, peaks, 600.0, 0.5).level(1.0)
    assert max(peaks) < level < 17.0, "extrapolated from the old base it would be some 75"


def test_memory_is_bounded_and_keeps_the_rate() -> None:
    tail = Tail(0.0, (), 1.0, 0.5)
    for _ in range(1000):
        tail = tail.after(10.0).with_peak(0.5)
    assert len(tail.excesses) == 400
    assert len(tail.excesses) / tail.seconds == pytest.approx(0.1, rel=0.05)
