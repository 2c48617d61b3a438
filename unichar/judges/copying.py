"""Copying: is a picture nearer to a training picture than any two training pictures are to each other?"""

import torch
from torch import Tensor

from unichar.judges.eyes import Eye, perceptual_distances, perceptual_vectors


class Copying:
    """Finds pictures that repeat a reference; `references` [R, 3, H, W], at least two."""

    def __init__(self, eye: Eye, references: Tensor) -> None:
        self._eye = eye
        self._references = perceptual_vectors(eye, references)
        among = perceptual_distances(self._references, self._references)
        among.fill_diagonal_(float("inf"))
        self._closest_pair = float(among.min())

    def score(self, pixels: Tensor) -> Tensor:
        """[B] of 0 (its own picture) and 1 (a copy)."""
        distances = perceptual_distances(perceptual_vectors(self._eye, pixels), self._references)
        return (distances.min(dim=1).values < self._closest_pair).to(torch.float32)
