"""Real processes: a camera switches to infrared and back, and this raises no alert.

With -s it prints for how long no alert was possible, in stream time.
"""

from pathlib import Path

import pytest

from benchmarks.light_changes import WatchedFilm, there_and_back, watch, write_film
from pipeline.scenes.scene_history import SceneHistory

DUSK, DAWN, END = 20, 50, 64
"""Seconds of the film."""
ADAPT = {"frames": 5, "spare": 2, "interval": 1.0, "calibrate": 10.0, "light_change_after": 5.0}
ADAPTING = ["collecting", "fitting", "calibrating", "ready"]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "street.mp4"
    write_film(path, there_and_back(DUSK, DAWN), END, seed=3)
    return path


def watched(film: Path, folder: Path, **adapt: object) -> WatchedFilm:
    return watch(
        film,
        folder,
        log_level="INFO",
        adapt={**ADAPT, **adapt},
        scoring={"device": "cpu", "threads": 1},
    )


@pytest.mark.timeout(600)
def test_infrared_and_back(film: Path, tmp_path: Path) -> None:
    found = watched(film, tmp_path)
    course = found.course()
    print()
    for state, begin, end in course:
        print(f"{state:>12} for {end - begin:5.1f} s from {begin:5.1f} s on")
    assert [state for state, _, _ in course] == [
        *ADAPTING,
        "suppressed",
        *ADAPTING,
        "suppressed",
        "ready",
    ]
    assert course[4][1] == pytest.approx(DUSK)
    assert course[9][1] == pytest.approx(DAWN)
    adapted, back = course[7][1] - DUSK, course[10][1] - DAWN
    assert back < adapted - 4.0, "the bank spares the time to collect and to fit"
    assert found.events == ()
    log = (tmp_path / "logs" / "scorer.log").read_text()
    history = SceneHistory(tmp_path / "scenes").scenes("street")
    assert log.count("adapted to 5 clips") == 2
    assert log.count("; adapting again, as no scene fits it") == 1
    assert log.count(f"; going on with scene {history[-1].id}") == 1
    assert [(one.reason, one.current) for one in history] == [
        ("another light", False),
        ("first seen", True),
    ]


@pytest.mark.timeout(600)
def test_without_the_bank_the_same_film_raises_an_alert(film: Path, tmp_path: Path) -> None:
    found = watched(film, tmp_path, on_light_change="ignore")
    assert DUSK < found.events[0].started_pts_seconds < DAWN
    assert found.reasons == ("first seen",)
