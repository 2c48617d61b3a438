"""A merged folder, for either family, and a model that is merged when it is loaded."""

import pytest
import torch
from factories_bagel import make_bagel
from factories_model import disturb
from peft import PeftModel

from unichar.model.bagel.weights import load_bagel
from unichar.model.load import base_digest, load_model
from unichar.model.lora import LoraSettings, add_adapters, save_adapters
from unichar.model.merging import save_merged
from unichar.model.protocol import Turn
from unichar.types import LoadConfig

ASKED = [[Turn(role="user", text=text)] for text in ("Hello", "Tea?")]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_bagel(tmp_path_factory.mktemp("bagel") / "tiny", intermediate_size=128)


@pytest.fixture(scope="module")
def adapters(base, tmp_path_factory):
    model = load_bagel(base)
    add_adapters(model, und=LoraSettings(rank=2), gen=LoraSettings(rank=3), seed=0)
    disturb(model, by=0.1)
    made = tmp_path_factory.mktemp("checkpoint") / "adapters"
    save_adapters(model, made, base_sha256=base_digest(base))
    return made


def drawn(model) -> torch.Tensor:
    context = model.prompt_context(["A fox.", "You at the beach."])
    return model.sample_latents(context, [1, 2], steps=3, guidance=2.0, shift=3.0)


def test_merged_when_loaded_it_is_what_it_is_with_adapters_but_for_rounding(base, adapters):
    """As reports and `talk` load it."""
    beside, within = load_model(base, adapters), load_model(base, adapters, merge=True)
    assert isinstance(within.gen, PeftModel)
    error = (drawn(within) - drawn(beside)).norm() / drawn(beside).norm()
    assert 0 < error < 1e-5
    options = {"max_tokens": 6, "temperature": 0.0, "seed": 0}
    assert within.reply(ASKED, **options) == beside.reply(ASKED, **options)
    with pytest.raises(AssertionError, match="hold the adapters now"), within.base_pictures():
        pass


def test_only_the_components_that_are_loaded_are_merged(base, adapters):
    model = load_model(base, adapters, components=("und",), merge=True)
    plain = load_bagel(base)
    assert not isinstance(model.gen, PeftModel)
    assert torch.equal(model.gen.layers[0].mlp.up_proj.weight, plain.gen.layers[0].mlp.up_proj.weight)


def test_weights_in_4_bits_keep_their_adapters_beside(base, adapters):
    load = LoadConfig(quantize="nf4")
    beside, within = (load_model(base, adapters, load=load, merge=merge) for merge in (False, True))
    assert torch.equal(drawn(beside), drawn(within))


def test_adapters_trained_in_4_bits_are_merged_into_the_base_s_own_weights(base, adapters, tmp_path):
    whole, other = tmp_path / "whole", tmp_path / "other"
    save_merged(base, adapters, whole, load=LoadConfig(quantize="nf4", image_size=32))
    save_merged(base, adapters, other, load=LoadConfig())
    assert (whole / "ema.safetensors").read_bytes() == (other / "ema.safetensors").read_bytes()
    assert (load_model(whole).image_size, load_model(other).image_size) == (32, 64)


def test_adapters_of_another_base_are_refused(adapters, tmp_path):
    other = make_bagel(tmp_path / "other", num_hidden_layers=2)
    with pytest.raises(ValueError, match="was trained on the base"):
        save_merged(other, adapters, tmp_path / "merged", load=LoadConfig())
    assert not (tmp_path / "merged").exists()
