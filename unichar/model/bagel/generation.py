"""The generation expert with its input and output layers: latent tokens, times, their grid, velocities.

Shape letters: B pictures, C latent channels, h/w latent cells, N latent tokens of a picture, D width.
The sine tables and the timestep features are written from their formulas.
"""

import math

import torch
from torch import Tensor, nn

from unichar.model.bagel.config import LATENT_CHANNELS, LATENT_PATCH, BagelConfig
from unichar.model.bagel.decoder import Expert

TOKEN = LATENT_CHANNELS * LATENT_PATCH**2
"""Values of one latent token: 16 channels of 2 x 2 cells."""


class PositionTable(nn.Module):
    """Fixed sine-cosine position table of a square grid, [side * side, D]; entry r * side + c is row r,
    column c.
    """

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        self.side = side
        self.pos_embed = nn.Parameter(sincos_table(side, width), requires_grad=False)

    def forward(self, rows: int, columns: int) -> Tensor:
        """[rows * columns, D] of the upper left corner of the grid: positions are not interpolated."""
        table = self.pos_embed.unflatten(0, (self.side, self.side))  # [side, side, D]
        return table[:rows, :columns].flatten(0, 1)


def grid_indices(rows: int, columns: int, side: int, device: torch.device | None = None) -> Tensor:
    """[rows * columns] indices into a `side` x `side` table of a picture of `rows` x `columns`, by rows."""
    row, column = torch.arange(rows, device=device), torch.arange(columns, device=device)
    return (row[:, None] * side + column).flatten()


def sincos_table(side: int, width: int) -> Tensor:
    """[side * side, width] fp32: the first half of the channels encodes the column, the second the row.

    Each half is [sines | cosines]. Computed in fp64, as the published table was.
    """
    w = 10000.0 ** (-torch.arange(width // 4, dtype=torch.float64) / (width / 4))
    angles = torch.arange(side, dtype=torch.float64)[:, None] * w
    one_axis = torch.cat([angles.sin(), angles.cos()], dim=1)  # [side, width / 2]

    columns = one_axis.repeat(side, 1)  # [side * side, width / 2]
    rows = one_axis.repeat_interleave(side, dim=0)  # [side * side, width / 2]
    return torch.cat([columns, rows], dim=1).float()


class TimestepEmbedder(nn.Module):
    """Embeds times in [0, 1], not scaled by 1000: [B] -> [B, D]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t_b: Tensor) -> Tensor:
        steps = torch.arange(128, dtype=torch.float32, device=t_b.device)
        frequencies = torch.exp(-math.log(10000) * steps / 128)
        angles = t_b.float()[:, None] * frequencies  # [B, 128]
        features = torch.cat([angles.cos(), angles.sin()], dim=-1)
        return self.mlp(features.to(next(self.mlp.parameters()).dtype))


class GenerationExpert(Expert):
    """Expert of latent tokens: noisy ones to generate, clean ones of given pictures."""

    def __init__(self, config: BagelConfig) -> None:
        super().__init__(config.text)
        width = config.text.hidden_size
        self.time_embedder = TimestepEmbedder(width)
        self.vae2llm, self.llm2vae = nn.Linear(TOKEN, width), nn.Linear(width, TOKEN)
        self.latent_pos_embed = PositionTable(config.latent_side, width)

    def embed(self, tokens_bnc: Tensor, t_b: Tensor, grid: tuple[int, int]) -> Tensor:
        """Embeddings [B, N, D] of latent tokens [B, N, 64]; `grid` is (rows, columns).

        Times t are [B], or [1] where all pictures have the same.
        """
        embedded = self.vae2llm(tokens_bnc.to(self.vae2llm.weight.dtype))
        return embedded + self.time_embedder(t_b)[:, None] + self.latent_pos_embed(*grid)


def to_tokens(latents_bchw: Tensor) -> Tensor:
    """Latent tokens [B, N, 64] of latents [B, 16, h, w], N = h w / 4; within a token the channel varies
    fastest.
    """
    patch = (-1, LATENT_PATCH)
    cells = latents_bchw.unflatten(3, patch).unflatten(2, patch)  # [B, C, h / 2, 2, w / 2, 2]
    return cells.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)  # [B, N, 2 * 2 * C]


def to_latents(tokens_bnc: Tensor, grid: tuple[int, int]) -> Tensor:
    """The inverse of `to_tokens`; `grid` is (rows, columns) of tokens."""
    cells = tokens_bnc.unflatten(1, grid)  # [B, h / 2, w / 2, 2 * 2 * C]
    cells = cells.unflatten(3, (LATENT_PATCH, LATENT_PATCH, LATENT_CHANNELS))  # [B, h / 2, w / 2, 2, 2, C]
    return cells.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)  # [B, C, h, w]
