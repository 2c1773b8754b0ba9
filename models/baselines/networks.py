"""Parts that the learned baselines share: encoder, decoder, error maps, inner steps."""

import copy
from collections.abc import Callable
from itertools import pairwise
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (16, 32, 48, 64)
_GROUPS = 8
_MAP_STRIDE = 4
_MOST_TUNED = 16
_SSIM_WINDOW = 7
_SSIM_CONSTANTS = (0.01**2, 0.03**2)

Parameters = dict[str, Tensor]
AnyModule = TypeVar("AnyModule", bound=nn.Module)


def encoder(channels_in: int, channels_out: int, widths: tuple[int, ...] = WIDTHS) -> nn.Module:
    """Convolutions of stride 2, one a width, then 1×1 to `channels_out`."""
    layers: list[nn.Module] = []
    for before, after in pairwise((channels_in, *widths)):
        layers += [nn.Conv2d(before, after, 4, 2, 1), nn.GroupNorm(_GROUPS, after), nn.ELU()]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], channels_out, 1))


def decoder(channels_in: int, channels_out: int, widths: tuple[int, ...] = WIDTHS) -> nn.Module:
    """The reverse of `encoder`; the output is in (0, 1)."""
    backwards = widths[::-1]
    layers: list[nn.Module] = [nn.Conv2d(channels_in, backwards[0], 1), nn.ELU()]
    for before, after in pairwise(backwards):
        layers += [
            nn.ConvTranspose2d(before, after, 4, 2, 1),
            nn.GroupNorm(_GROUPS, after),
            nn.ELU(),
        ]
    last = nn.ConvTranspose2d(backwards[-1], channels_out, 4, 2, 1)
    return nn.Sequential(*layers, last, nn.Sigmoid())


def squared_error(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean over the channels, (B, H, W)."""
    return (found - wanted).square().mean(1)


def dissimilarity(found: Tensor, wanted: Tensor) -> Tensor:
    """1 − SSIM (Wang et al. 2004) over windows of 7 × 7 pixels, mean over the channels, (B, H, W).

    Args:
        found: (B, C, H, W) in [0, 1].
        wanted: (B, C, H, W) in [0, 1].
    """

    def mean(pixels: Tensor) -> Tensor:
        reach = _SSIM_WINDOW // 2
        padded = functional.pad(pixels, (reach,) * 4, mode="reflect")
        return functional.avg_pool2d(padded, _SSIM_WINDOW, 1)

    light, contrast = _SSIM_CONSTANTS
    one, other = mean(found), mean(wanted)
    variances = mean(found.square()) - one.square() + mean(wanted.square()) - other.square()
    covariance = mean(found * wanted) - one * other
    similarity = (2 * one * other + light) * (2 * covariance + contrast)
    similarity = similarity / ((one.square() + other.square() + light) * (variances + contrast))
    return 1 - similarity.mean(1)


def in_cells(error: Tensor) -> Tensor:
    """Mean of the error over cells of 4 × 4 pixels, (B, H/4, W/4)."""
    return functional.avg_pool2d(error.unsqueeze(1), _MAP_STRIDE).squeeze(1)


def fine_tuned(
    module: AnyModule,
    loss: Callable[[AnyModule, slice], Tensor],
    count: int,
    steps: int,
    rate: float,
) -> AnyModule:
    """A copy of the module after some steps of Adam; the module is not changed.

    Args:
        module: To copy.
        loss: Of the module on some of the support clips.
        count: Number of support clips; at most 16 are used in a step, in turn.
        steps: Number of steps.
        rate: Of Adam.
    """
    tuned = copy.deepcopy(module).train().requires_grad_(True)
    optimiser = torch.optim.Adam(tuned.parameters(), lr=rate)
    with torch.enable_grad():
        for step in range(steps):
            optimiser.zero_grad(set_to_none=True)
            first = step * _MOST_TUNED % count
            loss(tuned, slice(first, first + _MOST_TUNED)).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return tuned.eval().requires_grad_(False)


def inner_steps(
    loss: Callable[[Parameters], Tensor],
    parameters: Parameters,
    steps: int,
    rate: Tensor,
    order: Literal[0, 1, 2],
) -> Parameters:
    """Gradient steps on a support (Finn et al., MAML, ICML 2017).

    Args:
        loss: Loss of the support under given parameters.
        parameters: To start from.
        steps: Number of steps.
        rate: Length of a step, a scalar.
        order: 2: the result is differentiable through the steps; 1: the gradients of the steps are
            constants (first order); 0: the result has no graph.

    Returns:
        The parameters after the steps.
    """
    if order == 0:
        parameters = {name: value.detach() for name, value in parameters.items()}
        rate = rate.detach()
    with torch.enable_grad():
        for _ in range(steps):
            if order == 0:
                parameters = {n: value.requires_grad_() for n, value in parameters.items()}
            gradients = torch.autograd.grad(
                loss(parameters), list(parameters.values()), create_graph=order == 2
            )
            parameters = {
                name: value - rate * gradient
                for (name, value), gradient in zip(parameters.items(), gradients, strict=True)
            }
            if order == 0:
                parameters = {name: value.detach() for name, value in parameters.items()}
    return parameters
