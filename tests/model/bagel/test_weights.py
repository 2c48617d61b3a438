"""Folders as published: loaded completely and in little memory, or refused with the reason."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from factories_bagel import make_bagel
from factories_training import TESTS
from safetensors.torch import load_file, save_file

from unichar.model.bagel.generation import sincos_table
from unichar.model.bagel.weights import load_bagel

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
            r"43 tensors differ: language_model\.model\.layers\.0\.input_layernorm_moe_gen\.weight "
            r"\(missing\)(, [^,]*){7}$",
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


LOAD = """
import sys
from pathlib import Path
import torch
from unichar.model.bagel.weights import load_bagel

def kilobytes(name):  # of this program alone, unlike ru_maxrss, which begins with the parent's
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

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
