"""Made trees of ShanghaiTech and of MVTec's layout, with every quirk of the real ones."""

import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
from makers import small_scorer, walking_box, write_images, write_video
from rich.console import Console
from rich.progress import Progress

from pipeline.cli.main import Dataset as NamesOnTheCommandLine
from pipeline.datasets.benchmarks import BENCHMARKS, load_benchmark
from pipeline.datasets.layout import Dataset, DatasetError, read_frames
from pipeline.datasets.mvtec import load_mvtec
from pipeline.datasets.shanghaitech import load_shanghaitech
from pipeline.evaluation.clip_sheets import clip_sheets
from pipeline.evaluation.html_report import html_report
from pipeline.evaluation.per_clip import kind_figures
from pipeline.evaluation.report import protocol, to_json
from pipeline.evaluation.results import Evaluation, EvaluationOptions
from pipeline.evaluation.runner import evaluate
from pipeline.evaluation.sheets import as_table, sheets
from pipeline.evaluation.supports import SupportError, draw_supports

SIZE = (48, 64)


def run(dataset: Dataset, options: EvaluationOptions) -> Evaluation:
    with Progress(console=Console(quiet=True)) as progress:
        return evaluate(dataset, small_scorer(), options, progress)


def write_test_clip(testing: Path, name: str, frames: int, anomalous: set[int]) -> None:
    """Frames from 000.jpg on, labels and masks."""
    (testing / "test_frame_mask").mkdir(parents=True, exist_ok=True)
    (testing / "test_pixel_mask").mkdir(exist_ok=True)
    folder = testing / "frames" / name
    folder.mkdir(parents=True)
    masks = np.zeros((frames, *SIZE), dtype=np.uint8)
    for number, picture in enumerate(walking_box(frames)):
        if number in anomalous:
            masks[number, 4:30, 40:60] = 1
            picture[4:30, 40:60] = 255 * (number % 2)
        assert cv2.imwrite(str(folder / f"{number:03d}.jpg"), picture)
    labels = np.array([int(number in anomalous) for number in range(frames)], dtype=np.int8)
    np.save(testing / "test_frame_mask" / f"{name}.npy", labels)
    np.save(testing / "test_pixel_mask" / f"{name}.npy", masks)


@pytest.fixture
def campus(tmp_path: Path) -> Path:
    """Cameras 1, 2 and 13; the last has no test clip. And the litter of a real archive."""
    place = tmp_path / "shanghaitech"
    videos = place / "training" / "videos"
    videos.mkdir(parents=True)
    for name in ("02_001", "01_010", "01_002", "13_007"):
        level = 40 * (int(name[:2]) % 10)  # so that a support shows which camera it is from
        picture = np.full((*SIZE, 3), level, dtype=np.uint8)
        write_video(videos / f"{name}.avi", pictures=[picture] * 20, frames_per_second=24)
    testing = place / "testing"
    write_test_clip(testing, "02_003", 12, {5, 6, 7})
    write_test_clip(testing, "01_0014", 12, {0, 1})
    write_test_clip(testing, "01_0002", 12, set())
    (videos / "._01_002.avi").write_bytes(b"resource fork")
    (testing / "frames" / ".DS_Store").write_bytes(b"")
    return tmp_path


def test_campus_clips_stand_by_scene_and_number(campus: Path) -> None:
    for root in (campus, campus / "shanghaitech"):
        dataset = load_shanghaitech(root)
        assert [clip.name for clip in dataset.test] == ["01_0002", "01_0014", "02_003"]
        assert [clip.name for clip in dataset.train] == ["01_002", "01_010", "02_001", "13_007"]
        assert f"{dataset.title}{dataset.coverage}" == "ShanghaiTech, 3 of 107 clips"


