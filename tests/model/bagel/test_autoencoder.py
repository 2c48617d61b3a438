"""Shapes and scale of the autoencoder; test_parity.py compares its numbers with the published code."""

import pytest
import torch

from unichar.model.bagel.autoencoder import SCALE, SHIFT, Autoencoder, Downsample


@pytest.fixture(scope="module")
def autoencoder() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(32).eval().requires_grad_(False)


def test_latents_have_an_eighth_of_the_resolution(autoencoder):
    latents = autoencoder.encode(torch.zeros(2, 3, 32, 48))
    assert latents.shape == (2, 16, 4, 6)
    assert autoencoder.decode(latents).shape == (2, 3, 32, 48)


def test_latents_are_the_shifted_and_scaled_mean(autoencoder):
    pixels = torch.rand(1, 3, 16, 16) * 2 - 1
    mean, _ = autoencoder.encoder(pixels).chunk(2, dim=1)
    latents = autoencoder.encode(pixels)
    assert torch.allclose(latents, SCALE * (mean - SHIFT))
    assert torch.allclose(autoencoder.decode(latents), autoencoder.decoder(mean), atol=1e-4)


def test_downsampling_pads_right_and_below():
    down = Downsample(1)
    with torch.no_grad():
        down.conv.weight.zero_()
        down.conv.weight[0, 0, 0, 0] = 1.0
        down.conv.bias.zero_()
        assert down(torch.arange(16.0).view(1, 1, 4, 4)).flatten().tolist() == [0, 2, 8, 10]
