"""The decoder: cached and masked runs agree with plain ones; test_parity.py compares it with other code."""

import pytest
import torch
from factories_bagel import tiny_model

from unichar.model.bagel.decoder import RmsNorm, run_experts


@pytest.fixture(scope="module")
def experts():
    model = tiny_model()
    return model.und, model.gen


@pytest.fixture(scope="module")
def text():
    return torch.randn(1, 6, 64, generator=torch.Generator().manual_seed(0))


POSITIONS = torch.arange(6)[None]
CAUSAL = torch.ones(6, 6, dtype=torch.bool).tril()[None, None]


@torch.no_grad()
def test_a_cache_changes_nothing(experts, text):
    und = experts[0]
    (whole,), _ = run_experts([und], [text], POSITIONS, mask=CAUSAL)
    (_,), past = run_experts([und], [text[:, :5]], POSITIONS[:, :5], mask=CAUSAL[..., :5, :5], keep=True)
    (last,), _ = run_experts([und], [text[:, 5:]], POSITIONS[:, 5:], past=past)
    assert torch.allclose(whole[:, 5:], last, atol=1e-5)


@torch.no_grad()
def test_one_cached_prompt_serves_several_pictures(experts, text):
    und, gen = experts
    _, past = run_experts([und], [text], POSITIONS, mask=CAUSAL, keep=True)
    latent = torch.randn(3, 4, 64, generator=torch.Generator().manual_seed(1))
    positions = torch.full((3, 4), 6)
    (together,), _ = run_experts([gen], [latent], positions, past=past)
    for i in range(3):
        (alone,), _ = run_experts([gen], [latent[i : i + 1]], positions[:1], past=past)
        assert torch.allclose(together[i : i + 1], alone, atol=1e-5)


@torch.no_grad()
def test_tokens_of_both_experts_share_attention(experts, text):
    und, gen = experts
    latent = torch.randn(1, 2, 64, generator=torch.Generator().manual_seed(1))
    positions = torch.arange(8)[None]
    (_, drawn), _ = run_experts([und, gen], [text, latent], positions)
    (_, other), _ = run_experts([und, gen], [text + 1, latent], positions)
    assert drawn.shape == latent.shape and not torch.allclose(drawn, other, atol=1e-3)


def test_checkpointed_layers_have_the_same_gradients(experts, text):
    und = experts[0]
    gradients = []
    for checkpointing in (True, False):
        und.checkpointing = checkpointing
        x = text.clone().requires_grad_(True)
        (hidden,), _ = run_experts([und], [x], POSITIONS)
        hidden.square().mean().backward()
        gradients.append(x.grad)
    und.checkpointing = True
    assert torch.allclose(*gradients, atol=1e-6)


def test_the_norm_has_unit_mean_square():
    normed = RmsNorm(8, 1e-6)(torch.randn(5, 8))
    assert torch.allclose(normed.square().mean(-1), torch.ones(5), atol=1e-3)
