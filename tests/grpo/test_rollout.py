"""A picture of a rollout is a function of seed, round, prompt and number within its group."""

import dataclasses

import pytest
import torch
from factories_config import replaced
from factories_model import PROMPTS, TINY

from unichar.grpo.flow_grpo import FlowGrpo
from unichar.grpo.nft import Nft
from unichar.grpo.policy import Snapshot
from unichar.grpo.rollout import sample_rollout
from unichar.model.lora import trainable
from unichar.types import Prompt

TEXTS = [Prompt(text=text) for text in PROMPTS]


@pytest.mark.parametrize("kind", [Nft, FlowGrpo])
def test_a_picture_does_not_depend_on_the_others(tuned, kind):
    """Up to the rounding of matrix products of another shape."""
    live = trainable(tuned.gen)
    config = replaced(TINY["grpo"], flow_grpo={"window": 1})
    algorithm = kind(tuned, config, live=live, reference=Snapshot(live), seed=0)

    def sample(prompts, index, **changes):
        rollout = dataclasses.replace(config.rollout, **changes)
        with torch.no_grad():
            return sample_rollout(tuned, algorithm, prompts, config=rollout, index=index, seed=0)["x0"]

    pair = sample(TEXTS[:2], 1)
    assert len(pair) == 2 * config.rollout.group
    assert torch.equal(sample(TEXTS[:2], 1), pair)
    assert not torch.allclose(sample(TEXTS[:2], 2), pair, atol=0.05)

    tolerance = 0.03 * pair.std()
    alone = sample(TEXTS[:1], 1)
    assert (alone - pair[:2]).square().mean().sqrt() < tolerance
    in_steps = sample(TEXTS[:2], 1, step_prompts=1, microbatches=2)
    assert (in_steps - pair).square().mean().sqrt() < tolerance
