"""A merged folder is the base and its adapters, is never half written, and is what other programs read."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from factories_bagel import make_bagel
from factories_model import disturb
from factories_training import TESTS
from peft.tuners.lora import LoraLayer
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from unichar.model.bagel.saving import merge_bagel, save_bagel
from unichar.model.bagel.stored import find_tensors, read_tensors
from unichar.model.bagel.weights import load_bagel
from unichar.model.components import merged_adapters
from unichar.model.load import base_digest, load_model
from unichar.model.lora import LoraSettings, add_adapters, load_adapters, save_adapters
from unichar.model.protocol import Turn
from unichar.training.state import save_tensors

CPU = torch.device("cpu")
ASKED = [[Turn(role="user", text=text)] for text in ("Hello", "Where do you live?", "Tea?")]


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


@pytest.fixture(scope="module")
def adapters(folder, tmp_path_factory) -> Path:
    """Trained adapters of that folder; the experts' ranks and alphas differ."""
    model = load_bagel(folder, device=CPU)
    add_adapters(model, und=LoraSettings(rank=2, alpha=4), gen=LoraSettings(rank=3, alpha=9), seed=0)
    disturb(model, by=0.1)
    made = tmp_path_factory.mktemp("checkpoint") / "adapters"
    save_adapters(model, made, base_sha256=base_digest(folder))
    return made


