"""The held-out attribute classifier: the network behind the picture metrics of toon reports. Training and
rewards never use it.

A plain convolutional network. The vision transformer that rewards use differs from it in architecture,
training seed and augmentation, so that a reward cannot be raised by fooling the report. In a base file its
tensors have the prefix `examiner.`.

Letters: B pictures, C channels, H/W pixels.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from unichar.domains.toon.vocabulary import ATTRIBUTES

WIDTHS = (32, 64, 96, 160, 224)
"""Channels of the stages; each stage after the first halves the side."""


class AttributeClassifier(nn.Module):
    """Attribute logits and perceptual features of pixels [B, 3, H, W] in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()

        # 2 x 2 pixels of three colours are the 12 input channels of the first stage.
        channels = zip((12, *WIDTHS[:-1]), WIDTHS, strict=True)

        # The names of modules are those of the tensors in a base file.
        self.stages = nn.ModuleList(_stage(inner, outer) for inner, outer in channels)

        # Pictures of 128 pixels leave a map of 4 x 4.
        features = WIDTHS[-1] * 4 * 4
        heads = {name: nn.Linear(features, len(values)) for name, values in ATTRIBUTES.items()}
        self.heads = nn.ModuleDict(heads)

    def features(self, pixels: Tensor) -> list[Tensor]:
        """Feature maps [B, C, h, w] of every stage, the first at half the side of the picture."""
        x = F.pixel_unshuffle(pixels, 2)  # [B, 12, H/2, W/2]
        maps = []
        for index, stage in enumerate(self.stages):
            # Pooling before each later stage halves the side.
            x = stage(x if index == 0 else F.max_pool2d(x, 2))
            maps.append(x)
        return maps

    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        """Logits [B, values] of every attribute; the side must be 128 pixels."""
        last = self.features(pixels)[-1].flatten(1)  # [B, C * 4 * 4]
        return {name: head(last).float() for name, head in self.heads.items()}


def _stage(inner: int, outer: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inner, outer, 3, padding=1),
        nn.BatchNorm2d(outer),
        nn.ReLU(),
        # Grouped: an eighth of the weights of a full convolution.
        nn.Conv2d(outer, outer, 3, padding=1, groups=8),
        nn.BatchNorm2d(outer),
        nn.ReLU(),
    )
