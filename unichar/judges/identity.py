"""Identity: is the one in the picture the character? In 0..1, where 1 is as alike as the references are to
each other.

By attributes: the mean overlap (Bhattacharyya coefficient) between the encoder's probabilities for species,
colour, eyes, outfit, pattern and accessory and those of the references, whatever the character does in the
picture.

By features: the cosine of the encoder's coarsest features, calibrated on the kit. 0 is the mean cosine
between references and negatives, 1 the mean cosine among the references.

Letters: B pictures, R references, S negatives, H/W pixels, D features.
"""

import random
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unichar.domains.toon.draw import draw
from unichar.domains.toon.vocabulary import random_identity, random_scene
from unichar.judges.encoders import Encoder
from unichar.model.pixels import to_pixels

_CHUNK = 16
"""Pictures per forward pass."""
_MIN_SCALE = 1e-3
"""Lower bound of the calibration's range, so that it is never divided by 0."""


class AttributeIdentity:
    """Scores pictures [B, 3, H, W] by attributes.

    Args:
        encoder: Reads attributes.
        references: [R, 3, H, W], pictures of the character.
        names: The attributes that make its identity.
    """

    def __init__(self, encoder: Encoder, references: Tensor, *, names: Sequence[str]) -> None:
        self._encoder = encoder
        self._names = names

        # `score` compares with the mean reference, `nearest` with each one.
        each = self._probabilities(references)
        self._mean = {name: p.mean(dim=0, keepdim=True) for name, p in each.items()}  # [1, values] each
        self._each = self._roots(each)

    def _probabilities(self, pixels: Tensor) -> dict[str, Tensor]:
        """[B, values] of each attribute."""
        # Probabilities instead of the likeliest value: a reward needs degrees.
        logits = self._encoder.read(pixels)
        return {name: logits[name].softmax(dim=1) for name in self._names}

    def _roots(self, probabilities: dict[str, Tensor]) -> Tensor:
        """[B, all values] such that the product of two rows is the mean overlap of two pictures."""
        # sqrt(p / n) * sqrt(q / n), summed over all values: the mean Bhattacharyya coefficient.
        count = len(self._names)
        return torch.cat([(probabilities[name] / count).sqrt() for name in self._names], dim=1)

    def nearest(self, pixels: Tensor, *, others: bool = False) -> Tensor:
        """[B] likeness to the most similar reference.

        Args:
            pixels: [B, 3, H, W] in [-1, 1].
            others: The pictures *are* the references; each one's likeness to itself is left out.
        """
        overlaps = self._roots(self._probabilities(pixels)) @ self._each.T  # [B, R]
        return _largest(overlaps, others=others).clamp(0, 1)

    def score(self, pixels: Tensor) -> Tensor:
        """[B] in 0..1."""
        # Overlap with the mean reference, attribute by attribute.
        seen = self._probabilities(pixels)
        overlaps = [(seen[name] * self._mean[name]).sqrt().sum(dim=1) for name in self._names]
        return torch.stack(overlaps).mean(dim=0).clamp(0, 1)


class FeatureIdentity:
    """Scores pictures [B, 3, H, W] by features.

    Args:
        encoder: Gives the features.
        references: [R, 3, H, W], pictures of the character, at least two.
        negatives: [S, 3, H, W], pictures of anybody else.
    """

    def __init__(self, encoder: Encoder, references: Tensor, negatives: Tensor) -> None:
        self._encoder = encoder

        # The two ends of the scale come from the kit, since cosines differ much between encoders.
        self._known = self._features(references)
        among = self._known @ self._known.T  # [R, R]

        # Mean without the diagonal, which is 1.
        count = len(references)
        self._one = float((among.sum() - count) / (count * (count - 1)))
        self._zero = float((self._features(negatives) @ self._known.T).mean())

    def _features(self, pixels: Tensor) -> Tensor:
        """[B, D] of unit length: the mean of the coarsest map over its positions."""
        parts = []
        for chunk in pixels.split(_CHUNK):
            # The coarsest map says what is there, the finer ones how it is painted; positions do not matter.
            coarsest = self._encoder.maps(chunk)[-1]  # [B, D, h, w]
            parts.append(F.normalize(coarsest.mean(dim=(2, 3)), dim=1))
        return torch.cat(parts)

    def _scaled(self, cosine: Tensor) -> Tensor:
        return (cosine - self._zero) / max(self._one - self._zero, _MIN_SCALE)

    def nearest(self, pixels: Tensor, *, others: bool = False) -> Tensor:
        """[B] likeness to the most similar reference, above 1 where it is nearer than references are on
        average.

        Args:
            pixels: [B, 3, H, W] in [-1, 1].
            others: The pictures *are* the references; each one's likeness to itself is left out.
        """
        # Not bounded above: the thresholds take a median of these values.
        likeness = self._scaled(self._features(pixels) @ self._known.T)  # [B, R]

        return _largest(likeness, others=others).clamp(min=0)

    def score(self, pixels: Tensor) -> Tensor:
        """[B] in 0..1."""
        # The mean over the references, as for both ends of the scale.
        cosine = (self._features(pixels) @ self._known.T).mean(dim=1)
        return self._scaled(cosine).clamp(0, 1)


def negatives(size: int, count: int = 24) -> Tensor:
    """[count, 3, size, size] renders of random toons, the same at every call: pictures of anybody but the
    character."""
    # A seed of its own, since the zero of the scale must not depend on a run.
    rng = random.Random(0)
    images = []
    for seed in range(count):
        images.append(draw(random_identity(rng), random_scene(rng), size=size, seed=seed))
    return to_pixels(images)


def _largest(likeness_br: Tensor, *, others: bool) -> Tensor:
    """[B] the largest value of every row, without the diagonal for `others`."""
    # Each reference is most similar to itself.
    if others:
        diagonal = torch.eye(len(likeness_br), dtype=torch.bool)
        likeness_br = likeness_br.masked_fill(diagonal, float("-inf"))
    return likeness_br.max(dim=1).values
