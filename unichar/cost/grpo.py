"""FLOPs of a round of Character-GRPO, from its settings: for `python -m unichar plan` and for reports. No
torch.

Each prompt is encoded anew at the rollout and at the RL step. Judges are left out: they are thousands of
times smaller than BAGEL, or compute elsewhere.
"""

from dataclasses import replace

from unichar.cost.flops import Sizes, image_forward, text_forward
from unichar.cost.workload import TextLengths, sampling_flops
from unichar.grpo.config import GrpoConfig


def round_flops(
    sizes: Sizes, texts: TextLengths, config: GrpoConfig, *, gen_rank: int, full: bool = False
) -> float:
    """FLOPs of one round: rollout, its naturalness reward, RL steps, and its part of the validations."""
    # With a consistency reward every third prompt is a multimodal turn.
    if config.reward.consistency_weight:
        texts = replace(texts, plain=round((2 * texts.plain + texts.conversations["thinking"].tokens) / 3))

    # DiffusionNFT samples without guidance, Flow-GRPO with its own.
    pictures = config.rollout.prompts * config.rollout.group
    guidance = config.flow_grpo.guidance if config.algorithm == "flow_grpo" else 1.0
    rollout = _drawn(
        sizes, texts, config, pictures=pictures, prompts=config.rollout.prompts, guidance=guidance
    )

    # Validation samples with guidance, as reports do.
    validation = _drawn(
        sizes,
        texts,
        config,
        pictures=config.validation.prompts * config.validation.group,
        prompts=config.validation.prompts,
        guidance=config.validation.guidance,
    )

    # One before the first round, then one every few rounds, per round of the run.
    validations = (1 + config.rounds / config.validation.every) / config.rounds

    epoch = _epoch(sizes, texts, config, gen_rank=gen_rank, full=full)
    return rollout + validations * validation + config.epochs * epoch


def _drawn(
    sizes: Sizes, texts: TextLengths, config: GrpoConfig, *, pictures: int, prompts: int, guidance: float
) -> float:
    """FLOPs of sampling pictures, and of one pass without a prompt, the naturalness reward."""
    sampled = sampling_flops(
        sizes,
        pictures=pictures,
        prompts=prompts,
        context=texts.plain,
        steps=config.rollout.sample_steps,
        guidance=guidance,
        shift=config.rollout.shift,
    )

    # The reward's denoiser reads an empty prompt, so its context costs nothing.
    return sampled + image_forward(sizes, pictures=pictures, prompts=1, context=0).forward


def _epoch(sizes: Sizes, texts: TextLengths, config: GrpoConfig, *, gen_rank: int, full: bool) -> float:
    """FLOPs of one epoch over the pictures of a round.

    DiffusionNFT trains at some times and also runs the old policy there; Flow-GRPO trains at every step of
    its window. Both run the reference where the KL term has a weight.
    """
    pictures, prompts = config.rollout.prompts * config.rollout.group, config.rollout.prompts
    live = image_forward(
        sizes, pictures=pictures, prompts=prompts, context=texts.plain, rank=0 if full else gen_rank
    )

    # Forward passes without gradients: the sampling policy of DiffusionNFT, and the reference.
    settings = config.nft if config.algorithm == "nft" else config.flow_grpo
    others = (int(config.algorithm == "nft") + int(settings.kl > 0)) * live.forward
    passes = live.training(full=full, recompute=sizes.recompute) + others

    # Each of these at every trained time or step; guidance doubles the passes of Flow-GRPO.
    if config.algorithm == "nft":
        passes *= config.nft.times
    else:
        passes *= config.flow_grpo.window * (2 if config.flow_grpo.guidance > 1 else 1)

    # Prompts are encoded once per round, here spread over its epochs.
    return passes + text_forward(sizes, [texts.plain] * prompts).forward / config.epochs
