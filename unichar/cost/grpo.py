"""FLOPs of a round of Character-GRPO, from its settings: for `python -m unichar plan` and for reports. No
torch.

Prompts are encoded anew at the rollout and in each epoch, unless the model keeps their contexts. Judges are
left out: they are thousands of times smaller than BAGEL, or compute elsewhere. So is the calibration of
naturalness, one pass over the training pictures.
"""

import math
from dataclasses import replace

from unichar.cost.flops import Sizes, image_forward, text_decoding, text_forward
from unichar.cost.workload import ConversationLengths, TextLengths, sampling_flops
from unichar.grpo.config import GrpoConfig, RolloutConfig, ValidationConfig


def round_flops(
    sizes: Sizes, texts: TextLengths, config: GrpoConfig, *, gen_rank: int, full: bool = False
) -> float:
    """FLOPs of one round: rollout, its naturalness reward, RL steps, and its part of the validations."""
    # With a consistency reward every third prompt is a multimodal turn.
    if config.reward.consistency_weight:
        texts = replace(texts, plain=round((2 * texts.plain + texts.conversations["thinking"].tokens) / 3))

    # Each algorithm has a guidance of its own. The reward asks the denoiser once how natural a picture is.
    guidance = config.flow_grpo.guidance if config.algorithm == "flow_grpo" else config.rollout.guidance
    rollout = _drawn(sizes, texts, config.rollout, guidance=guidance, denoised=1)

    # The reward's rubric and the evaluator's both ask it about the pictures of a validation.
    validation = _drawn(sizes, texts, config.validation, guidance=config.validation.guidance, denoised=2)

    # One before the first round, one every few rounds and one after the last, per round of the run.
    validations = (1 + math.ceil(config.rounds / config.validation.every)) / config.rounds

    epoch = _epoch(sizes, texts, config, gen_rank=gen_rank, full=full)
    return rollout + validations * validation + config.epochs * epoch


def text_round_flops(
    sizes: Sizes, texts: TextLengths, config: GrpoConfig, *, und_rank: int, full: bool = False
) -> float:
    """FLOPs of one round of text RL: sampled replies, and one pass over them and SFT's own replies."""
    text, rank = config.text, 0 if full else und_rank
    before = round(texts.conversations.get("role_play", ConversationLengths(tokens=0, targets=0)).tokens)
    replies = text.prompts * text.group

    sampled = text_decoding(sizes, before, tokens=text.max_tokens, rank=rank).forward
    read = text_forward(
        sizes,
        [before + text.max_tokens] * (replies + text.prompts),
        targets=(replies + text.prompts) * text.max_tokens,
        rank=rank,
    )
    return replies * sampled + read.training(full=full, recompute=sizes.recompute)


def _drawn(
    sizes: Sizes,
    texts: TextLengths,
    drawn: RolloutConfig | ValidationConfig,
    *,
    guidance: float,
    denoised: int,
) -> float:
    """FLOPs of sampling pictures, and of so many passes without a prompt that judge how natural they are."""
    pictures = drawn.prompts * drawn.group
    sampled = sampling_flops(
        sizes,
        pictures=pictures,
        prompts=drawn.prompts,
        context=texts.plain,
        steps=drawn.sample_steps,
        guidance=guidance,
        shift=drawn.shift,
    )

    # The denoiser reads an empty prompt, so its context costs nothing.
    return sampled + denoised * image_forward(sizes, pictures=pictures, prompts=1, context=0).forward


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

    encoded = 0.0 if sizes.keeps_contexts else text_forward(sizes, [texts.plain] * prompts).forward
    return passes + encoded
