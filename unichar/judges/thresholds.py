"""Identity between two thresholds: as much like the references as they are like each other, and no more.

Below the lower one a picture shows somebody else; beyond the upper one it *is* a reference. Both come from
the kit: the lower is the median, over the references, of the likeness to the most similar other one; the
upper is the distance of the closest pair. (The paper uses one cosine for both, with 0.9 and 0.5 for every
character.) Each threshold has a measure of its own, `identity.py` and `copying.py`, since being the same
person and being the same picture are different things.

Letters: B pictures, R references, H/W pixels.
"""

from collections.abc import Sequence

from torch import Tensor

from unichar.judges.copying import Copying
from unichar.judges.identity import AttributeIdentity, FeatureIdentity
from unichar.types import Prompt


class IdentityThresholds:
    """Scores pictures; `references` [R, 3, H, W] are those that `likeness` and `copying` were built with."""

    def __init__(
        self, likeness: AttributeIdentity | FeatureIdentity, copying: Copying, references: Tensor
    ) -> None:
        self._likeness, self._copying = likeness, copying

        # Half of the references are less alike than this and still the same character.
        among = likeness.nearest(references, others=True)
        self.low = float(among.median())
        """Likeness to the nearest reference below which the score falls."""

    def shortfall(self, pixels: Tensor) -> Tensor:
        """[B] how far a picture is below the lower threshold, as a fraction of it: 0 above, 1 for nothing
        alike."""
        # Relative to the threshold, whose size differs between characters and encoders.
        return (1 - self._likeness.nearest(pixels) / max(self.low, 1e-6)).clamp(0, 1)

    def score(self, pixels: Tensor, prompts: Sequence[Prompt]) -> Tensor:
        """[B] 1 between the thresholds, less outside, down to 0 for somebody else and for a copy.

        Args:
            pixels: [B, 3, H, W] in [-1, 1].
            prompts: One per picture.
        """
        # Both faults are subtracted; each is 0 where a picture does not have it.
        return 1 - self.shortfall(pixels) - self._copying.excess(pixels, prompts)
