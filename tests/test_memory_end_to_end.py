"""Learning from people and from time, with the shipped weights and real processes."""

import json
import re
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from makers import walking_box
from pipeline_run import PipelineRun, pipeline_run

from cameras.simulation import PlannedAnomaly, SyntheticStreet
from pipeline.config import Config
from pipeline.runtime.local_engine import local_service
from pipeline.storage.event_queries import EventQuery, StoredEvent
from pipeline.storage.store import EventStore

STREET = 3
FPS = 10
PASSAGE_SECONDS = 5.6


def film(folder: Path, seconds: tuple[float, float], passages: Mapping[float, Any]) -> None:
    """Write a synthetic street as images; an anomaly takes the same path whenever it begins."""
    plain = SyntheticStreet(STREET, (240, 320), FPS)
    streets = {
        begin: SyntheticStreet(
            STREET, (240, 320), FPS, [PlannedAnomaly(kind, begin, PASSAGE_SECONDS)]
        )
        for begin, kind in passages.items()
    }
    folder.mkdir()
    for index in range(round(seconds[0] * FPS), round(seconds[1] * FPS)):
        now = index / FPS
        going_on = [one for one in streets if one <= now <= one + PASSAGE_SECONDS]
        street = streets[going_on[0]] if going_on else plain
        picture = cv2.cvtColor(street.render(index).pixels, cv2.COLOR_RGB2BGR)
        assert cv2.imwrite(str(folder / f"{index:04d}.png"), picture)


@contextmanager
def watching(data: Path, images: Path, frames: int) -> Iterator[PipelineRun]:
    """The service on a film, as fast as it can be scored, until all of it is."""
    config = Config.model_validate(
        {
            "adapt": {"interval": 0.5, "calibrate": 30},
            "alert": {"target_false_alarms_per_day": 240, "cooldown": 0, "merge_gap": 2},
            "scoring": {"device": "cpu", "threads": 1},
            "metrics": {"port": 0},
            "api": {"enabled": True, "port": 0},
            "cameras": {"street": {"source": {"url": str(images), "pace": "fast", "fps": FPS}}},
        }
    )
    data.mkdir(exist_ok=True)
    with local_service(config, data, "INFO") as supervisor:
        run = PipelineRun(supervisor, data)
        before = len(run.scores("street"))
        run.start()
        try:
            run.wait_for(lambda: len(run.scores("street")) == before + frames, 240)
            yield run
        finally:
            run.stop.set()
            run.wait(60)


def told(data: Path) -> list[StoredEvent]:
    with EventStore.for_reading(None, data) as store:
        found = store.find(EventQuery(suppressed=False)).events
    return sorted(found, key=lambda one: one.event.started_at)


def api(address: str, method: str, path: str, body: object = None) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{address}/api/v1{path}",
        None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        shown: dict[str, Any] = json.load(answer)
    return shown


def address_of(capfd: pytest.CaptureFixture[str]) -> str:
    """Where the API of the newest run is, from what its workers log."""
    deadline, text = time.monotonic() + 30, ""
    while not (found := re.findall(r"API on (http\S+)", text)):
        assert time.monotonic() < deadline, text
        time.sleep(0.1)
        output = capfd.readouterr()
        text += output.out + output.err
    return str(found[-1])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_label_silences_the_next_passage_and_nothing_else(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A cyclist rides through twice, then a vehicle drives through."""
    film(tmp_path / "usual", (0, 38), {})
    film(tmp_path / "first", (38, 50), {42.0: "cyclist"})
    film(tmp_path / "second", (60, 82), {64.0: "cyclist", 74.0: "vehicle"})
    film(tmp_path / "third", (60, 72), {64.0: "cyclist"})
    data = tmp_path / "data"
    with watching(data, tmp_path / "usual", 380) as run:
        # The refit on the calibration window runs in a thread; wait until it is stored.
        run.wait_for((data / "scenes" / "street" / "calibration.json").is_file)
    with watching(data, tmp_path / "first", 120):
        url = address_of(capfd)
        events = api(url, "GET", "/events")["events"]
        assert len(events) == 1, events
        event = events[0]["id"]
        assert 40 <= events[0]["first_index"] < 80
        assert not events[0]["accepted_as_normal"]
        shown = api(url, "PATCH", f"/events/{event}", {"label": "normal"})
        assert (shown["label"], shown["accepted_as_normal"]) == ("normal", True)

    with watching(data, tmp_path / "second", 220):
        url = address_of(capfd)
        later = [one.event for one in told(data) if one.event.id != event]
        assert len(later) == 1, later
        assert later[0].first_index >= 140, "the cyclist came at 40 to 96, the vehicle at 140"
        shown = api(url, "PATCH", f"/events/{event}", {"label": None})
        assert (shown["label"], shown["accepted_as_normal"]) == (None, False)

    # Taken back, the cyclist alerts again.
    with watching(data, tmp_path / "third", 120):
        known = {event, later[0].id}
        again = [one.event for one in told(data) if one.event.id not in known]
        assert any(40 <= one.first_index < 100 for one in again), again


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_stays_is_absorbed_and_can_be_taken_back(tmp_path: Path) -> None:
    """Something begins to flicker, and does not stop."""
    noise = np.random.default_rng(0)

    def picture(number: int) -> np.ndarray:
        shown = next(walking_box(1)) + noise.integers(0, 4, (48, 64, 1), dtype=np.uint8)
        if number >= 60:
            square = np.indices((20, 20)).sum(0) // 4 % 2 ^ (number % 2)
            shown[16:36, 36:56] = 250 * square[..., None]
        return shown.astype(np.uint8)

    images = tmp_path / "images"
    images.mkdir()
    for number in range(400):
        assert cv2.imwrite(str(images / f"{number:03d}.png"), picture(number))
    sources = {"yard": {"url": str(images), "pace": "live", "fps": 10}}
    alert = {"enter": 0.8, "exit": 0.6, "smoothing": 0.2, "light_hold": 0, "merge_gap": 2}
    adapt = {"frames": 3, "spare": 0, "interval": 0.2, "calibrate": 1.0, "absorb_after": 4}
    with pipeline_run(tmp_path, sources, alert=alert, adapt=adapt) as run:
        counter = 'vedette_events_absorbed_total{camera="yard"} 1.0'
        run.wait_for(lambda: len(run.scores("yard")) > 0)  # from then on metrics are served
        run.wait_for(lambda: counter in run.metrics())
        assert run.wait(90).failed == {}
    with EventStore.for_reading(None, run.data_folder) as store:
        (found,) = store.find(EventQuery(limit=10)).events
    assert found.label == "normal"
    assert found.note is not None
    assert found.note.startswith("absorbed: it had lasted 4")
    assert found.event.ended_at is not None
    assert 4.0 <= found.event.duration_seconds < 15.0, "it ended, while it went on flickering"
    scenes = run.data_folder / "scenes" / "yard"
    assert [path.stem for path in (scenes / "memory").iterdir()] == [found.event.id]
