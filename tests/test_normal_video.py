"""Normal video watched: what counts as new, what as repeated, and which events notify."""

from pathlib import Path

import pytest
from makers import small_scorer, walking_box, write_images, write_video

from benchmarks.false_alarms import total
from benchmarks.normal_video import (
    Part,
    Realised,
    WatchedVideo,
    count_false_alarms,
    normal_videos,
    watch,
)
from models.calibrator import CalibratorSettings
from pipeline.datasets.layout import DatasetError

# A support of no spread leaves a provisional threshold of about 4 above 0.
SUPPORT = (0.0,) * 10
SETTINGS = CalibratorSettings(calibrate_seconds=5.0, smoothing_seconds=0.0, alarms_per_day=1.0)


def part(seconds: float, *peaks: float) -> Part:
    """Ten energies a second, restless between 0 and 0.3, and 50 for a second at each peak."""
    times = [number / 10 for number in range(round(seconds * 10))]
    energies = [0.1 * (number % 4) for number in range(len(times))]
    for peak in peaks:
        for number in range(round(peak * 10), round(peak * 10) + 10):
            energies[number] = 50.0
    return Part(tuple(times), tuple(energies))


def watched(*parts: Part) -> WatchedVideo:
    return WatchedVideo("yard", SUPPORT, parts, sum(len(one.times) / 10 for one in parts))


def test_the_calibration_is_not_watched() -> None:
    found = count_false_alarms(watched(part(20)), SETTINGS)
    assert found.events == 0
    assert found.watched_seconds == pytest.approx(15, abs=0.2)
    assert found.new_seconds == found.watched_seconds


def test_what_sticks_out_is_an_event() -> None:
    found = count_false_alarms(watched(part(40, 10.0, 20.0)), SETTINGS)
    assert found.events == 2
    assert found.per_day == pytest.approx(2 / found.watched_seconds * 86_400)


def test_a_short_video_comes_round_and_says_so() -> None:
    found = count_false_alarms(watched(part(10, 8.0), part(10)), SETTINGS, seconds=100)
    assert found.watched_seconds == pytest.approx(100, abs=0.2)
    assert found.new_seconds == pytest.approx(15, abs=0.3)
    # Once every 20 s: a first time among what is new, and again in each of the repetitions.
    assert found.events == 5


def test_a_video_shorter_than_the_calibration_is_never_new() -> None:
    found = count_false_alarms(watched(part(3)), SETTINGS, seconds=10)
    assert found.watched_seconds == pytest.approx(10, abs=0.2)
    assert found.new_seconds == 0


def test_a_long_video_is_watched_to_its_end() -> None:
    found = count_false_alarms(watched(part(60)), SETTINGS, seconds=10)
    assert found.watched_seconds == pytest.approx(55, abs=0.2)


def test_a_scene_that_never_calibrates_comes_to_an_end() -> None:
    loud = Part((0.0, 0.1, 0.2), (50.0, 50.0, 50.0))
    assert count_false_alarms(watched(loud), SETTINGS, seconds=10) == Realised(0, 0.0, 0.0)


def test_all_scenes_together() -> None:
    results = [Realised(1, 3600.0, 600.0), Realised(3, 1800.0, 1800.0), Realised(0, 0.0, 0.0)]
    found = total(24.0, results, ["yard", "door", "hall"])
    assert (found.events, found.watched_seconds, found.new_seconds) == (4, 5400.0, 2400.0)
    assert found.expected == pytest.approx(1.5)
    assert found.worst == "door, 144"
    assert total(24.0, results[2:], ["hall"]).worst == "–"


def test_scenes_are_found_in_files_and_folders(tmp_path: Path) -> None:
    pictures = list(walking_box(2))
    for name in ("a/01.mp4", "a/02.mp4", "b/01.mp4"):
        (tmp_path / "scenes" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "scenes" / name).touch()
    (tmp_path / "scenes" / "scenes.csv").touch()
    for name in ("Train001", "Train002"):
        write_images(tmp_path / "ped" / "Train" / name, pictures)
    scenes, ped = tmp_path / "scenes", tmp_path / "ped" / "Train"
    assert normal_videos([scenes, ped]) == {
        "a": [str(scenes / "a" / "01.mp4"), str(scenes / "a" / "02.mp4")],
        "b": [str(scenes / "b" / "01.mp4")],
        "ped": [str(ped / "Train001"), str(ped / "Train002")],
    }
    assert list(normal_videos([scenes / "a"])) == ["a"]
    assert normal_videos([ped / "Train001"]) == {"Train001": [str(ped / "Train001")]}
    assert normal_videos([scenes / "b" / "01.mp4"]) == {"01": [str(scenes / "b" / "01.mp4")]}


def test_what_holds_no_video_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="found none"):
        normal_videos([tmp_path])
    with pytest.raises(DatasetError, match="got nothing"):
        normal_videos([tmp_path / "nowhere"])
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "01.mp4").touch()
    with pytest.raises(DatasetError, match="got a twice"):
        normal_videos([tmp_path, tmp_path / "a"])


def test_a_video_is_adapted_to_and_the_rest_scored_once(tmp_path: Path) -> None:
    write_video(tmp_path / "one.mp4", frames_per_second=10, pictures=walking_box(60))
    write_video(tmp_path / "two.mp4", frames_per_second=10, pictures=walking_box(20))
    recordings = [str(tmp_path / name) for name in ("one.mp4", "two.mp4")]
    frames = []
    found = watch("yard", recordings, small_scorer(), shots=4, on_frame=lambda: frames.append(1))
    assert len(frames) == 80
    assert found.video_seconds == pytest.approx(8, abs=0.1)
    assert len(found.support_energies) == 4
    # Four clips in a third of eight seconds, the first after 0.4 s: 0.4, 1.1, 1.8 and 2.5.
    first, second = found.parts
    assert first.times[0] == pytest.approx(2.6)
    assert len(first.times) == len(first.energies) == 60 - 26
    assert second.times[0] == pytest.approx(0.4)  # a new connection: no clip before there is a past
    with pytest.raises(DatasetError, match="yard: want more normal video than 40 support clips"):
        watch("yard", recordings[1:], small_scorer(), shots=40)
