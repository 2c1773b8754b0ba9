"""The trivial detectors, on made pictures and on Ped2, where their figures are known."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.datasets.layout import image_files
from pipeline.datasets.ucsd import load_ucsd
from pipeline.evaluation.baselines import FrameDifference, constant, frame_index
from pipeline.evaluation.roc import frame_metrics


def grey(level: int, size_hw: tuple[int, int] = (240, 320)) -> np.ndarray:
    return np.full((*size_hw, 3), level, dtype=np.uint8)


def test_first_frame_differs_from_nothing() -> None:
    assert FrameDifference().push(0.0, grey(90)) == 0.0


def test_difference_is_the_highest_mean_over_a_box() -> None:
    difference = FrameDifference()
    difference.push(0.0, grey(50))
    changed = grey(50)
    changed[100:112, 200:224] = 90  # half a box changes by 40 grey levels
    assert difference.push(0.1, changed) == pytest.approx(20.0, abs=0.01)
    assert difference.push(0.2, changed) == 0.0


def test_difference_reaches_back_by_time_not_by_frames() -> None:
    difference = FrameDifference()
    values = [
        difference.push(number * 0.04, grey(50 + 10 * number)) for number in range(6)
    ]  # 25 frames a second: 0.1 s ago is between two and three frames
    assert values[-1] == pytest.approx(20.0)


def test_difference_sees_pictures_of_any_size_alike() -> None:
    values = []
    for size_hw in ((240, 320), (480, 640)):
        difference = FrameDifference()
        difference.push(0.0, grey(50, size_hw))
        values.append(difference.push(0.1, grey(60, size_hw)))
    assert values == pytest.approx([10.0, 10.0])


def test_reset_forgets_the_clip_before() -> None:
    difference = FrameDifference()
    difference.push(5.0, grey(0))
    difference.reset()
    assert difference.push(0.0, grey(200)) == 0.0


def test_index_rises_and_constant_does_not() -> None:
    assert frame_index(3).tolist() == [0, 1, 2]
    assert constant(3).tolist() == [0, 0, 0]


@pytest.mark.data
def test_known_figures_of_ped2(data_root: Path) -> None:
    dataset = load_ucsd(data_root / "UCSD_Anomaly_Dataset.v1p2", "ped2")
    labels = [clip.labels for clip in dataset.test]
    differences = []
    for clip in dataset.test:
        difference = FrameDifference()
        differences.append(
            np.array(
                [
                    difference.push(number / 10, cv2.imread(str(path)))
                    for number, path in enumerate(image_files(clip.path))
                ]
            )
        )
    index = frame_metrics([frame_index(clip.size) for clip in labels], labels)
    assert index.frame_auroc_micro == pytest.approx(0.741, abs=0.0005)
    assert 0.916 <= frame_metrics(differences, labels).frame_auroc_micro <= 0.924
