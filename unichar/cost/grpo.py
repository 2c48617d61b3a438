"""What a round of Character-GRPO computes, before it runs: for `python -m unichar plan` and for the cost in reports. No torch.

Each prompt is read anew at sampling and at learning. Judges are left out: they are thousands of times smaller than
BAGEL, or compute elsewhere.
"""

from dataclasses import replace

from unichar.cost.flops import Sizes, drawing, reading
from unichar.cost.workload import Texts, sampling
from unichar.grpo.config import GrpoConfig


def round_flops(
    sizes: Sizes, texts: Texts, config: GrpoConfig, *, gen_rank: int, full: bool = False
) -> float:
    """Operations of one round: rollout, its naturalness, learning, and its share of the looks."""
    if config.reward.consistency_weight:  # every third prompt is a moment of conversation
        texts = replace(texts, plain=round((2 * texts.plain + texts.talks["thinking"].tokens) / 3))
    pictures = config.rollout.prompts * config.rollout.group
    guidance = config.flow_grpo.guidance if config.algorithm == "flow_grpo" else 1.0
    rollout = _drawn(
        sizes, texts, config, pictures=pictures, prompts=config.rollout.prompts, guidance=guidance
    )
    watched = config.validation.prompts * config.validation.group
    look = _drawn(
        sizes,
        texts,
        config,
        pictures=watched,
        prompts=config.validation.prompts,
        guidance=config.validation.guidance,
    )
    looks = (1 + config.rounds / config.validation.every) / config.rounds
    return (
        rollout + looks * look + config.epochs * _learning(sizes, texts, config, gen_rank=gen_rank, full=full)
    )


def _drawn(
    sizes: Sizes, texts: Texts, config: GrpoConfig, *, pictures: int, prompts: int, guidance: float
) -> float:
    """Sampled pictures, and one pass without a prompt that says how natural they are."""
    sampled = sampling(
        sizes,
        pictures=pictures,
        prompts=prompts,
        context=texts.plain,
        steps=config.rollout.sample_steps,
        guidance=guidance,
        shift=config.rollout.shift,
    )
    return sampled + drawing(sizes, pictures=pictures, prompts=1, context=0).forward


def _learning(sizes: Sizes, texts: Texts, config: GrpoConfig, *, gen_rank: int, full: bool) -> float:
    """One pass over a round: of DiffusionNFT some times, asked of the old policy as well; of Flow-GRPO every step of its window.
    The reference is asked where the distance to it counts."""
    pictures, prompts = config.rollout.prompts * config.rollout.group, config.rollout.prompts
    live = drawing(
        sizes, pictures=pictures, prompts=prompts, context=texts.plain, rank=0 if full else gen_rank
    )
    settings = config.nft if config.algorithm == "nft" else config.flow_grpo
    others = (int(config.algorithm == "nft") + int(settings.kl > 0)) * live.forward
    passes = live.training(full=full, recompute=sizes.recompute) + others
    if config.algorithm == "nft":
        passes *= config.nft.times
    else:
        passes *= config.flow_grpo.window * (2 if config.flow_grpo.guidance > 1 else 1)
    return passes + reading(sizes, [texts.plain] * prompts).forward / config.epochs
