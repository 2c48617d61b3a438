"""The one door to a model."""

import hashlib

import pytest
from factories_bagel import make_bagel
from factories_model import BASE

from unichar.errors import UserError
from unichar.model.bagel.model import BagelModel
from unichar.model.load import base_digest, load_model
from unichar.model.lora import LoraSettings, add_adapters, save_adapters
from unichar.store.files import HashMemory
from unichar.types import LoadConfig


def test_a_file_is_named_by_its_content(tmp_path):
    (tmp_path / "x").write_bytes(b"nano")
    assert base_digest(tmp_path / "x") == hashlib.sha256(b"nano").hexdigest()


def test_a_folder_is_named_by_all_that_it_holds(tmp_path):
    (tmp_path / "a" / "backbone").mkdir(parents=True)
    (tmp_path / "a" / "one.safetensors").write_bytes(b"1")
    names = {base_digest(tmp_path / "a")}
    (tmp_path / "a" / "backbone" / "two.json").write_bytes(b"2")
    names.add(base_digest(tmp_path / "a"))
    (tmp_path / "a" / "one.safetensors").write_bytes(b"2")
    names.add(base_digest(tmp_path / "a"))
    assert len(names) == 3

    # A download from Hugging Face keeps notes beside the weights.
    (tmp_path / "a" / ".cache").mkdir()
    (tmp_path / "a" / ".cache" / "note.json").write_bytes(b"3")
    assert base_digest(tmp_path / "a") in names
    assert base_digest(tmp_path / "a", HashMemory(tmp_path / "memory.json")) in names


def test_a_folder_as_published_is_a_bagel(tmp_path):
    base = make_bagel(tmp_path / "bagel")
    model = load_model(base)
    assert isinstance(model, BagelModel) and model.image_size == 64
    add_adapters(model, und=LoraSettings(rank=2), gen=LoraSettings(rank=2), seed=0)
    save_adapters(model, tmp_path / "adapters", base_sha256=base_digest(base))
    tuned = load_model(base, tmp_path / "adapters", trainable=True)
    assert {name for name, p in tuned.named_parameters() if p.requires_grad and ".lora_" not in name} == set()
    with pytest.raises(ValueError, match="was trained on the base"):
        load_model(BASE, tmp_path / "adapters")


def test_how_a_base_is_loaded_is_a_choice_for_bagel_alone(tmp_path):
    load = LoadConfig(quantize="nf4", image_size=32)
    model = load_model(make_bagel(tmp_path / "bagel", intermediate_size=128), load=load)
    assert model.image_size == 32
    assert not model.gen.layers[0].mlp.up_proj.weight.is_floating_point()
    with pytest.raises(
        UserError, match=r"safetensors is a nano, .* say quantize='nf4' and image_size=32: name a"
    ):
        load_model(BASE, load=load)


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"ema\.safetensors is missing: expected a folder as published for BAGEL-7B-MoT"
    ):
        load_model(tmp_path)


def test_a_missing_base_says_how_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="make data"):
        load_model(tmp_path / "base.safetensors")


def test_missing_adapters_are_not_taken_for_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"adapters/base\.json"):
        load_model(BASE, tmp_path / "adapters")
