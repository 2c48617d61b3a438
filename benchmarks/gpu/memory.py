"""Planned memory, as `unichar plan` counts it, and the microbatches that it chooses for a card."""

from dataclasses import replace

from gpu.scales import Scale
from unichar.cost.cards import loaded_model
from unichar.cost.memory import (
    Loaded,
    Memory,
    fewest_microbatches,
    grpo_memory,
    most_microbatches,
    sft_memory,
)
from unichar.grpo.config import GrpoConfig
from unichar.presets import Preset
from unichar.sft.config import SftConfig

SMALL_CARD = 24e9
"""Bytes of the card that the small preset is for, whatever card it is measured on."""
_GB = 1e9


def loaded(scale: Scale) -> Loaded:
    """The model of the scale's preset, with its adapters."""
    quantize = scale.preset.load.quantize
    return loaded_model(scale.preset, scale.sizes, scale.parameters, full=False, quantize=quantize)


def planned(scale: Scale, config: SftConfig | GrpoConfig, microbatches: int) -> Memory:
    """Memory of training on one GPU."""
    about = {"ranks": 1, "shards": 1, "microbatches": microbatches}
    if isinstance(config, SftConfig):
        return sft_memory(loaded(scale), scale.texts, config, **about)
    return grpo_memory(loaded(scale), scale.texts, config, **about)


def fitted(scale: Scale, card: float) -> Scale:
    """The scale with microbatches chosen where its presets leave them open: for this card, and of the small
    preset for a small one."""
    small = scale.for_small_card()
    return replace(
        scale,
        preset=_fitted(scale, card),
        small_preset=_fitted(small, min(card, SMALL_CARD)),
    )


def _fitted(scale: Scale, card: float) -> Preset:
    sft, grpo = scale.preset.sft, scale.preset.grpo
    rollout = replace(grpo.rollout, microbatches=grpo.rollout.microbatches or _fewest(scale, grpo, card))
    return replace(
        scale.preset,
        sft=replace(sft, microbatches=sft.microbatches or _fewest(scale, sft, card)),
        grpo=replace(grpo, rollout=rollout),
    )


def _fewest(scale: Scale, config: SftConfig | GrpoConfig, card: float) -> int:
    most = most_microbatches(config, 1)
    return fewest_microbatches(lambda parts: planned(scale, config, parts), most=most, card=card)[0]


def training_gb(scale: Scale, config: SftConfig | GrpoConfig) -> float:
    """Peak of training with the microbatches of these settings, in decimal gigabytes."""
    parts = config.microbatches if isinstance(config, SftConfig) else config.rollout.microbatches
    return planned(scale, config, parts).total / _GB


def pass_gb(scale: Scale, pictures: int, prompts: int) -> float:
    """Peak of one training pass over pictures, without an optimizer."""
    alone = replace(
        scale.preset.sft, pictures=pictures, prompts=prompts, prior_pictures=0, prior_pool=0, conversations=0
    )
    memory = planned(scale, alone, 1)
    return (memory.total - memory.optimizer) / _GB
