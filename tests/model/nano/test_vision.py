"""The vision tower classifies attributes, and the connector maps pictures into the backbone's embeddings."""

import pytest
import torch
from factories_interactions import BRAMBLE_LOOK
from factories_model import make_album

from unichar.domains.toon.vocabulary import ATTRIBUTES, attributes
from unichar.model.nano.vision import NUM_TOKENS
from unichar.model.pixels import to_pixels


@pytest.fixture(scope="module")
def album():
    return make_album(20)


def test_shapes(model, album):
    pixels = to_pixels(album.images[:3])
    features = model.vision(pixels)
    assert features.shape == (3, 64, model.config.vision_width)
    assert model.connector(features).shape == (3, NUM_TOKENS, model.config.backbone_width)
    assert [maps.shape for maps in model.maps(pixels)] == [(3, model.config.vision_width, 8, 8)]
    logits = model.read(pixels)
    assert {name: tuple(values.shape) for name, values in logits.items()} == {
        n: (3, len(v)) for n, v in ATTRIBUTES.items()
    }


def test_maps_keep_the_place_of_things(model, album):
    """A spot of the map is a spot of the picture: a change in one corner is seen most in that corner."""
    pixels = to_pixels(album.images[:1])
    changed = pixels.clone()
    changed[:, :, :16, :16] = 1.0 - changed[:, :, :16, :16]
    moved = (model.maps(changed)[0] - model.maps(pixels)[0]).norm(dim=1)[0]
    assert moved[:3, :3].max() == moved.max()


def test_a_trained_tower_reads_most_of_a_new_picture(model, album):
    logits = model.read(to_pixels(album.images))
    for name in ("species", "color", "outfit", "background", "prop", "expression"):
        wanted = torch.tensor(
            [ATTRIBUTES[name].index(attributes(BRAMBLE_LOOK, scene)[name]) for scene in album.scenes]
        )
        assert (logits[name].argmax(dim=1) == wanted).float().mean() >= 0.7, name
