"""The SigLIP tower that BAGEL sees with, and the connector into the decoder.

Letters: N patches of one picture, D width of the tower. Pictures keep their shape and are seen one after the other, so that
none of them is padded and none sees another's patches (what the published code does with packed sequences).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unichar.model.bagel.config import BagelConfig, VisionConfig
from unichar.model.bagel.generation import PositionTable, grid_places

EPS = 1e-6


class VisionAttention(nn.Module):
    """Full attention of one picture."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width) for _ in range(3))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x_nd: Tensor) -> Tensor:
        q, k, v = (
            linear(x_nd).unflatten(1, (self.heads, -1)).transpose(0, 1)[None]
            for linear in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.out_proj(F.scaled_dot_product_attention(q, k, v)[0].transpose(0, 1).flatten(1))


class Connector(nn.Module):
    """Two layers with a GELU between; also the MLP of the tower."""

    def __init__(self, width: int, inner: int, out: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class VisionLayer(nn.Module):
    """Pre-norm attention and MLP."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width, eps=EPS), nn.LayerNorm(width, eps=EPS)
        self.self_attn = VisionAttention(config)
        self.mlp = Connector(width, config.intermediate_size, width)

    def forward(self, x_nd: Tensor) -> Tensor:
        x_nd = x_nd + self.self_attn(self.layer_norm1(x_nd))
        return x_nd + self.mlp(self.layer_norm2(x_nd))


class VisionEncoder(nn.Module):
    """All layers."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(VisionLayer(config) for _ in range(config.used_layers))

    def forward(self, x_nd: Tensor) -> Tensor:
        for layer in self.layers:
            x_nd = layer(x_nd)
        return x_nd


class Embeddings(nn.Module):
    """Patches and their places."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.side, self.patch = config.side, config.patch_size
        self.patch_embedding = nn.Linear(3 * config.patch_size**2, config.hidden_size)
        self.position_embedding = nn.Embedding(config.side**2, config.hidden_size)

    def forward(self, pixels_chw: Tensor) -> Tensor:
        rows, columns = (length // self.patch for length in pixels_chw.shape[1:])
        weight = self.patch_embedding.weight
        patches = patchify(pixels_chw, self.patch).to(weight.device, weight.dtype)
        return self.patch_embedding(patches) + self.position_embedding(
            grid_places(rows, columns, self.side, weight.device)
        )


class VisionTower(nn.Module):
    """Patches -> features."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.side, self.patch = config.side, config.patch_size
        self.embeddings = Embeddings(config)
        self.encoder = VisionEncoder(config)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, eps=EPS)

    def forward(self, pixels_chw: Tensor) -> Tensor:
        """[N, D] of one picture in [-1, 1] whose sides are multiples of the patch, at most `side` patches."""
        return self.post_layernorm(self.encoder(self.embeddings(pixels_chw)))


class Eyes(nn.Module):
    """Tower, connector and the grid: a picture as tokens of the text expert."""

    def __init__(self, config: BagelConfig) -> None:
        super().__init__()
        self.vision_model = VisionTower(config.vision)
        width = config.text.hidden_size
        self.connector = Connector(config.vision.hidden_size, width, width)
        self.vit_pos_embed = PositionTable(config.vision.side, width)

    def forward(self, pixels_chw: Tensor) -> Tensor:
        """[N, width of the decoder]."""
        rows, columns = (length // self.vision_model.patch for length in pixels_chw.shape[1:])
        return self.connector(self.vision_model(pixels_chw)) + self.vit_pos_embed(rows, columns)

    @torch.no_grad()
    def map(self, pixels_chw: Tensor) -> Tensor:
        """[D, rows, columns] features before the connector."""
        rows, columns = (length // self.vision_model.patch for length in pixels_chw.shape[1:])
        return self.vision_model(pixels_chw).T.unflatten(1, (rows, columns))


def patchify(pixels_chw: Tensor, patch: int) -> Tensor:
    """[N, 3 * patch * patch], row by row; within a patch the channel runs fastest."""
    cells = pixels_chw.unflatten(2, (-1, patch)).unflatten(1, (-1, patch))
    return cells.permute(1, 3, 2, 4, 0).flatten(2).flatten(0, 1)
