"""DiffusionNFT: times and noise of each picture, and that only differences within a group give gradients."""

import pytest
import torch
from factories_config import replaced
from factories_model import PROMPTS

from unichar.grpo.config import GrpoConfig, NftConfig, RolloutConfig
from unichar.grpo.nft import Nft
from unichar.grpo.policy import Minibatch, Snapshot
from unichar.model.flow import time_grid
from unichar.model.lora import trainable

CONFIG = GrpoConfig(rollout=RolloutConfig(prompts=3, group=4, sample_steps=6), nft=NftConfig(times=2))
ADVANTAGES = torch.tensor([1.0, -1.0, 0.5, -0.5] * 2)
INDICES = torch.tensor([0, 1, 2, 3, 8, 9, 10, 11])
"""The second of three groups is skipped."""


@pytest.fixture(scope="module")
def pictures(tuned):
    """x0 of three prompts with four pictures each."""
    context = tuned.prompt_context(PROMPTS[:3])
    return tuned.sample_latents(context, list(range(12)), steps=2, guidance=1.0, shift=2.0)


def algorithm_of(model, **changes) -> Nft:
    live = trainable(model.gen)
    return Nft(model, replaced(CONFIG, nft=changes), live=live, reference=Snapshot(live), seed=0)


def minibatch_of(pictures) -> Minibatch:
    return Minibatch(rollout={"x0": pictures}, indices=INDICES, advantages=ADVANTAGES)


def gradient_of(model, minibatch, **changes) -> torch.Tensor:
    """The gradient of one optimizer step, in one vector."""
    parameters = list(trainable(model.gen).values())
    context = model.prompt_context([PROMPTS[0], PROMPTS[2]])
    algorithm_of(model, **changes).accumulate_gradients(
        minibatch, torch.arange(8), context, 0, torch.Tensor.backward
    )
    flat = torch.cat([parameter.grad.flatten() for parameter in parameters])
    for parameter in parameters:
        parameter.grad = None
    return flat


def test_pictures_of_a_prompt_share_times_and_noise_and_prompts_do_not(tuned, pictures):
    turns = list(algorithm_of(tuned)._times_and_noise(minibatch_of(pictures), 5))
    assert len(turns) == 2
    first_half = set(time_grid(6, CONFIG.rollout.shift)[:3].tolist())
    for times, noise in turns:
        assert set(times.tolist()) <= first_half
        assert len(set(times[:4].tolist())) == len(set(times[4:].tolist())) == 1
        assert torch.equal(noise[:1].expand_as(noise[:4]), noise[:4]) and not torch.equal(noise[0], noise[4])
    (first, noise), (second, more) = turns
    assert (first != second).all() and not torch.equal(noise, more)


def test_noise_differs_between_steps_and_repeats_for_a_seed(tuned, pictures):
    at = [list(algorithm_of(tuned)._times_and_noise(minibatch_of(pictures), index)) for index in (0, 0, 1)]
    assert torch.equal(at[0][0][1], at[1][0][1]) and not torch.equal(at[0][0][1], at[2][0][1])


def test_equal_pictures_of_a_group_give_no_gradient(tuned, pictures):
    same = pictures[[0] * 4 + [4] * 4 + [8] * 4]
    differ, alike = (gradient_of(tuned, minibatch_of(x0), kl=0.0) for x0 in (pictures, same))
    assert alike.norm() < 0.02 * differ.norm()


def test_the_loss_is_a_mean_over_times(tuned, pictures):
    minibatch, context = minibatch_of(pictures), tuned.prompt_context([PROMPTS[0], PROMPTS[2]])
    losses: list[float] = []
    algorithm = algorithm_of(tuned, times=3)
    numbers = algorithm.accumulate_gradients(
        minibatch, torch.arange(8), context, 0, lambda loss: losses.append(loss.item())
    )
    assert len(losses) == 3 and sum(losses) == pytest.approx(numbers["loss"].item(), rel=1e-5)
    assert numbers.keys() == set(algorithm.metrics) == {"loss", "policy"}


def test_the_kl_term_is_computed_only_with_a_weight(tuned, pictures):
    minibatch, context = minibatch_of(pictures), tuned.prompt_context([PROMPTS[0], PROMPTS[2]])
    numbers = algorithm_of(tuned, kl=0.5).accumulate_gradients(
        minibatch, torch.arange(8), context, 0, lambda loss: None
    )
    assert numbers["kl"] == 0  # nothing has moved yet
