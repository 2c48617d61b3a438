"""Alignment: how much of the prompt is in the picture, in 0..1.

Toons: the share of the scene attributes that the prompt names (expression, pose, prop, background) that the eye finds.
Photographs, with no text-image network at hand: how the picture's distance to its *own* reference picture ranks among the
distances to the other reference pictures, 1 for nearest and 0 for farthest; a guess gives a half.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from unichar.domains.toon.vocabulary import SCENE
from unichar.judges.encoders import Encoder, perceptual_distances, perceptual_vectors


class AttributeAlignment:
    """Scores pictures of toons against the attributes their prompts name."""

    def __init__(self, eye: Encoder, *, soft: bool) -> None:
        self._eye = eye
        self._soft = soft
        """Probabilities (a reward wants a slope) instead of hits (a metric wants facts)."""

    def score(self, pixels: Tensor, wanted: Sequence[dict[str, str]]) -> Tensor:
        """[B] for pictures [B, 3, H, W] and one attribute record a picture."""
        logits = self._eye.read(pixels)
        found, named = torch.zeros(len(pixels)), torch.zeros(len(pixels))
        for name, values in SCENE.items():
            rows = torch.tensor(
                [row for row, attributes in enumerate(wanted) if name in attributes], dtype=torch.long
            )
            target = torch.tensor(
                [values.index(wanted[row][name]) for row in rows.tolist()], dtype=torch.long
            )
            if self._soft:
                found[rows] += logits[name][rows].softmax(dim=1).gather(1, target[:, None])[:, 0]
            else:
                found[rows] += (logits[name][rows].argmax(dim=1) == target).float()
            named[rows] += 1
        return found / named


class SceneRank:
    """Scores pictures of photographed scenes against the reference picture of their own scene."""

    def __init__(self, eye: Encoder, references: Tensor) -> None:
        self._eye = eye
        self._references = perceptual_vectors(eye, references)

    def score(self, pixels: Tensor, own: Sequence[int]) -> Tensor:
        """[B]; `own[b]` is the row of picture b's reference."""
        distances = perceptual_distances(perceptual_vectors(self._eye, pixels), self._references)
        mine = distances.gather(1, torch.tensor(list(own))[:, None])
        return (distances > mine).float().sum(dim=1) / (len(self._references) - 1)
