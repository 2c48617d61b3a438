"""The judges of one character's pictures, all looking with one eye: what a reward and a report have in common."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from unichar.domains.lookup import domain_of
from unichar.judges.alignment import AttributeAlignment, SceneRank
from unichar.judges.consistency import Consistency
from unichar.judges.copying import Copying
from unichar.judges.encoders import Encoder, perceptual_vectors
from unichar.judges.identity import AttributeIdentity, FeatureIdentity
from unichar.judges.negatives import strangers
from unichar.judges.target_text import TextJudge, mean_score, target_text
from unichar.judges.thresholds import IdentityThresholds
from unichar.kit.images import load_picture
from unichar.model.pixels import to_pixels
from unichar.types import CuratedKit, Prompt


class Scorers:
    """Toons are judged by attributes, photographs by features; `soft` asks for slopes instead of hits (see `alignment.py`).

    `texts` judge how photographs fit their prompts, in place of the eye; of several, the mean counts.
    """

    def __init__(
        self,
        eye: Encoder,
        kit: CuratedKit,
        folder: Path,
        *,
        size: int,
        soft: bool,
        texts: Sequence[TextJudge] = (),
    ) -> None:
        self._eye, self._kit, self._texts = eye, kit, texts
        self._domain = domain_of(kit)
        self._pictures = [picture.image for picture in kit.pictures]
        self._known = [picture.image for picture in kit.split("train")]
        pixels = to_pixels([load_picture(folder / name, size) for name in self._pictures])
        self.references = pixels[[self._pictures.index(name) for name in self._known]]
        """[R, 3, H, W] training pictures; held-out ones never count as known."""
        self._attributes = AttributeAlignment(eye, soft=soft)
        self._consistency = Consistency(self._attributes, kit, texts)
        self._among_known, self._among_all = SceneRank(eye, self.references), SceneRank(eye, pixels)
        self._likeness: AttributeIdentity | FeatureIdentity
        if names := self._domain.identity_attributes(kit):
            self._likeness = AttributeIdentity(eye, self.references, names=names)
        else:
            self._likeness = FeatureIdentity(eye, self.references, strangers(size))
        scenes = [picture.attributes for picture in kit.split("train")]
        self._copying = Copying(eye, self.references, scenes=scenes)
        self._band = IdentityThresholds(self._likeness, self._copying, self.references)

    def likeness(self, pixels: Tensor) -> Tensor:
        """[B] in 0..1."""
        return self._likeness.score(pixels)

    def band(self, pixels: Tensor, prompts: Sequence[Prompt]) -> Tensor:
        """[B] up to 1: likeness that is enough and not a copy, see `band.py`; one prompt a picture."""
        return self._band.score(pixels, prompts)

    def copying(self, pixels: Tensor, prompts: Sequence[Prompt]) -> Tensor:
        """[B] of 0 and 1, one prompt a picture."""
        return self._copying.score(pixels, prompts)

    def aligns(self, prompt: Prompt) -> bool:
        """Whether anybody can judge what its pictures show."""
        return self._domain.reads_attributes or bool(self._texts) or bool(prompt.reference)

    def alignment(self, pixels: Tensor, prompts: Sequence[Prompt]) -> Tensor:
        """[B] in 0..1, one prompt a picture. Prompts of training pictures are ranked among training pictures only; a scene that
        nobody can judge gets 0."""
        if self._domain.reads_attributes:
            return self._attributes.score(pixels, [prompt.attributes for prompt in prompts])
        if self._texts:
            return mean_score(self._texts, pixels, [target_text(prompt, self._kit) for prompt in prompts])
        rows = [row for row, prompt in enumerate(prompts) if prompt.reference]
        names = [prompts[row].reference for row in rows]
        is_known = all(name in self._known for name in names)
        ranks, among = (self._among_known, self._known) if is_known else (self._among_all, self._pictures)
        found = torch.zeros(len(pixels))
        if rows:
            found[rows] = ranks.score(pixels[rows], [among.index(name) for name in names])
        return found

    def consistency(self, pixels: Tensor, prompts: Sequence[Prompt]) -> Tensor:
        """[B] in 0..1, one prompt a picture; 0 for prompts without a reply."""
        return self._consistency.score(pixels, prompts)

    def vectors(self, pixels: Tensor) -> Tensor:
        """[B, D] for perceptual distances."""
        return perceptual_vectors(self._eye, pixels)
