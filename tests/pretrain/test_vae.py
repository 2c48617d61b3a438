"""Training of the VAE and of its decoder alone."""

import pytest
import torch

from unichar.model.nano.vae import Vae
from unichar.pretrain.vae import (
    DecoderPhase,
    VaePhase,
    batch_pixels,
    ema_update,
    measure_scale,
    run,
    train_decoder,
)

PHASE = VaePhase(steps=2, batch=4, size=32)


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Vae:
    return run(PHASE, tmp_path_factory.mktemp("vae"), key="k")


def test_steps_have_pictures_of_their_own():
    one, again, other = (batch_pixels(PHASE, step) for step in (0, 0, 1))
    assert one.shape == (4, 3, 32, 32) and torch.equal(one, again)
    assert not torch.equal(one, other)


def test_an_ema_moves_by_one_minus_the_decay():
    average, model = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    expected = 0.9 * average.weight + 0.1 * model.weight
    ema_update(average, model, 0.9)
    assert torch.allclose(average.weight, expected)


def test_a_run_measures_the_latents_scale(first):
    assert not torch.equal(first.shift, torch.zeros(8)) and (first.scale > 0).all()
    with torch.no_grad():
        latents = torch.cat([first.encode(batch_pixels(PHASE, -1 - i)) for i in range(8)])
    assert latents.mean(dim=(0, 2, 3)).abs().max() < 1e-3
    assert torch.allclose(latents.std(dim=(0, 2, 3)), torch.ones(8), atol=1e-2)


def test_the_scale_does_not_depend_on_what_it_was():
    torch.manual_seed(0)
    vae = Vae()
    measure_scale(vae, PHASE)
    scale = vae.scale.clone()
    measure_scale(vae, PHASE)
    assert torch.equal(vae.scale, scale)


def test_training_the_decoder_keeps_the_encoder(first, tmp_path):
    phase = DecoderPhase(steps=2, batch=4, size=32)
    tuned = train_decoder(first, phase, tmp_path, key="k")
    before, after = first.state_dict(), tuned.state_dict()
    kept = [name for name in before if name.startswith("encoder.")] + ["shift", "scale"]
    assert all(torch.equal(before[name], after[name]) for name in kept)
    assert not torch.equal(before["decoder.0.weight"], after["decoder.0.weight"])
    assert len(after) > len(before)  # a deeper decoder
