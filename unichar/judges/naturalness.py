"""Naturalness: would the model itself take this for a picture? In 0..1, where 1 is as natural as the kit's
own pictures.

A little noise is added to the latents, and the generation expert as it was before reinforcement removes it
without knowing the prompt. The remaining error is small on pictures of its world and large on smears, patches
and ghosts, which it would not have drawn. The domain says whose expert it is: the base's, or the one that SFT
made where the base has never seen such pictures.

Measured on 32 pictures of each kind (see `docs/log.md`): the base's error separates smears, blurred patches,
ghosts and noise from renders with an area under the curve of at least 0.97. Patch and Mahalanobis distances
in EfficientNet features reach 0.8 to 0.99 and mistake good pictures of the SFT model for bad ones. No network
of the other judges is used.

Letters: B pictures, R real pictures, C/h/w latent shape.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from unichar.model.flow import add_noise
from unichar.training.seeds import torch_rng

TIME = 0.2
"""Time of the noised latents in the flow, 0 for the picture and 1 for noise."""
WORST = 0.1
"""Fraction of a picture's positions that count, the worst ones: a smear is small."""


class Naturalness:
    """Scores latents [B, C, h, w].

    Args:
        velocity: The denoiser, `velocity(x_t, t)` -> [B, C, h, w].
        real: [R, C, h, w], latents of real pictures of the character.
    """

    def __init__(self, velocity: Callable[[Tensor, Tensor], Tensor], real: Tensor) -> None:
        self._velocity = velocity

        # Median, because one odd picture of the kit must not set the scale.
        self._usual = float(self._errors(real).median())

    @torch.no_grad()
    def _errors(self, latents: Tensor) -> Tensor:
        """[B] mean squared velocity error over the worst positions, always with the same noise."""
        # The same noise for every picture: differences come from the pictures alone.
        noise = torch.randn(latents.shape[1:], generator=torch_rng(0, "naturalness")).expand_as(latents)
        t = torch.full((len(latents),), TIME)

        # The true velocity of a rectified flow is noise minus data.
        velocity = self._velocity(add_noise(latents, noise, t), t)
        errors = (velocity - (noise - latents)).square().mean(dim=1).flatten(1)  # [B, h * w]

        # [B, count]: the worst positions, at least one.
        count = max(1, round(WORST * errors.shape[1]))
        return errors.topk(count, dim=1).values.mean(dim=1)

    def score(self, latents: Tensor) -> Tensor:
        """[B] the usual error of real pictures divided by a picture's own, at most 1."""
        # At most 1: to be denoised better than real pictures is no merit.
        return (self._usual / self._errors(latents).clamp(min=1e-9)).clamp(max=1)
