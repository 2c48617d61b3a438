"""Image understanding of nano: a small vision transformer, attribute heads, and the connector into the
backbone.

Shape letters: B pictures, H/W pixels, N patches, D width, A attention heads, E head size. A picture becomes
16 tokens of the backbone. Convolutions before the transformer ("early convolutions") let it learn in minutes
what patch embeddings learn in hours. The attribute heads give the tower exact targets in the toon world;
afterwards they are the classifier that rewards prompt following. Reports never use them:
`unichar/judges/attribute_classifier.py` is another network.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from unichar.domains.toon.vocabulary import ATTRIBUTES
from unichar.model.nano.config import NanoConfig

NUM_TOKENS = 16


class VisionLayer(nn.Module):
    """Pre-norm self-attention and MLP, [B, N, D] -> [B, N, D]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x_bnd: Tensor) -> Tensor:
        b, n, d = x_bnd.shape
        qkv = self.qkv(self.norm1(x_bnd)).view(b, n, 3, self.heads, d // self.heads)  # [B, N, 3, A, E]
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # [B, A, N, E] each

        weights = (q @ k.transpose(2, 3) * (d // self.heads) ** -0.5).softmax(-1)  # [B, A, N, N]
        mixed = (weights @ v).transpose(1, 2).reshape(b, n, d)  # [B, N, D]
        x_bnd = x_bnd + self.out(mixed)
        return x_bnd + self.fc2(F.gelu(self.fc1(self.norm2(x_bnd))))


class VisionTower(nn.Module):
    """Pixels [B, 3, H, W] in [-1, 1] -> patch features [B, 64, D] at 128 px."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        width = config.vision_width
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, 96, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(96, 128, 3, stride=2, padding=1),
            nn.GroupNorm(8, 128),
            nn.GELU(),
            nn.Conv2d(128, width, 3, stride=2, padding=1),
        )
        self.position = nn.Parameter(0.02 * _positions((config.image_size // 16) ** 2, width))
        self.layers = nn.ModuleList(
            VisionLayer(width, config.vision_heads) for _ in range(config.vision_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.heads = nn.ModuleDict(
            {name: nn.Linear(width, len(values)) for name, values in ATTRIBUTES.items()}
        )

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.stem(pixels).flatten(2).transpose(1, 2)  # [B, N, D]
        x = x + self.position
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)

    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        """Logits [B, values] of every attribute of the toon world."""
        pooled = self(pixels).mean(dim=1)  # [B, D]
        return {name: head(pooled).float() for name, head in self.heads.items()}


def _positions(count: int, width: int) -> Tensor:
    """Distinct fixed initial values, [count, width], without drawing random numbers."""
    index = Tensor([[i * (j + 1) for j in range(width)] for i in range(1, count + 1)])
    return (index * 12.9898).sin()  # the constant of the well-known GLSL hash: neighbours differ widely


class Connector(nn.Module):
    """Patch features [B, 64, D] -> 16 backbone tokens [B, 16, backbone width].

    Sixteen learned queries attend to all patches (a one-layer resampler), so every token can describe the
    whole picture.
    """

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        width = config.vision_width
        self.heads = config.vision_heads
        self.queries = nn.Parameter(_positions(NUM_TOKENS, width))
        self.key, self.value = nn.Linear(width, width), nn.Linear(width, width)
        self.fc1 = nn.Linear(width, config.backbone_width)
        self.fc2 = nn.Linear(config.backbone_width, config.backbone_width)

    def forward(self, x_bnd: Tensor) -> Tensor:
        b, n, d = x_bnd.shape
        size = d // self.heads
        keys = self.key(x_bnd).view(b, n, self.heads, size).transpose(1, 2)  # [B, A, N, E]
        values = self.value(x_bnd).view(b, n, self.heads, size).transpose(1, 2)  # [B, A, N, E]
        queries = self.queries.view(NUM_TOKENS, self.heads, size).transpose(0, 1)  # [A, 16, E]

        weights = (queries @ keys.transpose(2, 3) * size**-0.5).softmax(-1)  # [B, A, 16, N]
        pooled = (weights @ values).transpose(1, 2).reshape(b, NUM_TOKENS, d)  # [B, 16, D]
        return self.fc2(F.gelu(self.fc1(pooled + self.queries), approximate="tanh"))
