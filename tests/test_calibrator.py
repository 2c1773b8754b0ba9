"""A stream of energies becomes scores, and the threshold follows normal life."""

import json
import math
import random
from dataclasses import asdict, replace
from statistics import median

import pytest

from models.calibration import (
    Calibration,
    calibration_from_json,
    for_target,
    learn,
    provisional,
)
from models.calibrator import Calibrator, CalibratorSettings, calibrate_afterwards

FIRST = provisional([0.0, 0.5, 1.0, 0.2, 0.8], prior_spread=1.0)


def life(count: int, seed: int = 1) -> list[float]:
    source = random.Random(seed)
    return [source.gauss(0.5, 0.4) for _ in range(count)]


def run(calibrator: Calibrator, energies: list[float], begin: float = 0.0) -> list[float]:
    return [
        calibrator.read(begin + number / 10, energy).score for number, energy in enumerate(energies)
    ]


def test_smoothing_is_exponential_in_stream_time() -> None:
    settings = CalibratorSettings(calibrate_seconds=0, smoothing_seconds=0.5)
    calibrator = Calibrator(settings, FIRST)
    calibrator.read(10.0, 0.0)
    score = calibrator.read(10.25, 1.0).score
    assert score == pytest.approx(FIRST.score(1 - math.exp(-0.5)))
    calibrator.connected()  # the last connection says nothing about this one
    assert calibrator.read(0.0, 4.0).score == FIRST.score(4.0)


def test_no_smoothing_on_request() -> None:
    calibrator = Calibrator(CalibratorSettings(0, 0.0), FIRST)
    assert run(calibrator, [0.0, 1.0, 3.0]) == [FIRST.score(x) for x in (0.0, 1.0, 3.0)]


def test_more_alarms_allowed_mean_a_lower_threshold() -> None:
    thresholds = []
    for alarms in (240.0, 24.0, 1.0):
        calibrator = Calibrator(CalibratorSettings(60.0, 0.4, alarms), FIRST)
        run(calibrator, life(650))
        assert calibrator.done
        thresholds.append(calibrator.calibration.threshold)
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[-1]


def test_another_target_changes_the_threshold_at_once() -> None:
    calibrator = Calibrator(CalibratorSettings(60.0, 0.4, 1.0), FIRST)
    assert calibrator.score_at_rate(24.0) is None
    run(calibrator, life(650))
    stored = calibration_from_json(json.loads(json.dumps(asdict(calibrator.snapshot))))
    expected = calibrator.score_at_rate(24.0)
    assert expected is not None
    assert expected < 1.0
    again = Calibrator(CalibratorSettings(60.0, 0.4, 24.0), stored)
    # The score that a preview gives is the one that has the score 1 afterwards.
    energy = stored.median + expected * (stored.threshold - stored.median)
    assert again.calibration.score(energy) == pytest.approx(1.0)
    assert again.calibration.alarms_per_day == 24.0
    back = Calibrator(CalibratorSettings(60.0, 0.4, 1.0), again.snapshot)
    there_and_back = for_target(replace(stored, alarms_per_day=2.0), 1.0)
    assert back.calibration.threshold == pytest.approx(there_and_back.threshold)
    assert for_target(stored, 1.0) is stored
    assert for_target(FIRST, 24.0) is FIRST


def test_a_long_watch_sharpens_the_threshold() -> None:
    calibrator = Calibrator(CalibratorSettings(60.0, 0.4, 1.0), FIRST)
    run(calibrator, life(650))
    early = calibrator.calibration
    run(calibrator, life(12_000, seed=2), begin=65.0)
    late = calibrator.calibration
    assert early.tail is not None
    assert late.tail is not None
    assert len(late.tail.excesses) > 4 * len(early.tail.excesses)
    assert late.tail.seconds > 10 * early.tail.seconds
    assert late.threshold < early.threshold  # the tail turns out to be as light as it is
    assert late.median == early.median


def test_normal_clips_unlike_the_support_raise_no_alarm_while_calibrating() -> None:
    """Ten clips of five seconds resemble each other; what walks in later resembles them less."""
    first = provisional([0.7, 0.8, 0.6, 0.7, 0.8, 0.7, 0.8, 0.6, 0.7, 0.8])
    source = random.Random(6)
    value, energies = 0.0, []
    for number in range(700):
        value = 0.97 * value + source.gauss(0, 0.24)
        energies.append(0.7 + min(number / 150, 1.0) * (1.8 + 1.5 * value))
    assert max(energies) > first.threshold
    calibrator = Calibrator(CalibratorSettings(60.0, 0.4, 24.0), first)
    assert max(run(calibrator, energies)) < 1
    assert calibrator.done


def begun(alarms_per_day: float = 24.0) -> Calibrator:
    """A calibrator at the end of its calibration window; no smoothing."""
    calibrator = Calibrator(CalibratorSettings(60.0, 0.0, alarms_per_day), FIRST)
    run(calibrator, life(650))
    assert calibrator.done
    return calibrator


