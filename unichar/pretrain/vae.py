"""Phases 1 and 2 of the base: the VAE on toons, drawn worlds, clip art and photographs; then its decoder.

The second phase keeps the encoder, so latents do not change and nothing trained on them is lost; it only
improves the reconstruction. A VAE may start from another one with fewer latent channels: what both have is
copied, and the new channels begin as noise that the decoder hardly hears.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from unichar.model.nano.vae import Vae, sharp_loss, vae_loss
from unichar.pretrain.prefetch import Prefetched, workers_for
from unichar.pretrain.worlds.batches import Mix
from unichar.training.loop import run_loop
from unichar.training.schedule import set_factor, trapezoid
from unichar.training.seeds import python_rng, torch_rng
from unichar.training.state import TrainState

Pictures = Callable[..., Tensor]
"""(random.Random, torch.Generator) -> pixels [B, 3, H, W] in [-1, 1]."""
HeldOut = Mapping[str, Tensor]
"""Name -> pixels [B, 3, H, W] that nothing is trained on."""


@dataclass(frozen=True, kw_only=True)
class VaePhase:
    """Settings of the VAE phase."""

    steps: int = 12_000
    """Optimizer steps."""
    mix: Mix = field(default_factory=Mix)
    """The pictures of a step."""
    lr: float = 1e-3
    """Peak learning rate of AdamW."""
    ema: float = 0.999
    """Decay of the EMA of the weights, which is the result."""
    measure_every: int = 500
    """Steps between two measurements on held-out pictures."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class DecoderPhase:
    """Settings of a phase that trains the decoder alone."""

    title: str = "decoder"
    """Names the phase in logs and folders."""
    steps: int = 12_000
    """Optimizer steps."""
    mix: Mix = field(default_factory=Mix)
    """The pictures of a step."""
    lr: float = 8e-4
    """Peak learning rate of AdamW."""
    wobble: float = 0.02
    """Noise on the latents it trains on, so that generated latents, which are never exact, decode as cleanly.
    """
    ema: float = 0.999
    """Decay of the EMA of the weights, which is the result."""
    measure_every: int = 500
    """Steps between two measurements on held-out pictures."""
    seed: int = 7


def ema_update(average: nn.Module, model: nn.Module, decay: float) -> None:
    """EMA update of the weights: p <- decay p + (1 - decay) q."""
    with torch.no_grad():
        for p, q in zip(average.parameters(), model.parameters(), strict=True):
            p.lerp_(q, 1 - decay)


def batch_pixels(pictures: Pictures, seed: int, step: int) -> Tensor:
    """The pictures of one step, [B, 3, H, W]."""
    pixels = pictures(python_rng(seed, "vae", step), torch_rng(seed, "vae-noise", step))
    return pixels.contiguous(memory_format=torch.channels_last)


def _prefetched(
    pictures: Pictures, config: VaePhase | DecoderPhase, device: torch.device
) -> Prefetched[np.ndarray]:
    """`batch_pixels` of every step, as arrays."""

    def make(step: int) -> np.ndarray:
        return batch_pixels(pictures, config.seed, step).numpy()

    return Prefetched(make, total=config.steps, workers=workers_for(device))


def _placed(batch: np.ndarray, device: torch.device) -> Tensor:
    """A batch of `_prefetched` on the device that trains."""
    return torch.from_numpy(batch).to(device).contiguous(memory_format=torch.channels_last)


def run(
    vae: Vae,
    pictures: Pictures,
    config: VaePhase,
    folder: Path,
    *,
    key: str,
    held_out: HeldOut | None = None,
) -> Vae:
    """Train `vae`, or resume, and return the EMA of it with its latent shift and scale measured."""
    device = vae.shift.device
    vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(vae)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=config.lr, betas=(0.9, 0.95), weight_decay=0.01)

    def step(index: int) -> dict[str, float]:
        set_factor(optimizer, trapezoid(index, config.steps))
        pixels = _placed(batches(index), device)
        with torch.autocast(device.type, torch.bfloat16):
            mean, logvar = vae.posterior(pixels)
            noise = torch.randn(mean.shape, generator=torch_rng(config.seed, "posterior", index)).to(device)
            decoded = vae.decode_raw(mean + noise * (0.5 * logvar).exp())

        loss, numbers = vae_loss(pixels, decoded, mean, logvar)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()

        # The decay grows with the steps, so that early weights do not dominate a short run.
        ema_update(average, vae, min(config.ema, (1 + index) / (10 + index)))
        return {"loss": loss.item(), **numbers, **_measured(average, held_out, index, config.measure_every)}

    state = TrainState(
        folder / "state.safetensors", {"vae": vae, "average": average}, {"adamw": optimizer}, key=key
    )
    with _prefetched(pictures, config, device) as batches:
        run_loop("vae", step, total=config.steps, state=state, save_seconds=180)
    measure_scale(average, pictures, config.seed)
    return average


