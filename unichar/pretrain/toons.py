"""Random rendered toons, new ones for every step: no picture is used twice."""

import random
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from unichar.domains.toon.draw import draw
from unichar.domains.toon.vocabulary import Identity, Scene, random_identity, random_scene


@dataclass(frozen=True, kw_only=True)
class Toon:
    """A rendered toon with the identity and the scene it shows."""

    identity: Identity
    scene: Scene
    image: Image.Image


def sample_toon(rng: random.Random, size: int) -> Toon:
    """A random toon whose identity is not reserved for characters."""
    identity, scene = random_identity(rng), random_scene(rng)
    return Toon(
        identity=identity, scene=scene, image=draw(identity, scene, size=size, seed=rng.randrange(2**31))
    )


def roughen(pixels: Tensor, rng: random.Random, generator: torch.Generator) -> Tensor:
    """Augment the first quarter of a batch [B, 3, H, W] so that the VAE also learns soft and textured
    pictures.

    Mixes two toons, zooms in, permutes colour channels and adds smooth noise: a cheap substitute for
    photographs.
    """
    count = len(pixels) // 4
    if count == 0:
        return pixels
    side = pixels.shape[-1]

    # A random crop of an enlarged toon.
    zoom = rng.uniform(1.0, 3.0)
    part = F.interpolate(pixels[:count], scale_factor=zoom, mode="bilinear")
    top, left = rng.randrange(part.shape[-2] - side + 1), rng.randrange(part.shape[-1] - side + 1)
    part = part[..., top : top + side, left : left + side]

    # Mixed with a mirrored one, and noise at three scales.
    part = part * 0.6 + pixels[count : 2 * count].flip(-1) * rng.uniform(0, 0.4)
    for cells in (4, 16, 64):
        noise = torch.randn(count, 3, cells, cells, generator=generator)
        part = part + rng.uniform(0, 0.25) * F.interpolate(noise, size=side, mode="bicubic")

    part = part[:, rng.sample(range(3), 3)]
    return torch.cat([part.clamp(-1, 1), pixels[count:]])
