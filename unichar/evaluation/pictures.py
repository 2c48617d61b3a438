"""Sampling an arm's pictures and measuring them with networks that training never used.

Letters: P prompts, G pictures a prompt, H/W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from unichar.domains.lookup import domain_of
from unichar.errors import UserError
from unichar.evaluation.config import EvaluationConfig
from unichar.evaluation.statistics import Estimate, cluster_estimate
from unichar.judges.configured import ConfiguredJudges
from unichar.judges.diversity import leave_one_out
from unichar.judges.encoders import load_encoder
from unichar.judges.scorers import Scorers
from unichar.model.pixels import to_images, to_pixels
from unichar.model.protocol import UnifiedModel
from unichar.training.seeds import derive, python_rng
from unichar.types import CuratedKit, Prompt


@dataclass(frozen=True, kw_only=True)
class PictureResults:
    """Pictures of the test prompts by one arm, and their metrics."""

    pictures: list[list[Image.Image]]
    """G pictures for each of P prompts."""
    metrics: dict[str, Estimate]


class ReportScorers:
    """The scorers of reports: the formulas of the rewards, with networks that rewards never use.

    Args:
        kit: Read from `folder`.
        folder: The curated kit's.
        base: Base model, which brings the report encoder.
        size: Side in pixels at which the reference pictures are encoded.
        judges: What the settings name in place of the report encoder.
    """

    def __init__(
        self, kit: CuratedKit, folder: Path, base: Path, *, size: int, judges: ConfiguredJudges
    ) -> None:
        # `soft=False`: reports count hits, rewards need a slope to climb.
        encoder = judges.encoder or load_encoder(domain_of(kit).report_encoder, base)
        self._scorers = Scorers(encoder, kit, folder, size=size, soft=False, texts=judges.texts)

    def measure(self, pixels: Tensor, prompts: Sequence[Prompt], *, prefix: str = "") -> dict[str, Estimate]:
        """Metrics of pixels [P * G, 3, H, W], the G pictures of a prompt side by side.

        With a `prefix` (role play, one picture a prompt) identity and alignment only.
        """
        group = len(pixels) // len(prompts)
        prompt_of_each = [prompt for prompt in prompts for _ in range(group)]

        # Prompts that no judge can align with a picture would count as 0; they are left out instead.
        aligned = [index for index, prompt in enumerate(prompts) if self._scorers.aligns(prompt)]
        alignment = self._scorers.alignment(pixels, prompt_of_each).view(-1, group)  # [P, G]
        scores = {"identity": self._scorers.likeness(pixels), "alignment": alignment[aligned]}

        # Diversity needs several pictures a prompt, and role play has one; copying is measured once an arm.
        if not prefix:
            vectors = self._scorers.vectors(pixels).view(len(prompts), group, -1)  # [P, G, D]
            scores["diversity"] = leave_one_out(vectors)[_diversity_prompts(prompts)]
            scores["copying"] = self._scorers.copying(pixels, prompt_of_each)

        # Pictures of one prompt are alike, so the interval resamples prompts.
        metrics = {}
        for name, values in scores.items():
            metrics[prefix + name] = cluster_estimate(values.view(-1, group).tolist())
        return metrics


def sample_pixels(
    model: UnifiedModel, texts: Sequence[str], *, config: EvaluationConfig, count: int, seed: int
) -> Tensor:
    """Pixels [P * G, 3, H, W] in [-1, 1], where G is `count`.

    A picture depends on its prompt, its number and the seed only, so arms can be compared picture by picture.
    """
    # The keys and values of a prompt are computed once and read by all of its pictures.
    context = model.prompt_context(texts)

    # The noise is named by prompt and number, not by position: other prompts beside this one change nothing.
    seeds = [derive(seed, "evaluate", text, number) for text in texts for number in range(count)]

    latents = model.sample_latents(
        context, seeds, steps=config.sample_steps, guidance=config.guidance, shift=config.shift
    )
    return model.decode_latents(latents)


def measure_pictures(
    model: UnifiedModel,
    report_scorers: ReportScorers,
    prompts: Sequence[Prompt],
    *,
    config: EvaluationConfig,
    seed: int,
    arm: str,
) -> PictureResults:
    """Sample and measure the test prompts for one arm.

    Raises:
        UserError: The arm's weights diverged.
    """
    texts = [prompt.text for prompt in prompts]
    pixels = sample_pixels(model, texts, config=config, count=config.pictures, seed=seed)
    check_finite(pixels, arm)

    # Pictures of one prompt lie side by side in `pixels`.
    images = to_images(pixels)
    groups = [images[start : start + config.pictures] for start in range(0, len(images), config.pictures)]
    return PictureResults(pictures=groups, metrics=report_scorers.measure(pixels, prompts))


def oracle_images(
    kit: CuratedKit, folder: Path, prompt: Prompt, *, count: int, seed: int
) -> list[Image.Image]:
    """At most `count` faultless pictures of a prompt: renders, or the held-out photograph of the scene.

    Empty where the domain has neither.
    """
    # "renders" seeds what an open prompt leaves to chance; another word would change every oracle picture.
    rng = python_rng(seed, "renders", prompt.text)
    return domain_of(kit).oracle_images(kit, folder, prompt, count=count, rng=rng)


def measure_oracle(
    report_scorers: ReportScorers,
    kit: CuratedKit,
    folder: Path,
    prompts: Sequence[Prompt],
    *,
    config: EvaluationConfig,
    size: int,
    seed: int,
) -> dict[str, Estimate]:
    """Metrics of rendered pictures, the upper limit for every arm. Only for domains that render.

    Args:
        report_scorers: The same as for the arms.
        kit: Read from `folder`.
        folder: The curated kit's.
        prompts: Test prompts.
        config: Pictures a prompt.
        size: Side in pixels of the arms' pictures, to which renders are resized.
        seed: Of what open prompts leave to chance.
    """
    images = []
    for prompt in prompts:
        # As many a prompt as the arms sample, so that diversity means the same.
        images += oracle_images(kit, folder, prompt, count=config.pictures, seed=seed)

    # Resized to the arms' side: the encoder must get no more detail here than there.
    return report_scorers.measure(to_pixels([image.resize((size, size)) for image in images]), prompts)


def check_finite(pixels: Tensor, arm: str) -> None:
    """Refuse pictures that contain NaN or infinity.

    Raises:
        UserError: The arm's weights diverged.
    """

    # Refused here, where the arm has a name: the statistics would only say that a number is not finite.
    if not torch.isfinite(pixels).all():
        raise UserError(
            f"the arm {arm} samples NaN: its training diverged; lower the learning rate or change the seed"
        )


def _diversity_prompts(prompts: Sequence[Prompt]) -> list[int]:
    """Indices of the prompts whose pictures may differ: those that leave something open, or all of them.

    Even faultless pictures of a complete caption hardly differ.
    """
    open_prompts = [index for index, prompt in enumerate(prompts) if prompt.is_open]
    return open_prompts or list(range(len(prompts)))
