"""The examiner: the network behind every picture metric of the reports. Training and rewards never see it.

A plain convolutional reader of the toon world's attributes, unlike the vision transformer that rewards use in shape, data
seed and augmentation. Letters: B pictures, H/W pixels.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from unichar.domains.toon.vocabulary import ATTRIBUTES

WIDTHS = (32, 64, 96, 160, 224)


class AttributeClassifier(nn.Module):
    """Attribute logits and perceptual features of pixels [B, 3, H, W] in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        sides = zip((12, *WIDTHS[:-1]), WIDTHS, strict=True)
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, 3, padding=1),
                nn.BatchNorm2d(b),
                nn.ReLU(),
                nn.Conv2d(b, b, 3, padding=1, groups=8),
                nn.BatchNorm2d(b),
                nn.ReLU(),
            )
            for a, b in sides
        )
        self.heads = nn.ModuleDict(
            {name: nn.Linear(WIDTHS[-1] * 4 * 4, len(v)) for name, v in ATTRIBUTES.items()}
        )

    def features(self, pixels: Tensor) -> list[Tensor]:
        """Feature maps of every stage, the first at half the picture's side."""
        x = F.pixel_unshuffle(pixels, 2)
        maps = []
        for index, stage in enumerate(self.stages):
            x = stage(x if index == 0 else F.max_pool2d(x, 2))
            maps.append(x)
        return maps

    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        """Logits [B, values] of every attribute; pictures of any size are read at 128 px."""
        pooled = self.features(pixels)[-1].flatten(1)
        return {name: head(pooled).float() for name, head in self.heads.items()}
