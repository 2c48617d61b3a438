"""Likeness: is the one in the picture the character? In 0..1, where 1 is as alike as the references are to each other.

Toons are compared by who they are, whatever they do: the mean overlap (Bhattacharyya) between the eye's probabilities for
species, colour, eyes, outfit, pattern and accessory, and those of the references. Photographs are compared by the cosine
of the eye's coarsest features, calibrated on the kit: 0 is the mean cosine between references and strangers, 1 that among
the references themselves.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unichar.judges.encoders import Encoder


class AttributeIdentity:
    """Scores pictures [B, 3, H, W] by the attributes `names`; `references` [R, 3, H, W]."""

    def __init__(self, eye: Encoder, references: Tensor, *, names: Sequence[str]) -> None:
        self._eye = eye
        self._names = names
        each = self._probabilities(references)
        self._known = {name: p.mean(dim=0, keepdim=True) for name, p in each.items()}
        self._each = self._roots(each)

    def _probabilities(self, pixels: Tensor) -> dict[str, Tensor]:
        logits = self._eye.read(pixels)
        return {name: logits[name].softmax(dim=1) for name in self._names}

    def _roots(self, probabilities: dict[str, Tensor]) -> Tensor:
        """[B, values] such that the product of two rows is the mean overlap of two pictures."""
        return torch.cat([(probabilities[name] / len(self._names)).sqrt() for name in self._names], dim=1)

    def nearest(self, pixels: Tensor, *, others: bool = False) -> Tensor:
        """[B] likeness to the reference that is most alike; `others` where the pictures *are* the references, to leave out each
        one's likeness to itself."""
        return _most(self._roots(self._probabilities(pixels)) @ self._each.T, others=others).clamp(0, 1)

    def score(self, pixels: Tensor) -> Tensor:
        """[B] in 0..1."""
        seen = self._probabilities(pixels)
        overlaps = [(seen[name] * self._known[name]).sqrt().sum(dim=1) for name in self._names]
        return torch.stack(overlaps).mean(dim=0).clamp(0, 1)


class FeatureIdentity:
    """Scores pictures of a photographed character; `strangers` [S, 3, H, W] are pictures of anything else."""

    def __init__(self, eye: Encoder, references: Tensor, strangers: Tensor) -> None:
        self._eye = eye
        self._known = self._features(references)
        among = self._known @ self._known.T
        count = len(references)
        self._one = float((among.sum() - count) / (count * (count - 1)))
        self._zero = float((self._features(strangers) @ self._known.T).mean())

    def _features(self, pixels: Tensor) -> Tensor:
        return torch.cat(
            [F.normalize(self._eye.maps(chunk)[-1].mean(dim=(2, 3)), dim=1) for chunk in pixels.split(16)]
        )

    def _scaled(self, cosine: Tensor) -> Tensor:
        return (cosine - self._zero) / max(self._one - self._zero, 1e-3)

    def nearest(self, pixels: Tensor, *, others: bool = False) -> Tensor:
        """[B] likeness to the reference that is most alike, above 1 for one nearer to it than references are on average;
        `others` where the pictures *are* the references, to leave out each one's likeness to itself."""
        return _most(self._scaled(self._features(pixels) @ self._known.T), others=others).clamp(min=0)

    def score(self, pixels: Tensor) -> Tensor:
        """[B] in 0..1."""
        cosine = (self._features(pixels) @ self._known.T).mean(dim=1)
        return self._scaled(cosine).clamp(0, 1)


def _most(likeness_br: Tensor, *, others: bool) -> Tensor:
    """[B] the largest of every row, the diagonal left out for `others`."""
    if others:
        likeness_br = likeness_br.masked_fill(torch.eye(len(likeness_br), dtype=torch.bool), float("-inf"))
    return likeness_br.max(dim=1).values
