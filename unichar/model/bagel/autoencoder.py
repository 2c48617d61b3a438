"""The FLUX autoencoder: pixels [B, 3, H, W] in [-1, 1] <-> latents [B, 16, H/8, W/8].

Written from its published shapes; module names are those of `ae.safetensors`. Departs from BAGEL's code in
one point: latents are the posterior mean, not a sample, so that a picture always has the same latents.

Shape letters: B pictures, C channels, h/w cells of a feature map, M = h w cells.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from unichar.model.bagel.config import LATENT_CHANNELS

MULTIPLIERS = (1, 2, 4, 4)
BLOCKS = 2
SCALE, SHIFT = 0.3611, 0.1159
"""Published `scale_factor` and `shift_factor`: latents leave the encoder at about unit variance."""


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, channels, eps=1e-6)


def _conv(channels: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 3, padding=1)


class Residual(nn.Module):
    """Two convolutions, each after a norm and a SiLU, with a skip connection."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = _norm(channels), _conv(channels, out)
        self.norm2, self.conv2 = _norm(out), _conv(out, out)
        self.nin_shortcut = nn.Conv2d(channels, out, 1) if channels != out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return self.nin_shortcut(x) + self.conv2(F.silu(self.norm2(h)))


class CellAttention(nn.Module):
    """Single-head self-attention over all cells of a feature map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x_bchw: Tensor) -> Tensor:
        h = self.norm(x_bchw)
        q = self._tokens(self.q(h))
        k = self._tokens(self.k(h))
        v = self._tokens(self.v(h))

        mixed = F.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2)  # [B, C, M]
        return x_bchw + self.proj_out(mixed.unflatten(2, x_bchw.shape[2:]))  # [B, C, h, w]

    @staticmethod
    def _tokens(x_bchw: Tensor) -> Tensor:
        return x_bchw.flatten(2).transpose(1, 2)[:, None]  # [B, 1, M, C]


class Middle(nn.Module):
    """Residual, attention, residual, at the lowest resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1 = Residual(channels, channels)
        self.attn_1 = CellAttention(channels)
        self.block_2 = Residual(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class Downsample(nn.Module):
    """Halves both sides; pads on the right and below only, as the published weights expect."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Doubles both sides."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = _conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Stage(nn.Module):
    """Residual blocks at one resolution, then a change of resolution unless this is the last stage.

    `change` is (name of the submodule in the weights, module).
    """

    def __init__(self, channels: int, out: int, blocks: int, change: tuple[str, nn.Module] | None) -> None:
        super().__init__()
        self.block = nn.ModuleList(Residual(channels if i == 0 else out, out) for i in range(blocks))
        self.change = change[0] if change else None
        if change:
            self.add_module(*change)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        return self.get_submodule(self.change)(x) if self.change else x


class Encoder(nn.Module):
    """Pixels -> mean and log-variance [B, 32, H/8, W/8]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width * m for m in MULTIPLIERS]
        before = [width, *widths[:-1]]

        self.conv_in = _conv(3, width)
        self.down = nn.ModuleList(
            Stage(before[i], out, BLOCKS, ("downsample", Downsample(out)) if i < 3 else None)
            for i, out in enumerate(widths)
        )
        self.mid = Middle(widths[-1])
        self.norm_out, self.conv_out = _norm(widths[-1]), _conv(widths[-1], 2 * LATENT_CHANNELS)

    def forward(self, pixels: Tensor) -> Tensor:
        h = self.conv_in(pixels)
        for stage in self.down:
            h = stage(h)
        return self.conv_out(F.silu(self.norm_out(self.mid(h))))


class Decoder(nn.Module):
    """Latents -> pixels. `up` is numbered from the highest resolution, so it runs in reverse."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width * m for m in MULTIPLIERS]
        before = [*widths[1:], widths[-1]]

        self.conv_in = _conv(LATENT_CHANNELS, widths[-1])
        self.mid = Middle(widths[-1])
        self.up = nn.ModuleList(
            Stage(before[i], out, BLOCKS + 1, ("upsample", Upsample(out)) if i > 0 else None)
            for i, out in enumerate(widths)
        )
        self.norm_out, self.conv_out = _norm(width), _conv(width, 3)

    def forward(self, latents: Tensor) -> Tensor:
        h = self.mid(self.conv_in(latents))
        for stage in reversed(self.up):
            h = stage(h)
        return self.conv_out(F.silu(self.norm_out(h)))


class Autoencoder(nn.Module):
    """Frozen in all training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(width), Decoder(width)

    def encode(self, pixels: Tensor) -> Tensor:
        """Latents [B, 16, H/8, W/8], shifted and scaled to about unit variance."""
        mean, _ = self.encoder(pixels).chunk(2, dim=1)
        return SCALE * (mean - SHIFT)

    def decode(self, latents: Tensor) -> Tensor:
        """Pixels [B, 3, H, W], approximately in [-1, 1]."""
        return self.decoder(latents / SCALE + SHIFT)
