"""What an arm's pictures are worth, by eyes that training never used."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from unichar.domains.lookup import domain_of
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
class Drawn:
    """Pictures [P][G] of P prompts and what they are worth."""

    pictures: list[list[Image.Image]]
    metrics: dict[str, Estimate]


def draw(
    model: UnifiedModel, texts: Sequence[str], *, config: EvaluationConfig, count: int, seed: int
) -> Tensor:
    """Pixels [P * G, 3, H, W]; a picture depends on its prompt, its number and the seed only."""
    context = model.prompt_context(texts)
    seeds = [derive(seed, "evaluate", text, g) for text in texts for g in range(count)]
    latents = model.sample_latents(
        context, seeds, steps=config.sample_steps, guidance=config.guidance, shift=config.shift
    )
    return model.decode_latents(latents)


class ReportScorers:
    """The report's judges: a panel that looks with a network training never used, and a look for copies."""

    def __init__(
        self, kit: CuratedKit, folder: Path, base: Path, *, size: int, chosen: ConfiguredJudges
    ) -> None:
        eye = chosen.eye or load_encoder(domain_of(kit).report_encoder, base)
        self._scorers = Scorers(eye, kit, folder, size=size, soft=False, texts=chosen.texts)

    def measure(self, pixels: Tensor, prompts: Sequence[Prompt], *, prefix: str = "") -> dict[str, Estimate]:
        """Metrics of pixels [P * G, 3, H, W]; with a prefix (role play) identity and alignment only."""
        group = len(pixels) // len(prompts)
        each = [prompt for prompt in prompts for _ in range(group)]
        judged = [row for row, prompt in enumerate(prompts) if self._scorers.aligns(prompt)]
        aligned = self._scorers.alignment(pixels, each).view(-1, group)[judged]
        scores = {"identity": self._scorers.likeness(pixels), "alignment": aligned}
        if not prefix:
            scores["diversity"] = leave_one_out(self._scorers.vectors(pixels).view(len(prompts), group, -1))[
                _free(prompts)
            ]
            scores["copying"] = self._scorers.copying(pixels, each)
        return {
            prefix + name: cluster_estimate(values.view(-1, group).tolist())
            for name, values in scores.items()
        }


def _free(prompts: Sequence[Prompt]) -> list[int]:
    """Which prompts say something about diversity: those that leave something open, or all where none does. Faultless pictures of
    a full caption hardly differ."""
    return [row for row, prompt in enumerate(prompts) if prompt.is_open] or list(range(len(prompts)))


def oracle_images(
    kit: CuratedKit, folder: Path, prompt: Prompt, *, count: int, seed: int
) -> list[Image.Image]:
    """At most `count` faultless pictures of a prompt: renders, or the held-out photograph; none where nobody has one."""
    rng = python_rng(seed, "renders", prompt.text)
    return domain_of(kit).oracle_images(kit, folder, prompt, count=count, rng=rng)


def measure_pictures(
    model: UnifiedModel,
    report_scorers: ReportScorers,
    prompts: Sequence[Prompt],
    *,
    config: EvaluationConfig,
    seed: int,
    arm: str,
) -> Drawn:
    """Draw and examine the test prompts of one arm.

    Raises:
        ValueError: The arm's weights diverged.
    """
    pixels = draw(model, [prompt.text for prompt in prompts], config=config, count=config.pictures, seed=seed)
    finite_or_raise(pixels, arm)
    flat = to_images(pixels)
    grouped = [flat[i : i + config.pictures] for i in range(0, len(flat), config.pictures)]
    return Drawn(pictures=grouped, metrics=report_scorers.measure(pixels, prompts))


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
    """What renders are worth to the same judges: no arm can be expected to do better. Only for domains that render."""
    images = []
    for prompt in prompts:
        images += oracle_images(kit, folder, prompt, count=config.pictures, seed=seed)
    return report_scorers.measure(to_pixels([image.resize((size, size)) for image in images]), prompts)


def spread(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    """`count` prompts spread over the list."""
    return (
        [prompts[i * len(prompts) // count] for i in range(count)] if len(prompts) > count else list(prompts)
    )


def finite_or_raise(pixels: Tensor, arm: str) -> None:
    """Refuse pictures that are no numbers.

    Raises:
        ValueError: The model's weights diverged.
    """
    if not torch.isfinite(pixels).all():
        raise ValueError(
            f"the arm {arm} draws NaN: its training diverged; lower the learning rate or change the seed"
        )
