"""Phases 1 to 4 of the base: the VAE on rendered toons, a quarter of them augmented; then its decoder,
deeper, alone.

The later phases keep the encoder, so latents do not change and nothing trained on them is lost; they only
improve the reconstruction. The blocks they add are identities at first.
"""

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from unichar.model.nano.vae import Vae, sharp_loss, vae_loss
from unichar.model.pixels import to_pixels
from unichar.pretrain.toons import roughen, sample_toon
from unichar.training.loop import run_loop
from unichar.training.schedule import set_factor, trapezoid
from unichar.training.seeds import python_rng, torch_rng
from unichar.training.state import TrainState

FIRST_BLOCKS = (2, 2, 2)
"""Residual blocks of the first phase's decoder."""


@dataclass(frozen=True, kw_only=True)
class VaePhase:
    """Settings of the VAE phase."""

    steps: int = 2400
    """Optimizer steps."""
    batch: int = 16
    """Pictures per step."""
    size: int = 128
    """Side of the pictures in pixels."""
    lr: float = 1.5e-3
    """Peak learning rate of AdamW."""
    ema: float = 0.995
    """Decay of the EMA of the weights, which is the result."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class DecoderPhase:
    """Settings of a phase that trains the decoder alone."""

    title: str = "decoder"
    """Names the phase in logs and folders."""
    steps: int = 3000
    """Optimizer steps."""
    batch: int = 16
    """Pictures per step."""
    size: int = 128
    """Side of the pictures in pixels."""
    lr: float = 1.2e-3
    """Peak learning rate of AdamW."""
    wobble: float = 0.02
    """Noise on the latents it trains on, so that generated latents, which are never exact, decode as cleanly.
    """
    ema: float = 0.998
    """Decay of the EMA of the weights, which is the result."""
    seed: int = 7


def ema_update(average: nn.Module, model: nn.Module, decay: float) -> None:
    """EMA update of the weights: p <- decay p + (1 - decay) q."""
    with torch.no_grad():
        for p, q in zip(average.parameters(), model.parameters(), strict=True):
            p.lerp_(q, 1 - decay)


def batch_pixels(config: VaePhase | DecoderPhase, step: int) -> torch.Tensor:
    """The pictures of one step, [B, 3, H, W], a quarter of them augmented."""
    rng = python_rng(config.seed, "vae", step)
    toons = [sample_toon(rng, config.size) for _ in range(config.batch)]
    pixels = to_pixels([toon.image for toon in toons])
    augmented = roughen(pixels, rng, torch_rng(config.seed, "vae-noise", step))
    return augmented.contiguous(memory_format=torch.channels_last)


def run(config: VaePhase, folder: Path, *, key: str) -> Vae:
    """Train, or resume, and return the EMA of the VAE with its latent shift and scale measured."""
    torch.manual_seed(config.seed)
    vae = Vae(decoder_blocks=FIRST_BLOCKS)
    vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(vae)

    optimizer = torch.optim.AdamW(vae.parameters(), lr=config.lr, betas=(0.9, 0.95), weight_decay=0.01)

    def step(index: int) -> dict[str, float]:
        set_factor(optimizer, trapezoid(index, config.steps))
        pixels = batch_pixels(config, index)
        with torch.autocast("cpu", torch.bfloat16):
            mean, logvar = vae.posterior(pixels)
            noise = torch.randn(mean.shape, generator=torch_rng(config.seed, "posterior", index))
            decoded = vae.decode_raw(mean + noise * (0.5 * logvar).exp())

        loss, numbers = vae_loss(pixels, decoded, mean, logvar)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()

        # The decay grows with the steps, so that early weights do not dominate a short run.
        ema_update(average, vae, min(config.ema, (1 + index) / (10 + index)))
        return {"loss": loss.item(), **numbers}

    state = TrainState(
        folder / "state.safetensors", {"vae": vae, "average": average}, {"adamw": optimizer}, key=key
    )
    run_loop("vae", step, total=config.steps, state=state)
    measure_scale(average, config)
    return average


def train_decoder(first: Vae, config: DecoderPhase, folder: Path, *, key: str) -> Vae:
    """Train, or resume, a deeper decoder for the encoder of `first`; returns the EMA of the VAE."""
    torch.manual_seed(config.seed)
    vae = Vae()
    vae.load_state_dict(first.state_dict(), strict=False)  # blocks that `first` lacks start as identities
    vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    vae.encoder.requires_grad_(False)
    average = copy.deepcopy(vae)

    optimizer = torch.optim.AdamW(vae.decoder.parameters(), lr=config.lr, betas=(0.9, 0.95), weight_decay=0.0)

    def step(index: int) -> dict[str, float]:
        set_factor(optimizer, trapezoid(index, config.steps, warmup=0.02, decay=0.6))
        pixels = batch_pixels(config, index)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            latents, _ = vae.posterior(pixels)
        wobble = torch.randn(latents.shape, generator=torch_rng(config.seed, "wobble", index))
        with torch.autocast("cpu", torch.bfloat16):
            decoded = vae.decode_raw(latents + config.wobble * wobble)

        loss, numbers = sharp_loss(pixels, decoded)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(vae.decoder.parameters(), 1.0)
        optimizer.step()

        ema_update(average, vae, min(config.ema, (1 + index) / (10 + index)))
        return {"loss": loss.item(), **numbers}

    state = TrainState(
        folder / "state.safetensors", {"vae": vae, "average": average}, {"adamw": optimizer}, key=key
    )
    run_loop(config.title, step, total=config.steps, state=state)
    return average


@torch.no_grad()
def measure_scale(vae: Vae, config: VaePhase) -> None:
    """Set `shift` and `scale` so that latents of toons have zero mean and unit variance per channel."""
    # Negative steps: pictures that no training step uses.
    means = [vae.posterior(batch_pixels(config, -1 - i))[0] for i in range(8)]
    latents = torch.cat(means)
    vae.shift.copy_(latents.mean(dim=(0, 2, 3)))
    vae.scale.copy_(1 / latents.std(dim=(0, 2, 3)))
