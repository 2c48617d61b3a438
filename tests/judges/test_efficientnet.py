"""EfficientNet-lite: the published networks, shape by shape."""

import pytest
import torch
from factories_model import BASE, make_prior_images

from unichar.judges.efficientnet import EfficientNetLite0, EfficientNetLite2
from unichar.judges.encoders import PhotoEncoder, tensors_of
from unichar.model.pixels import to_pixels


@pytest.fixture(scope="module", params=["photo", "photo_reward"])
def net(request):
    net = EfficientNetLite0() if request.param == "photo" else EfficientNetLite2()
    net.load_state_dict(tensors_of(BASE, request.param))
    return net.eval().requires_grad_(False)


def test_three_maps_at_an_eighth_a_sixteenth_and_a_thirty_second(net):
    maps = net.features(torch.zeros(2, 3, 224, 224))
    widths = (40, 112, 320) if isinstance(net, EfficientNetLite0) else (48, 120, 352)
    assert [tuple(m.shape) for m in maps] == [
        (2, width, side, side) for width, side in zip(widths, (28, 14, 7), strict=True)
    ]


def test_odd_sides_round_up_as_in_the_original(net):
    assert [m.shape[-1] for m in net.features(torch.zeros(1, 3, 225, 225))] == [29, 15, 8]


@pytest.mark.parametrize(
    ("network", "last", "published"), [(EfficientNetLite0, 320, 4.65e6), (EfficientNetLite2, 352, 6.09e6)]
)
def test_the_architecture_has_the_published_size(network, last, published):
    """With its classifier; the head after the last block (to 1280, to 1000) is left out here."""
    head = last * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    own = sum(parameter.numel() for parameter in network().parameters())
    assert own + head == pytest.approx(published, rel=0.01)


def test_pictures_of_any_size_give_maps_of_one_size():
    image, shapes = make_prior_images(1)[0], []
    for side in (64, 200):
        maps = PhotoEncoder(BASE).maps(to_pixels([image.resize((side, side))]))
        shapes.append([m.shape for m in maps])
    assert shapes[0] == shapes[1]
