"""The decoder: cached runs agree with plain ones; test_parity.py compares it with other code."""

import pytest
import torch
from factories_bagel import tiny_model

from unichar.model.bagel.attention import after, within
from unichar.model.bagel.decoder import RmsNorm, run_experts
from unichar.model.bagel.packing import Span


@pytest.fixture(scope="module")
def experts():
    model = tiny_model()
    return model.und, model.gen


@pytest.fixture(scope="module")
def text():
    return torch.randn(1, 6, 64, generator=torch.Generator().manual_seed(0))


POSITIONS = torch.arange(6)[None]


def span(count: int, *, is_causal: bool = True):
    """One span of `count` tokens that attend to themselves."""
    whole = slice(0, count)
    return within([Span(queries=whole, keys=(whole,), is_causal=is_causal)])


@torch.no_grad()
def test_a_cache_changes_nothing(experts, text):
    und = experts[0]
    (whole,), none = run_experts([und], [text], POSITIONS, span(6))
    (_,), past = run_experts([und], [text[:, :5]], POSITIONS[:, :5], span(5), keep=True)
    (last,), _ = run_experts([und], [text[:, 5:]], POSITIONS[:, 5:], after([(tuple(past), 1)]))
    assert torch.allclose(whole[:, 5:], last, atol=1e-5) and none == []


@torch.no_grad()
def test_one_cached_prompt_serves_several_pictures(experts, text):
    und, gen = experts
    _, kept = run_experts([und], [text], POSITIONS, span(6), keep=True)
    past = tuple(kept)
    latent = torch.randn(3, 4, 64, generator=torch.Generator().manual_seed(1))
    positions = torch.full((3, 4), 6)
    (together,), _ = run_experts([gen], [latent], positions, after([(past, 3)]))
    for i in range(3):
        (alone,), _ = run_experts([gen], [latent[i : i + 1]], positions[:1], after([(past, 1)]))
        assert torch.allclose(together[i : i + 1], alone, atol=1e-5)


@torch.no_grad()
def test_one_position_stands_for_all_tokens_of_a_sequence(experts):
    latent = torch.randn(2, 4, 64, generator=torch.Generator().manual_seed(1))
    positions = torch.tensor([[3], [8]])
    (each,), _ = run_experts([experts[1]], [latent], positions.expand(2, 4), span(4, is_causal=False))
    (one,), _ = run_experts([experts[1]], [latent], positions, span(4, is_causal=False))
    assert torch.equal(each, one)


@torch.no_grad()
def test_tokens_of_both_experts_share_attention(experts, text):
    und, gen = experts
    latent = torch.randn(1, 2, 64, generator=torch.Generator().manual_seed(1))
    positions = torch.arange(8)[None]
    everything = span(8, is_causal=False)
    (_, drawn), _ = run_experts([und, gen], [text, latent], positions, everything)
    (_, other), _ = run_experts([und, gen], [text + 1, latent], positions, everything)
    assert drawn.shape == latent.shape and not torch.allclose(drawn, other, atol=1e-3)


def test_checkpointed_layers_have_the_same_gradients(experts, text):
    und = experts[0]
    gradients = []
    for checkpointing in (True, False):
        und.checkpointing = checkpointing
        x = text.clone().requires_grad_(True)
        (hidden,), _ = run_experts([und], [x], POSITIONS, span(6))
        hidden.square().mean().backward()
        gradients.append(x.grad)
    und.checkpointing = True
    assert torch.allclose(*gradients, atol=1e-6)


def test_the_norm_has_unit_mean_square():
    normed = RmsNorm(8, 1e-6)(torch.randn(5, 8))
    assert torch.allclose(normed.square().mean(-1), torch.ones(5), atol=1e-3)


def test_the_norm_of_bf16_is_computed_in_fp32_and_cast_before_the_weight():
    norm = RmsNorm(256, 1e-6).bfloat16()
    norm.weight.data.uniform_(0.5, 1.5)
    x = (100 * torch.randn(5, 256)).bfloat16()
    y = x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + 1e-6)
    assert torch.equal(norm(x), norm.weight * y.bfloat16())
