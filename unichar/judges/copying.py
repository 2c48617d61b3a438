"""Copying: is a picture nearer to a training picture than any two training pictures are to each other?

A prompt that asks for the beach may be answered by a beach as near to the reference at the beach as it gets;
that copies nothing. Where scenes are known, a picture is therefore compared only with the references that
share no scene attribute with its prompt. Without this rule, two of three faultless renders of unseen scenes
would count as copies.

Letters: B pictures, R references, H/W pixels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from unichar.domains.toon.vocabulary import SCENE
from unichar.judges.encoders import Encoder, perceptual_distances, perceptual_vectors
from unichar.types import Prompt


class Copying:
    """Finds pictures that repeat a reference.

    Args:
        encoder: Gives the features that are compared.
        references: [R, 3, H, W], at least two.
        scenes: Attributes of each reference; without attributes all references are compared.
    """

    def __init__(
        self, encoder: Encoder, references: Tensor, *, scenes: Sequence[dict[str, str]] = ()
    ) -> None:
        self._encoder = encoder
        self._scenes = scenes

        # [R, D], computed once for all scores.
        self._references = perceptual_vectors(encoder, references)

        # Nobody but the kit says how near two different pictures of a character may be.
        among = perceptual_distances(self._references, self._references)  # [R, R]
        among.fill_diagonal_(float("inf"))
        self._closest_pair = float(among.min())

    def _nearest(self, pixels: Tensor, prompts: Sequence[Prompt]) -> Tensor:
        """[B] distance to the nearest reference that is compared, infinite where none is."""
        vectors = perceptual_vectors(self._encoder, pixels)
        distances = perceptual_distances(vectors, self._references)  # [B, R]

        # A distance that does not count becomes infinite.
        if self._scenes and prompts:
            shared = [[_share(prompt.attributes, scene) for scene in self._scenes] for prompt in prompts]
            distances = distances.masked_fill(torch.tensor(shared), float("inf"))
        return distances.min(dim=1).values

    def score(self, pixels: Tensor, prompts: Sequence[Prompt] = ()) -> Tensor:
        """[B] of 0 (its own picture) and 1 (a copy).

        Args:
            pixels: [B, 3, H, W] in [-1, 1].
            prompts: One per picture; none compares with every reference.
        """
        # Nearer than any two pictures of the character are to each other.
        return (self._nearest(pixels, prompts) < self._closest_pair).to(torch.float32)

    def excess(self, pixels: Tensor, prompts: Sequence[Prompt] = ()) -> Tensor:
        """[B] how far below the closest pair's distance a picture lies, as a fraction of it: 0 its own
        picture, 1 the same."""
        # The bound keeps kits with two equal pictures from dividing by 0.
        return (1 - self._nearest(pixels, prompts) / max(self._closest_pair, 1e-6)).clamp(min=0)


def _share(target: dict[str, str], shown: dict[str, str]) -> bool:
    """Whether the two have the same value of a scene attribute; one that only one of them names does not
    count."""
    return any(target.get(name) == shown.get(name, "") for name in SCENE)
