"""Rollouts: the pictures of a round, sampled in groups, one group per prompt.

A picture is a function of (seed, round, prompt, number within its group) alone, so neither microbatches nor
ranks change it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from unichar.grpo.config import GrpoConfig, RolloutConfig
from unichar.grpo.flow_grpo import FlowGrpo
from unichar.grpo.nft import Nft
from unichar.model.protocol import UnifiedModel
from unichar.training.microbatches import (
    SampleIndex,
    all_gather_samples,
    context_rows,
    pictures_per_pass,
    rank_passes,
)
from unichar.training.ranks import world_size
from unichar.training.seeds import derive
from unichar.types import Prompt


@torch.no_grad()
def sample_rollout(
    model: UnifiedModel,
    algorithm: Nft | FlowGrpo,
    prompts: Sequence[Prompt],
    *,
    config: RolloutConfig,
    index: int,
    seed: int,
    sharded: bool = False,
) -> dict[str, Tensor]:
    """Sample the groups of round `index`, as many prompts at a time as an optimizer step takes.

    With `sharded` weights every pass draws pictures of one prompt, so that all ranks run equally many.

    Returns:
        What the algorithm records, [B, ...] each with B = P x G, the G pictures of a prompt together: `x0`
        are the latents [B, C, h, w]. All ranks get all pictures.
    """
    # As many prompts at a time as a training step takes, so that sampling needs no more memory.
    steps = []
    for first in range(0, len(prompts), config.step_prompts):
        some = prompts[first : first + config.step_prompts]

        # Prompts are numbered over the whole run: Flow-GRPO's windows depend on that number.
        number = index * config.prompts + first
        steps.append(
            _sample_groups(
                model,
                algorithm,
                some,
                config=config,
                index=index,
                first=number,
                seed=seed,
                sharded=sharded,
            )
        )

    return {name: torch.cat([step[name] for step in steps]) for name in steps[0]}


def _sample_groups(
    model: UnifiedModel,
    algorithm: Nft | FlowGrpo,
    prompts: Sequence[Prompt],
    *,
    config: RolloutConfig,
    index: int,
    first: int,
    seed: int,
    sharded: bool,
) -> dict[str, Tensor]:
    """The groups of a few prompts, of which the first is number `first` since the start of the run."""
    # (prompt, number within the group) of every picture.
    pictures = [(p, g) for p in range(len(prompts)) for g in range(config.group)]

    together = 1
    if sharded:
        encode_everywhere(model, [prompt.text for prompt in prompts])
        together = pictures_per_pass(len(prompts), config.group, config.microbatches)

    # Padding keeps ranks without a picture busy; its results are dropped when they are gathered.
    samples: list[SampleIndex] = []
    recorded: list[dict[str, Tensor]] = []
    for units in rank_passes(len(pictures) // together, config.microbatches, singly=sharded, pad=True):
        # Pictures of this rank in this pass; those of a prompt may lie on several ranks.
        read = [SampleIndex(u.index * together + i, u.weight) for u in units for i in range(together)]
        own = [pictures[sample.index] for sample in read]
        context = model.prompt_context(context_rows([prompts[p].text for p, _ in own]))
        seeds = [derive(seed, "rollout", index, prompts[p].text, g) for p, g in own]
        recorded.append(algorithm.sample(context, seeds, groups=[first + p for p, _ in own]))
        samples += read

    # Every rank gets all pictures: advantages compare the whole round, and skipped groups leave no rank idle.
    gathered = {}
    for name in recorded[0]:
        values = torch.cat([each[name] for each in recorded])  # [pictures of this rank, ...]
        gathered[name] = all_gather_samples(samples, values, len(pictures))
    return gathered


def is_sharded(config: GrpoConfig) -> bool:
    """Whether the weights are split over ranks, which then must run equally many passes."""
    return config.shard and world_size() > 1


def encode_everywhere(model: UnifiedModel, texts: Sequence[str]) -> None:
    """Encode prompts on every rank, for a model that keeps their contexts.

    New prompts cost it a pass, and with sharded weights all ranks must run equally many.
    """
    if not model.pictures_follow_text:
        with torch.no_grad():
            model.prompt_context(texts)
