"""Flow-GRPO: windows of stochastic steps, likelihood ratios and gradients."""

import pytest
import torch
from factories_config import replaced
from factories_model import PROMPTS

from unichar.grpo.config import FlowGrpoConfig, GrpoConfig, RolloutConfig
from unichar.grpo.flow_grpo import FlowGrpo, window_start
from unichar.grpo.policy import Minibatch, Snapshot
from unichar.model.lora import trainable

CONFIG = GrpoConfig(
    algorithm="flow_grpo",
    rollout=RolloutConfig(sample_steps=4, group=2),
    flow_grpo=FlowGrpoConfig(window=2, kl=0.1),
)


def algorithm_of(model, **changes) -> FlowGrpo:
    live = trainable(model.gen)
    config = replaced(CONFIG, flow_grpo=changes)
    return FlowGrpo(model, config, live=live, reference=Snapshot(live), seed=0)


def test_windows_start_anywhere_in_the_first_half_and_repeat_for_a_seed():
    config = replaced(CONFIG, rollout={"sample_steps": 14}, flow_grpo={"window": 3})
    starts = [window_start(config, 0, group) for group in range(200)]
    assert set(starts) == {0, 1, 2, 3, 4}
    assert starts == [window_start(config, 0, group) for group in range(200)]
    assert starts != [window_start(config, 1, group) for group in range(200)]
    assert window_start(replaced(config, rollout={"sample_steps": 3}), 0, 5) == 0


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_ratios_are_1_before_any_update(tuned, guidance):
    algorithm = algorithm_of(tuned, guidance=guidance)
    context = tuned.prompt_context(PROMPTS[:2])
    rollout = algorithm.sample(context, [1, 2, 3, 4], [0, 0, 1, 1])
    losses = []
    minibatch = Minibatch(
        rollout=rollout, indices=torch.arange(4), advantages=torch.tensor([1.0, -1.0, 0.5, -0.5])
    )
    numbers = algorithm.accumulate_gradients(minibatch, torch.arange(4), context, 0, losses.append)
    assert numbers.keys() == set(algorithm.metrics)
    assert len(losses) == 2 and all(loss.requires_grad for loss in losses)
    assert numbers["ratio_off"] < 1e-5 and numbers["kl"] < 1e-6


def test_an_update_makes_rewarded_trajectories_likelier(tuned):
    algorithm = algorithm_of(tuned, kl=0.0, clip_range=0.5)
    context = tuned.prompt_context(PROMPTS[:2])
    rollout = algorithm.sample(context, [1, 2, 3, 4], [0, 0, 1, 1])
    minibatch = Minibatch(
        rollout=rollout, indices=torch.arange(4), advantages=torch.tensor([1.0, -1.0, 0.5, -0.5])
    )
    parameters = list(trainable(tuned.gen).values())
    algorithm.accumulate_gradients(minibatch, torch.arange(4), context, 0, lambda loss: loss.backward())
    before = [parameter.detach().clone() for parameter in parameters]
    torch.nn.utils.clip_grad_norm_(parameters, 0.05)
    with torch.no_grad():
        for parameter in parameters:
            parameter -= parameter.grad
            parameter.grad = None
    moved = []
    algorithm.accumulate_gradients(minibatch, torch.arange(4), context, 0, moved.append)
    with torch.no_grad():
        for parameter, value in zip(parameters, before, strict=True):
            parameter.copy_(value)
    # It was 0 before, of advantages that sum to 0.
    assert sum(float(loss.detach()) for loss in moved) < 0


def test_a_minibatch_selects_pictures_of_the_rollout(tuned):
    algorithm = algorithm_of(tuned)
    context = tuned.prompt_context(PROMPTS[:2])
    rollout = algorithm.sample(context, [1, 2, 3, 4], [0, 0, 1, 1])
    second = tuned.prompt_context(PROMPTS[1:2])
    minibatch = Minibatch(rollout=rollout, indices=torch.tensor([2, 3]), advantages=torch.tensor([1.0, -1.0]))
    numbers = algorithm.accumulate_gradients(minibatch, torch.arange(2), second, 0, lambda loss: None)
    # The same pictures with the same prompts, in a smaller batch.
    assert numbers["ratio_off"] < 1e-3
