"""Pixels, regions and tracks against cases worked out by hand."""

import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.datasets.layout import DatasetClip, DatasetError
from pipeline.evaluation.detection import area, detection_curve, match
from pipeline.evaluation.localisation import LocalisationMetrics, in_half_precision, localise
from pipeline.evaluation.pixels import PixelAuroc
from pipeline.evaluation.regions import FrameRegions, cells_of, clip_regions

SIZE = (8, 8)


def mask(*boxes: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> np.ndarray:
    """True in the boxes (top, left, bottom, right), ends not included."""
    picture = np.zeros(size, dtype=bool)
    for top, left, bottom, right in boxes:
        picture[top:bottom, left:right] = True
    return picture


def level(*boxes: tuple[int, int, int, int, float]) -> np.ndarray:
    """0 with a value in each box."""
    picture = np.zeros(SIZE, dtype=np.float16)
    for top, left, bottom, right, value in boxes:
        picture[top:bottom, left:right] = value
    return picture


def as_values(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float64)


def clip(masks: Iterable[np.ndarray], name: str = "made") -> DatasetClip:
    kept = list(masks)
    return DatasetClip(name, Path(name), 10.0, None, lambda: iter(kept))


def measured(maps: list[np.ndarray], masks: list[np.ndarray]) -> LocalisationMetrics:
    (metrics,) = localise([clip(masks)], [[np.stack(maps)]])
    return metrics


class TestPixelAuroc:
    def test_agrees_with_sorting_all_pixels(self) -> None:
        random = np.random.default_rng(0)
        auroc = PixelAuroc()
        values, truth = [], []
        for _ in range(5):
            # Few distinct values, some negative: ties must count half, in the right order.
            values.append((random.integers(-40, 40, SIZE) / 8).astype(np.float16))
            truth.append(random.random(SIZE) < 0.2 + 0.05 * values[-1].clip(0, 4))
            auroc.add(values[-1], truth[-1])
        assert auroc.area == pytest.approx(roc_auc_score(np.ravel(truth), np.ravel(values)))

    def test_hand_counted(self) -> None:
        auroc = PixelAuroc()
        auroc.add(np.array([[1.0, 2.0, 2.0, -3.0]], np.float16), np.array([[0, 0, 1, 0]], bool))
        assert auroc.area == pytest.approx((1 + 0.5 + 1) / 3)

    def test_minus_zero_is_zero(self) -> None:
        auroc = PixelAuroc()
        auroc.add(np.array([[-0.0, 0.0]], np.float16), np.array([[True, False]]))
        assert auroc.area == 0.5

    def test_the_map_is_stretched_over_the_mask(self) -> None:
        auroc = PixelAuroc()
        auroc.add(np.array([[0.0, 1.0]], np.float16), mask((0, 4, 8, 8)))
        assert auroc.area == 1.0

    @pytest.mark.parametrize("truth", [mask(), mask((0, 0, 8, 8))])
    def test_pixels_of_one_class_have_no_area(self, truth: np.ndarray) -> None:
        auroc = PixelAuroc()
        auroc.add(level(), truth)
        assert auroc.area is None

    def test_refuses_what_is_not_a_number(self) -> None:
        with pytest.raises(ValueError, match="want numbers, got NaN"):
            PixelAuroc().add(level((0, 0, 1, 1, np.nan)), mask())


class TestRegions:
    def test_pixels_are_counted_in_the_cells_of_the_map(self) -> None:
        (frame,) = clip_regions([mask((0, 0, 3, 5))], (2, 2))
        assert frame.pixels.tolist() == [[[12, 3], [0, 0]]]
        assert frame.cell_pixels.tolist() == [[16, 16], [16, 16]]

    def test_cells_of_sizes_that_do_not_divide(self) -> None:
        assert cells_of((3, 5), (2, 2)).tolist() == [[0, 0, 0, 1, 1]] * 2 + [[2, 2, 2, 3, 3]]

    def test_regions_touching_at_a_corner_are_one(self) -> None:
        (frame,) = clip_regions([mask((0, 0, 2, 2), (2, 2, 4, 4), (6, 6, 8, 8))], SIZE)
        assert len(frame.pixels) == 2

    def test_tracks_follow_overlap_from_frame_to_frame(self) -> None:
        moving = [mask((2 * top, 0, 2 * top + 3, 3), (0, 6, 2, 8)) for top in range(3)]
        frames = clip_regions([*moving, mask((0, 0, 2, 2))], SIZE)
        numbers = [frame.tracks for frame in frames]
        assert {pair[0] for pair in map(sorted, numbers[:3])} == {0}
        assert [len(set(tracks)) for tracks in numbers] == [2, 2, 2, 1]
        # The moving thing is long gone from where the last one stands.
        assert numbers[3][0] not in numbers[2]

    def test_things_that_meet_are_one_track(self) -> None:
        apart, together = mask((0, 0, 2, 2), (0, 4, 2, 6)), mask((0, 0, 2, 6))
        tracks = [frame.tracks for frame in clip_regions([apart, together, apart], SIZE)]
        assert tracks == [(0, 0), (0,), (0, 0)]

    def test_a_frame_without_regions_parts_tracks(self) -> None:
        here = mask((0, 0, 2, 2))
        tracks = [frame.tracks for frame in clip_regions([here, mask(), here], SIZE)]
        assert tracks == [(0,), (), (1,)]

    def test_few_masks_are_in_memory_at_a_time(self) -> None:
        made: list[weakref.ref[np.ndarray]] = []
        alive: list[int] = []

        def masks() -> Iterator[np.ndarray]:
            for _ in range(6):
                alive.append(sum(reference() is not None for reference in made))
                here = mask((0, 0, 1, 1))
                made.append(weakref.ref(here))
                yield here

        assert len(clip_regions(masks(), SIZE)) == 6
        assert max(alive) <= 1


class TestMatch:
    @staticmethod
    def truth(*boxes: tuple[int, int, int, int]) -> FrameRegions:
        (frame,) = clip_regions([mask(*boxes)], SIZE)
        return frame

    def test_iou_of_a_tenth_is_enough(self) -> None:
        large = self.truth((0, 0, 5, 8))  # 40 pixels
        assert match(mask((0, 0, 1, 4)), large)[0].tolist() == [True]  # 4 / 40
        assert match(mask((0, 0, 1, 3)), large)[0].tolist() == [False]  # 3 / 40
        assert match(mask((0, 0, 1, 3)), large)[1] == 1

    def test_several_detections_of_one_region_are_no_false_positives(self) -> None:
        hits, false_count = match(mask((0, 0, 2, 4), (3, 0, 5, 4)), self.truth((0, 0, 5, 4)))
        assert (hits.tolist(), false_count) == ([True], 0)

    def test_one_detection_may_find_several_regions(self) -> None:
        truth = self.truth((0, 0, 8, 3), (0, 5, 8, 8))
        hits, false_count = match(mask((0, 0, 8, 8)), truth)
        assert (hits.tolist(), false_count) == ([True, True], 0)

    def test_everything_is_false_where_there_is_nothing(self) -> None:
        hits, false_count = match(mask((0, 0, 1, 1), (4, 4, 6, 6)), self.truth())
        assert (hits.tolist(), false_count) == ([], 2)

    def test_nothing_detected(self) -> None:
        hits, false_count = match(mask(), self.truth((0, 0, 2, 2)))
        assert (hits.tolist(), false_count) == ([False], 0)


class TestArea:
    def test_straight_lines_between_thresholds(self) -> None:
        assert area(as_values(0.0, 0.5, 1.0), as_values(0.0, 0.5, 1.0)) == pytest.approx(0.5)

    def test_a_curve_beyond_one_is_cut_there(self) -> None:
        assert area(as_values(0.0, 2.0), as_values(0.0, 1.0)) == pytest.approx(0.25)

    def test_a_curve_that_ends_early_goes_on_flat(self) -> None:
        assert area(as_values(0.0, 0.5), as_values(0.0, 0.8)) == pytest.approx(0.2 + 0.4)

    def test_a_threshold_that_finds_less_does_not_take_away(self) -> None:
        falls = area(as_values(0.0, 0.0, 0.4, 1.0), as_values(0.0, 0.6, 0.2, 0.1))
        assert falls == pytest.approx(0.6)

    def test_fewer_false_regions_at_a_lower_threshold_earn_nothing(self) -> None:
        merged = area(as_values(0.0, 0.5, 0.0), as_values(0.0, 0.0, 1.0))
        assert merged == pytest.approx(0.5)

    def test_found_without_false_positives(self) -> None:
        assert area(as_values(0.0, 0.0), as_values(0.0, 1.0)) == 1.0


class TestLocalise:
    def test_maps_stay_finite_in_half_precision(self) -> None:
        maps = np.array([1e9, -1e9, 0.1, 3.0], np.float32)
        assert in_half_precision(maps).tolist() == [65504, -65504, float(np.float16(0.1)), 3]

    def test_all_found_first(self) -> None:
        box = (2, 2, 5, 5)
        assert measured([level((*box, 9.0))] * 3, [mask(box)] * 3) == LocalisationMetrics(
            1, 1, 1, 1
        )

    def test_no_region(self) -> None:
        nothing = measured([level((0, 0, 2, 2, 1.0))], [mask()])
        assert nothing == LocalisationMetrics(None, None, None, None)

    def test_one_track_half_found(self) -> None:
        # Of ten frames of one track the first five are found, and nothing false is ever raised.
        box = (2, 2, 5, 5)
        seen = [level((*box, 9.0))] * 5 + [level((*box, -1.0))] * 5
        metrics = measured(seen, [mask(box)] * 10)
        # Below 0 whole pictures are above the threshold: 9 / 64 is found, and never false.
        assert metrics.tbdc == 1.0
        curve = detection_curve([seen], [clip_regions([mask(box)] * 10, SIZE)])
        assert curve is not None
        at_nine = curve.false_per_frame.tolist(), curve.region_rate.tolist()
        assert (at_nine[0][1], at_nine[1][1]) == (0.0, 0.5)

    def test_a_track_found_in_less_than_a_tenth_of_its_regions_is_not(self) -> None:
        box, other = (0, 0, 2, 2), (5, 5, 8, 8)
        masks = [mask(box)] * 11
        seen = [level((*box, 9.0), (*other, 1.0))] + [level((*other, 1.0))] * 10
        curve = detection_curve([seen], [clip_regions(masks, SIZE)])
        assert curve is not None
        assert curve.region_rate[1] == pytest.approx(1 / 11)
        assert curve.track_rate[1] == 0.0
        # The next threshold raises one false region in every frame, the last all of the picture.
        assert curve.false_per_frame.tolist() == [0.0, 0.0, 1.0, 1.0]

    def test_false_regions_cost(self) -> None:
        # A false region in every second frame outshines the true one: the curve is 0 up to 0.5
        # false regions a frame, where the true ones come in all at once.
        box, other = (0, 0, 3, 3), (5, 5, 8, 8)
        seen = [level((*box, 1.0), (*other, 2.0)), level((*box, 1.0))]
        metrics = measured(seen, [mask(box)] * 2)
        assert metrics.rbdc == pytest.approx(0.5, abs=1e-6)
        assert metrics.tbdc == pytest.approx(0.5, abs=1e-6)

    def test_regions_of_all_clips_count_alike_and_tracks_stay_apart(self) -> None:
        box = (0, 0, 3, 3)
        found, missed = np.stack([level((*box, 5.0))]), np.stack([level()] * 3)
        clips = [clip([mask(box)], "a"), clip([mask(box)] * 3, "b")]
        truth = [clip_regions(one.read_masks(), SIZE) for one in clips]
        curve = detection_curve([list(found), list(missed)], truth)
        assert curve is not None
        assert (curve.region_rate[1], curve.track_rate[1]) == (0.25, 0.5)

    def test_each_detector_is_measured_alone(self) -> None:
        box = (2, 2, 5, 5)
        good, blind = np.stack([level((*box, 9.0))]), np.stack([level()])
        first, second = localise([clip([mask(box)])], [[good], [blind]])
        assert first.pixel_auroc == 1.0
        assert second.pixel_auroc == 0.5

    @pytest.mark.parametrize("count", [1, 3])
    def test_masks_must_be_as_many_as_frames(self, count: int) -> None:
        with pytest.raises(DatasetError, match=rf"made: want 2 masks, .* got {count}"):
            measured([level()] * 2, [mask()] * count)
