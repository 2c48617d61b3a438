"""BAGEL's SigLIP vision tower and the connector into the decoder.

Shape letters: N patches of one picture, D width of the tower, A attention heads, E head size, H/W pixels.
Pictures keep their aspect ratio and are encoded one at a time, so none is padded and none attends to
another's patches (the published code does the same with packed sequences).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unichar.model.bagel.config import BagelConfig, VisionConfig
from unichar.model.bagel.generation import PositionTable, grid_indices

EPS = 1e-6
"""Of the layer norms, as published."""


class VisionAttention(nn.Module):
    """Full attention among the patches of one picture."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width) for _ in range(3))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x_nd: Tensor) -> Tensor:
        q = self._heads(self.q_proj(x_nd))
        k = self._heads(self.k_proj(x_nd))
        v = self._heads(self.v_proj(x_nd))

        mixed = F.scaled_dot_product_attention(q, k, v)[0]  # [A, N, E]
        return self.out_proj(mixed.transpose(0, 1).flatten(1))  # [N, D]

    def _heads(self, x_nd: Tensor) -> Tensor:
        return x_nd.unflatten(1, (self.heads, -1)).transpose(0, 1)[None]  # [1, A, N, E]


class Connector(nn.Module):
    """Two linear layers with a GELU between; also the MLP of the tower."""

    def __init__(self, width: int, inner: int, out: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class VisionLayer(nn.Module):
    """Pre-norm attention and MLP, [N, D] -> [N, D]."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width, eps=EPS), nn.LayerNorm(width, eps=EPS)
        self.self_attn = VisionAttention(config)
        self.mlp = Connector(width, config.intermediate_size, width)

    def forward(self, x_nd: Tensor) -> Tensor:
        x_nd = x_nd + self.self_attn(self.layer_norm1(x_nd))
        return x_nd + self.mlp(self.layer_norm2(x_nd))


class VisionLayers(nn.Module):
    """The stack of layers; a module of its own because the published names have `encoder.layers`."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(VisionLayer(config) for _ in range(config.used_layers))

    def forward(self, x_nd: Tensor) -> Tensor:
        for layer in self.layers:
            x_nd = layer(x_nd)
        return x_nd


class Embeddings(nn.Module):
    """Patch and position embeddings."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.side, self.patch = config.side, config.patch_size
        self.patch_embedding = nn.Linear(3 * config.patch_size**2, config.hidden_size)
        self.position_embedding = nn.Embedding(config.side**2, config.hidden_size)

    def forward(self, pixels_chw: Tensor) -> Tensor:
        rows, columns = (length // self.patch for length in pixels_chw.shape[1:])
        weight = self.patch_embedding.weight
        patches = patchify(pixels_chw, self.patch).to(weight.device, weight.dtype)
        positions = grid_indices(rows, columns, self.side, weight.device)  # [N]
        return self.patch_embedding(patches) + self.position_embedding(positions)


class VisionTower(nn.Module):
    """SigLIP: pixels of one picture -> features of its patches."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.side, self.patch = config.side, config.patch_size
        self.embeddings = Embeddings(config)
        self.encoder = VisionLayers(config)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, eps=EPS)

    def forward(self, pixels_chw: Tensor) -> Tensor:
        """[N, D] of pixels [3, H, W] in [-1, 1]; H and W are multiples of the patch, up to `side` patches."""
        return self.post_layernorm(self.encoder(self.embeddings(pixels_chw)))


class ImageEncoder(nn.Module):
    """Vision tower, connector and position table: a picture as tokens of the text expert."""

    def __init__(self, config: BagelConfig) -> None:
        super().__init__()
        self.vision_model = VisionTower(config.vision)
        width = config.text.hidden_size
        self.connector = Connector(config.vision.hidden_size, width, width)
        self.vit_pos_embed = PositionTable(config.vision.side, width)

    def forward(self, pixels_chw: Tensor) -> Tensor:
        """[N, width of the decoder] of pixels [3, H, W]."""
        rows, columns = (length // self.vision_model.patch for length in pixels_chw.shape[1:])
        return self.connector(self.vision_model(pixels_chw)) + self.vit_pos_embed(rows, columns)

    @torch.no_grad()
    def map(self, pixels_chw: Tensor) -> Tensor:
        """Feature map [D, rows, columns] before the connector."""
        rows, columns = (length // self.vision_model.patch for length in pixels_chw.shape[1:])
        return self.vision_model(pixels_chw).T.unflatten(1, (rows, columns))


def patchify(pixels_chw: Tensor, patch: int) -> Tensor:
    """[N, 3 * patch * patch] of pixels [3, H, W], row by row; within a patch the channel varies fastest."""
    cells = pixels_chw.unflatten(2, (-1, patch)).unflatten(1, (-1, patch))  # [3, rows, patch, columns, patch]
    return cells.permute(1, 3, 2, 4, 0).flatten(2).flatten(0, 1)  # [rows * columns, patch * patch * 3]
