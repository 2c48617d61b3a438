"""A saved folder loads again, is never half written, and is what other programs read."""

import json
from pathlib import Path

import pytest
import torch
from factories_bagel import make_bagel
from factories_model import disturb
from peft.tuners.lora import LoraLayer
from safetensors import safe_open

from unichar.model.bagel.saving import save_bagel
from unichar.model.bagel.weights import load_bagel
from unichar.model.lora import LoraSettings, add_adapters
from unichar.training.state import save_tensors

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_bagel(tmp_path_factory.mktemp("bagel") / "tiny")


@pytest.fixture
def copy(folder, tmp_path) -> Path:
    """A folder to spoil; its files are links until they are replaced."""
    (tmp_path / "tiny").mkdir()
    for path in folder.iterdir():
        (tmp_path / "tiny" / path.name).symlink_to(path)
    return tmp_path / "tiny"


def states_match(a, b) -> bool:
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("shard_bytes", [2_000_000, 10**12])
def test_what_is_saved_is_what_was_loaded(folder, tmp_path, shard_bytes):
    model = load_bagel(folder, device=CPU, dtype=torch.bfloat16)
    save_bagel(model, tmp_path / "saved", base=folder, shard_bytes=shard_bytes)
    written = {path.name for path in (tmp_path / "saved").iterdir()}
    assert {
        "ae.safetensors",
        "model.safetensors.index.json",
        "config.json",
        "tokenizer.json",
        "preprocessor_config.json",
    } <= written
    assert ("ema.safetensors" in written) == (shard_bytes > 10**9)
    assert states_match(load_bagel(tmp_path / "saved", device=CPU, dtype=torch.bfloat16), model)
    index = json.loads((tmp_path / "saved" / "model.safetensors.index.json").read_bytes())
    names = {}
    for file in set(index["weight_map"].values()):
        with safe_open(str(tmp_path / "saved" / file), framework="pt") as opened:
            names |= dict.fromkeys(opened.keys(), file)
    assert index["weight_map"] == names
    assert names["encoder.conv_in.weight"] == "ae.safetensors"


def test_nothing_is_overwritten(folder):
    with pytest.raises(ValueError, match="holds something already"):
        save_bagel(load_bagel(folder, device=CPU), folder, base=folder)


def test_a_save_that_breaks_is_not_taken_for_whole(folder, tmp_path, monkeypatch):
    model = load_bagel(folder, device=CPU)

    def full(path, tensors, metadata) -> None:
        if path.name == "part-1":
            raise OSError(28, "No space left on device")
        save_tensors(path, tensors, metadata)

    monkeypatch.setattr("unichar.model.bagel.saving.save_tensors", full)
    with pytest.raises(OSError, match="No space"):
        save_bagel(model, tmp_path / "saved", base=folder)
    with pytest.raises(ValueError, match="is missing"):
        load_bagel(tmp_path / "saved", device=CPU)


def test_a_folder_without_the_file_others_read_gets_one(copy, tmp_path):
    (copy / "config.json").unlink()
    save_bagel(load_bagel(copy, device=CPU), tmp_path / "saved", base=copy)
    about = json.loads((tmp_path / "saved" / "config.json").read_bytes())
    assert about["model_type"] == "bagel" and about["llm_config"]["hidden_size"] == 64
    assert (about["max_latent_size"], about["vit_max_num_patch_per_side"]) == (4, 7)
    assert about["vae_config"] == {"z_channels": 16, "downsample": 8}


def test_adapters_are_saved_merged(folder, tmp_path):
    model = load_bagel(folder, device=CPU)
    add_adapters(model, und=LoraSettings(rank=2), gen=LoraSettings(rank=2), seed=0)
    disturb(model, by=0.1)
    model.save_merged(tmp_path / "merged", base=folder)
    merged = load_bagel(tmp_path / "merged", device=CPU)
    assert not any(isinstance(module, LoraLayer) for module in merged.modules())
    context, plain = model.prompt_context([""]), merged.prompt_context([""])
    noise, t = model.start_noise([3]), torch.tensor([0.6])
    with model.base_pictures():
        without = model.velocity(noise, t, context)
    with torch.no_grad():
        adapted = model.velocity(noise, t, context)
        # The merged text weights have the adapters, which the image path of the other model never uses.
        for own, other in zip(
            merged.und.parameters(), load_bagel(folder, device=CPU).und.parameters(), strict=True
        ):
            own.copy_(other)
        assert torch.allclose(merged.velocity(noise, t, plain), adapted, atol=1e-5)
    assert not torch.allclose(without, adapted, atol=1e-2)
