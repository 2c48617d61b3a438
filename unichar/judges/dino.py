"""DINOv2 as an encoder: it can replace `PhotoEncoder` for identity, copying and diversity. It reads no
attributes.

Identity compares the last of its maps, the class token, as the paper's reward does. The other two maps, for
perceptual distances, are the patch tokens of the middle and of the last layer.

Letters: B pictures, T tokens, D features, h/w patches.
"""

import torch
from torch import Tensor
from transformers import Dinov2Model

from unichar.judges.published import load_published, preprocess


class DinoEncoder:
    """A published DINOv2; `name` is a folder or hub name.

    Raises:
        MissingJudge: It cannot be loaded.
    """

    def __init__(self, name: str) -> None:
        self._net, self._processor = load_published(Dinov2Model, name, model_type="dinov2")

    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        """No attributes."""
        return {}

    @torch.no_grad()
    def maps(self, pixels: Tensor) -> list[Tensor]:
        """[B, D, h, w] of the middle and of the last layer, [B, D, 1, 1] of the class token; on the CPU."""
        # One forward pass gives all layers; the state before the first block counts as layer 0.
        fitted = preprocess(self._processor, pixels)
        states = self._net(fitted, output_hidden_states=True).hidden_states
        middle = self._tokens(states[len(states) // 2])
        last = self._tokens(states[-1])

        # The class token is a map of one position, so that it is compared like any other map.
        side = fitted.shape[-1] // self._net.config.patch_size
        patches = [tokens[:, :, 1:].unflatten(2, (side, side)) for tokens in (middle, last)]  # [B, D, h, w]
        return [*patches, last[:, :, :1, None]]

    def _tokens(self, state: Tensor) -> Tensor:
        """[B, D, T] of a hidden state [B, T, D]; the class token comes first."""
        # The final norm also for the middle layer, so that both maps are on one scale.
        return self._net.layernorm(state).transpose(1, 2).cpu()
