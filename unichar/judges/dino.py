"""DINOv2 as an eye: it can stand in for `PhotoEncoder` in likeness, copying and diversity.

Likeness compares the last of its maps, the class token, as the paper's reward does; the other two are patch tokens of the middle
and of the last layer, for perceptual distances. It reads no toon attributes.

Letters: B pictures, D features, h/w patches.
"""

import torch
from torch import Tensor
from transformers import Dinov2Model

from unichar.judges.published import fit, load_published


class DinoEncoder:
    """A published DINOv2; `name` is a folder or hub name.

    Raises:
        NoJudge: It can not be loaded.
    """

    def __init__(self, name: str) -> None:
        self._net, self._fitting = load_published(Dinov2Model, name, model_type="dinov2")

    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        return {}

    @torch.no_grad()
    def maps(self, pixels: Tensor) -> list[Tensor]:
        """[B, D, h, w] of the middle and of the last layer, [B, D, 1, 1] of the class token; on the CPU."""
        fitted = fit(self._fitting, pixels)
        states = self._net(fitted, output_hidden_states=True).hidden_states
        side = fitted.shape[-1] // self._net.config.patch_size
        middle, last = (
            self._net.layernorm(state).transpose(1, 2).cpu()
            for state in (states[len(states) // 2], states[-1])
        )
        patches = [tokens[:, :, 1:].unflatten(2, (side, side)) for tokens in (middle, last)]
        return [*patches, last[:, :, :1, None]]
