"""The generation expert with what leads into it and out of it: latent tokens, times, their grid, velocities.

Letters: B pictures, h/w latent cells, N tokens of a picture, D width.
The sine tables and the timestep features are written from their formulas.
"""

import math

import torch
from torch import Tensor, nn

from unichar.model.bagel.config import LATENT_CHANNELS, LATENT_PATCH, BagelConfig
from unichar.model.bagel.decoder import Expert

TOKEN = LATENT_CHANNELS * LATENT_PATCH**2
"""Numbers of one latent token."""


class PositionTable(nn.Module):
    """Fixed sines and cosines of a square grid, [side * side, D]; row r, column c is entry r * side + c."""

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        self.side = side
        self.pos_embed = nn.Parameter(sincos_table(side, width), requires_grad=False)

    def forward(self, rows: int, columns: int) -> Tensor:
        """[rows * columns, D] of the upper left corner of the grid: positions are extrapolated, never squeezed."""
        return self.pos_embed[grid_places(rows, columns, self.side, self.pos_embed.device)]


def grid_places(rows: int, columns: int, side: int, device: torch.device | None = None) -> Tensor:
    """Entries of a table of `side` x `side` that a picture of `rows` x `columns` takes, row by row."""
    down, across = torch.arange(rows, device=device), torch.arange(columns, device=device)
    return (down[:, None] * side + across).flatten()


def sincos_table(side: int, width: int) -> Tensor:
    """[side * side, width] fp32: first half of the channels says the column, second half the row, each [sines | cosines]."""
    w = 10000.0 ** (-torch.arange(width // 4, dtype=torch.float64) / (width / 4))
    angles = torch.arange(side, dtype=torch.float64)[:, None] * w
    one = torch.cat([angles.sin(), angles.cos()], dim=1)
    return torch.cat([one.repeat(side, 1), one.repeat_interleave(side, dim=0)], dim=1).float()


class TimestepEmbedder(nn.Module):
    """Times in [0, 1], not scaled -> [B, D]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t_b: Tensor) -> Tensor:
        frequencies = torch.exp(
            -math.log(10000) * torch.arange(128, dtype=torch.float32, device=t_b.device) / 128
        )
        angles = t_b.float()[:, None] * frequencies
        features = torch.cat([angles.cos(), angles.sin()], dim=-1)
        return self.mlp(features.to(next(self.mlp.parameters()).dtype))


class GenerationExpert(Expert):
    """Draws: latent tokens, noisy ones and those of pictures to look at."""

    def __init__(self, config: BagelConfig) -> None:
        super().__init__(config.text)
        width = config.text.hidden_size
        self.time_embedder = TimestepEmbedder(width)
        self.vae2llm, self.llm2vae = nn.Linear(TOKEN, width), nn.Linear(width, TOKEN)
        self.latent_pos_embed = PositionTable(config.latent_side, width)

    def embed(self, tokens_bnc: Tensor, t_b: Tensor, grid: tuple[int, int]) -> Tensor:
        """[B, N, D] of latent tokens at one time a picture; `grid` is (rows, columns)."""
        embedded = self.vae2llm(tokens_bnc.to(self.vae2llm.weight.dtype))
        return embedded + self.time_embedder(t_b)[:, None] + self.latent_pos_embed(*grid)


def to_tokens(latents_bchw: Tensor) -> Tensor:
    """[B, hw / 4, 64] of latents [B, 16, h, w]; within a token the channel runs fastest."""
    cells = latents_bchw.unflatten(3, (-1, LATENT_PATCH)).unflatten(2, (-1, LATENT_PATCH))
    return cells.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def to_latents(tokens_bnc: Tensor, grid: tuple[int, int]) -> Tensor:
    """The inverse of `to_tokens`."""
    cells = tokens_bnc.unflatten(1, grid).unflatten(3, (LATENT_PATCH, LATENT_PATCH, LATENT_CHANNELS))
    return cells.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)
