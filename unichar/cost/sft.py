"""What a step of Unified-SFT computes, before it runs: for `python -m unichar plan` and for the cost in reports. No torch."""

from unichar.cost.flops import Sizes, drawing, reading
from unichar.cost.workload import Texts, sampling, talking
from unichar.sft.config import SftConfig


def step_flops(sizes: Sizes, texts: Texts, config: SftConfig, *, full: bool = False) -> float:
    """Operations of one step, means over the run; `full` tunes all weights instead of adapters."""
    total = (_looks(sizes, texts, config) + _strangers(sizes, texts, config)) / config.steps
    if config.conversations and texts.talks:
        total += config.conversations * _conversation(sizes, texts, config, full=full)
    if not config.pictures:
        return total
    rank = 0 if full else config.gen_rank
    own = drawing(sizes, pictures=config.pictures, prompts=config.prompts, context=texts.prompt, rank=rank)
    prior = drawing(
        sizes, pictures=config.prior_pictures, prompts=config.prior_pictures, context=texts.plain, rank=rank
    )
    prompts: float = config.prompts + config.prior_pictures
    if sizes.keeps_contexts:
        prompts = min(
            prompts, (texts.portraits + config.prior_pool * bool(config.prior_pictures)) / config.steps
        )
    contexts = prompts * reading(sizes, [texts.prompt]).forward
    return total + contexts + (own + prior).training(full=full, recompute=sizes.recompute)


def _conversation(sizes: Sizes, texts: Texts, config: SftConfig, *, full: bool) -> float:
    """Mean over the mix of kinds. The tower is trained in full tuning only."""
    mix = {kind: share for kind, share in config.mix.items() if share > 0 and kind in texts.talks}
    total = 0.0
    for kind, share in mix.items():
        text, tower = talking(sizes, texts.talks[kind], rank=0 if full else config.und_rank)
        again = sizes.recompute or config.checkpointing
        seen = tower.training(full=True, recompute=again) if full else tower.forward
        total += share / sum(mix.values()) * (text.training(full=full, recompute=again) + seen)
    return total


def _looks(sizes: Sizes, texts: Texts, config: SftConfig) -> float:
    """All looks at held-out conversations and the sheet of pictures."""
    if not config.validation.every:
        return 0.0
    text, _ = talking(sizes, texts.talks["role_play"])
    sheet = sampling(
        sizes,
        pictures=config.validation.pictures,
        prompts=config.validation.pictures,
        context=texts.prompt,
        steps=config.validation.sample_steps,
        guidance=1.0,
        shift=config.shift,
    )
    return config.steps / config.validation.every * (config.validation.conversations * text.forward + sheet)


def _strangers(sizes: Sizes, texts: Texts, config: SftConfig) -> float:
    """The pictures that the base draws before it is tuned."""
    if config.prior != "base" or not config.prior_pictures or not config.pictures:
        return 0.0
    return sampling(
        sizes,
        pictures=config.prior_pool,
        prompts=config.prior_pool,
        context=texts.plain,
        steps=config.prior_sample_steps,
        guidance=1.0,
        shift=config.shift,
    )
