"""Pictures survive the way through the latents."""

import pytest
import torch
from factories_model import make_prior_images

from unichar.model.nano.vae import Vae, vae_loss
from unichar.model.pixels import to_images, to_pixels


@pytest.fixture(scope="module")
def images():
    return make_prior_images(6)


def test_a_picture_is_eight_channels_of_an_eighth_of_its_side(model, images):
    latents = model.encode_images(images)
    assert latents.shape == (6, 8, 16, 16) and latents.dtype == torch.float32
    pixels = model.decode_latents(latents)
    assert pixels.shape == (6, 3, 128, 128) and pixels.dtype == torch.float32
    assert float(pixels.abs().max()) <= 1
    assert to_images(pixels)[0].size == (128, 128)


def test_a_trained_base_gives_back_what_it_was_shown(model, images):
    mse = (model.decode_latents(model.encode_images(images)) - to_pixels(images)).square().mean(dim=(1, 2, 3))
    assert (10 * torch.log10(4 / mse)).mean() > 22  # dB


def test_latents_of_a_trained_base_are_about_unit_noise(model, images):
    """Flow matching mixes them with unit noise: far from unit, times would mean something else."""
    latents = model.encode_images(images)
    assert (latents.mean(dim=(0, 2, 3)).abs() < 0.7).all()
    assert ((latents.std(dim=(0, 2, 3)) > 0.5) & (latents.std(dim=(0, 2, 3)) < 2)).all()


def test_a_picture_has_one_latent_whoever_stands_beside_it(model, images):
    assert torch.equal(model.encode_images(images), model.encode_images(images))
    alone, among = model.encode_images(images[2:3])[0], model.encode_images(images)[2]
    assert (alone - among).square().mean().sqrt() < 0.02


def test_many_latents_decode_as_few_do(model, images):
    latents = model.encode_images(images).repeat(6, 1, 1, 1)
    decoded = model.decode_latents(latents)
    assert len(decoded) == 36
    assert (decoded[30:] - model.decode_latents(latents[:6])).abs().mean() < 0.01


def test_shift_and_scale_cancel():
    """Latents in the units of training, pixels as without them."""
    vae = Vae((8, 8, 16)).eval()
    pixels = to_pixels(make_prior_images(1))
    with torch.no_grad():
        before = vae.decode(vae.encode(pixels))
        vae.shift.fill_(0.7)
        vae.scale.fill_(3.0)
        assert torch.allclose(vae.decode(vae.encode(pixels)), before, atol=1e-4)


def test_the_loss_is_smallest_for_the_picture_itself():
    pixels = to_pixels(make_prior_images(2))
    latent = torch.zeros(2, 8, 16, 16)
    best, numbers = vae_loss(pixels, pixels, latent, latent)
    assert best == 0 and numbers == {"mse": 0.0}
    worse, numbers = vae_loss(pixels, pixels.flip(3), latent, latent)
    assert worse > 0 and numbers["mse"] > 0
    assert vae_loss(pixels, pixels, latent + 2, latent)[0] > 0
