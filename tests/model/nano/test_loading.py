"""Loading a nano base: what fits, and what is refused."""

import json

import pytest
import torch
from factories_model import BASE
from safetensors import safe_open
from safetensors.torch import save_file

from unichar.model.nano.loading import load_nano, read_shape


@pytest.fixture(scope="module")
def stored():
    """(tensors of the parts that draw and see, metadata) of the base."""
    with safe_open(str(BASE), framework="pt") as file:
        names = [n for n in list(file.keys()) if n.split(".")[0] in ("vae", "vision", "connector", "expert")]
        return {name: file.get_tensor(name) for name in names}, file.metadata()


def test_a_loaded_model_is_frozen_and_in_eval_mode(model):
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_every_misfit_of_a_base_is_named(tmp_path, stored):
    tensors, metadata = dict(stored[0]), stored[1]
    tensors["vae.extra.weight"] = torch.zeros(1)
    del tensors["expert.norm.weight"]
    tensors["vision.norm.bias"] = torch.zeros(7)
    save_file(tensors, tmp_path / "base.safetensors", metadata)
    with pytest.raises(ValueError) as caught:
        load_nano(tmp_path / "base.safetensors")
    message = str(caught.value)
    assert "3 tensors differ" in message
    assert "vae.extra.weight (unknown)" in message
    assert "expert.norm.weight" in message and "expert.norm.weight (unknown)" not in message
    assert f"vision.norm.bias (7,), expected {tuple(stored[0]['vision.norm.bias'].shape)}" in message


def test_networks_of_the_judges_are_ignored(tmp_path, stored):
    tensors = stored[0] | {"examiner.whatever": torch.zeros(1), "photo.whatever": torch.zeros(1)}
    save_file(tensors, tmp_path / "base.safetensors", stored[1])
    load_nano(tmp_path / "base.safetensors")


def test_a_base_of_another_shape_is_built_in_that_shape(tmp_path, stored):
    metadata = {"config": json.dumps(json.loads(stored[1]["config"]) | {"expert_mlp": 100})}
    save_file(stored[0], tmp_path / "base.safetensors", metadata)
    with pytest.raises(ValueError, match=r"expert\.layers\.\d\.down_proj\.weight .*, expected \(320, 100\)"):
        load_nano(tmp_path / "base.safetensors")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors is missing: run `make data`"):
        load_nano(tmp_path / "none.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(BASE.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"cut\.safetensors is damaged"):
        load_nano(tmp_path / "cut.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"other\.safetensors is no nano base"):
        load_nano(tmp_path / "other.safetensors")


def test_the_shape_comes_from_the_header(stored):
    said = {"latent_channels": 8} | json.loads(stored[1]["config"])  # older bases do not say it
    assert json.loads(read_shape(BASE).to_json()) == said
