"""The reward: a weighted sum of scores, each term kept beside the sum.

The same rubric on two sets of scorers gives the reward and the independent evaluator of `validation.py`,
which stops training and selects the checkpoint. The two use different networks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unichar.domains.lookup import domain_of
from unichar.grpo.config import GrpoConfig, RewardConfig
from unichar.grpo.policy import Snapshot
from unichar.judges.configured import ConfiguredJudges
from unichar.judges.diversity import leave_one_out
from unichar.judges.encoders import load_encoder, reward_encoder
from unichar.judges.naturalness import Naturalness
from unichar.judges.scorers import Scorers
from unichar.kit.images import load_picture
from unichar.model.protocol import UnifiedModel
from unichar.training.microbatches import SampleIndex, all_gather_samples
from unichar.training.ranks import world_size
from unichar.types import CuratedKit, Prompt, StageJob


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """B = P x G pictures, the G of a prompt together."""

    latents: Tensor
    """[B, C, h, w]."""
    pixels: Tensor
    """[B, 3, H, W] in 0..1."""


@dataclass(frozen=True, kw_only=True)
class Rewards:
    """Rewards of P prompts with G pictures each."""

    total: Tensor
    """[P, G] weighted sum of the terms."""
    terms: dict[str, Tensor]
    """Name -> [P, G] scores before weighting."""


def all_gather_rewards(samples: Sequence[SampleIndex], found: Sequence[Rewards], count: int) -> Rewards:
    """Rewards of all `count` prompts on every rank, of which `found` has those of this rank's `samples`."""
    total = all_gather_samples(samples, torch.cat([rewards.total for rewards in found]), count)

    # Every rank has the same terms in the same order, which the collective calls rely on.
    terms = {}
    for name in found[0].terms:
        values = torch.cat([rewards.terms[name] for rewards in found])  # [prompts of this rank, G]
        terms[name] = all_gather_samples(samples, values, count)

    return Rewards(total=total, terms=terms)


class Rubric:
    """Scores groups of pictures of one character."""

    def __init__(self, scorers: Scorers, naturalness: Naturalness, config: RewardConfig) -> None:
        self.scorers, self._naturalness = scorers, naturalness
        self._weights = {
            "identity": config.identity_weight,
            "alignment": config.alignment_weight,
            "diversity": config.diversity_weight,
            "naturalness": config.naturalness_weight,
        }

        # Left out at weight 0, since its judges may not be there.
        if config.consistency_weight:
            self._weights["consistency"] = config.consistency_weight

    @torch.no_grad()
    def score(self, drawn: Drawn, prompts: Sequence[Prompt]) -> Rewards:
        """Rewards of the pictures of P prompts. The term `identity` is at most 1, the others lie in 0..1.

        Diversity is scaled by identity: pictures of somebody else differ from the others for free.
        """
        shape = (len(prompts), len(drawn.pixels) // len(prompts))  # P, G
        each = [prompt for prompt in prompts for _ in range(shape[1])]  # one prompt per picture

        identity = self.scorers.thresholded_identity(drawn.pixels, each).view(shape)  # [P, G]

        # Leave-one-out: a mean over the group would be equal for its pictures and cancel in the advantages.
        vectors = self.scorers.vectors(drawn.pixels).view(*shape, -1)  # [P, G, D]
        distance = leave_one_out(vectors)  # [P, G]

        # All terms grow with quality, and none is weighted yet.
        terms = {
            "identity": identity,
            "alignment": self.scorers.alignment(drawn.pixels, each).view(shape),
            "diversity": identity.clamp(0, 1) * distance,
            "naturalness": self._naturalness.score(drawn.latents).view(shape),
        }

        # 0 for prompts that are no multimodal turns.
        if "consistency" in self._weights:
            terms["consistency"] = self.scorers.consistency(drawn.pixels, each).view(shape)

        total = torch.stack([self._weights[name] * term for name, term in terms.items()]).sum(dim=0)
        return Rewards(total=total, terms=terms)


def build_rubrics(
    model: UnifiedModel, job: StageJob, config: GrpoConfig, reference: Snapshot
) -> tuple[Rubric, Rubric]:
    """(rubric of the reward, rubric of the independent evaluator) for the character of a job.

    `reference` is the SFT model; its denoiser judges naturalness in domains that the base does not know.
    """
    folder = job.inputs["curated_kit"]
    kit = CuratedKit.read(folder)
    domain = domain_of(kit)

    # Both rubrics judge naturalness alike, by a denoiser that training does not change.
    naturalness = _naturalness(model, kit, job, config, reference)

    # Questions about prompts are kept in the scratch folder, so that a resumed run asks the same.
    questions = job.scratch / "questions.json"
    judges = ConfiguredJudges(config.reward.judges, kit, folder, questions=questions)

    # Two networks: the evaluator's must be one whose score training cannot raise by fooling the reward.
    rewarding = judges.encoder or reward_encoder(domain, job.base, tower=model)
    evaluating = load_encoder(domain.validation_encoder, job.base)

    # Extra text judges give rewards only; the evaluator stays independent of them.
    reward = Scorers(rewarding, kit, folder, size=model.image_size, soft=True, texts=judges.texts)
    evaluator = Scorers(evaluating, kit, folder, size=model.image_size, soft=True)

    return Rubric(reward, naturalness, config.reward), Rubric(evaluator, naturalness, config.reward)


def _naturalness(
    model: UnifiedModel, kit: CuratedKit, job: StageJob, config: GrpoConfig, reference: Snapshot
) -> Naturalness:
    """Naturalness under a denoiser that knows this kind of pictures, calibrated on the training pictures."""
    folder = job.inputs["curated_kit"]

    # Held-out pictures stay out of the reward.
    names = [picture.image for picture in kit.split("train")]
    real = model.encode_images(
        [load_picture(folder / name, model.image_size) for name in names]
    )  # [R, C, h, w]

    # No prompt: what was asked for is the business of alignment.
    empty = model.prompt_context([""])
    from_base = domain_of(kit).naturalness_denoiser == "base"

    # As many pictures per pass as a microbatch of training: scoring then needs no more memory.
    rollout = config.rollout
    pictures = min(rollout.prompts, rollout.step_prompts) * rollout.group
    per_pass = math.ceil(pictures / (rollout.microbatches * world_size()))

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        # Without the trained weights, since a denoiser that changes with the policy would follow its
        # mistakes.
        with model.base_pictures() if from_base else reference.swapped():
            batches = zip(x.split(per_pass), t.split(per_pass), strict=True)
            return torch.cat([model.velocity(some, times, empty) for some, times in batches])

    # The pictures of the kit set what a usual error is.
    return Naturalness(denoise, real)