def test_campus_scenes_have_a_support_of_their_own(campus: Path) -> None:
    scenes = load_shanghaitech(campus).scenes
    assert [scene.name for scene in scenes] == ["01", "02"]
    assert [[clip.name for clip in scene.train] for scene in scenes] == [
        ["01_002", "01_010"],
        ["02_001"],
    ]
    config = small_scorer().config
    for scene, level in zip(scenes, (40, 80), strict=True):
        videos = [read_frames(clip) for clip in scene.train]
        (support,) = draw_supports(videos, config, 4, [0], scene.name)
        assert support.mean() == pytest.approx(level, abs=4)


def test_campus_frames_labels_and_masks_agree(campus: Path) -> None:
    clip = load_shanghaitech(campus).test[2]
    assert clip.labels is not None
    assert np.flatnonzero(clip.labels).tolist() == [5, 6, 7]
    assert [bool(mask.any()) for mask in clip.read_masks()] == clip.labels.tolist()
    times = [frame.pts_seconds for frame in read_frames(clip)]
    assert times == pytest.approx(np.arange(12) / 24)


def test_campus_frames_without_zeros_come_in_numeric_order(campus: Path) -> None:
    folder = campus / "shanghaitech" / "testing" / "frames" / "02_003"
    shutil.rmtree(folder)
    folder.mkdir()
    for number in range(12):
        picture = np.full((*SIZE, 3), 10 * number, dtype=np.uint8)
        assert cv2.imwrite(str(folder / f"{number}.jpg"), picture)
    frames = read_frames(load_shanghaitech(campus).test[2])
    levels = [float(frame.pixels.mean()) for frame in frames]
    assert levels == pytest.approx([10 * number for number in range(12)], abs=2)


def test_campus_may_lack_masks_but_not_labels(campus: Path) -> None:
    testing = campus / "shanghaitech" / "testing"
    shutil.rmtree(testing / "test_pixel_mask")
    assert all(clip.masks is None for clip in load_shanghaitech(campus).test)
    (testing / "test_frame_mask" / "01_0014.npy").unlink()
    with pytest.raises(DatasetError, match=r"01_0014\.npy: cannot be read as a NumPy file"):
        load_shanghaitech(campus)


def test_campus_refuses_labels_that_do_not_fit(campus: Path) -> None:
    labels = campus / "shanghaitech" / "testing" / "test_frame_mask" / "01_0002.npy"
    np.save(labels, np.zeros(11))
    with pytest.raises(DatasetError, match="01_0002: want 11 frames, as many as labels, got 12"):
        load_shanghaitech(campus)
    np.save(labels, np.zeros((12, 2)))
    with pytest.raises(DatasetError, match="want 1 dimensions, got 2"):
        load_shanghaitech(campus)
    labels.write_bytes(b"no array at all")
    with pytest.raises(DatasetError, match="cannot be read as a NumPy file"):
        load_shanghaitech(campus)


def test_campus_refuses_a_scene_without_training_video(campus: Path) -> None:
    (campus / "shanghaitech" / "training" / "videos" / "02_001.avi").unlink()
    with pytest.raises(DatasetError, match="want a training video of scene 02 for 02_003"):
        load_shanghaitech(campus)


def test_campus_is_measured_scene_by_scene(campus: Path) -> None:
    result = run(load_shanghaitech(campus), EvaluationOptions(shots=2, draws=2))
    assert "drawn at random from Train of the same scene" in protocol(result)
    found = to_json(result)
    assert list(found["scenes"]) == ["01", "02"]
    assert found["localisation"]["clips"] == 3
    assert [len(values) for values in result.draws[0].values] == [12, 12, 12]
    # Each scene's energies are those that it gets when it is the whole data set.
    dataset = result.dataset
    alone = run(
        replace(dataset, test=dataset.test[2:], train=dataset.scenes[1].train),
        EvaluationOptions(shots=2, draws=2),
    )
    np.testing.assert_allclose(result.draws[1].values[2], alone.draws[1].values[0], atol=1e-5)
    baselines = to_json(alone)["baselines"]["frame_difference"]
    assert found["scenes"]["02"]["frame_difference"] == baselines["frame_auroc_micro"]
    assert found["scenes"]["02"]["frame_auroc_micro"]["mean"] == pytest.approx(
        to_json(alone)["mean"]["frame_auroc_micro"]
    )


