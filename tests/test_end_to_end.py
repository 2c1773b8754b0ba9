"""The whole pipeline as real processes: every frame of a recording once, nothing left behind."""

import json
from pathlib import Path

import cv2
import pytest
from makers import walking_box, write_video
from pipeline_run import leftovers, pipeline_run, socket_folder

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
