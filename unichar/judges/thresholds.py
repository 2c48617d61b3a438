"""The identity band: as much like the references as they are like each other, and no more.

Below it a picture shows somebody else; above it the picture *is* a reference. Both ends come from the kit: the lower one is
how like its nearest sibling the middle one of the references is, the upper one how near the closest pair lies. (The paper uses
one cosine for both ends, with 0.9 and 0.5 for every character.) Each end has its own measure, since being the same person and
being the same picture are different things: likeness and `Copying`.
"""

from collections.abc import Sequence

from torch import Tensor

from unichar.judges.copying import Copying
from unichar.judges.identity import AttributeIdentity, FeatureIdentity
from unichar.types import Prompt


class IdentityThresholds:
    """Scores pictures [B, 3, H, W]; `references` [R, 3, H, W] are the pictures that `likeness` and `copying` were built on."""

    def __init__(
        self, likeness: AttributeIdentity | FeatureIdentity, copying: Copying, references: Tensor
    ) -> None:
        self._likeness, self._copying = likeness, copying
        among = likeness.nearest(references, others=True)
        self.low = float(among.median())
        """Likeness to the nearest reference below which a picture is marked down."""

    def stranger(self, pixels: Tensor) -> Tensor:
        """[B] how far a picture falls short of the lower end, as a share of it: 0 inside the band, 1 nothing alike."""
        return (1 - self._likeness.nearest(pixels) / max(self.low, 1e-6)).clamp(0, 1)

    def score(self, pixels: Tensor, prompts: Sequence[Prompt]) -> Tensor:
        """[B] 1 inside the band, less below and above it, down to 0 for a stranger and for a copy of a reference."""
        return 1 - self.stranger(pixels) - self._copying.excess(pixels, prompts)
