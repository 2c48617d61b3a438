"""Copying: is a picture nearer to a training picture than any two training pictures are to each other?

Who asks for the beach and gets the beach has copied nothing, however near the picture comes to the reference at the beach.
Where scenes are known (toons), a picture is therefore compared with the references that share nothing with its prompt. Without
this, two of three faultless renders of unseen scenes pass for copies.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from unichar.domains.toon.vocabulary import SCENE
from unichar.judges.encoders import Encoder, perceptual_distances, perceptual_vectors
from unichar.types import Prompt


class Copying:
    """Finds pictures that repeat a reference; `references` [R, 3, H, W], at least two, `scenes` what they show if it is known."""

    def __init__(self, eye: Encoder, references: Tensor, *, scenes: Sequence[dict[str, str]] = ()) -> None:
        self._eye = eye
        self._scenes = scenes
        self._references = perceptual_vectors(eye, references)
        among = perceptual_distances(self._references, self._references)
        among.fill_diagonal_(float("inf"))
        self._closest_pair = float(among.min())

    def _nearest(self, pixels: Tensor, prompts: Sequence[Prompt]) -> Tensor:
        """[B] distance to the nearest reference that counts, infinite where none does."""
        distances = perceptual_distances(perceptual_vectors(self._eye, pixels), self._references)
        if self._scenes and prompts:
            asked = torch.tensor(
                [[_share(prompt.attributes, scene) for scene in self._scenes] for prompt in prompts]
            )
            distances = distances.masked_fill(asked, float("inf"))
        return distances.min(dim=1).values

    def score(self, pixels: Tensor, prompts: Sequence[Prompt] = ()) -> Tensor:
        """[B] of 0 (its own picture) and 1 (a copy); `prompts` one a picture, none to compare with every reference."""
        return (self._nearest(pixels, prompts) < self._closest_pair).to(torch.float32)

    def excess(self, pixels: Tensor, prompts: Sequence[Prompt] = ()) -> Tensor:
        """[B] how far below the distance of the closest pair a picture lies, as a share of it: 0 own picture, 1 same picture."""
        return (1 - self._nearest(pixels, prompts) / max(self._closest_pair, 1e-6)).clamp(min=0)


def _share(wanted: dict[str, str], shown: dict[str, str]) -> bool:
    return any(wanted.get(name) == shown.get(name, "") for name in SCENE)
