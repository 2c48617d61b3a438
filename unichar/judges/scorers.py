"""The scorers of one character's pictures, all with one encoder: what a reward and a report have in common.

Letters: B pictures, R references, H/W pixels, D features.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from unichar.domains.lookup import domain_of
from unichar.judges.alignment import (
    AttributeAlignment,
    Consistency,
    SceneRank,
    TextJudge,
    mean_score,
    target_text,
)
from unichar.judges.copying import Copying
from unichar.judges.encoders import Encoder, perceptual_vectors
from unichar.judges.identity import AttributeIdentity, FeatureIdentity, negatives
from unichar.judges.thresholds import IdentityThresholds
from unichar.kit.images import load_picture
from unichar.model.pixels import to_pixels
from unichar.types import CuratedKit, Prompt


class Scorers:
    """Pictures are judged by attributes where the domain of the kit reads them, by features otherwise.

    Args:
        encoder: Sees the pictures.
        kit: Read from `folder`.
        folder: The curated kit's.
        size: Side in pixels of the pictures that are scored.
        soft: Whether attributes count by their probability instead of as hits (see `alignment.py`).
        texts: Judges of alignment that replace the encoder where it reads no attributes; of several, the mean
            counts.
    """

    def __init__(
        self,
        encoder: Encoder,
        kit: CuratedKit,
        folder: Path,
        *,
        size: int,
        soft: bool,
        texts: Sequence[TextJudge] = (),
    ) -> None:
        self._encoder, self._kit, self._texts = encoder, kit, texts
        self._domain = domain_of(kit)

        # Held-out pictures are loaded too: a report ranks among all pictures, a reward among the known ones.
        self._images = [picture.image for picture in kit.pictures]
        self._known = [picture.image for picture in kit.split("train")]
        pixels = to_pixels([load_picture(folder / name, size) for name in self._images])
        self.references = pixels[[self._images.index(name) for name in self._known]]
        """[R, 3, H, W] training pictures; held-out ones never count as known."""

        # Built once: each of these runs the encoder on the references.
        self._attributes = AttributeAlignment(encoder, soft=soft)
        self._consistency = Consistency(self._attributes, kit, texts)
        self._rank_among_known = SceneRank(encoder, self.references)
        self._rank_among_all = SceneRank(encoder, pixels)

        # The thresholds need identity and copying on the same references.
        self._likeness = self._identity(size)
        scenes = [picture.attributes for picture in kit.split("train")]
        self._copying = Copying(encoder, self.references, scenes=scenes)
        self._thresholds = IdentityThresholds(self._likeness, self._copying, self.references)

    def _identity(self, size: int) -> AttributeIdentity | FeatureIdentity:
        # A domain without identity attributes is judged by features, calibrated with negatives.
        names = self._domain.identity_attributes(self._kit)
        if names:
            return AttributeIdentity(self._encoder, self.references, names=names)
        return FeatureIdentity(self._encoder, self.references, negatives(size))

    def likeness(self, pixels: Tensor) -> Tensor:
        """[B] identity in 0..1."""
        return self._likeness.score(pixels)

    def thresholded_identity(self, pixels: Tensor, prompts: Sequence[Prompt]) -> Tensor:
        """[B] up to 1: identity that is enough and no copy, see `thresholds.py`; one prompt per picture."""
        return self._thresholds.score(pixels, prompts)

    def copying(self, pixels: Tensor, prompts: Sequence[Prompt]) -> Tensor:
        """[B] of 0 and 1, one prompt per picture."""
        return self._copying.score(pixels, prompts)

    def aligns(self, prompt: Prompt) -> bool:
        """Whether alignment can be judged for this prompt."""
        # The same order as in `alignment`.
        return self._domain.reads_attributes or bool(self._texts) or bool(prompt.reference)

    def alignment(self, pixels: Tensor, prompts: Sequence[Prompt]) -> Tensor:
        """[B] in 0..1, one prompt per picture; 0 where it cannot be judged.

        Prompts of training pictures are ranked among training pictures only, so that a reward sees no
        held-out picture.
        """
        # The best judge that is there: attributes, then text judges, then ranks.
        if self._domain.reads_attributes:
            return self._attributes.score(pixels, [prompt.attributes for prompt in prompts])
        if self._texts:
            return mean_score(self._texts, pixels, [target_text(prompt, self._kit) for prompt in prompts])

        # Without a reference nothing can be ranked.
        rows = [row for row, prompt in enumerate(prompts) if prompt.reference]
        names = [prompts[row].reference for row in rows]
        is_known = all(name in self._known for name in names)
        ranks = self._rank_among_known if is_known else self._rank_among_all
        among = self._known if is_known else self._images

        # Pictures of prompts without a reference keep 0.
        scores = torch.zeros(len(pixels))
        if rows:
            scores[rows] = ranks.score(pixels[rows], [among.index(name) for name in names])
        return scores

    def consistency(self, pixels: Tensor, prompts: Sequence[Prompt]) -> Tensor:
        """[B] in 0..1, one prompt per picture; 0 for prompts without a reply."""
        return self._consistency.score(pixels, prompts)

    def vectors(self, pixels: Tensor) -> Tensor:
        """[B, D] for perceptual distances."""
        return perceptual_vectors(self._encoder, pixels)