@pytest.fixture(scope="module")
def merged(folder, adapters, tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("merged") / "merged"
    merge_bagel(folder, adapters, made)
    return made


def tensors_of(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """All tensors of a folder, the autoencoder's last."""
    found = dict(read_tensors(find_tensors(folder)))
    yield from sorted(found.items(), key=lambda item: item[0].startswith(("encoder.", "decoder.")))


@pytest.mark.parametrize("shard_bytes", [2_000_000, 10**12])
def test_what_is_saved_is_what_was_given(folder, tmp_path, shard_bytes):
    save_bagel(tensors_of(folder), tmp_path / "saved", base=folder, shard_bytes=shard_bytes)
    written = {path.name for path in (tmp_path / "saved").iterdir()}
    assert {
        "ae.safetensors",
        "model.safetensors.index.json",
        "config.json",
        "tokenizer.json",
        "preprocessor_config.json",
    } <= written
    assert ("ema.safetensors" in written) == (shard_bytes > 10**9)
    before, after = dict(tensors_of(folder)), dict(tensors_of(tmp_path / "saved"))
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    index = json.loads((tmp_path / "saved" / "model.safetensors.index.json").read_bytes())
    names = {}
    for file in set(index["weight_map"].values()):
        with safe_open(str(tmp_path / "saved" / file), framework="pt") as opened:
            names |= dict.fromkeys(opened.keys(), file)
    assert index["weight_map"] == names
    assert names["encoder.conv_in.weight"] == "ae.safetensors"


def test_nothing_is_overwritten(folder, adapters):
    with pytest.raises(ValueError, match="holds something already"):
        merge_bagel(folder, adapters, folder)


def test_a_save_that_breaks_is_not_taken_for_whole(folder, adapters, tmp_path, monkeypatch):
    def full(path, tensors, metadata) -> None:
        if path.name == "part-1":
            raise OSError(28, "No space left on device")
        save_tensors(path, tensors, metadata)

    monkeypatch.setattr("unichar.model.bagel.saving.save_tensors", full)
    with pytest.raises(OSError, match="No space"):
        merge_bagel(folder, adapters, tmp_path / "saved")
    with pytest.raises(ValueError, match="is missing"):
        load_bagel(tmp_path / "saved", device=CPU)


def test_a_folder_without_the_file_others_read_gets_one(copy, adapters, tmp_path):
    (copy / "config.json").unlink()
    merge_bagel(copy, adapters, tmp_path / "saved")
    about = json.loads((tmp_path / "saved" / "config.json").read_bytes())
    assert about["model_type"] == "bagel" and about["llm_config"]["hidden_size"] == 64
    assert (about["max_latent_size"], about["vit_max_num_patch_per_side"]) == (4, 7)
    assert about["vae_config"] == {"z_channels": 16, "downsample": 8}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_merged_folder_answers_as_base_and_adapters_do(dtype, adapters, folder, tmp_path):
    """The same replies, and latents that differ by no more than rounding the sum can explain.

    Prompts and markers are read with the text adapters, which is all that merged weights can do.
    """
    base = tmp_path / "base"
    base.mkdir()
    for path in folder.iterdir():
        tensors = load_file(path) if path.suffix == ".safetensors" else None
        if tensors is None:
            (base / path.name).symlink_to(path)
        else:
            save_file({name: tensor.to(dtype) for name, tensor in tensors.items()}, base / path.name)
    merge_bagel(base, adapters, tmp_path / "merged")

    # Like CUDA's default for BAGEL, or fp32 throughout: the type that the folder stores.
    tuned = load_bagel(base, device=CPU, dtype=dtype)
    load_adapters(tuned, adapters, base_sha256=base_digest(folder))
    whole, plain = (load_bagel(each, device=CPU, dtype=dtype) for each in (tmp_path / "merged", base))
    assert not any(isinstance(module, LoraLayer) for module in whole.modules())

    # In memory the same sums are made as in the folder, so there every bit agrees.
    with merged_adapters(tuned.und), merged_adapters(tuned.gen):
        assert whole.reply(ASKED, max_tokens=8) == tuned.reply(ASKED, max_tokens=8)
        assert torch.equal(drawn(whole), drawn(tuned))

    moved = (drawn(tuned) - drawn(plain)).norm()
    error = (drawn(tuned) - drawn(whole)).norm()
    assert error < (1e-5 if dtype == torch.float32 else 0.05) * moved, (error, moved)
    assert plain.reply(ASKED, max_tokens=8) != tuned.reply(ASKED, max_tokens=8)
    if dtype == torch.float32:
        assert whole.reply(ASKED, max_tokens=8) == tuned.reply(ASKED, max_tokens=8)


def drawn(model) -> torch.Tensor:
    """Latents of two guided pictures, whose prompts the text expert reads."""
    context = model.prompt_context(["A fox.", "You at the beach."])
    return model.sample_latents(context, [1, 2], steps=3, guidance=2.0, shift=3.0)


def test_every_tensor_keeps_the_type_it_is_stored_in(copy, adapters, tmp_path):
    tensors = load_file(copy / "ema.safetensors")
    name = "language_model.model.layers.1.mlp_moe_gen.up_proj.weight"
    tensors[name] = tensors[name].float()
    (copy / "ema.safetensors").unlink()
    save_file(tensors, copy / "ema.safetensors")
    merge_bagel(copy, adapters, tmp_path / "merged")
    types = {key: tensor.dtype for key, tensor in tensors_of(tmp_path / "merged")}
    assert types.pop(name) == torch.float32 and set(types.values()) == {torch.bfloat16}


def test_only_layers_with_adapters_change(folder, merged):
    before, after = dict(tensors_of(folder)), dict(tensors_of(merged))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert len(changed) == 2 * 3 * 7 and all("_proj" in name for name in changed)


def test_a_character_trained_at_another_size_is_drawn_at_it(adapters, tmp_path):
    large = make_bagel(tmp_path / "large", latent_side=8)
    merge_bagel(large, adapters, tmp_path / "whole")
    merge_bagel(large, adapters, tmp_path / "half", image_size=64)
    sizes = [load_bagel(tmp_path / name, device=CPU).image_size for name in ("whole", "half")]
    assert sizes == [128, 64]


def test_adapters_of_layers_that_the_base_has_not_are_refused(adapters, tmp_path):
    other = make_bagel(tmp_path / "other", num_hidden_layers=2)
    with pytest.raises(ValueError, match=r"adapters of layers .*layers\.2\."):
        merge_bagel(other, adapters, tmp_path / "merged")


def test_a_merged_folder_is_loaded_like_any_base(merged):
    assert load_model(merged).reply(ASKED[:1], max_tokens=2, temperature=0.0, seed=0)


MERGE = """
import sys
from pathlib import Path
from unichar.model.bagel.saving import merge_bagel

def anonymous():  # memory of this program that no file backs, at its peak so far
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

import unichar.model.bagel.saving as saving
peak, save = 0, saving.save_tensors

def watched(*args):
    global peak
    peak = max(peak, anonymous())
    save(*args)

saving.save_tensors = watched
base, adapters, out = map(Path, sys.argv[1:])
before = anonymous()
merge_bagel(base, adapters, out, shard_bytes=20_000_000)
print(peak - before, sum(path.stat().st_size for path in out.glob("*.safetensors")) // 1024)
"""


def test_merging_holds_a_shard_and_not_the_model(tmp_path):
    sizes = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 24}
    base = make_bagel(tmp_path / "base", values=lambda name, shape: torch.zeros(shape), **sizes)
    model = load_bagel(base, device=CPU, dtype=torch.bfloat16)
    add_adapters(model, und=LoraSettings(rank=1), gen=LoraSettings(rank=1), seed=0)
    save_adapters(model, tmp_path / "adapters", base_sha256="")
    done = subprocess.run(
        [sys.executable, "-c", MERGE, str(base), str(tmp_path / "adapters"), str(tmp_path / "merged")],
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    took, weights = map(int, done.stdout.split())
    assert weights > 100e3
    assert took < 60e3, f"{took / 1e3:.0f} MB for {weights / 1e3:.0f} MB"
