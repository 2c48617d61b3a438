"""Rollouts: the pictures of a round, sampled in groups, one group per prompt.

A picture is a function of (seed, round, prompt, number within its group) alone, so neither microbatches nor
ranks change it.
"""

import math
from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor

from unichar.grpo.config import RolloutConfig
from unichar.grpo.flow_grpo import FlowGrpo
from unichar.grpo.nft import Nft
from unichar.model.protocol import PromptContext, UnifiedModel
from unichar.training.microbatches import SampleIndex, all_gather_samples, rank_microbatches
from unichar.training.seeds import derive
from unichar.types import Prompt


def sample_rollout(
    model: UnifiedModel,
    algorithm: Nft | FlowGrpo,
    prompts: Sequence[Prompt],
    *,
    config: RolloutConfig,
    index: int,
    seed: int,
) -> dict[str, Tensor]:
    """Sample the groups of round `index`, as many prompts at a time as an optimizer step takes.

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
            _sample_groups(model, algorithm, some, config=config, index=index, first=number, seed=seed)
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
) -> dict[str, Tensor]:
    """The groups of a few prompts, of which the first is number `first` since the start of the run."""
    # (prompt, number within the group) of every picture.
    pictures = [(p, g) for p in range(len(prompts)) for g in range(config.group)]

    # Padding keeps ranks without a picture busy; its results are dropped when they are gathered.
    samples: list[SampleIndex] = []
    recorded: list[dict[str, Tensor]] = []
    for microbatch in rank_microbatches(len(pictures), config.microbatches, pad=True):
        if not microbatch:
            continue

        # Pictures of this rank in this microbatch; those of a prompt may lie on several ranks.
        own = [pictures[sample.index] for sample in microbatch]
        context = group_context(model, [prompts[p].text for p, _ in own])
        seeds = [derive(seed, "rollout", index, prompts[p].text, g) for p, g in own]
        recorded.append(algorithm.sample(context, seeds, groups=[first + p for p, _ in own]))
        samples += microbatch

    # Every rank gets all pictures: advantages compare the whole round, and skipped groups leave no rank idle.
    gathered = {}
    for name in recorded[0]:
        values = torch.cat([each[name] for each in recorded])  # [pictures of this rank, ...]
        gathered[name] = all_gather_samples(samples, values, len(pictures))
    return gathered


def group_context(model: UnifiedModel, texts: Sequence[str]) -> PromptContext:
    """Context of pictures with these prompts, equal ones side by side.

    A context may have fewer rows than there are pictures if each row serves equally many of them in turn, so
    a prompt of n pictures gets n / gcd rows.
    """
    # Example: 4 pictures of A and 6 of B have the divisor 2, so the rows are A A B B B with 2 pictures each.
    runs = [(text, len(list(same))) for text, same in groupby(texts)]
    divisor = math.gcd(*(count for _, count in runs))

    rows = []
    for text, count in runs:
        rows += [text] * (count // divisor)
    return model.prompt_context(rows)
