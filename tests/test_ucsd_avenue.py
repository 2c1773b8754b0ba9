"""Made trees with every quirk of the real archives."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from makers import write_video
from scipy.io import savemat

from cameras import Picture
from pipeline.datasets.avenue import load_avenue, read_labels
from pipeline.datasets.layout import DatasetError, number_in, numbers_in, read_frames
from pipeline.datasets.ucsd import load_ucsd, parse_labels


def write_frames(
    folder: Path, count: int, suffix: str = ".tif", name: Callable[[int], str] = "{:03d}".format
) -> None:
    """Grey pictures whose level is ten times their number."""
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        picture = np.full((32, 48), 10 * number, dtype=np.uint8)
        assert cv2.imwrite(str(folder / f"{name(number)}{suffix}"), picture)


def levels(frames: list[Picture]) -> list[int]:
    return [round(float(frame.pixels.mean())) for frame in frames]


@pytest.fixture
def ped1(tmp_path: Path) -> Path:
    """Three test clips, two training clips, and the litter of a real archive."""
    place = tmp_path / "UCSD_Anomaly_Dataset.v1p2" / "UCSDped1"
    for number in (1, 2):
        write_frames(place / "Train" / f"Train{number:03d}", 6)
    for number in (1, 2, 3):
        write_frames(place / "Test" / f"Test{number:03d}", 10)
    write_frames(place / "Test" / "Test003_gt", 10, ".bmp")
    (place / "Test" / "Test001" / "._001.tif").write_bytes(b"resource fork")
    (place / "Test" / ".DS_Store").write_bytes(b"")
    (place / "Test" / "._Test002").write_bytes(b"")
    (place / "Test" / "UCSDped1.m").write_text(
        "TestVideoFile = {};\n"
        "% TestVideoFile{end+1}.gt_frame = [1:10];\n"
        "TestVideoFile{end+1}.gt_frame = [3:4, 8:10];\n"
        "TestVideoFile{end+1}.gt_frame = [ 5 : 6 ];\n"
        "TestVideoFile{end+1}.gt_frame = [1:10];\n"
    )
    return tmp_path


def test_labels_of_several_ranges_count_from_one(ped1: Path) -> None:
    dataset = load_ucsd(ped1, "ped1")
    first, second, third = (np.flatnonzero(clip.labels).tolist() for clip in dataset.test)
    assert first == [2, 3, 7, 8, 9]
    assert second == [4, 5]
    assert third == list(range(10))
    assert dataset.labels.size == 30


def test_litter_and_masks_are_no_clips(ped1: Path) -> None:
    dataset = load_ucsd(ped1, "ped1")
    assert [clip.name for clip in dataset.train] == ["Train001", "Train002"]
    assert [clip.name for clip in dataset.test] == ["Test001", "Test002", "Test003"]
    assert [clip.masks is not None for clip in dataset.test] == [False, False, True]
    assert dataset.coverage == ""


def test_masks_are_what_is_not_black_in_numeric_order(ped1: Path) -> None:
    folder = ped1 / "UCSD_Anomaly_Dataset.v1p2" / "UCSDped1" / "Test" / "Test003_gt"
    for number in range(1, 11):
        picture = np.zeros((32, 48), dtype=np.uint8)
        picture[:number, 5] = 1 if number % 2 else 255  # some tools write 0 and 1
        (folder / f"{number:03d}.bmp").unlink()
        assert cv2.imwrite(str(folder / f"{number}.png"), picture)
    (folder / "._1.png").write_bytes(b"resource fork")
    first, _, third = load_ucsd(ped1, "ped1").test
    assert list(first.read_masks()) == []
    masks = list(third.read_masks())
    assert [int(mask.sum()) for mask in masks] == list(range(1, 11))
    assert {(mask.shape, mask.dtype.name) for mask in masks} == {((32, 48), "bool")}


def test_masks_are_read_when_asked_for_and_a_damaged_one_is_named(ped1: Path) -> None:
    clip = load_ucsd(ped1, "ped1").test[2]
    broken = ped1 / "UCSD_Anomaly_Dataset.v1p2/UCSDped1/Test/Test003_gt/002.bmp"
    broken.write_bytes(b"no image")
    masks = clip.read_masks()
    assert next(masks).all()
    with pytest.raises(DatasetError, match=r"002\.bmp: want an image with a mask"):
        next(masks)


@pytest.mark.parametrize(
    "below", ["", "UCSD_Anomaly_Dataset.v1p2", "UCSD_Anomaly_Dataset.v1p2/UCSDped1"]
)
def test_root_may_be_any_folder_of_the_archive(ped1: Path, below: str) -> None:
    assert len(load_ucsd(ped1 / below, "ped1").test) == 3


def test_clips_that_are_missing_are_said(ped1: Path) -> None:
    place = ped1 / "UCSD_Anomaly_Dataset.v1p2" / "UCSDped1" / "Test"
    (place / "Test001").rename(place / ".aside")
    dataset = load_ucsd(ped1, "ped1")
    assert dataset.coverage == ", 2 of 3 clips"
    assert np.flatnonzero(dataset.test[0].labels).tolist() == [4, 5]  # still those of Test002


def test_single_frames_and_empty_entries_are_ranges_too(tmp_path: Path) -> None:
    path = tmp_path / "labels.m"
    path.write_text("a.gt_frame = [7, 9:10];\nb.gt_frame = [];\n")
    assert parse_labels(path) == [[(7, 7), (9, 10)], []]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("TestVideoFile = {};", "want lines with gt_frame"),
        ("x.gt_frame = [9:3];", "entry 1: want ranges that rise from 1, got 9:3"),
        ("x.gt_frame = [0:3];", "entry 1: want ranges that rise from 1, got 0:3"),
    ],
)
def test_refuses_labels_that_make_no_sense(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "labels.m"
    path.write_text(text)
    with pytest.raises(DatasetError, match=message):
        parse_labels(path)


def test_refuses_labels_longer_than_their_clip(ped1: Path) -> None:
    place = ped1 / "UCSD_Anomaly_Dataset.v1p2" / "UCSDped1" / "Test"
    (place / "Test002" / "010.tif").unlink()
    (place / "UCSDped1.m").write_text("x.gt_frame = [1:10];\n" * 3)
    with pytest.raises(DatasetError, match=r"entry 2: anomalous up to frame 10, but .* 9 frames"):
        load_ucsd(ped1, "ped1")


def test_refuses_a_clip_without_labels(ped1: Path) -> None:
    write_frames(ped1 / "UCSD_Anomaly_Dataset.v1p2" / "UCSDped1" / "Test" / "Test004", 2)
    with pytest.raises(DatasetError, match="Test004: want one of the 3 clips"):
        load_ucsd(ped1, "ped1")


def test_another_subset_is_not_this_one(ped1: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        load_ucsd(ped1 / "UCSD_Anomaly_Dataset.v1p2", "ped2")
    message = str(caught.value)
    assert "UCSDped2.m" in message  # looked for
    assert "found UCSDped1" in message
    assert str(ped1) in message  # where


@pytest.mark.parametrize("load", [lambda root: load_ucsd(root, "ped2"), load_avenue])
def test_a_folder_that_is_not_the_data_set(tmp_path: Path, load: Callable[[Path], object]) -> None:
    with pytest.raises(DatasetError, match="found an empty folder"):
        load(tmp_path)
    with pytest.raises(DatasetError, match="found no such folder"):
        load(tmp_path / "nowhere")


def test_frames_come_in_numeric_order_at_ten_a_second(tmp_path: Path) -> None:
    place = tmp_path / "UCSDped2"
    write_frames(place / "Train" / "Train001", 12, ".jpg", str)  # 1.jpg … 12.jpg, not padded
    write_frames(place / "Test" / "Test001", 12, ".png")
    (place / "Test" / "UCSDped2.m").write_text("x.gt_frame = [1:3];")
    dataset = load_ucsd(place, "ped2")
    frames = list(read_frames(dataset.train[0]))
    assert levels(frames) == [10 * number for number in range(1, 13)]
    assert [frame.pts_seconds for frame in frames] == pytest.approx(np.arange(12) / 10)
    assert levels(list(read_frames(dataset.test[0]))) == levels(frames)


@pytest.mark.parametrize(("broken", "expected"), [(3, [10, 20, 20, 40]), (4, [10, 20, 30, 30])])
def test_a_truncated_frame_is_replaced_by_the_one_before(
    ped1: Path, broken: int, expected: list[int]
) -> None:
    path = ped1 / "UCSD_Anomaly_Dataset.v1p2/UCSDped1/Test/Test002" / f"{broken:03d}.tif"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = list(read_frames(load_ucsd(ped1, "ped1").test[1]))
    assert len(frames) == 10
    assert levels(frames)[:4] == expected


def volume(frames: int, anomalous: set[int]) -> np.ndarray:
    """`volLabel` as MATLAB writes it: 1 x T objects."""
    masks = np.empty((1, frames), dtype=object)
    for number in range(frames):
        mask = np.zeros((36, 64), dtype=np.uint8)
        mask[10:20, 10:20] = number in anomalous
        masks[0, number] = mask
    return masks


@pytest.fixture
def avenue(tmp_path: Path) -> Path:
    """Two of the test clips, one of them with a two-digit number."""
    videos = tmp_path / "Avenue Dataset"
    labels = tmp_path / "ground_truth_demo" / "testing_label_mask"
    labels.mkdir(parents=True)
    for split, numbers in (("training_videos", (1,)), ("testing_videos", (8, 17))):
        (videos / split).mkdir(parents=True)
        for number in numbers:
            write_video(videos / split / f"{number:02d}.avi", frames=12, frames_per_second=25)
    savemat(labels / "8_label.mat", {"volLabel": volume(12, {3, 4})})
    savemat(labels / "17_label.mat", {"volLabel": volume(12, set())})
    return tmp_path


def test_avenue_finds_labels_beside_the_videos(avenue: Path) -> None:
    for root in (avenue, avenue / "Avenue Dataset"):
        dataset = load_avenue(root)
        assert [clip.name for clip in dataset.test] == ["08", "17"]
        assert np.flatnonzero(dataset.test[0].labels).tolist() == [3, 4]
        assert not dataset.test[1].labels.any()
        assert f"{dataset.title}{dataset.coverage}" == "Avenue, 2 of 21 clips"


def test_avenue_masks_belong_to_the_labels(avenue: Path) -> None:
    masks = list(load_avenue(avenue).test[0].read_masks())
    assert [int(mask.sum()) for mask in masks] == [0, 0, 0, 100, 100] + [0] * 7
    assert {(mask.shape, mask.dtype.name) for mask in masks} == {((36, 64), "bool")}


def test_avenue_frames_keep_the_time_of_the_video(avenue: Path) -> None:
    frames = list(read_frames(load_avenue(avenue).test[0]))
    steps = np.diff([frame.pts_seconds for frame in frames])
    assert steps == pytest.approx(np.full(11, 0.04), abs=1e-3)


def test_avenue_says_which_labels_are_missing(avenue: Path) -> None:
    (avenue / "ground_truth_demo" / "testing_label_mask" / "8_label.mat").unlink()
    with pytest.raises(DatasetError, match=r"8_label\.mat: want the labels of a test clip"):
        load_avenue(avenue)


def test_avenue_without_any_labels(avenue: Path) -> None:
    (avenue / "ground_truth_demo").rename(avenue / "elsewhere")
    with pytest.raises(DatasetError, match="want the labels of CUHK Avenue"):
        load_avenue(avenue)


def test_avenue_refuses_labels_of_another_length(avenue: Path) -> None:
    path = avenue / "ground_truth_demo" / "testing_label_mask" / "8_label.mat"
    savemat(path, {"volLabel": volume(13, {0})})
    with pytest.raises(DatasetError, match="want 13 frames, as many as labels, got 12"):
        list(read_frames(load_avenue(avenue).test[0]))


def test_refuses_files_that_hold_no_masks(tmp_path: Path) -> None:
    path = tmp_path / "1_label.mat"
    path.write_bytes(b"not MATLAB at all" * 20)
    with pytest.raises(DatasetError, match="cannot be read as a MATLAB file"):
        read_labels(path)
    savemat(path, {"other": np.zeros(3)})
    with pytest.raises(DatasetError, match="want the variable volLabel"):
        read_labels(path)
    savemat(path, {"volLabel": np.zeros((3, 4, 5))})
    with pytest.raises(DatasetError, match="want volLabel as an array of masks"):
        read_labels(path)


@pytest.mark.parametrize(
    ("name", "number"), [("Test012", 12), ("8_label", 8), ("01", 1), ("x", None)]
)
def test_numbers_in_names(name: str, number: int | None) -> None:
    assert number_in(name) == number


def test_all_numbers_in_names() -> None:
    assert numbers_in("01_0014") == (1, 14)
    assert numbers_in("good") == ()


@pytest.mark.data
def test_real_ped2(data_root: Path) -> None:
    dataset = load_ucsd(data_root / "UCSD_Anomaly_Dataset.v1p2", "ped2")
    assert (len(dataset.train), len(dataset.test), dataset.coverage) == (16, 12, "")
    assert (int(dataset.labels.sum()), dataset.labels.size) == (1648, 2010)
    assert all(clip.masks is not None for clip in dataset.test)
    masks = list(islice(dataset.test[0].read_masks(), 3))
    assert {(mask.shape, mask.dtype.name) for mask in masks} == {((240, 360), "bool")}


@pytest.mark.data
def test_real_part_of_avenue(data_root: Path) -> None:
    dataset = load_avenue(data_root / "Avenue_partial")
    assert dataset.coverage == ", 6 of 21 clips"
    assert (int(dataset.labels.sum()), dataset.labels.size) == (1061, 1353)
    last = dataset.test[-1]
    assert last.labels is not None
    masks = list(last.read_masks())
    assert [bool(mask.any()) for mask in masks] == last.labels.tolist()
    assert {(mask.shape, mask.dtype.name) for mask in masks} == {((360, 640), "bool")}