def train_decoder(
    first: Vae,
    pictures: Pictures,
    config: DecoderPhase,
    folder: Path,
    *,
    key: str,
    held_out: HeldOut | None = None,
) -> Vae:
    """Train, or resume, a copy of `first` with its encoder frozen; returns the EMA of it."""
    vae, device = copy.deepcopy(first), first.shift.device
    vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    vae.requires_grad_(True)
    vae.encoder.requires_grad_(False)
    average = copy.deepcopy(vae)
    optimizer = torch.optim.AdamW(vae.decoder.parameters(), lr=config.lr, betas=(0.9, 0.95), weight_decay=0.0)

    def step(index: int) -> dict[str, float]:
        set_factor(optimizer, trapezoid(index, config.steps, warmup=0.02, decay=0.6))
        pixels = _placed(batches(index), device)
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            latents, _ = vae.posterior(pixels)
        wobble = torch.randn(latents.shape, generator=torch_rng(config.seed, "wobble", index)).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            decoded = vae.decode_raw(latents + config.wobble * wobble)

        loss, numbers = sharp_loss(pixels, decoded)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(vae.decoder.parameters(), 1.0)
        optimizer.step()

        ema_update(average, vae, min(config.ema, (1 + index) / (10 + index)))
        return {"loss": loss.item(), **numbers, **_measured(average, held_out, index, config.measure_every)}

    state = TrainState(
        folder / "state.safetensors", {"vae": vae, "average": average}, {"adamw": optimizer}, key=key
    )
    with _prefetched(pictures, config, device) as batches:
        run_loop(config.title, step, total=config.steps, state=state, save_seconds=180)
    return average


@torch.no_grad()
def measure_scale(vae: Vae, pictures: Pictures, seed: int) -> None:
    """Set `shift` and `scale` so that latents have zero mean and unit variance per channel."""
    # Negative steps: pictures that no training step uses.
    device = vae.shift.device
    means = [vae.posterior(batch_pixels(pictures, seed, -1 - i).to(device))[0] for i in range(16)]
    latents = torch.cat(means)
    vae.shift.copy_(latents.mean(dim=(0, 2, 3)))
    vae.scale.copy_(1 / latents.std(dim=(0, 2, 3)))


@torch.no_grad()
def widen(vae: Vae, first: Vae) -> None:
    """Copy `first` into `vae`, which may have more latent channels or blocks; nothing else may differ."""
    own, channels = vae.state_dict(), len(first.shift)
    for name, tensor in first.state_dict().items():
        if own[name].shape == tensor.shape:
            own[name].copy_(tensor)

    # The encoder's last layer gives means, then log-variances; both keep the channels that were there.
    more = len(vae.shift)
    for kind in ("weight", "bias"):
        last, old = own[f"encoder.9.{kind}"], first.state_dict()[f"encoder.9.{kind}"]
        last[:channels], last[more : more + channels] = old[:channels], old[channels:]
    own["decoder.0.weight"][:, :channels] = first.state_dict()["decoder.0.weight"]
    own["decoder.0.weight"][:, channels:] *= 0.3


@torch.no_grad()
def psnr_by_group(vae: Vae, held_out: HeldOut) -> dict[str, float]:
    """Name -> mean PSNR of reconstructions of the pictures under that name, in dB."""
    numbers, device = {}, vae.shift.device
    for name, pixels in held_out.items():
        found = []
        for part in pixels.split(16):
            part = part.to(device).contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16):
                decoded = vae.decode_raw(vae.posterior(part)[0]).clamp(-1, 1)
            found.append(psnr(part, decoded))
        numbers[name] = float(torch.cat(found).mean())
    return numbers


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """[B] peak signal-to-noise ratio of pictures [B, 3, H, W] in [-1, 1], in dB."""
    return 10 * torch.log10(4 / (a - b).square().mean(dim=(1, 2, 3)))


def _measured(vae: Vae, held_out: HeldOut | None, index: int, every: int) -> dict[str, float]:
    """PSNR of every group after each `every` steps, for the curve; nothing in between."""
    if held_out is None or (index + 1) % every:
        return {}
    return {f"psnr_{name}": value for name, value in psnr_by_group(vae, held_out).items()}
