"""Industrial inspection: the procedural set, its measures, and training on its layout."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from makers import small_scorer, walking_box, write_images, write_video
from rich.console import Console
from rich.progress import Progress

from benchmarks.inspection_set import (
    CATEGORIES,
    DEFECTS,
    SetOptions,
    defective,
    write_inspection_set,
)
from pipeline.datasets.layout import DatasetError, only_scenes
from pipeline.datasets.mvtec import load_mvtec
from pipeline.datasets.shanghaitech import TEST_CAMERAS, TRAINING_CAMERAS, load_shanghaitech
from pipeline.evaluation.inspection import inspect, region_overlap
from pipeline.evaluation.report import protocol, to_json
from pipeline.evaluation.results import EvaluationOptions
from pipeline.evaluation.runner import evaluate
from pipeline.evaluation.sheets import sheets
from pipeline.evaluation.supports import with_turns
from pipeline.training.episodes import EpisodeSampler
from pipeline.training.scene_sampler import EpisodeOptions
from pipeline.training.scenes import load_scenes, scene_files

SMALL = SetOptions(size=64, train=4, good=2, defective=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_inspection_set(folder, SMALL)
    return folder


def test_the_set_has_the_layout_and_exact_masks(made: Path) -> None:
    dataset = load_mvtec(made)
    assert [scene.name for scene in dataset.scenes] == sorted(CATEGORIES)
    assert {clip.kind for clip in dataset.test} == {"", *DEFECTS}
    for clip in dataset.test:
        (mask,) = clip.read_masks()
        assert mask.any() == (clip.kind != "")
        assert mask.mean() < 0.25
        assert mask.shape == (64, 64)


def test_the_same_seed_makes_the_same_files(made: Path, tmp_path: Path) -> None:
    write_inspection_set(tmp_path, SMALL, ("bolt",))
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.png"))
    assert len(files) == 4 + 2 + 2 * len(DEFECTS)
    for file in files:
        assert (tmp_path / file).read_bytes() == (made / file).read_bytes()


@pytest.mark.parametrize("name", CATEGORIES)
def test_a_mask_is_where_a_defect_changed_the_image(name: str) -> None:
    for defect in DEFECTS:
        seed = [1, len(name)]
        good, _ = CATEGORIES[name](64, np.random.default_rng(seed))
        image, mask = defective(name, defect, SMALL, np.random.default_rng(seed))
        change = np.abs(image - good).max(2)
        assert change[mask].mean() > 2 * change[~mask].mean()


def test_images_can_be_turned_and_training_images_be_contaminated(
    made: Path, tmp_path: Path
) -> None:
    write_inspection_set(tmp_path / "turned", replace(SMALL, pose=90.0), ("pill",))
    write_inspection_set(tmp_path / "dirty", replace(SMALL, contaminated=1.0), ("pill",))
    for folder in ("turned", "dirty"):
        for index in range(SMALL.train):
            file = Path("pill") / "train" / "good" / f"{index:03d}.png"
            one, other = (cv2.imread(str(place / file)) for place in (made, tmp_path / folder))
            assert (cv2.absdiff(one, other) > 25).any()
    masks = [next(clip.read_masks()) for clip in load_mvtec(tmp_path / "turned" / "pill").test]
    assert sum(mask.any() for mask in masks) == len(DEFECTS)


def test_overlap_of_regions_is_that_of_the_definition() -> None:
    mask = np.zeros((10, 10), bool)
    mask[:2, :2] = True  # 4 pixels
    mask[5:9, 5:9] = True  # 16 pixels
    perfect = mask.astype(np.float16)[None]
    assert region_overlap(perfect, [mask]) == pytest.approx(1.0)
    # The small region is found before any normal pixel, the other never: half at once.
    small = np.zeros((1, 10, 10), np.float16)
    small[0, :2, :2] = 1
    small[0, 5:9, 5:9] = -1
    assert region_overlap(small, [mask]) == pytest.approx(0.5)
    chance = np.random.default_rng(0).random((40, 10, 10)).astype(np.float16)
    assert region_overlap(chance, [mask] * 40) == pytest.approx(0.15, abs=0.03)
    assert region_overlap(perfect, [np.zeros((10, 10), bool)]) is None


def test_iou_is_that_of_the_best_threshold() -> None:
    mask = np.zeros((8, 8), bool)
    mask[:4] = True
    maps = np.zeros((1, 8, 8), np.float16)
    maps[0, :2] = 2.0  # at this threshold 16 of 32 pixels
    maps[0, 2:5] = 1.0  # at this one all 32, and 8 others
    found = inspect(maps, [mask])
    assert found.iou == pytest.approx(32 / 40)
    assert inspect(maps, [np.zeros((8, 8), bool)]).iou is None


def test_a_support_gains_its_flips_and_quarter_turns() -> None:
    square = np.arange(2 * 1 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 1, 4, 4, 3)
    turned = with_turns(square)
    assert turned.shape == (16, 1, 4, 4, 3)
    assert len({one.tobytes() for one in turned}) == 16
    np.testing.assert_array_equal(turned[:2], square)
    assert with_turns(square[:, :, :2]).shape == (8, 1, 2, 4, 3)


def test_categories_are_measured_apart(made: Path) -> None:
    dataset = only_scenes(load_mvtec(made), ("bolt", "wood"))
    options = EvaluationOptions(shots=2, draws=1, turned=True)
    with Progress(console=Console(quiet=True)) as progress:
        result = evaluate(dataset, small_scorer(size_hw=(64, 64)), options, progress)
    assert "with their flips and turns" in protocol(result)
    found = to_json(result)["inspection"]
    assert list(found["categories"]) == ["bolt", "wood"]
    both = [one["mean"]["aupro"] for one in found["categories"].values()]
    assert found["mean"]["aupro"] == pytest.approx(np.mean(both))
    assert any("inspection" in sheet.title for sheet in sheets(result))
    with pytest.raises(DatasetError, match=r"want scenes among bolt, wood, got screw"):
        only_scenes(dataset, ("screw",))


def test_good_images_of_categories_are_training_scenes(made: Path) -> None:
    scenes = load_scenes(made, height=32, colour=True)
    assert sorted(scenes) == sorted(CATEGORIES)
    assert all(clip[0].frames.shape == (4, 32, 32, 3) for clip in scenes.values())
    options = EpisodeOptions(1, crop_hw=(32, 32), shots=(2,), queries=0, patched=1, augment=False)
    episode = EpisodeSampler(scenes, options, 0).draw()
    assert episode.support.shape == (2, 1, 3, 32, 32)
    assert not torch.equal(episode.support[0], episode.normal[0])


def test_cameras_of_shanghaitech_are_training_scenes(tmp_path: Path) -> None:
    videos = tmp_path / "training" / "videos"
    videos.mkdir(parents=True)
    for name in ("01_001", "01_010", "02_001", "07_003", "13_007"):
        write_video(videos / f"{name}.avi", frames=12, frames_per_second=24)
    files = scene_files(tmp_path)
    assert {name: len(paths) for name, paths in files.items()} == {
        "01": 2,
        "02": 1,
        "07": 1,
        "13": 1,
    }
    scenes = load_scenes(tmp_path, height=32)
    assert [clip.scene for clip in scenes["01"]] == ["01", "01"]
    # The split of six and seven: those to train on, and those to test on.
    assert len(TRAINING_CAMERAS) == 6
    assert len(TEST_CAMERAS) == 7
    assert not set(TRAINING_CAMERAS) & set(TEST_CAMERAS)
    for name in ("01_0001", "07_0002"):
        write_images(tmp_path / "testing" / "frames" / name, walking_box(4))
        labels = tmp_path / "testing" / "test_frame_mask"
        labels.mkdir(exist_ok=True)
        np.save(labels / f"{name}.npy", np.array([0, 0, 1, 1]))
    dataset = load_shanghaitech(tmp_path)
    present = {scene.name for scene in dataset.scenes}
    tested = only_scenes(dataset, [name for name in TEST_CAMERAS if name in present])
    assert [clip.name for clip in tested.test] == ["07_0002"]
    assert [clip.name for clip in tested.train] == ["07_003"]


def test_a_mask_file_is_what_was_drawn(made: Path) -> None:
    truth = cv2.imread(str(made / "pill" / "ground_truth" / "spot" / "000_mask.png"))
    assert set(np.unique(truth)) == {0, 255}
