import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.events.drawing import draw_caption, draw_heatmap, draw_score_strip
from pipeline.storage.snapshots import Snapshots


def street() -> np.ndarray:
    """A grey scene with a gradient, uint8 (240, 320, 3)."""
    grey = np.linspace(60, 180, 320, dtype=np.uint8)
    return np.ascontiguousarray(np.broadcast_to(grey[None, :, None], (240, 320, 3)))


def hot_corner() -> np.ndarray:
    cells = np.zeros((15, 20), np.float32)
    cells[10:13, 4:7] = 3.0
    return cells


def test_heatmap_is_transparent_where_normal_and_bright_where_anomalous() -> None:
    pixels = street()
    drawn = draw_heatmap(pixels, hot_corner())
    assert drawn.shape == pixels.shape
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn[:120], pixels[:120])
    np.testing.assert_array_equal(drawn[:, 180:], pixels[:, 180:])
    red, _, blue = drawn[184, 88].astype(int)
    assert red - blue > 50  # inferno's bright end is yellow
    np.testing.assert_array_equal(pixels, street())


def test_heatmap_of_non_finite_values_is_valid() -> None:
    cells = np.full((15, 20), np.nan, np.float32)
    np.testing.assert_array_equal(draw_heatmap(street(), cells), street())
    cells[:] = np.inf
    assert (draw_heatmap(street(), cells) != street()).any()


def test_score_label_is_in_the_corner_only() -> None:
    pixels = street()
    drawn = draw_heatmap(pixels, np.zeros((15, 20), np.float32), score=1.25)
    assert (drawn[:20, :40] != pixels[:20, :40]).any()
    np.testing.assert_array_equal(drawn[30:], pixels[30:])


def test_outlines_of_zones_have_low_opacity_and_change_nothing_else() -> None:
    pixels, quiet = street(), np.zeros((15, 20), np.float32)
    zone = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
    drawn = draw_heatmap(pixels, quiet, zones=[zone, zone])
    changed = np.argwhere((drawn != pixels).any(axis=2))
    assert len(changed) >= 2 * (158 + 118)
    inside = (changed > (62, 82)).all(axis=1) & (changed < (177, 237)).all(axis=1)
    assert not inside.any()
    assert 20 < int(drawn[60, 120, 0]) - int(pixels[60, 120, 0]) < 100
    np.testing.assert_array_equal(draw_heatmap(pixels, quiet), pixels)


def test_score_strip_shows_height_and_alarm() -> None:
    quiet = draw_score_strip(street(), [0.1] * 50, capacity=100)
    loud = draw_score_strip(street(), [0.1] * 49 + [2.9], capacity=100)
    assert quiet.shape == (288, 320, 3)
    np.testing.assert_array_equal(quiet[:240], street())
    red = (loud[240:].astype(int)[..., 0] - loud[240:].astype(int)[..., 2]) > 100
    rows, columns = np.nonzero(red)
    assert rows.min() < 10
    assert abs(columns.max() - 158) < 4  # half of the width holds the 50 of 100 scores
    assert (quiet[240:].max(axis=-1) < 230).all()


def test_score_strip_without_scores() -> None:
    assert draw_score_strip(street(), []).shape == (288, 320, 3)
    assert draw_score_strip(street(), [None, None]).shape == (288, 320, 3)


def test_pictures_are_written_atomically_over_earlier_ones(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "events")
    snapshots.save("door", "e1", np.zeros_like(street()), hot_corner(), 1.1, 0.0)
    snapshots.save("door", "e1", street(), hot_corner(), 1.2, 0.0)
    path = snapshots.snapshot_path("door", "e1")
    assert sorted(file.name for file in path.parent.iterdir()) == ["heatmap.jpg", "snapshot.jpg"]
    back = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    assert np.abs(back[:200].astype(int) - street()[:200].astype(int)).mean() < 3


def test_unwritable_folder_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("a file where a folder should be")
    with pytest.raises(OSError, match="events"):
        Snapshots(tmp_path / "events").save("door", "e1", street(), None, 1.0, 0.0)


def test_heatmap_covers_a_person_and_not_only_the_anomalous_foot() -> None:
    pixels = np.full((720, 1280, 3), 120, np.uint8)
    cells = np.zeros((30, 40), np.float32)
    cells[20, 20] = 3.0
    changed = np.argwhere((draw_heatmap(pixels, cells) != pixels).any(axis=2))
    high, wide = np.ptp(changed, axis=0)
    assert 120 < high < 300, "a person takes a sixth to a third of the height"
    assert abs(high - wide) < 20, "the same in both directions, whatever the shape of the cells"
    assert abs(changed.mean(axis=0) - (20.5 * 24, 20.5 * 32)).max() < 12


def test_caption_names_camera_date_and_zone_in_the_lower_corner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[str] = []
    monkeypatch.setattr(cv2, "putText", lambda _pixels, text, *_: written.append(text))
    pixels = np.zeros((720, 1280, 3), np.uint8)
    drawn = draw_caption(pixels, "front_door", 1_790_000_000.0)
    assert re.fullmatch(r"front_door  2026-09-\d\d \d\d:\d\d:\d\d [+-]\d{4}", written[0])
    assert (drawn[:650] == pixels[:650]).all()
    assert (drawn[-10:, :10] != 0).any()
    assert not pixels.any()


@pytest.mark.parametrize("width", [64, 320, 1280])
def test_caption_is_not_wider_than_the_frame(width: int) -> None:
    pixels = np.zeros((width * 3 // 4, width, 3), np.uint8)
    drawn = draw_caption(pixels, "a-camera-with-a-rather-long-name", 0.0)
    assert (drawn[:, -1] == 0).all() or (drawn[-1, -1] == (24, 24, 28)).all()
