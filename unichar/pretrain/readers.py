"""Phases 2 and 3 of the base: the vision tower with its attribute heads, and the examiner.

Both learn to read rendered toons, sharp and spoiled: blurred, noisy, and passed through the VAE, so that they stay exact on
generated pictures. They get different seeds, hence different pictures, and are different networks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unichar.domains.toon.captions import visible
from unichar.domains.toon.vocabulary import ATTRIBUTES
from unichar.judges.attribute_classifier import AttributeClassifier
from unichar.model.nano.vae import Vae
from unichar.model.nano.vision import VisionTower
from unichar.model.pixels import to_pixels
from unichar.pretrain.world import Toon, sample_toon
from unichar.training.loop import run_loop
from unichar.training.schedule import set_factor, trapezoid
from unichar.training.seeds import python_rng, torch_rng
from unichar.training.state import TrainState


class Reader(Protocol):
    """Whatever tells attributes from pixels."""

    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        """Logits [B, values] of every attribute."""
        ...


@dataclass(frozen=True, kw_only=True)
class ReaderPhase:
    """Settings of a reader's training."""

    title: str
    """Names the phase in logs and seeds, as `vision` or `examiner`."""
    steps: int = 1500
    batch: int = 48
    size: int = 128
    lr: float = 1e-3
    seed: int = 0


def labels(toons: Iterable[Toon]) -> dict[str, Tensor]:
    """[B] class indices of every attribute; -100 (ignored) where it can not be seen."""
    seen = [visible(toon.identity, toon.scene) for toon in toons]
    return {
        name: torch.tensor([values.index(s[name]) if name in s else -100 for s in seen])
        for name, values in ATTRIBUTES.items()
    }


def spoil(pixels: Tensor, vae: Vae, generator: torch.Generator) -> Tensor:
    """A quarter of the batch through the VAE with noisy latents, a quarter blurred, a quarter noisy, a quarter as drawn."""
    quarter = len(pixels) // 4
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        latents = vae.encode(pixels[:quarter])
        strength = 0.3 * torch.rand(quarter, 1, 1, 1, generator=generator)
        decoded = vae.decode(latents + strength * torch.randn(latents.shape, generator=generator))
    side = pixels.shape[-1]
    blurred = F.interpolate(
        F.interpolate(pixels[quarter : 2 * quarter], size=side // 2, mode="area"), size=side, mode="bilinear"
    )
    rest = pixels[2 * quarter : 3 * quarter]
    noisy = rest + 0.25 * torch.rand(len(rest), 1, 1, 1, generator=generator) * torch.randn(
        rest.shape, generator=generator
    )
    return torch.cat([decoded, blurred, noisy.clamp(-1, 1), pixels[3 * quarter :]])


def run(
    reader: VisionTower | AttributeClassifier, vae: Vae, config: ReaderPhase, folder: Path, *, key: str
) -> None:
    """Train (or go on training) `reader` in place."""
    reader.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(reader.parameters(), lr=config.lr, betas=(0.9, 0.99), weight_decay=0.05)
    reader.train()

    def step(index: int) -> dict[str, float]:
        set_factor(optimizer, trapezoid(index, config.steps, decay=0.5))
        rng = python_rng(config.seed, config.title, index)
        toons = [sample_toon(rng, config.size) for _ in range(config.batch)]
        pixels = spoil(
            to_pixels([toon.image for toon in toons]),
            vae,
            torch_rng(config.seed, config.title, "spoil", index),
        )
        with torch.autocast("cpu", torch.bfloat16):
            logits = reader.read(pixels.contiguous(memory_format=torch.channels_last))
        truth = labels(toons)
        loss = torch.stack([_loss(logits[name], truth[name]) for name in truth]).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()
        hits = torch.cat([(logits[name].argmax(1) == truth[name])[truth[name] >= 0] for name in truth])
        return {"loss": loss.item(), "accuracy": hits.float().mean().item()}

    state = TrainState(folder / "state.safetensors", {"reader": reader}, {"adamw": optimizer}, key=key)
    run_loop(config.title, step, total=config.steps, state=state)
    reader.eval()


def _loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean cross-entropy over the pictures that show the attribute; 0 where none does (a batch without a human has no skin)."""
    seen = (truth >= 0).sum().clamp(min=1)
    return F.cross_entropy(logits, truth, label_smoothing=0.02, reduction="sum") / seen


@torch.no_grad()
def measure(reader: Reader, *, count: int, seed: int, size: int = 128) -> dict[str, float]:
    """Accuracy of every attribute on `count` fresh, sharp toons."""
    rng = python_rng(seed, "measure")
    toons = [sample_toon(rng, size) for _ in range(count)]
    truth = labels(toons)
    chunks = [reader.read(to_pixels([toon.image for toon in toons[i : i + 64]])) for i in range(0, count, 64)]
    logits = {name: torch.cat([chunk[name] for chunk in chunks]) for name in truth}
    return {
        name: (logits[name].argmax(1) == truth[name])[truth[name] >= 0].float().mean().item()
        for name in truth
    }