def test_test_clips_of_a_scene_stand_together(campus: Path) -> None:
    dataset = load_shanghaitech(campus)
    first, second, other = dataset.test
    with pytest.raises(DatasetError, match="one after the other, got 01, 02, 01"):
        replace(dataset, test=(first, other, second))


def test_a_scene_with_too_few_clips_is_named(campus: Path) -> None:
    with pytest.raises(SupportError, match="ShanghaiTech, Train, scene 02: want 15 support clips"):
        run(load_shanghaitech(campus), EvaluationOptions(shots=15, draws=1))


def still(number: int, broken: bool = False) -> np.ndarray:
    picture = next(walking_box(1)).copy()
    picture[40:, :] = 10 * number
    if broken:
        picture[30:38, 30:50] = (255, 0, 0)
    return picture


@pytest.fixture
def factory(tmp_path: Path) -> Path:
    """Two categories; masks are named after their images and in an order of their own."""
    for category in ("screw", "bottle"):
        place = tmp_path / category
        write_images(place / "train" / "good", [still(number) for number in range(4)])
        write_images(place / "test" / "good", [still(5), still(6)])
        write_images(place / "test" / "crack", [still(7, broken=True), still(8, broken=True)])
        truth = place / "ground_truth" / "crack"
        truth.mkdir(parents=True)
        mask = np.zeros(SIZE, dtype=np.uint8)
        mask[30:38, 30:50] = 255
        assert cv2.imwrite(str(truth / "002_mask.png"), mask)
        assert cv2.imwrite(str(truth / "001_mask.png"), mask)
    (tmp_path / "bottle" / "test" / ".DS_Store").write_bytes(b"")
    (tmp_path / "bottle" / "train" / "good" / "._001.png").write_bytes(b"resource fork")
    (tmp_path / "license.txt").write_text("free")
    return tmp_path


def test_images_are_clips_of_one_frame(factory: Path) -> None:
    dataset = load_mvtec(factory / "bottle")
    assert dataset.title == "MVTec layout, bottle"
    assert [clip.name for clip in dataset.test] == [
        "bottle/crack/001",
        "bottle/crack/002",
        "bottle/good/001",
        "bottle/good/002",
    ]
    assert dataset.labels.tolist() == [True, True, False, False]
    assert len(dataset.train) == 4
    (frame,) = read_frames(dataset.test[0])
    np.testing.assert_array_equal(frame.pixels, still(7, broken=True))


def test_masks_of_good_images_are_empty_and_as_large(factory: Path) -> None:
    clips = load_mvtec(factory / "bottle").test
    masks = [next(clip.read_masks()) for clip in clips]
    assert [int(mask.sum()) for mask in masks] == [160, 160, 0, 0]
    assert {mask.shape for mask in masks} == {SIZE}


def test_categories_are_scenes(factory: Path) -> None:
    dataset = load_mvtec(factory)
    assert dataset.title == "MVTec layout, 2 categories"
    assert [(scene.name, len(scene.train), len(scene.test)) for scene in dataset.scenes] == [
        ("bottle", 4, 4),
        ("screw", 4, 4),
    ]


def test_a_missing_mask_is_named_and_missing_masks_are_allowed(factory: Path) -> None:
    truth = factory / "bottle" / "ground_truth"
    (truth / "crack" / "002_mask.png").unlink()
    with pytest.raises(DatasetError, match=r"002_mask\.png: want the mask of"):
        load_mvtec(factory / "bottle")
    shutil.rmtree(truth)
    assert all(clip.masks is None for clip in load_mvtec(factory / "bottle").test)


