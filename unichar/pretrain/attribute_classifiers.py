"""Phases 5 and 6 of the base: the vision tower with its attribute heads, and the held-out attribute
classifier.

Both learn to classify the attributes of rendered toons, clean and corrupted: blurred, noisy, and
reconstructed by the VAE, so that they stay exact on generated pictures. They get different seeds, hence
different pictures, and are different networks, because one rewards and the other reports.

Shape letters: B pictures, H/W pixels.
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
from unichar.pretrain.prefetch import Prefetched, workers_for
from unichar.pretrain.toons import Toon, sample_toon
from unichar.training.loop import run_loop
from unichar.training.schedule import set_factor, trapezoid
from unichar.training.seeds import python_rng, torch_rng
from unichar.training.state import TrainState


class Classifier(Protocol):
    """A network that classifies attributes from pixels."""

    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        """Logits [B, values] of every attribute."""
        ...


@dataclass(frozen=True, kw_only=True)
class ClassifierPhase:
    """Settings of the training of an attribute classifier."""

    title: str
    """Names the phase in logs, folders and seeds: `vision`, or `examiner` for the held-out classifier."""
    steps: int = 1500
    """Optimizer steps."""
    batch: int = 48
    """Pictures per step."""
    size: int = 128
    """Side of the pictures in pixels."""
    lr: float = 1e-3
    """Peak learning rate of AdamW."""
    seed: int = 0


def labels(toons: Iterable[Toon]) -> dict[str, Tensor]:
    """[B] class indices of every attribute; -100 (ignored) where it is not visible."""
    seen = [visible(toon.identity, toon.scene) for toon in toons]
    found = {}
    for name, values in ATTRIBUTES.items():
        found[name] = torch.tensor([values.index(s[name]) if name in s else -100 for s in seen])
    return found


def corrupt(pixels: Tensor, vae: Vae, generator: torch.Generator) -> Tensor:
    """Corrupt a batch [B, 3, H, W] by quarters: VAE with noisy latents, blur, noise, and none.

    The pixels are on the VAE's device, the generator is on the CPU.
    """
    quarter, device = len(pixels) // 4, pixels.device
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
        latents = vae.encode(pixels[:quarter])
        strength = 0.3 * torch.rand(quarter, 1, 1, 1, generator=generator)
        noise = strength * torch.randn(latents.shape, generator=generator)
        decoded = vae.decode(latents + noise.to(device))

    side = pixels.shape[-1]
    small = F.interpolate(pixels[quarter : 2 * quarter], size=side // 2, mode="area")
    blurred = F.interpolate(small, size=side, mode="bilinear")

    clean = pixels[2 * quarter : 3 * quarter]
    strength = 0.25 * torch.rand(len(clean), 1, 1, 1, generator=generator)
    noisy = clean + (strength * torch.randn(clean.shape, generator=generator)).to(device)
    return torch.cat([decoded, blurred, noisy.clamp(-1, 1), pixels[3 * quarter :]])


def run(
    classifier: VisionTower | AttributeClassifier,
    vae: Vae,
    config: ClassifierPhase,
    folder: Path,
    *,
    key: str,
) -> None:
    """Train `classifier` in place on the VAE's device, resuming from `folder` if its state has this `key`."""
    device = vae.shift.device
    classifier.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=config.lr, betas=(0.9, 0.99), weight_decay=0.05)
    classifier.train()

    def render(index: int) -> list[Toon]:
        rng = python_rng(config.seed, config.title, index)
        return [sample_toon(rng, config.size) for _ in range(config.batch)]

    def step(index: int) -> dict[str, float]:
        set_factor(optimizer, trapezoid(index, config.steps, decay=0.5))
        toons = batches(index)
        generator = torch_rng(config.seed, config.title, "spoil", index)
        pixels = corrupt(to_pixels([toon.image for toon in toons], device), vae, generator)

        with torch.autocast(device.type, torch.bfloat16):
            logits = classifier.read(pixels.contiguous(memory_format=torch.channels_last))
        targets = {name: target.to(device) for name, target in labels(toons).items()}
        loss = torch.stack([_loss(logits[name], targets[name]) for name in targets]).mean()

        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(classifier.parameters(), 1.0)
        optimizer.step()

        hits = [_hits(logits[name], targets[name]) for name in targets]
        return {"loss": loss.item(), "accuracy": torch.cat(hits).float().mean().item()}

    # "reader" is the name in states saved before.
    state = TrainState(folder / "state.safetensors", {"reader": classifier}, {"adamw": optimizer}, key=key)
    with Prefetched(render, total=config.steps, workers=workers_for(device)) as batches:
        run_loop(config.title, step, total=config.steps, state=state)
    classifier.eval()


def _loss(logits: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy over the pictures that show the attribute; 0 where none does.

    A batch without a human, for example, shows no skin.
    """
    count = (target >= 0).sum().clamp(min=1)
    return F.cross_entropy(logits, target, label_smoothing=0.02, reduction="sum") / count


def _hits(logits: Tensor, target: Tensor) -> Tensor:
    """bool [pictures that show the attribute]: whether the likeliest value is right."""
    return (logits.argmax(1) == target)[target >= 0]


@torch.no_grad()
def measure(
    classifier: Classifier, *, count: int, seed: int, size: int = 128, device: torch.device | None = None
) -> dict[str, float]:
    """Accuracy of every attribute on `count` new, clean toons; `device` is the classifier's."""
    rng = python_rng(seed, "measure")
    toons = [sample_toon(rng, size) for _ in range(count)]
    targets = labels(toons)

    chunks = []
    for start in range(0, count, 64):
        pixels = to_pixels([toon.image for toon in toons[start : start + 64]], device)
        chunks.append({name: logits.cpu() for name, logits in classifier.read(pixels).items()})

    accuracy = {}
    for name, target in targets.items():
        logits = torch.cat([chunk[name] for chunk in chunks])
        accuracy[name] = _hits(logits, target).float().mean().item()
    return accuracy
