"""The nano VAE: 128 px pictures <-> latents of 1/8 the resolution with 8 or 16 channels.

Shape letters: B batch, H/W pixels, h/w = H/8, W/8 latent cells, C latent channels. Both ends fold 2 x 2
pixels into channels first, so that no convolution runs at full resolution: most of the quality of a wide VAE
at a fraction of its cost on a CPU. `encode` returns latents shifted and scaled to about zero mean and unit
variance per channel, as BAGEL's autoencoder does with its `shift_factor` and `scale_factor`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DOWNSAMPLE = 8


class ResBlock(nn.Module):
    """Two 3 x 3 convolutions with a skip connection; at initialization the input plus a constant."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.conv1(F.silu(self.norm(x)))))


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*[ResBlock(width) for _ in range(count)])


class Vae(nn.Module):
    """Encoder and decoder; pixels are in [-1, 1]."""

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        widths: tuple[int, int, int] = (48, 96, 160),
        decoder_blocks: tuple[int, int, int] = (2, 3, 4),
        channels: int = 8,
    ) -> None:
        super().__init__()
        a, b, c = widths
        at_half, at_quarter, at_eighth = decoder_blocks

        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, a, 3, padding=1),
            _blocks(a, 1),
            nn.Conv2d(a, b, 3, stride=2, padding=1),
            _blocks(b, 1),
            nn.Conv2d(b, c, 3, stride=2, padding=1),
            _blocks(c, 2),
            nn.GroupNorm(8, c),
            nn.SiLU(),
            nn.Conv2d(c, 2 * channels, 3, padding=1),
        )

        self.decoder = nn.Sequential(
            nn.Conv2d(channels, c, 3, padding=1),
            _blocks(c, at_eighth),
            nn.Conv2d(c, 4 * b, 3, padding=1),
            nn.PixelShuffle(2),
            _blocks(b, at_quarter),
            nn.Conv2d(b, 4 * a, 3, padding=1),
            nn.PixelShuffle(2),
            _blocks(a, at_half),
            nn.SiLU(),
            nn.Conv2d(a, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )

        # Measured after training, see `unichar.pretrain.vae.measure_scale`.
        self.register_buffer("shift", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))

    def posterior(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance, each [B, C, h, w], of raw (unscaled) latents of pixels [B, 3, H, W]."""
        mean, logvar = self.encoder(pixels).float().chunk(2, dim=1)
        return mean, logvar.clamp(-12, 4)

    def encode(self, pixels: Tensor) -> Tensor:
        """Latents [B, C, h, w] of pixels [B, 3, H, W]: the posterior mean, so latents are deterministic."""
        mean, _ = self.posterior(pixels)
        return (mean - self.shift[:, None, None]) * self.scale[:, None, None]

    def decode(self, latents: Tensor) -> Tensor:
        """Pixels [B, 3, H, W], clamped to [-1, 1], of latents [B, C, h, w]."""
        raw = latents / self.scale[:, None, None] + self.shift[:, None, None]
        return self.decode_raw(raw).clamp(-1, 1)

    def decode_raw(self, raw: Tensor) -> Tensor:
        """`decode` of unscaled latents and without the clamp, for training."""
        return self.decoder(raw).float()


def vae_loss(
    pixels: Tensor, decoded: Tensor, mean: Tensor, logvar: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """`sharp_loss` + a small KL to the unit Gaussian.

    The KL (1e-3 of its mean over latent cells) keeps the latents smooth enough for a flow model to learn.

    Args:
        pixels, decoded: [B, 3, H, W] in [-1, 1].
        mean, logvar: [B, C, h, w].

    Returns:
        Scalar loss, and `{"mse": mean squared error}` for the PSNR curve.
    """
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()

    loss, numbers = sharp_loss(pixels, decoded)
    return loss + 1e-3 * kl, numbers


def sharp_loss(pixels: Tensor, decoded: Tensor) -> tuple[Tensor, dict[str, float]]:
    """10 x L2 + half the L1 and edge losses: dominated by what PSNR measures.

    The edge loss compares horizontal and vertical differences, which keeps ink lines sharp.

    Arguments and result as in `vae_loss`.
    """
    error = decoded - pixels
    mse = error.square().mean()
    loss = 10 * mse + 0.5 * (error.abs().mean() + _edges(error))
    return loss, {"mse": mse.item()}


def _edges(error: Tensor) -> Tensor:
    """Mean absolute error of the vertical and horizontal differences between neighbouring pixels."""
    vertical = error[..., 1:, :] - error[..., :-1, :]
    horizontal = error[..., 1:] - error[..., :-1]
    return vertical.abs().mean() + horizontal.abs().mean()
