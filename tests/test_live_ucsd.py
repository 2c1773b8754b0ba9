"""What a camera that calibrates itself tells of a labelled test set."""

import numpy as np
import pytest

from benchmarks.live_ucsd import print_results, read
from benchmarks.normal_video import Part, WatchedVideo

STEP = 0.1


def part(seconds: float, seed: int, peak: tuple[float, float] | None = None) -> Part:
    """Energies that swing around 0, and 40 between two times."""
    times = np.arange(round(seconds / STEP)) * STEP
    energies = np.sin(times * 1.7 + seed)
    if peak is not None:
        energies[(times >= peak[0]) & (times < peak[1])] = 40.0
    return Part(tuple(times.tolist()), tuple(energies.tolist()))


def watched(*test: Part) -> WatchedVideo:
    support = tuple(np.random.default_rng(9).normal(0.0, 1.0, 20).tolist())
    return WatchedVideo("ped2", support, (part(90, 1), *test), 120.0)


def labels(first: float, last: float, seconds: float = 15.0) -> np.ndarray:
    times = np.arange(round(seconds / STEP)) * STEP
    return np.asarray((times >= first) & (times < last))


def test_the_delay_of_events_is_measured_and_alarms_outside_are_false() -> None:
    found = read(
        watched(part(15, 2, (6.0, 8.0)), part(15, 3), part(15, 4, (12.0, 13.0))),
        [labels(5.0, 9.0), labels(2.0, 4.0), labels(0.0, 3.0)],
        asked=24.0,
    )
    assert found.delays[0] == pytest.approx(1.0, abs=0.5)
    assert found.delays[1:] == (None, None)
    assert found.false_alarms == 1


def test_the_table_names_what_was_asked(capsys: pytest.CaptureFixture[str]) -> None:
    some = read(watched(part(15, 2, (6.0, 8.0))), [labels(5.0, 9.0)], asked=24.0)
    print_results({24.0: [some, some]}, 11.0)
    printed = " ".join(capsys.readouterr().out.split())
    assert "100.0" in printed
    assert "2 draws, 1 events and 11 s of normal frames in each" in printed