def test_damaged_images_and_masks_are_named(factory: Path) -> None:
    mask = factory / "bottle" / "ground_truth" / "crack" / "001_mask.png"
    mask.write_bytes(b"no image")
    clip = load_mvtec(factory / "bottle").test[0]
    with pytest.raises(DatasetError, match=r"001_mask\.png: want an image with a mask"):
        next(clip.read_masks())
    clip.path.write_bytes(b"")
    with pytest.raises(DatasetError, match=r"001\.png: want an image, which cannot be read"):
        next(read_frames(clip))


def test_a_category_without_images(factory: Path) -> None:
    shutil.rmtree(factory / "bottle" / "test" / "good")
    (factory / "bottle" / "test" / "good").mkdir()
    with pytest.raises(DatasetError, match="want images, found an empty folder"):
        load_mvtec(factory / "bottle")


def test_images_are_measured_with_the_frame_repeated(factory: Path) -> None:
    result = run(load_mvtec(factory), EvaluationOptions(shots=4, draws=1))
    assert "a single image being repeated" in protocol(result)
    found = to_json(result)
    assert found["mean"]["frame_auroc_macro"] is None
    assert found["alarms"] is None  # images have no time
    assert found["field_post_processing"] is None
    assert found["localisation"]["mean"]["pixel_auroc"] is not None
    assert list(found["scenes"]) == ["bottle", "screw"]
    # One highlight and one strip of scores a category, not one an image.
    assert len(result.highlights) == 2
    page = html_report(result)
    assert page.count("data:image/png") == 3
    assert "data:image/jpeg" not in page  # images have no events
    assert [clip["name"] for clip in found["clips"]] == ["bottle", "screw"]
    assert found["clips"][0]["events"] is None
    written = io.StringIO()
    for sheet in sheets(result):
        Console(width=100, file=written).print(as_table(sheet))
    assert "mean of the scenes" in written.getvalue()


def test_kinds_of_defects_are_ranked_against_the_good_images_of_their_category(
    factory: Path,
) -> None:
    dataset = load_mvtec(factory)
    assert {clip.kind for clip in dataset.test} == {"", "crack"}
    result = run(dataset, EvaluationOptions(shots=4, draws=1))
    (kind,) = kind_figures(result)
    energies = {(clip.scene, clip.kind): [] for clip in dataset.test}
    for clip, values in zip(dataset.test, result.draws[0].values, strict=True):
        energies[clip.scene, clip.kind] += values.tolist()
    won = [
        np.mean([(one > other) + 0.5 * (one == other) for other in energies[scene, ""]])
        for scene in ("bottle", "screw")
        for one in energies[scene, "crack"]
    ]
    assert kind.aurocs == (pytest.approx(np.mean(won)),)
    assert kind.frames == len(won)
    assert kind.highest == max(energies["bottle", "crack"] + energies["screw", "crack"])
    assert list(to_json(result)["kinds"]) == ["crack"]
    assert "each kind of anomaly" in clip_sheets(result)[1].title


def test_a_still_gives_one_support_clip_and_no_more(factory: Path) -> None:
    dataset = load_mvtec(factory / "bottle")
    with pytest.raises(SupportError, match=r"want 5 support clips.* got 4"):
        run(dataset, EvaluationOptions(shots=5, draws=1))


@pytest.mark.parametrize("name", ["shanghaitech", "mvtec"])
def test_a_folder_that_is_not_the_data_set(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match="found an empty folder"):
        load_benchmark(name, tmp_path)
    with pytest.raises(DatasetError, match="found no such folder"):
        load_benchmark(name, tmp_path / "nowhere")


def test_the_command_line_knows_every_benchmark() -> None:
    assert get_args(NamesOnTheCommandLine) == tuple(BENCHMARKS)
    with pytest.raises(ValueError, match=r"data set: want ucsd-ped1, .* got 'street'"):
        load_benchmark("street", Path())
