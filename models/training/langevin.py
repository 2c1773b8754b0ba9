"""Langevin sampling of clips from the energy (paper, Eq. 4), bounded or literal.

Eq. 4 as printed takes steps of (β/2)·∇ₓE with β = 1 and noise of variance β. The size of ∇ₓE
depends on the network, the dictionary and how E is averaged, and noise of one full pixel range
hides the content of every frame. In both kinds of step the noise is small and pixels stay in
[0, 1].

*Bounded* (ours): the gradient is scaled so that the median pixel of every clip moves by a set
amount, and no pixel moves farther than a bound. Clips of the smallest gradient move as far as
those of the largest, and no patch can be painted over.

*Literal*: (β/2)·∇ₓE, where E is that of the loss, the mean over all cells, and pixels are in
[0, 1]; the noise has variance β in grey levels of 255. What has a small gradient stays as it is.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Steps = Literal["bounded", "literal"]

_NO_GRADIENT = 1e-12


@dataclass(frozen=True, slots=True)
class LangevinOptions:
    """Settings of the sampling; step sizes in pixel values of [0, 1]."""

    steps: int = 5
    kind: Steps = "bounded"
    beta: float = 1.0
    """β of a literal step."""
    move: float = 2.0 / 255.0
    """Change of the median pixel of a clip in one bounded step."""
    largest_move: float = 8.0 / 255.0
    """Largest change of any pixel in one bounded step, without noise."""
    noise: float = 0.002
    """Standard deviation of ω in a bounded step."""
    energy_bound: float = 10.0
    """Beyond this energy sampling has diverged."""

    @property
    def noise_deviation(self) -> float:
        """Standard deviation of ω in pixel values of [0, 1]."""
        return self.noise if self.kind == "bounded" else math.sqrt(self.beta) / 255.0


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Result of sampling a batch of clips."""

    final: Tensor
    """Same shape as the start, in [0, 1]; with a graph if `keep_graph`."""
    states: tuple[Tensor, ...]
    """The clips after each step, without graph; the last one equals `final`."""
    energies: tuple[Tensor, ...]
    """Energies (B,) before each step, so that the first are those of the start."""


def sample(
    energy: Callable[[Tensor], Tensor],
    start: Tensor,
    options: LangevinOptions,
    random: torch.Generator,
    keep_graph: bool = False,
) -> Samples:
    """Sample clips by gradient descent with noise: x ← x − s·∇ₓE(x) + ω.

    Only the gradient with respect to the clips is taken, so that sampling adds no gradient to
    parameters of the energy. With `keep_graph`, `final` is differentiable with respect to the
    parameters, through the last step alone: s and the clips before that step are constants.

    Args:
        energy: Maps clips in [0, 1] to their energies (B,); a clip's energy depends on no other
            clip.
        start: Initial clips, (B, …) in [0, 1].
        options: Number and size of the steps.
        random: Source of the noise, on the CPU.
        keep_graph: Whether a loss of `final` is propagated to the parameters.

    Returns:
        The final clips and those after each step.

    Raises:
        FloatingPointError: an energy is not a number or beyond the bound; names the step and the
            value.
    """
    clips = start.detach()
    states, energies = [], []
    for step in range(options.steps):
        last = keep_graph and step == options.steps - 1
        clips, before = _step(energy, clips, options, random, step, last)
        states.append(clips.detach())
        energies.append(before)
        if not last:
            clips = states[-1]
    return Samples(clips, tuple(states), tuple(energies))


def _step(
    energy: Callable[[Tensor], Tensor],
    clips: Tensor,
    options: LangevinOptions,
    random: torch.Generator,
    number: int,
    keep_graph: bool,
) -> tuple[Tensor, Tensor]:
    """The clips after a step, and their energies (B,) before it."""
    clips = clips.clone().requires_grad_(True)
    with torch.enable_grad():
        energies = energy(clips)
        _check(energies.detach(), options.energy_bound, number)
        (gradient,) = torch.autograd.grad(energies.sum(), clips, create_graph=keep_graph)
        move = _move(gradient, options)
        noise = torch.randn(clips.shape, generator=random).to(clips.device)
        moved = clips.detach() - move + options.noise_deviation * noise
        return moved.clamp(0.0, 1.0), energies.detach()


def _move(gradient: Tensor, options: LangevinOptions) -> Tensor:
    if options.kind == "literal":
        return options.beta / 2.0 * gradient
    median = gradient.detach().abs().flatten(1).median(dim=1).values
    scale = options.move / median.clamp_min(_NO_GRADIENT)
    move = gradient * scale.view(-1, *[1] * (gradient.ndim - 1))
    return move.clamp(-options.largest_move, options.largest_move)


def _check(energies: Tensor, bound: float, step: int) -> None:
    # `not <=` also catches NaN.
    if not bool((energies.abs() <= bound).all()):
        worst = energies[energies.abs().nan_to_num(torch.inf).argmax()]
        raise FloatingPointError(
            f"Langevin sampling diverged at step {step}: energy {float(worst):.3g}, "
            f"want at most {bound:g}; want a lower learning rate or smaller steps"
        )
