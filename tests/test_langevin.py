"""Langevin sampling on energies whose valley is known."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from models.training.langevin import LangevinOptions, Steps, sample

QUIET = LangevinOptions(noise=0.0)


class Valley(nn.Module):
    """Squared distance to a level that is a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.tensor(0.5))

    def forward(self, clips: Tensor) -> Tensor:
        return (clips - self.level).square().flatten(1).mean(1)


def noise() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def patched() -> Tensor:
    clips = torch.full((2, 1, 16, 16), 0.47)
    clips[:, :, 2:6, 2:6] = 0.9
    return clips


def test_every_step_lowers_the_energy() -> None:
    energy = Valley()
    samples = sample(energy, patched(), LangevinOptions(), noise())
    energies = [float(energy(clips).mean().detach()) for clips in (patched(), *samples.states)]
    assert len(samples.states) == 5
    assert energies == sorted(energies, reverse=True)
    assert energies[-1] < 0.8 * energies[0]
    assert torch.equal(samples.final, samples.states[-1])


def test_the_median_pixel_moves_as_far_as_told_and_none_beyond_the_bound() -> None:
    start = patched()
    moved = (
        sample(Valley(), start, LangevinOptions(steps=1, noise=0.0), noise()).final - start
    ).abs()
    assert moved.flatten(1).median(1).values == pytest.approx([2 / 255] * 2, rel=1e-4)
    assert float(moved.max()) == pytest.approx(8 / 255, rel=1e-4)


def steep(clips: Tensor) -> Tensor:
    """A valley whose gradient does not depend on the number of pixels."""
    return (clips - 0.5).square().flatten(1).sum(1)


def test_a_literal_step_is_half_of_beta_times_the_gradient() -> None:
    start, literal = patched(), LangevinOptions(steps=1, kind="literal", beta=0.5)
    final = sample(steep, start, literal, noise()).final
    noisy = final - (start - 0.25 * 2 * (start - 0.5))
    assert float(noisy.std()) == pytest.approx(0.5**0.5 / 255, rel=0.1)
    assert abs(float(noisy.mean())) < 0.001


def test_a_literal_step_paints_over_a_patch_that_a_bounded_one_cannot() -> None:
    literal = sample(steep, patched(), LangevinOptions(kind="literal"), noise()).final
    bounded = sample(steep, patched(), LangevinOptions(), noise()).final
    assert float((literal - 0.5).abs().max()) < 0.03
    assert float((bounded - 0.5).abs().max()) > 0.2


@pytest.mark.parametrize("kind", ["bounded", "literal"])
def test_noise_is_added_to_every_step(kind: Steps) -> None:
    def flat(clips: Tensor) -> Tensor:
        return 0.0 * clips.flatten(1).sum(1)

    options = LangevinOptions(kind=kind)
    start = torch.full((1, 1, 64, 64), 0.5)
    changes = [a - b for a, b in pairwise((start, *sample(flat, start, options, noise()).states))]
    for change in changes:
        assert float(change.std()) == pytest.approx(options.noise_deviation, rel=0.05)
    assert not torch.allclose(changes[0], changes[1])


def test_the_energies_before_each_step_are_returned() -> None:
    samples = sample(Valley(), patched(), LangevinOptions(), noise())
    seen = [Valley()(clips) for clips in (patched(), *samples.states[:-1])]
    torch.testing.assert_close(torch.stack(samples.energies), torch.stack(seen).detach())


def test_samples_stay_in_the_range_of_pixels_and_leave_the_start_alone() -> None:
    start = torch.zeros(1, 1, 8, 8)
    away = sample(lambda clips: clips.flatten(1).mean(1), start, LangevinOptions(), noise()).final
    assert 0.0 <= float(away.min()) <= float(away.max()) <= 1.0
    assert not start.any()


def test_a_clip_is_sampled_as_if_it_were_alone() -> None:
    together = patched()
    together[1] *= 0.3
    both = sample(Valley(), together, QUIET, noise()).final
    alone = sample(Valley(), together[:1], QUIET, noise()).final
    assert torch.allclose(both[:1], alone)


def test_sampling_leaves_no_gradient_in_the_parameters() -> None:
    energy = Valley()
    final = sample(energy, patched(), QUIET, noise()).final
    assert energy.level.grad is None
    assert not final.requires_grad


def test_a_loss_reaches_the_parameters_through_the_last_step_alone() -> None:
    energy, start = Valley(), patched()
    samples = sample(energy, start, LangevinOptions(noise=0.0), noise(), keep_graph=True)
    (gradient,) = torch.autograd.grad(samples.final.sum(), energy.level)

    # By hand: x₅ = x₄ − s·∇E, ∇E = 2(x₄ − level)/pixels, with s and x₄ taken as constants.
    before = samples.states[3]
    slope = 2 * (before - 0.5) / before[0].numel()
    scale = QUIET.move / slope.abs().flatten(1).median(1).values
    move = scale.view(-1, 1, 1, 1) * slope
    free = move.abs() < QUIET.largest_move
    expected = (scale.view(-1, 1, 1, 1) * 2 / before[0].numel() * free).sum()
    assert float(gradient) == pytest.approx(float(expected.detach()), rel=1e-3)


@pytest.mark.parametrize(("value", "told"), [(11.0, "11"), (float("nan"), "nan")])
def test_an_energy_beyond_all_bounds_is_refused(value: float, told: str) -> None:
    def energy(clips: Tensor) -> Tensor:
        return clips.flatten(1).mean(1) * 0 + value

    with pytest.raises(
        FloatingPointError, match=f"diverged at step 0: energy {told}, want at most 10"
    ):
        sample(energy, patched(), QUIET, noise())
