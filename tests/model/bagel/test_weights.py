"""Folders as published: read whole or refused with what is wrong, in little memory, and written so that others can read them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from factories_bagel import make_bagel
from factories_model import disturb
from factories_training import TESTS
from peft.tuners.lora import LoraLayer
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from unichar.model.bagel.generation import sincos_table
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


def rewrite(path: Path, change) -> None:
    """Replace a file of tensors or JSON by what `change` makes of it."""
    is_json = path.suffix == ".json"
    value = json.loads(path.read_bytes()) if is_json else load_file(path)
    changed = change(value) or value
    path.unlink()
    if is_json:
        path.write_text(json.dumps(changed))
    else:
        save_file(changed, path)


def states_match(a, b) -> bool:
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def test_a_folder_as_published(folder):
    model = load_bagel(folder, device=CPU)
    stored = load_file(folder / "ema.safetensors")
    assert model.image_size == 64
    assert model.gen.layers[2].mlp.up_proj.weight.dtype == torch.float32
    name = "language_model.model.layers.2.mlp_moe_gen.up_proj.weight"
    assert torch.equal(model.gen.layers[2].mlp.up_proj.weight, stored[name].float())
    assert torch.equal(
        model.und.layers[0].self_attn.q_norm.weight,
        stored["language_model.model.layers.0.self_attn.q_norm.weight"].float(),
    )
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_the_type_is_a_choice(folder):
    model = load_bagel(folder, device=CPU, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_shards_with_an_index(folder, tmp_path):
    assert states_match(
        load_bagel(make_bagel(tmp_path / "sharded", shards=3), device=CPU), load_bagel(folder, device=CPU)
    )


def test_tables_that_are_missing_are_computed(tmp_path):
    model = load_bagel(make_bagel(tmp_path / "bare", tables=False), device=CPU)
    assert torch.equal(model.gen.latent_pos_embed.pos_embed, sincos_table(4, 64))
    assert torch.equal(model.vision.vit_pos_embed.pos_embed, sincos_table(7, 64))


def test_the_size_of_pictures(folder, copy):
    assert load_bagel(folder, device=CPU, image_size=32).image_size == 32
    rewrite(copy / "config.json", lambda about: about | {"image_size": 48})
    assert load_bagel(copy, device=CPU).image_size == 48
    for size in (40, -16, 80):
        with pytest.raises(
            ValueError, match=rf"image_size is {size}, expected a multiple of 16 from 16 to 64"
        ):
            load_bagel(folder, device=CPU, image_size=size)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.pop("llm2vae.bias") is None, r"1 tensors differ: llm2vae\.bias \(missing\)"),
        (lambda t: t.update(extra=torch.zeros(1)), r"1 tensors differ: extra \(unknown\)"),
        (
            lambda t: t.update({"llm2vae.bias": torch.zeros(3)}),
            r"1 tensors differ: llm2vae\.bias \(3,\), expected \(64,\)",
        ),
        (
            lambda t: {k: v for k, v in t.items() if "moe_gen" not in k},
            r"43 tensors differ: language_model\.model\.layers\.0\.input_layernorm_moe_gen\.weight \(missing\)(, [^,]*){7}$",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(copy, spoil, message):
    rewrite(copy / "ema.safetensors", spoil)
    with pytest.raises(ValueError, match=message):
        load_bagel(copy, device=CPU)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("llm_config.json", {"rope_theta": None}, r"llm_config\.json: rope_theta is None, expected a number"),
        (
            "llm_config.json",
            {"num_hidden_layers": 2.5},
            r"num_hidden_layers is 2\.5, expected a whole number",
        ),
        (
            "llm_config.json",
            {"num_key_value_heads": 3},
            r"num_attention_heads is 4, expected a multiple of 3",
        ),
        (
            "vit_config.json",
            {"image_size": 100},
            r"vit_config\.json: image_size is 100, expected a multiple of 14",
        ),
        ("vit_config.json", {"hidden_size": 0}, r"hidden_size is 0, expected more than 0"),
        (
            "llm_config.json",
            {"vocab_size": 49152},
            r"tokenizer has 49154 .* vocabulary .* is 49152: the tokenizer files are another",
        ),
    ],
)
def test_configurations_that_can_not_be_are_named(copy, file, change, message):
    rewrite(copy / file, lambda about: about | change)
    with pytest.raises(ValueError, match=message):
        load_bagel(copy, device=CPU)


@pytest.mark.parametrize(
    "file", ["llm_config.json", "vit_config.json", "ema.safetensors", "ae.safetensors", "tokenizer.json"]
)
def test_missing_and_damaged_files_are_named(copy, file):
    (copy / file).unlink()
    with pytest.raises(ValueError, match=rf"{file} is missing"):
        load_bagel(copy, device=CPU)
    (copy / file).write_bytes(b"half a fi")
    with pytest.raises(ValueError, match=rf"{file} is (no JSON|damaged)"):
        load_bagel(copy, device=CPU)


def test_a_field_that_is_missing_is_named(copy):
    rewrite(copy / "llm_config.json", lambda about: {k: v for k, v in about.items() if k != "hidden_size"})
    with pytest.raises(ValueError, match=r"llm_config\.json: hidden_size is missing"):
        load_bagel(copy, device=CPU)


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
        # Markers of the merged model went through adapted text weights, which pictures of the other never see.
        for own, other in zip(
            merged.und.parameters(), load_bagel(folder, device=CPU).und.parameters(), strict=True
        ):
            own.copy_(other)
        assert torch.allclose(merged.velocity(noise, t, plain), adapted, atol=1e-5)
    assert not torch.allclose(without, adapted, atol=1e-2)


LOAD = """
import sys
from pathlib import Path
import torch
from unichar.model.bagel.weights import load_bagel

def kilobytes(name):  # of this program alone, unlike ru_maxrss, which begins with the parent's
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))

small, large = map(Path, sys.argv[1:])
load_bagel(small, device=torch.device("cpu"), dtype=torch.bfloat16)  # everything that is imported late
before = kilobytes("VmRSS")
model = load_bagel(large, device=torch.device("cpu"), dtype=torch.bfloat16)
print(kilobytes("VmHWM") - before, sum(p.numel() for p in model.parameters()) * 2 // 1024)
"""


def test_loading_takes_little_more_memory_than_the_weights(folder, tmp_path):
    sizes = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 14}
    large = make_bagel(tmp_path / "large", values=lambda name, shape: torch.zeros(shape), **sizes)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder), str(large)],
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    took, weights = map(int, done.stdout.split())
    assert weights > 300e3
    assert took < 1.15 * weights, f"{took / 1e3:.0f} MB for {weights / 1e3:.0f} MB"
