"""Unrolled sparse coding of feature vectors over a scene's dictionary (paper, section 3.2).

Eq. 6 as printed, with step 1, diverges unless ‖D‖² < 2: several hundred correlated atoms have a
norm far above that. We take step 0.9/L, with L the largest eigenvalue of DᵀD, scale the thresholds
by the step and τ by its inverse; with L = 0.9 this is exactly Eq. 6.
"""

import math

import torch
from torch import Tensor

from models.config import SceneModelConfig, Shrinkage
from models.dictionary import Dictionary, correlate, reconstruct


def thresholds(config: SceneModelConfig) -> list[float]:
    """λ_1 … λ_N, from λ_max down to λ* geometrically (Eq. 6)."""
    if config.steps == 1:
        return [config.lambda_min]
    ratio = math.log(config.lambda_min / config.lambda_max) / (config.steps - 1)
    return [config.lambda_max * math.exp(ratio * n) for n in range(config.steps)]


def shrink(x: Tensor, threshold: Tensor, kind: Shrinkage, tau: Tensor | float) -> Tensor:
    """Shrink towards zero.

    Args:
        x: Any shape, any real value.
        threshold: λ >= 0, broadcast against x.
        kind: "soft" is Eq. 7, sgn(x)·max(|x| − λ, 0); "sigshrink" is Eq. 9,
            x / (1 + exp(−τ(|x| − λ))); "nonnegative" is max(x − λ, 0) (ours); "none" is x.
        tau: Steepness τ of Eq. 9, broadcast against x.

    Returns:
        The shape of x. "soft" and "nonnegative" give exact zeros.
    """
    if kind == "none":
        return x
    if kind == "nonnegative":
        return torch.relu(x - threshold)
    if kind == "soft":
        return x.sign() * torch.relu(x.abs() - threshold)
    return x * torch.sigmoid(tau * (x.abs() - threshold))


def sparse_code(
    z: Tensor,
    dictionary: Dictionary,
    config: SceneModelConfig,
    correlation: Tensor | None = None,
) -> Tensor:
    """Code z over the dictionary, N unrolled steps (Eq. 6) from α₀ = 0, or from the best atom.

    Args:
        z: Vectors to code, (cells, B, d).
        dictionary: Atoms of the scene; its `step` is 0.9/L for each cell.
        config: Coder, shrinkage, steps and thresholds.
        correlation: Dᵀz where it is known; None: it is computed.

    Returns:
        Sparse codes (cells, B, own + shared atoms).
    """
    if correlation is None:
        correlation = correlate(dictionary, z)
    if config.coder == "nearest":
        return _nearest(correlation)
    step = dictionary.step.view(-1, 1, 1)
    tau = config.sigshrink_tau / step
    code = point = _nearest(correlation) if config.warm_start else torch.zeros_like(correlation)
    momentum = 1.0
    gram = _gram(dictionary)
    for number, threshold in enumerate(thresholds(config)):
        if number == 0 and not config.warm_start:  # the first residual is z itself
            gradient = correlation
        elif gram is not None:
            gradient = correlation - point @ gram
        else:
            gradient = correlate(dictionary, z - reconstruct(dictionary, point))
        updated = shrink(point + step * gradient, threshold * step, config.shrinkage, tau)
        if config.coder == "fista":  # Nesterov's momentum (Beck & Teboulle 2009), not in the paper
            following = (1.0 + math.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
            point = updated + ((momentum - 1.0) / following) * (updated - code)
            momentum = following
        else:
            point = updated
        code = updated
    return code


def _gram(dictionary: Dictionary) -> Tensor | None:
    """DᵀD of atoms shared by all cells, if a step is cheaper with it than through z − Dα."""
    count, channels = dictionary.shared.shape
    if dictionary.own.shape[1] or count > channels:
        return None
    return dictionary.shared @ dictionary.shared.T


def _nearest(correlation: Tensor) -> Tensor:
    """The best single atom: α is its correlation, all others are 0."""
    best, place = correlation.max(dim=-1, keepdim=True)
    return torch.zeros_like(correlation).scatter(-1, place, best)
