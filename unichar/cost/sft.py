"""FLOPs of a step of Unified-SFT, from its settings: for `python -m unichar plan` and reports. No torch."""

import math

from unichar.cost.flops import Sizes, image_forward, text_forward
from unichar.cost.workload import TextLengths, conversation_forward, sampling_flops
from unichar.sft.config import SftConfig


def step_flops(sizes: Sizes, texts: TextLengths, config: SftConfig, *, full: bool = False) -> float:
    """FLOPs of one step, averaged over the run; `full` tunes all weights instead of adapters."""
    # What happens a few times per run, spread over its steps.
    total = (_validation(sizes, texts, config) + _prior_preservation(sizes, texts, config)) / config.steps

    # The text side.
    if config.conversations and texts.conversations:
        total += config.conversations * _conversation(sizes, texts, config, full=full)
    if not config.pictures:
        return total

    # The image side: the character's own pictures and the prior-preservation images.
    rank = 0 if full else config.gen_rank
    own = image_forward(
        sizes, pictures=config.pictures, prompts=config.prompts, context=texts.prompt, rank=rank
    )
    prior = image_forward(
        sizes, pictures=config.prior_pictures, prompts=config.prior_pictures, context=texts.plain, rank=rank
    )

    return (
        total
        + _contexts(sizes, texts, config, full=full)
        + (own + prior).training(full=full, recompute=sizes.recompute)
    )


def _contexts(sizes: Sizes, texts: TextLengths, config: SftConfig, *, full: bool) -> float:
    """FLOPs of encoding a step's prompts."""
    # A model that keeps contexts encodes each different prompt once per run.
    if sizes.keeps_contexts:
        different = texts.portraits + config.prior_pool * bool(config.prior_pictures)
        prompts = min(config.prompts + config.prior_pictures, different / config.steps)
        return prompts * text_forward(sizes, [texts.prompt]).forward

    # Otherwise pictures train the text adapters through their prompts.
    lengths = [texts.prompt] * config.prompts + [texts.plain] * config.prior_pictures
    read = text_forward(sizes, lengths, rank=0 if full else config.und_rank)
    return read.training(full=full, recompute=sizes.recompute)


def _conversation(sizes: Sizes, texts: TextLengths, config: SftConfig, *, full: bool) -> float:
    """FLOPs of a conversation, averaged over the kinds; the vision tower trains in full tuning only."""
    # Kinds without weight or without items are left out, as in `unichar.sft.batches.mixed`.
    mix = {kind: weight for kind, weight in config.mix.items() if weight > 0 and kind in texts.conversations}

    total = 0.0
    for kind, weight in mix.items():
        text, tower = conversation_forward(
            sizes, texts.conversations[kind], rank=0 if full else config.und_rank
        )

        # Nano checkpoints its text backbone only if the settings say so, BAGEL always.
        again = sizes.recompute or config.checkpointing
        seen = tower.training(full=True, recompute=again) if full else tower.forward

        total += weight / sum(mix.values()) * (text.training(full=full, recompute=again) + seen)
    return total


def _validation(sizes: Sizes, texts: TextLengths, config: SftConfig) -> float:
    """FLOPs of all validations of a run: losses of held-out conversations and the sheet of pictures."""
    if not config.validation.every:
        return 0.0

    # Held-out conversations are replies and reasoning texts; a reply stands for both.
    text, _ = conversation_forward(sizes, texts.conversations["role_play"])

    sheet = sampling_flops(
        sizes,
        pictures=config.validation.pictures,
        prompts=config.validation.pictures,
        context=texts.prompt,
        steps=config.validation.sample_steps,
        guidance=config.validation.guidance,
        shift=config.validation.shift,
    )

    # The last step is validated in any case.
    validations = math.ceil(config.steps / config.validation.every)
    return validations * (config.validation.conversations * text.forward + sheet)


def _prior_preservation(sizes: Sizes, texts: TextLengths, config: SftConfig) -> float:
    """FLOPs of sampling the prior-preservation images with the untuned base."""
    if config.prior != "base" or not config.prior_pictures or not config.pictures:
        return 0.0

    # Once per run, without guidance.
    return sampling_flops(
        sizes,
        pictures=config.prior_pool,
        prompts=config.prior_pool,
        context=texts.plain,
        steps=config.prior_sample_steps,
        guidance=1.0,
        shift=config.shift,
    )
