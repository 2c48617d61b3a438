"""The shape of a base travels with its weights."""

import json

import pytest

from unichar.model.nano.config import NanoConfig


def test_the_shape_comes_back_from_its_text():
    config = NanoConfig(vae_widths=(8, 16, 24), every=5, expert_width=96)
    assert NanoConfig.from_json(config.to_json()) == config
    assert json.loads(config.to_json())["every"] == 5


@pytest.mark.parametrize(("every", "last"), [(1, 29), (3, 29), (10, 29), (30, 29)])
def test_the_last_backbone_layer_is_always_read(every, last):
    attached = NanoConfig(every=every).attached
    assert attached[-1] == last and len(attached) == 30 // every


@pytest.mark.parametrize("wrong", [{"image_size": 100}, {"expert_heads": 4}])
def test_shapes_that_can_not_be_built_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} is {wrong[name]}, expected"):
        NanoConfig(**wrong)


def test_a_base_that_does_not_say_how_many_channels_its_latents_have_has_eight():
    raw = json.loads(NanoConfig(latent_channels=16).to_json())
    assert NanoConfig.from_json(json.dumps(raw)).latent_channels == 16
    del raw["latent_channels"]
    assert NanoConfig.from_json(json.dumps(raw)).latent_channels == 8
