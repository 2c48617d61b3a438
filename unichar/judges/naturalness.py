"""Naturalness: could the model itself take this for a picture? In 0..1, where 1 is as natural as the kit's own pictures.

A little noise goes on the latents and the generation expert, as it was before reinforcement, takes it off again without knowing
the prompt. What it leaves behind is small on pictures of its world and large on smears, patches and ghosts, which it would
not have drawn. Toons are shown to the base without adapters; photographs to the model as SFT left it, since the base has only
ever seen drawings.

Of 32 pictures each (see `docs/log.md`), the base's error tells smears, blurred patches, ghosts and noise from renders with an
area under the curve of 0.97 or more; patch and Mahalanobis distances in EfficientNet features reach 0.8 to 0.99 and mistake the
SFT model's good pictures for bad ones. No network of the other judges is used.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from unichar.model.flow import add_noise
from unichar.training.seeds import torch_rng

TIME = 0.2
WORST = 0.1
"""Share of a picture's spots that is looked at, the worst ones: a smear is small."""


class Naturalness:
    """Scores latents [B, C, h, w]; `velocity(x_t, t)` is the denoiser's, `real` [R, C, h, w] the latents of real pictures."""

    def __init__(self, velocity: Callable[[Tensor, Tensor], Tensor], real: Tensor) -> None:
        self._velocity = velocity
        self._usual = float(self._errors(real).median())

    @torch.no_grad()
    def _errors(self, latents: Tensor) -> Tensor:
        """[B] mean squared error over the worst spots, always from the same noise."""
        noise = torch.randn(latents.shape[1:], generator=torch_rng(0, "naturalness")).expand_as(latents)
        t = torch.full((len(latents),), TIME)
        spots = (
            (self._velocity(add_noise(latents, noise, t), t) - (noise - latents))
            .square()
            .mean(dim=1)
            .flatten(1)
        )
        return spots.topk(max(1, round(WORST * spots.shape[1])), dim=1).values.mean(dim=1)

    def score(self, latents: Tensor) -> Tensor:
        """[B] the usual error of real pictures over a picture's own, at most 1."""
        return (self._usual / self._errors(latents).clamp(min=1e-9)).clamp(max=1)
