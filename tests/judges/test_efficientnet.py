"""EfficientNet-lite0: the published network, shape by shape."""

import pytest
import torch
from factories_model import BASE, make_strangers

from unichar.judges.efficientnet import EfficientNetLite0
from unichar.judges.eyes import PhotoEye, tensors_of
from unichar.model.pixels import to_pixels


@pytest.fixture(scope="module")
def net():
    net = EfficientNetLite0()
    net.load_state_dict(tensors_of(BASE, "photo"))
    return net.eval().requires_grad_(False)


def test_three_maps_at_an_eighth_a_sixteenth_and_a_thirty_second(net):
    maps = net.features(torch.zeros(2, 3, 224, 224))
    assert [tuple(m.shape) for m in maps] == [(2, 40, 28, 28), (2, 112, 14, 14), (2, 320, 7, 7)]


def test_odd_sides_round_up_as_in_the_original(net):
    assert [m.shape[-1] for m in net.features(torch.zeros(1, 3, 225, 225))] == [29, 15, 8]


def test_the_architecture_has_the_published_size():
    """4.65 million parameters with its classifier; the head after the last block (320 -> 1280 -> 1000) is left out here."""
    head = 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    own = sum(parameter.numel() for parameter in EfficientNetLite0().parameters())
    assert own + head == pytest.approx(4.65e6, rel=0.01)


def test_pictures_of_any_size_are_looked_at():
    small, large = (PhotoEye(BASE).maps(to_pixels([make_strangers(1)[0].resize((side, side))])) for side in (64, 200))
    assert [m.shape for m in small] == [m.shape for m in large]