def test_an_alarm_to_its_very_end_is_counted_and_is_no_part_of_the_tail() -> None:
    """What is left of an anomaly once its score is below 1 again is no cluster of normal life."""
    calibrator = begun()
    before = calibrator.snapshot
    assert before.tail is not None
    calm, threshold = before.median, before.threshold
    anomaly = [threshold + 50.0] * 10 + [calm] * 3 + [threshold - 0.01] * 20 + [calm] * 60
    run(calibrator, anomaly, begin=65.0)
    kept = calibrator.snapshot
    assert kept.tail is not None
    assert kept.tail.excesses == before.tail.excesses
    assert [height for _, height in kept.alarms] == [pytest.approx(threshold + 50.0)]
    assert kept.normal_seconds - before.normal_seconds == pytest.approx(8.3, abs=0.2)


def test_a_flash_is_no_alarm() -> None:
    calibrator = begun()
    middle, threshold = calibrator.calibration.median, calibrator.calibration.threshold
    run(calibrator, [threshold + 50.0] * 4 + [middle] * 100, begin=65.0)
    assert calibrator.snapshot.alarms == ()


@pytest.mark.parametrize("height", [0.99, 5.0])
def test_one_outlier_does_not_take_away_the_sensitivity(height: float) -> None:
    """Just below the threshold, or far above it, in a life that goes on as it was."""
    calibrator = begun()
    before = calibrator.calibration
    middle = before.median
    outlier = middle + height * (before.threshold - middle)
    run(calibrator, [outlier] * 5, begin=65.0)
    highest = middle
    for minute in range(60):
        run(calibrator, life(600, seed=minute), begin=66.0 + 60 * minute)
        highest = max(highest, calibrator.calibration.threshold)
    reach = before.threshold - middle
    assert highest - middle <= 1.25 * reach
    assert calibrator.calibration.threshold - middle < 1.05 * reach, "and it goes down again"


def test_a_restless_five_minutes_raise_the_threshold_step_by_step() -> None:
    """All clusters just below the threshold: it used to rise fourfold in five minutes."""
    calibrator = begun()
    before = calibrator.calibration
    middle = before.median
    number = 650
    for _ in range(75):  # five minutes
        peak = middle + 0.95 * (calibrator.calibration.threshold - middle)
        run(calibrator, [peak] * 5 + [middle] * 35, begin=number / 10)
        number += 40
    risen = (calibrator.calibration.threshold - middle) / (before.threshold - middle)
    assert 1.0 < risen < 1.6


def test_a_life_with_too_many_alarms_raises_the_threshold_for_a_while() -> None:
    """Passages above the threshold every five minutes, where one an hour was asked for."""
    calibrator = begun()
    before = calibrator.calibration
    reach = before.threshold - before.median
    alarms, thresholds = [], []
    for number in range(12 * 8):
        energies = [*life(2990, seed=number), *[before.median + 1.3 * reach] * 10]
        scores = run(calibrator, energies, begin=65.0 + 300 * number)
        alarms.append(max(scores) >= 1)
        thresholds.append(calibrator.calibration.threshold)
    assert alarms[0]
    assert sum(alarms[:12]) <= 7, "in the first hour, of which three are never too many"
    assert sum(alarms[12:]) <= 84 / 4, "few enough, where 7 were asked for"
    for number in range(48):
        run(calibrator, life(3000, seed=1000 + number), begin=28_865.0 + 300 * number)
    assert max(thresholds) - before.median <= 1.4 * reach
    assert calibrator.calibration.threshold - before.median < 1.05 * reach, "and it goes down"


def test_caution_shrinks_as_the_watch_grows() -> None:
    """The same tail in a minute and in a day: the level of the minute is extrapolated further."""
    calibrator = begun(alarms_per_day=1.0)
    early = calibrator.calibration
    assert early.tail is not None
    reach = early.tail.level(1.0) - early.median
    assert early.threshold - early.median > 1.15 * reach
    day = replace(early, normal_seconds=86_400.0)
    assert learn(day, 1.0).threshold == pytest.approx(early.tail.level(1.0))


def test_alarms_teach_nothing() -> None:
    calibrator = Calibrator(CalibratorSettings(60.0, 0.0, 1.0), FIRST)
    run(calibrator, life(650))
    before = calibrator.calibration
    scores = run(calibrator, [before.threshold + 3.0] * 300, begin=65.0)
    assert min(scores) > 1
    assert calibrator.calibration == before


def test_a_calibration_goes_through_json() -> None:
    calibrator = Calibrator(CalibratorSettings(), FIRST)
    run(calibrator, life(650))
    for calibration in (FIRST, calibrator.calibration):
        assert calibration_from_json(json.loads(json.dumps(asdict(calibration)))) == calibration


def test_what_is_kept_goes_on_as_if_nothing_had_happened() -> None:
    """Stopped anywhere: the same thresholds at the same times as without a stop."""
    whole, stopped = begun(), begun()
    for part in range(20):
        energies = life(137, seed=100 + part)
        run(whole, energies, begin=65.0 + 13.7 * part)
        again = Calibrator(
            CalibratorSettings(60.0, 0.0, 24.0),
            calibration_from_json(json.loads(json.dumps(asdict(stopped.snapshot)))),
        )
        assert again.calibration.threshold == stopped.calibration.threshold
        run(again, energies, begin=65.0 + 13.7 * part)
        stopped = again
    assert whole.calibration.learnt_seconds > 200
    assert stopped.calibration.threshold == pytest.approx(whole.calibration.threshold, rel=0.02)
    assert stopped.snapshot.normal_seconds == pytest.approx(whole.snapshot.normal_seconds, abs=3.0)


