import numpy as np
import pytest

from cameras.sampling import Sampler, paint_masks, resize


def accepted(rate: float, times: list[float]) -> list[float]:
    sampler = Sampler(rate)
    return [time for time in times if sampler.accept(time)]


@pytest.mark.parametrize(("source_rate", "expected"), [(25, 100), (30, 100), (10, 100), (5, 50)])
def test_rate_holds_on_average(source_rate: int, expected: int) -> None:
    times = [number / source_rate for number in range(10 * source_rate)]
    assert len(accepted(10, times)) == expected


def test_jitter_at_equal_rates_drops_no_frame() -> None:
    rng = np.random.default_rng(0)
    times = [number / 10 + float(rng.uniform(-0.014, 0.014)) for number in range(200)]
    assert accepted(10, times) == times


def test_no_burst_after_a_gap() -> None:
    after = [5.0, 5.04, 5.08, 5.12]
    assert accepted(10, [0.0, *after]) == [0.0, 5.0, 5.08]


@pytest.mark.parametrize("rate", [0.0, -5.0, float("nan")])
def test_rate_must_be_positive(rate: float) -> None:
    with pytest.raises(ValueError, match="want > 0"):
        Sampler(rate)


def test_resize_uses_area_means_and_passes_equal_sizes() -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:, ::2] = 200
    assert resize(pixels, (4, 6)) is pixels
    assert np.array_equal(resize(pixels, (2, 3)), np.full((2, 3, 3), 100, np.uint8))
    assert resize(pixels, (9, 7)).shape == (9, 7, 3)


def test_masks_are_opaque_and_do_not_modify_the_original() -> None:
    pixels = np.full((20, 40, 3), 90, np.uint8)
    left, overlapping = [(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)], [(0, 0), (1, 0), (0, 1)]
    painted = paint_masks(pixels, [left, overlapping])
    assert not painted[:, :20].any()
    assert not painted[0].any()
    assert (painted[-1, 22:] == 90).all()
    assert (pixels == 90).all()
    assert paint_masks(pixels, []) is pixels
