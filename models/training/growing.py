"""Initial weights of a wider network that computes (nearly) the same function.

Net2WiderNet (Chen, Goodfellow and Shlens, ICLR 2016): a new channel is a copy of an old one, and
the next layer takes half of each. GroupNorm counts some channels of a group twice, which is why the
function is only nearly the same; a little noise breaks the symmetry of the copies.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from models.backbone import norm_groups
from models.config import SceneModelConfig

_NOISE = 0.05
"""Standard deviation of the relative noise on the weights of a copy."""
_CONVOLUTIONS = ("conv1", "conv2", "skip")


def grow(
    state: Mapping[str, Tensor], narrow: SceneModelConfig, wide: SceneModelConfig, seed: int = 0
) -> dict[str, Tensor]:
    """Weights of the wider network.

    Args:
        state: Of a `SceneModel` of the narrow configuration.
        narrow: Configuration with our motion network.
        wide: The same network with no stage narrower.
        seed: Of the noise.

    Raises:
        ValueError: a stage is narrower, or the network is not ours.
    """
    if narrow.backbone != "motion" or wide.backbone != "motion":
        raise ValueError(f"growing: want backbone motion, got {narrow.backbone}, {wide.backbone}")
    if any(new < old for old, new in zip(narrow.widths, wide.widths, strict=True)):
        raise ValueError(f"growing: want widths >= {narrow.widths}, got {wide.widths}")
    random = torch.Generator().manual_seed(seed)
    sources = [_sources(old, new) for old, new in zip(narrow.widths, wide.widths, strict=True)]
    grown = dict(state)

    def convolution(name: str, reads: Tensor | None, makes: Tensor | None) -> None:
        weight = grown[f"{name}.weight"]
        if reads is not None:
            shared_by = torch.bincount(reads)[reads].to(weight)
            weight = weight[:, reads] / shared_by.view(1, -1, 1, 1)
        if makes is not None:
            weight = weight[makes]
        if weight.shape != grown[f"{name}.weight"].shape:
            weight = weight * (1 + _NOISE * torch.randn(weight.shape, generator=random))
        grown[f"{name}.weight"] = weight

    def norm(name: str, makes: Tensor) -> None:
        for part in ("weight", "bias"):
            grown[f"{name}.{part}"] = grown[f"{name}.{part}"][makes]

    convolution("backbone.stem", None, sources[0])
    norm("backbone.stem_norm", sources[0])
    for number in (1, 2, 3):
        block, before, own = f"backbone.block{number}", sources[number - 1], sources[number]
        for part in _CONVOLUTIONS:
            convolution(f"{block}.{part}", own if part == "conv2" else before, own)
        for part in ("norm1", "norm2", "skip_norm"):
            norm(f"{block}.{part}", own)
    convolution("backbone.head", sources[3], None)
    return grown


def _sources(old: int, new: int) -> Tensor:
    """Old channel that each new one copies; copies stay in the same normalisation group."""
    groups = norm_groups(old)
    members = old // groups
    within = torch.arange(new // groups) % members
    return (torch.arange(groups).unsqueeze(1) * members + within).flatten()