def test_a_kept_calibration_is_followed_on() -> None:
    calibrator = Calibrator(CalibratorSettings(), FIRST)
    run(calibrator, life(650))
    again = Calibrator(CalibratorSettings(), calibrator.calibration)
    assert again.done
    run(again, life(3_000, seed=4))
    assert again.calibration != calibrator.calibration


@pytest.mark.parametrize("broken", [{}, {"median": 0.0}, {**asdict(FIRST), "tail": {"base": 1.0}}])
def test_what_is_no_calibration_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        calibration_from_json(broken)


def test_a_threshold_below_the_median_is_refused() -> None:
    with pytest.raises(ValueError, match="want threshold > median"):
        Calibration(median=1.0, threshold=1.0, spread=1.0, samples=1, final=True)


@pytest.mark.parametrize("wrong", [(-1.0, 0.4, 1.0), (60.0, -0.1, 1.0), (60.0, 0.4, 0.0)])
def test_impossible_settings_are_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match=r"\w+: want"):
        CalibratorSettings(*wrong)


_CHANCE = random.Random(0)
NORMAL = [_CHANCE.gauss(0.0, 1.0) for _ in range(120)]
MIDDLE = median(NORMAL)
TIMES = [number / 2 for number in range(120)]


def afterwards(
    support: list[float], energies: list[float], alarms: float = 24.0
) -> Calibration | None:
    settings = CalibratorSettings(60.0, 0.4, alarms)
    return calibrate_afterwards(settings, support, TIMES[: len(energies)], energies, 0.5)


def test_what_is_over_calibrates_as_what_is_watched() -> None:
    settings = CalibratorSettings(59.5, 0.4, 24.0)
    watching = Calibrator(settings, provisional([MIDDLE - 1, MIDDLE + 1] * 5))
    for time, energy in zip(TIMES, NORMAL, strict=True):
        watching.read(time, energy)
    assert watching.calibration.final
    found = afterwards([MIDDLE - 1, MIDDLE + 1] * 5, NORMAL)
    assert found is not None
    assert found.median == pytest.approx(watching.calibration.median, abs=0.05)
    assert found.threshold == pytest.approx(watching.calibration.threshold, rel=0.1)


def test_moments_near_the_support_are_taken_for_somewhat_too_low() -> None:
    level, above, below = (
        afterwards([MIDDLE + far - 1, MIDDLE + far + 1] * 5, NORMAL) for far in (0.0, 2.0, -0.5)
    )
    assert level is not None
    assert above is not None
    assert above.median == pytest.approx(level.median + 1.0, abs=0.05)
    assert above.threshold == pytest.approx(level.threshold + 1.0, abs=0.05)
    assert below is not None
    assert below.median == pytest.approx(level.median), "never lower than they are"


def test_the_dial_holds_afterwards() -> None:
    thresholds = [afterwards([0.0] * 10, NORMAL, alarms) for alarms in (1.0, 24.0, 1440.0)]
    values = [one.threshold for one in thresholds if one is not None]
    assert len(values) == 3
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1]


def test_too_few_moments_calibrate_nothing() -> None:
    assert afterwards([0.0] * 10, NORMAL[:19]) is None
    assert afterwards([0.0] * 10, []) is None
    assert afterwards([0.0] * 10, [50.0] * 100) is None, "all above the support's threshold"


def test_the_average_goes_on_in_another_scene() -> None:
    """One high frame right after the change counts as little as a later one; lasting ones alert."""
    old = Calibration(median=1.0, threshold=9.0, spread=2.0, samples=40, final=True)
    new = Calibration(median=0.0, threshold=4.0, spread=1.0, samples=90, final=True)
    before = Calibrator(CalibratorSettings(), old)
    for number in range(30):
        before.read(number / 10, 1.0)
    after = Calibrator(CalibratorSettings(), new)
    after.continue_from(before)
    assert after.read(3.0, 8.0).score < 0.6
    assert max(after.read(3.1 + number / 10, 8.0).score for number in range(6)) > 1.0
    alone = Calibrator(CalibratorSettings(), new)
    assert alone.read(3.0, 8.0).score == 2.0


def test_what_is_there_when_the_scene_changes_stays_there() -> None:
    old = Calibration(median=1.0, threshold=9.0, spread=2.0, samples=40, final=True)
    new = Calibration(median=0.0, threshold=4.0, spread=1.0, samples=90, final=True)
    before = Calibrator(CalibratorSettings(), old)
    for number in range(30):
        before.read(number / 10, 11.0)  # five spreads up
    after = Calibrator(CalibratorSettings(), new)
    after.continue_from(before)
    assert after.read(3.0, 5.0).score == pytest.approx(1.25, abs=0.02)
