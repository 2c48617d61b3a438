"""Pictures for the VAE: toons drawn anew, and drawn worlds, clip art and photographs out of the cache."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unichar.model.pixels import to_pixels
from unichar.pretrain.toons import roughen, sample_toon
from unichar.pretrain.worlds.cache import PictureCache


@dataclass(frozen=True, kw_only=True)
class Mix:
    """What one batch is made of, in pictures."""

    toons: int = 4
    drawn: int = 8
    extras: int = 4
    """Clip art and photographs, half each."""
    drawn_shards: int = 16
    """Shards of the cache that are used; the count is part of what a run is made from."""
    extra_shards: int = 6


class MixedPictures:
    """Batches of a mix, each a function of its generators."""

    def __init__(self, folder: Path, mix: Mix, size: int) -> None:
        """Read the cache in `folder`; a part of the mix that is zero needs no cache.

        Raises:
            MissingFile: The cache has fewer shards than the mix asks for.
        """
        self.mix, self.size = mix, size
        self._drawn = PictureCache(folder, "drawn", mix.drawn_shards if mix.drawn else 0)
        self._extras = PictureCache(folder, "extras", mix.extra_shards if mix.extras else 0)

    def __call__(self, rng: random.Random, generator: torch.Generator) -> Tensor:
        """Pixels [B, 3, H, W] in [-1, 1]; an eighth of them is roughened."""
        arrays = [np.asarray(sample_toon(rng, self.size).image.convert("RGB")) for _ in range(self.mix.toons)]
        for cache, count in ((self._drawn, self.mix.drawn), (self._extras, self.mix.extras)):
            arrays += [cache.picture(rng.randrange(len(cache))) for _ in range(count)]
        rng.shuffle(arrays)

        pixels = pixels_of(np.stack(arrays))
        mirrored = torch.tensor([rng.random() < 0.5 for _ in arrays])
        pixels = torch.where(mirrored[:, None, None, None], pixels.flip(-1), pixels)

        # `roughen` changes a quarter of what it gets.
        half = len(pixels) // 2
        return torch.cat([roughen(pixels[:half], rng, generator), pixels[half:]])


class ToonPictures:
    """Batches of toons alone, which need no art; a quarter is roughened."""

    def __init__(self, count: int, size: int) -> None:
        self.count, self.size = count, size

    def __call__(self, rng: random.Random, generator: torch.Generator) -> Tensor:
        """Pixels [B, 3, H, W] in [-1, 1]."""
        pixels = to_pixels([sample_toon(rng, self.size).image for _ in range(self.count)])
        return roughen(pixels, rng, generator)


def pixels_of(pictures: np.ndarray) -> Tensor:
    """Pixels [B, 3, H, W] in [-1, 1] of uint8 [B, H, W, 3]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
