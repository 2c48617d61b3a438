"""Training of the VAE and of its decoder alone."""

import copy

import pytest
import torch

from unichar.model.nano.vae import Vae
from unichar.pretrain.vae import (
    DecoderPhase,
    VaePhase,
    batch_pixels,
    ema_update,
    measure_scale,
    psnr,
    psnr_by_group,
    run,
    train_decoder,
    widen,
)
from unichar.pretrain.worlds.batches import ToonPictures
from unichar.training.curves import read_curve

PICTURES = ToonPictures(4, 32)
WIDTHS = ((8, 8, 16), (1, 1, 1))


def fresh(channels=8) -> Vae:
    torch.manual_seed(0)
    return Vae(*WIDTHS, channels)


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Vae:
    return run(fresh(), PICTURES, VaePhase(steps=2), tmp_path_factory.mktemp("vae"), key="k")


def test_steps_have_pictures_of_their_own():
    one, again, other = (batch_pixels(PICTURES, 0, step) for step in (0, 0, 1))
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
        latents = torch.cat([first.encode(batch_pixels(PICTURES, 0, -1 - i)) for i in range(16)])
    assert latents.mean(dim=(0, 2, 3)).abs().max() < 1e-3
    assert torch.allclose(latents.std(dim=(0, 2, 3)), torch.ones(8), atol=1e-2)


def test_the_scale_does_not_depend_on_what_it_was():
    vae = fresh()
    measure_scale(vae, PICTURES, 0)
    scale = vae.scale.clone()
    measure_scale(vae, PICTURES, 0)
    assert torch.equal(vae.scale, scale)


def test_training_the_decoder_keeps_the_encoder(first, tmp_path):
    tuned = train_decoder(first, PICTURES, DecoderPhase(steps=2), tmp_path, key="k")
    before, after = first.state_dict(), tuned.state_dict()
    kept = [name for name in before if name.startswith("encoder.")] + ["shift", "scale"]
    assert all(torch.equal(before[name], after[name]) for name in kept)
    assert not torch.equal(before["decoder.0.weight"], after["decoder.0.weight"])


def test_the_curve_has_the_psnr_of_held_out_pictures(tmp_path):
    held_out = {"toons": batch_pixels(PICTURES, 1, 0), "others": batch_pixels(PICTURES, 1, 1)}
    phase = VaePhase(steps=4, measure_every=2)
    vae = run(fresh(), PICTURES, phase, tmp_path, key="k", held_out=held_out)
    last = read_curve(tmp_path / "curve.jsonl")[-1]
    assert last.keys() >= {"psnr_toons", "psnr_others", "mse", "loss"}
    assert psnr_by_group(vae, held_out).keys() == {"toons", "others"}


def test_psnr_is_in_decibels():
    black, white = torch.full((1, 3, 8, 8), -1.0), torch.ones(1, 3, 8, 8)
    assert psnr(black, white).tolist() == [0.0]
    assert psnr(black, black + 0.02).item() == pytest.approx(40, abs=0.01)


def test_a_wider_vae_starts_where_the_narrow_one_was(first):
    """What the new channels add is small: reconstructions are nearly those of the narrow one."""
    wide = fresh(16)
    before = copy.deepcopy(wide)
    widen(wide, first)
    pixels = batch_pixels(PICTURES, 0, 5)
    with torch.no_grad():
        mean, logvar = wide.posterior(pixels)
        old_mean, old_logvar = first.posterior(pixels)
        assert torch.allclose(mean[:, :8], old_mean, atol=1e-5)
        assert torch.allclose(logvar[:, :8], old_logvar, atol=1e-5)

        target = first.decode_raw(old_mean)
        near, far = wide.decode_raw(mean) - target, before.decode_raw(before.posterior(pixels)[0]) - target
    assert near.square().mean() < 0.2 * far.square().mean()


def test_as_many_channels_are_copied_whole(first):
    again = fresh()
    widen(again, first)
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in first.state_dict().items())
