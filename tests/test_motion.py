"""Optical flow in boxes: speed, area, what is still, and the normal of each row."""

import math

import numpy as np
import pytest
import torch

from models.motion import BOXES, LAGS, motion_channels, observe_motion
from models.row_normal import fit_row_normal, log_ratio, log_ratio_at

SIZE_HW = (120, 160)


def ground(seed: int = 7) -> np.ndarray:
    coarse = np.random.default_rng(seed).uniform(60, 120, (SIZE_HW[0] // 8, SIZE_HW[1] // 8))
    return np.kron(coarse, np.ones((8, 8)))


def clip(*things: tuple[int, int, int, float], noise: float = 0.0) -> torch.Tensor:
    """Grey (5, H, W) in [0, 1]: textured things (top, left, side, pixels a frame) over a ground."""
    random = np.random.default_rng(3)
    frames = []
    for number in range(5):
        picture = ground()
        for top, left, side, speed in things:
            texture = np.random.default_rng(side).uniform(120, 250, (side // 4, side // 4))
            patch = np.kron(texture, np.ones((4, 4)))
            x = left + round(speed * number)
            picture[top : top + patch.shape[0], x : x + patch.shape[1]] = patch
        picture = picture + random.normal(0, noise, SIZE_HW) if noise else picture
        frames.append(picture.clip(0, 255).round() / 255)
    return torch.from_numpy(np.stack(frames)).float()


def test_one_channel_a_lag_and_box_and_the_moving_share() -> None:
    found = observe_motion(clip((40, 40, 24, 3.0))[None], stride=8)
    assert found.shape == (1, len(LAGS) * len(BOXES) + 1, 15, 20)
    assert motion_channels(5) == 7
    assert motion_channels(2) == len(BOXES) + 1
    assert observe_motion(clip()[None, -2:], stride=8).shape[1] == motion_channels(2)
    assert found.isfinite().all()
    assert (found >= 0).all()
    assert float(found[:, -1].max()) <= 1


def test_speed_of_a_thing_larger_than_its_box() -> None:
    """A square of 40 pixels that slides 3 pixels a frame fills a box of 12 with that speed."""
    found = observe_motion(clip((40, 40, 40, 3.0))[None], stride=8)[0]
    inside = found[:, 6:9, 8:11]
    for number in range(len(LAGS)):
        assert float(inside[number * len(BOXES)].median()) == pytest.approx(3.0, rel=0.35)


def test_twice_as_fast_is_twice_as_much_and_contrast_does_not_count() -> None:
    slow, fast = (
        float(observe_motion(clip((40, 40, 32, speed))[None], 8)[:, 0].max()) for speed in (2, 4)
    )
    assert fast / slow == pytest.approx(2.0, rel=0.3)
    pale = clip((40, 40, 32, 4.0)) * 0.6
    assert float(observe_motion(pale[None], 8)[:, 0].max()) == pytest.approx(fast, rel=0.25)


def test_frame_difference_follows_contrast() -> None:
    bright, pale = (
        float(observe_motion((clip((40, 40, 32, 4.0)) * gain)[None], 8, "difference")[:, 0].max())
        for gain in (1.0, 0.6)
    )
    assert pale / bright == pytest.approx(0.6, rel=0.15)


def test_noise_and_stillness_are_no_motion() -> None:
    found = observe_motion(torch.stack([clip(), clip(noise=3.0)]), stride=8)
    assert torch.equal(found, torch.zeros_like(found))


def test_motion_stays_where_it_is() -> None:
    found = observe_motion(clip((40, 40, 24, 3.0))[None], stride=8)[0]
    assert float(found[:, :2].max()) == 0
    assert float(found[:, :, 14:].max()) == 0


@pytest.mark.parametrize("size_hw", [(32, 48), (50, 70), (121, 163)])
def test_sizes_that_no_cell_divides(size_hw: tuple[int, int]) -> None:
    clips = torch.rand(2, 5, *size_hw, generator=torch.Generator().manual_seed(0))
    found = observe_motion(clips, stride=8)
    assert found.shape[-2:] == (math.ceil(size_hw[0] / 8), math.ceil(size_hw[1] / 8))
    assert torch.equal(found, observe_motion(clips, stride=8)), "the same again"


def perspective(rows: int = 20, slope: float = 0.1, clips: int = 6) -> torch.Tensor:
    """(K, C + 1, h, w): motion that grows with the row, in half of the cells."""
    torch.manual_seed(0)
    channels = len(LAGS) * len(BOXES)
    motion = torch.zeros(clips, channels + 1, rows, 30)
    line = 1.0 + slope * torch.arange(rows, dtype=torch.float32)
    moving = torch.rand(clips, rows, 30) < 0.5
    spread = 0.8 + 0.4 * torch.rand(clips, channels, rows, 30)
    motion[:, :-1] = line.view(1, 1, -1, 1) * spread * moving[:, None]
    motion[:, -1] = moving.float()
    return motion


def test_the_normal_of_a_row_follows_perspective() -> None:
    normal = fit_row_normal(perspective())
    assert normal.shape == (6, 20)
    wanted = (1.0 + 0.1 * torch.arange(20)) * 1.08  # the 0.7 quantile of 0.8 … 1.2
    assert torch.allclose(normal, wanted.expand(6, -1), rtol=0.05)


def test_the_same_walk_is_the_same_ratio_near_and_far() -> None:
    motion = perspective()
    normal = fit_row_normal(motion)
    ratio = log_ratio(motion, normal).mean(1)
    near, far = (
        ratio[:, rows][motion[:, -1, rows] > 0].median() for rows in (slice(15, 20), slice(5))
    )
    assert float(near) == pytest.approx(float(far), abs=0.05)
    assert float(ratio.min()) == pytest.approx(math.log(0.3), abs=1e-5), "nothing moves"
    cells = torch.tensor([[3, 4], [17, 5]])
    values = motion[0, :-1, cells[:, 0], cells[:, 1]].T
    assert torch.allclose(
        log_ratio_at(values, normal, cells[:, 0]), ratio[0, cells[:, 0], cells[:, 1]]
    )


def test_rows_where_hardly_anything_moves_have_a_floor_and_a_still_scene_a_prior() -> None:
    steep = perspective(slope=0.0)
    steep[:, :-1] *= torch.linspace(0.01, 2, 20).view(1, 1, -1, 1)
    normal = fit_row_normal(steep)
    assert float(normal.min()) >= 0.25 * float(normal.median())
    still = torch.zeros(4, 7, 15, 20)
    nothing = fit_row_normal(still)
    assert torch.equal(nothing, torch.full((6, 15), float(nothing[0, 0])))
    assert float(nothing[0, 0]) > 0
    few = still.clone()
    few[0, :, 7, 7:9] = 1.0  # two cells are no exemplar
    assert torch.allclose(fit_row_normal(few), nothing)


def test_one_clip_is_enough() -> None:
    many, one = fit_row_normal(perspective()), fit_row_normal(perspective()[:1])
    assert torch.allclose(one, many, rtol=0.25)


def test_speed_is_what_was_covered_over_the_time_that_it_took() -> None:
    """A walker at 3 pixels a frame interval has the same speed if every second frame was lost."""
    walker = (40, 40, 40, 3.0)
    whole = observe_motion(clip(walker)[None], stride=8)
    lost = clip((40, 40, 40, 6.0))[None]
    aged = observe_motion(lost, 8, ages=torch.tensor([[8.0, 6.0, 4.0, 2.0, 0.0]]))
    inside = (0, slice(None, -1), slice(7, 9), slice(9, 12))
    assert float(aged[inside].median()) == pytest.approx(float(whole[inside].median()), rel=0.2)
    assert float(observe_motion(lost, 8)[inside].median()) > 1.6 * float(whole[inside].median())


def test_nominal_ages_change_nothing() -> None:
    one = clip((40, 40, 24, 3.0))[None]
    nominal = torch.tensor([[4.0, 3.0, 2.0, 1.0, 0.0]])
    assert torch.equal(observe_motion(one, 8, ages=nominal), observe_motion(one, 8))


def test_a_frame_that_is_repeated_gives_finite_motion() -> None:
    one = clip((40, 40, 24, 3.0))[None]
    assert observe_motion(one, 8, ages=torch.zeros(1, 5)).isfinite().all()
