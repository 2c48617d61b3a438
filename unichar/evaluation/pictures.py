"""What an arm's pictures are worth, by eyes that training never used."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from unichar.evaluation.config import EvaluationConfig
from unichar.evaluation.statistics import Estimate, cluster_estimate
from unichar.grpo.prompts import Prompt
from unichar.judges.alignment import AttributeAlignment, SceneRank
from unichar.judges.copying import Copying
from unichar.judges.diversity import leave_one_out
from unichar.judges.eyes import PhotoEye, ToonEye, perceptual_vectors
from unichar.judges.likeness import PhotoLikeness, ToonLikeness
from unichar.judges.strangers import strangers
from unichar.kit.images import load_picture
from unichar.learning.seeds import derive
from unichar.model.pixels import to_images, to_pixels
from unichar.model.protocol import UnifiedModel
from unichar.records import CuratedKit


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Pictures [P][G] of P prompts and what they are worth."""

    pictures: list[list[Image.Image]]
    metrics: dict[str, Estimate]


def draw(model: UnifiedModel, texts: Sequence[str], *, config: EvaluationConfig, count: int, seed: int) -> Tensor:
    """Pixels [P * G, 3, H, W]; a picture depends on its prompt, its number and the seed only."""
    context = model.prompt_context(texts)
    seeds = [derive(seed, "evaluate", text, g) for text in texts for g in range(count)]
    latents = model.sample_latents(context, seeds, steps=config.sample_steps, guidance=config.guidance, shift=config.shift)
    return model.decode_latents(latents)


class Examination:
    """The judges of one character's pictures."""

    def __init__(self, kit: CuratedKit, folder: Path, base: Path, *, size: int) -> None:
        self._toon = kit.is_toon_world
        self._eye = ToonEye(base) if self._toon else PhotoEye(base)
        self._names = [picture.image for picture in kit.pictures]
        pictures = to_pixels([load_picture(folder / name, size) for name in self._names])
        known = pictures[[i for i, picture in enumerate(kit.pictures) if picture.split == "train"]]
        self._copying = Copying(self._eye, known)
        self._by_attributes = AttributeAlignment(self._eye, soft=False)
        self._by_scene = SceneRank(self._eye, pictures)
        self._likeness: ToonLikeness | PhotoLikeness
        if self._toon:
            self._likeness = ToonLikeness(self._eye, known, is_human=kit.pictures[0].attributes["species"] == "human")
        else:
            self._likeness = PhotoLikeness(self._eye, known, strangers(size))

    def measure(self, pixels: Tensor, prompts: Sequence[Prompt], *, prefix: str = "") -> dict[str, Estimate]:
        """Metrics of pixels [P * G, 3, H, W]; with a prefix (role play) identity and alignment only."""
        group = len(pixels) // len(prompts)
        scores = {"identity": self._likeness.score(pixels), "alignment": self._align(pixels, prompts, group)}
        if not prefix:
            vectors = perceptual_vectors(self._eye, pixels)
            scores["diversity"] = leave_one_out(vectors.view(len(prompts), group, -1)).flatten()
            scores["copying"] = self._copying.score(pixels)
        return {prefix + name: cluster_estimate(values.view(-1, group).tolist()) for name, values in scores.items()}

    def _align(self, pixels: Tensor, prompts: Sequence[Prompt], group: int) -> Tensor:
        each = [prompt for prompt in prompts for _ in range(group)]
        if self._toon:
            return self._by_attributes.score(pixels, [prompt.attributes for prompt in each])
        return self._by_scene.score(pixels, [self._names.index(prompt.reference) for prompt in each])


def measure_pictures(
    model: UnifiedModel, examination: Examination, prompts: Sequence[Prompt], *, config: EvaluationConfig, seed: int, arm: str
) -> Drawn:
    """Draw and examine the test prompts of one arm.

    Raises:
        ValueError: The arm's weights diverged.
    """
    pixels = draw(model, [prompt.text for prompt in prompts], config=config, count=config.pictures, seed=seed)
    finite_or_raise(pixels, arm)
    flat = to_images(pixels)
    grouped = [flat[i : i + config.pictures] for i in range(0, len(flat), config.pictures)]
    return Drawn(pictures=grouped, metrics=examination.measure(pixels, prompts))


def spread(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    """`count` prompts spread over the list."""
    return [prompts[i * len(prompts) // count] for i in range(count)] if len(prompts) > count else list(prompts)


def finite_or_raise(pixels: Tensor, arm: str) -> None:
    """Refuse pictures that are no numbers.

    Raises:
        ValueError: The model's weights diverged.
    """
    if not torch.isfinite(pixels).all():
        raise ValueError(f"the arm {arm} draws NaN: its training diverged; lower the learning rate or change the seed")
