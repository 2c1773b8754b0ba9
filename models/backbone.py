"""Feature extractors Ψ(x; θ): the paper's reduced ResNet-10 and our motion network.

Both end in a 1×1 convolution and tanh (paper, Appendix, Table A). GroupNorm and ELU throughout:
batch statistics would mix scenes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.config import SceneModelConfig


def norm_groups(channels: int) -> int:
    """Number of GroupNorm groups for that many channels, a multiple of 8 or fewer than 8."""
    return min(8, channels)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(norm_groups(channels), channels)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with GroupNorm and ELU; the skip is a 1×1 convolution (Table A)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm1 = _norm(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.norm2 = _norm(channels_out)
        self.skip = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
        self.skip_norm = _norm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, H/stride, W/stride)."""
        y = functional.elu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        return functional.elu(y + self.skip_norm(self.skip(x)), inplace=True)


class SpaceTimeStem(nn.Module):
    """The first four convolutions in 3-D, then time is averaged away (paper, Appendix B.4).

    They are the stem, both convolutions of the first block, and the first of the second block; the
    paper does not say how time is reduced; here it is the mean after the fourth.
    """

    def __init__(self, widths: tuple[int, int]) -> None:
        super().__init__()
        first, second = widths
        self.stem = nn.Conv3d(3, first, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False)
        self.stem_norm = _norm(first)
        self.conv1 = nn.Conv3d(first, first, 3, 1, 1, bias=False)
        self.norm1 = _norm(first)
        self.conv2 = nn.Conv3d(first, first, 3, 1, 1, bias=False)
        self.norm2 = _norm(first)
        self.skip = nn.Conv3d(first, first, 1, bias=False)
        self.skip_norm = _norm(first)
        self.conv3 = nn.Conv3d(first, second, 3, (1, 2, 2), 1, bias=False)
        self.norm3 = _norm(second)
        self.conv4 = nn.Conv2d(second, second, 3, 1, 1, bias=False)
        self.norm4 = _norm(second)
        self.skip2 = nn.Conv2d(first, second, 1, 2, bias=False)
        self.skip2_norm = _norm(second)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 3, T, H, W) to (B, widths[1], H/8, W/8)."""
        # In bfloat16 on a CPU the gradient of this weight is not a number (PyTorch 2.13).
        with torch.autocast("cpu", enabled=False):
            x = self.stem(x)
        x = functional.elu(self.stem_norm(x), inplace=True)
        x = functional.avg_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        y = functional.elu(self.norm1(self.conv1(x)), inplace=True)
        x = functional.elu(self.norm2(self.conv2(y)) + self.skip_norm(self.skip(x)))
        y = functional.elu(self.norm3(self.conv3(x))).mean(dim=2)
        y = self.norm4(self.conv4(y))
        return functional.elu(y + self.skip2_norm(self.skip2(x.mean(dim=2))))


class ResNet10(nn.Module):
    """The paper's network, stride 32 (Table A: 7×7, pool, blocks of 32, 64, 128, 256, 1×1).

    The table prints stride 2 on layers whose output keeps its size, and one BatchNorm among
    GroupNorms; both are read as misprints.
    """

    def __init__(self, config: SceneModelConfig) -> None:
        super().__init__()
        first, second, third, fourth = config.widths
        self.space_time: SpaceTimeStem | None = None
        if config.clip_length > 1:
            self.space_time = SpaceTimeStem((first, second))
        else:
            self.stem = nn.Conv2d(3, first, 7, 2, 3, bias=False)
            self.stem_norm = _norm(first)
            self.block1 = ResidualBlock(first, first, 1)
            self.block2 = ResidualBlock(first, second, 2)
        self.block3 = ResidualBlock(second, third, 2)
        self.block4 = ResidualBlock(third, fourth, 2)
        self.head = nn.Conv2d(fourth, config.feature_channels, 1, bias=False)
        self.head_norm = _norm(config.feature_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 3, T, H, W) in [-1, 1] to features (B, d, H/32, W/32) in (-1, 1)."""
        if self.space_time is not None:
            x = self.space_time(x)
        else:
            x = functional.elu(self.stem_norm(self.stem(x.squeeze(2))))
            x = functional.avg_pool2d(x, 3, 2, 1)
            x = self.block2(self.block1(x))
        x = self.block4(self.block3(x))
        return torch.tanh(self.head_norm(self.head(x)))


class MotionNet(nn.Module):
    """Our small network on grey frames and their differences, stride 8, 0.2 M parameters."""

    def __init__(self, config: SceneModelConfig) -> None:
        super().__init__()
        stem, first, second, third = config.widths
        self.stem = nn.Conv2d(config.clip_length, stem, 5, 2, 2, bias=False)
        self.stem_norm = _norm(stem)
        self.block1 = ResidualBlock(stem, first, 2)
        self.block2 = ResidualBlock(first, second, 2)
        self.block3 = ResidualBlock(second, third, 1)
        self.head = nn.Conv2d(third, config.feature_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, H, W), see `models.inputs.motion_input`, to (B, d, H/8, W/8) in (-1, 1)."""
        x = functional.elu(self.stem_norm(self.stem(x)), inplace=True)
        x = self.block3(self.block2(self.block1(x)))
        return torch.tanh(self.head(x))


def build_backbone(config: SceneModelConfig) -> nn.Module:
    """Build the untrained network that the configuration names."""
    return ResNet10(config) if config.backbone == "resnet10" else MotionNet(config)


def to_channels_last(model: nn.Module) -> nn.Module:
    """Convert the weights of 2-D convolutions to channels-last, in place; return the model.

    Channels-last is a layout of tensors of four dimensions: `Module.to` refuses a model that has
    3-D convolutions, whose weights have five. Those weights are left unchanged.
    """
    for weight in model.parameters():
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return model
