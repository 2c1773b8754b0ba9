"""The whole pipeline as real processes: every frame of a recording once, nothing left behind."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from makers import walking_box, write_video
from pipeline_run import leftovers, pipeline_run

from benchmarks.three_cameras import socket_folder
from pipeline.storage.event_queries import EventQuery
from pipeline.storage.store import EventStore

FRAMES = 40


@pytest.mark.timeout(300)
def test_three_kinds_of_recordings(tmp_path: Path) -> None:
    clip, images = tmp_path / "street.mp4", tmp_path / "images"
    write_video(clip, pictures=walking_box(FRAMES), frames_per_second=10)
    images.mkdir()
    for number, picture in enumerate(walking_box(FRAMES)):
        cv2.imwrite(str(images / f"{number:03d}.png"), picture)
    sources = {
        "file": {"url": str(clip), "pace": "fast"},
        "folder": {"url": str(images), "pace": "fast", "fps": 10},
        "loop": {"url": str(clip), "loop": True},
    }
    before = leftovers()
    with pipeline_run(tmp_path, sources) as run:
        run.wait_for(lambda: len(run.scores("file")) == FRAMES)
        run.wait_for(lambda: len(run.scores("folder")) == FRAMES)
        run.wait_for(lambda: len(run.scores("loop")) > 20)
        for camera in ("file", "folder"):
            line = f'vedette_frames_scored_total{{camera="{camera}"}} {FRAMES}.0'
            run.wait_for(lambda line=line: line in run.metrics())
        sockets = socket_folder(run.supervisor)
        run.stop.set()
        assert run.wait(60).failed == {}
    assert leftovers() == before
    assert not sockets.exists()

    for camera in ("file", "folder"):
        scores = run.scores(camera)
        assert [score["index"] for score in scores] == list(range(FRAMES))
        assert {score["dropped"] for score in scores} == {0}
        states = [score["state"] for score in scores]
        assert states[:9] == ["collecting"] * 8 + ["fitting"]
        assert set(states[9:]) == {"calibrating", "ready"}
        assert all(score["energy"] is not None for score in scores[9:])
    places = [(score["connection"], score["index"]) for score in run.scores("loop")]
    first = places[0][0]
    assert places == [(first + n // FRAMES, n % FRAMES) for n in range(len(places))]
    for camera in sources:
        assert (run.data_folder / "scenes" / camera / "scene.json").is_file()


@pytest.mark.timeout(300)
def test_a_second_run_goes_on_with_the_kept_scene(tmp_path: Path) -> None:
    clip = tmp_path / "street.mp4"
    write_video(clip, pictures=walking_box(FRAMES), frames_per_second=10)
    sources = {"file": {"url": str(clip), "pace": "fast"}}
    with pipeline_run(tmp_path, sources) as first:
        assert first.wait(90).failed == {}, "a run of recordings ends by itself"
    with pipeline_run(tmp_path, sources) as second:
        assert second.wait(60).failed == {}
    scores = second.scores("file")
    assert [score["index"] for score in scores] == [*range(FRAMES), *range(FRAMES)]
    assert len({score["connection"] for score in scores}) == 2
    states = [score["state"] for score in scores]
    assert states[FRAMES - 1] == "ready"
    assert states[FRAMES:] == ["ready"] * FRAMES
    kept = json.loads((second.data_folder / "scenes" / "file" / "calibration.json").read_text())
    again = [score["threshold"] for score in scores[FRAMES:]]
    assert again[:4] == [None] * 4, "a clip that is not whole has no energy"
    assert set(again[4:]) == {kept["threshold"]}


@pytest.mark.timeout(300)
def test_the_zones_of_an_event_are_in_the_store(tmp_path: Path) -> None:
    """Something begins to flicker in the right half of a still picture."""
    clip = tmp_path / "yard.mp4"
    noise = np.random.default_rng(0)

    def picture(number: int) -> np.ndarray:
        shown = next(walking_box(1)) + noise.integers(0, 4, (48, 64, 1), dtype=np.uint8)
        shown[12:24, 0:12] = 90  # without the box
        if number >= 60:
            shown[12:36, 40:60] = noise.integers(0, 256, (24, 20, 3), dtype=np.uint8)
        return shown

    write_video(clip, pictures=[picture(number) for number in range(80)], frames_per_second=10)
    zones = {
        "left": {"coordinates": "0,0,0.5,0,0.5,1,0,1"},
        "right": {"coordinates": "0.5,0,1,0,1,1,0.5,1"},
    }
    # With random weights an anomaly is hardly more than its motion.
    alert = {
        "enter": 0.8,
        "exit": 0.6,
        "smoothing": 0.2,
        "schedule": {"timezone": "UTC", "active": ["mon-sun"]},
    }
    sources = {"yard": {"url": str(clip), "pace": "fast"}}
    with pipeline_run(tmp_path, sources, of_each={"zones": zones}, alert=alert) as run:
        assert run.wait(90).failed == {}
    with EventStore.for_reading(None, run.data_folder) as store:
        (event,) = store.events("yard")
        assert event.zones == ("right",)
        assert 60 <= event.first_index < 70
        assert not event.suppressed
        (found,) = store.find(EventQuery(zone="right")).events
        assert found.event == event
        assert store.find(EventQuery(zone="left")).events == ()
    for score in run.scores("yard"):
        assert (score["zones"] != {}) == (score["score"] is not None)
