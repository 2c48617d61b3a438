"""Weights in 4 bits: the same answers as those weights written out, in little memory, or a reason why not."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit
from factories_bagel import make_bagel
from factories_training import TESTS
from torch import nn

from unichar.errors import UserError
from unichar.model.bagel.model import BagelModel
from unichar.model.bagel.weights import load_bagel
from unichar.model.load import base_digest, load_model
from unichar.model.lora import LoraSettings, add_adapters, blocks, load_adapters, save_adapters, trainable
from unichar.model.merging import save_merged
from unichar.model.protocol import Turn
from unichar.training.seeds import torch_rng
from unichar.training.state import TrainState, load_tensors
from unichar.types import LoadConfig, Segment

CPU = torch.device("cpu")
TALK = [
    Segment(type="text", value="Who is there?", role="user"),
    Segment(type="text", value="It is me, the fox.", role="assistant", loss=True),
]
KINDS = [("nf4", torch.float32), ("nf4", torch.bfloat16), ("nf4-double", torch.float32)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_bagel(tmp_path_factory.mktemp("bagel") / "tiny", intermediate_size=128)


def quantised_layers(model: nn.Module) -> dict[str, Linear4bit]:
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, Linear4bit)}


def written_out(folder: Path, quantised: BagelModel, dtype: torch.dtype) -> BagelModel:
    """The same model with what its 4 bits mean as plain weights."""
    plain = load_bagel(folder, device=CPU, dtype=dtype)
    for name, layer in quantised_layers(quantised).items():
        weight = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        plain.get_submodule(name).weight.data = weight.to(dtype)
    return plain


def with_adapters(model: BagelModel) -> BagelModel:
    """Trained adapters: each weight depends on its name alone."""
    add_adapters(model, und=LoraSettings(rank=4, alpha=8), gen=LoraSettings(rank=4, alpha=8), seed=0)
    for name, parameter in trainable(model).items():
        parameter.data = 0.1 * torch.randn(parameter.shape, generator=torch_rng(0, name))
    return model


def velocity(model: BagelModel) -> torch.Tensor:
    noise = model.start_noise([3, 4])
    return model.velocity(noise, torch.tensor([0.3, 0.8]), model.prompt_context(["A fox at the beach."]))


def close(one: torch.Tensor, other: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether two results differ by the rounding of a few sums only."""
    return (one - other).norm() <= 4 * torch.finfo(dtype).eps * other.norm()


@pytest.mark.parametrize(("quantize", "dtype"), KINDS)
def test_the_projections_of_both_experts_are_in_4_bits_and_nothing_else(folder, quantize, dtype):
    model = load_bagel(folder, device=CPU, dtype=dtype, quantize=quantize)
    layers = quantised_layers(model)
    assert {name.rsplit(".", 1)[1] for name in layers} == set(model.lora_targets["gen"])
    assert len(layers) == 2 * 3 * 7
    assert {layer.weight.dtype for layer in layers.values()} == {torch.uint8}

    weights = {f"{name}.weight" for name in layers}
    assert {p.dtype for name, p in model.named_parameters() if name not in weights} == {dtype}
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(("quantize", "bits"), [("nf4", 4.5), ("nf4-double", 4 + 8 / 64 + 32 / 64 / 256)])
def test_bits_a_weight(tmp_path, quantize, bits):
    """Per weight, with the scales; a table of 16 values, or of 256 for scales, comes once a layer."""
    large = make_bagel(tmp_path / "wide", hidden_size=512, intermediate_size=1024, num_hidden_layers=1)
    layer = load_bagel(large, device=CPU, quantize=quantize).gen.layers[0].mlp.up_proj
    state = layer.weight.quant_state
    scales = [state.absmax] + ([state.state2.absmax] if state.nested else [])
    size = sum(tensor.numel() * tensor.element_size() for tensor in (layer.weight, *scales))
    assert 8 * size / (512 * 1024) == bits


@pytest.mark.parametrize("quantize", ["nf4", "nf4-double"])
def test_the_error_of_a_weight_is_that_of_nf4(folder, quantize):
    """About a tenth, for weights that are normally distributed."""
    model, exact = load_bagel(folder, device=CPU, quantize=quantize), load_bagel(folder, device=CPU)
    plain = written_out(folder, model, torch.float32)
    for name in quantised_layers(model):
        weight, found = exact.get_submodule(name).weight, plain.get_submodule(name).weight
        assert 0.07 < (found - weight).norm() / weight.norm() < 0.11, name


@pytest.mark.parametrize(("quantize", "dtype"), KINDS)
def test_answers_are_those_of_the_same_weights_written_out(folder, quantize, dtype):
    model = load_bagel(folder, device=CPU, dtype=dtype, quantize=quantize)
    plain, exact = written_out(folder, model, dtype), load_bagel(folder, device=CPU, dtype=dtype)
    with torch.no_grad():
        found, expected, unquantised = (velocity(each) for each in (model, plain, exact))
        assert close(found, expected, dtype)
        assert not close(found, unquantised, dtype) and (found - unquantised).norm() < 0.5 * found.norm()

        # The losses are those of logits of a vocabulary of 49,160.
        (loss,), (other,) = (each.text_losses([TALK], folder) for each in (model, plain))
        assert len(loss) > 5 and close(loss, other, dtype)

    turns = [Turn(role="user", text="Who is there?")]
    assert model.reply([turns], max_tokens=4) == plain.reply([turns], max_tokens=4)


@pytest.mark.parametrize(("quantize", "dtype"), KINDS)
def test_adapters_get_the_gradients_of_the_same_weights_written_out(folder, quantize, dtype):
    model = load_bagel(folder, device=CPU, dtype=dtype, quantize=quantize)
    gradients = []
    for each in (model, written_out(folder, model, dtype)):
        with_adapters(each)
        (velocity(each).square().mean() + each.text_losses([TALK], folder)[0].mean()).backward()
        gradients.append({name: parameter.grad for name, parameter in trainable(each).items()})

    found, expected = gradients
    assert len(found) == 2 * 2 * 3 * 7
    for name, gradient in found.items():
        assert gradient.dtype == torch.float32 and gradient.any()
        assert close(gradient, expected[name], dtype), name


def test_a_pass_changes_no_weight(folder):
    """The library would repack weights on CPUs with bf16 instructions, for a kernel that rounds to bf16."""
    model = load_bagel(folder, device=CPU, quantize="nf4")
    before = {name: layer.weight.data.clone() for name, layer in quantised_layers(model).items()}
    with torch.no_grad():
        velocity(model)
    for name, layer in quantised_layers(model).items():
        assert torch.equal(layer.weight.data, before[name]), name


def test_adapters_move_between_a_base_in_4_bits_and_the_base_itself(folder, tmp_path):
    model, digest = with_adapters(load_bagel(folder, device=CPU, quantize="nf4")), base_digest(folder)
    save_adapters(model, tmp_path / "nf4", base_sha256=digest, quantize="nf4")
    plain = load_model(folder, tmp_path / "nf4")
    save_adapters(plain, tmp_path / "plain", base_sha256=digest)

    again = load_bagel(folder, device=CPU, quantize="nf4")
    load_adapters(again, tmp_path / "plain", base_sha256=digest)
    with torch.no_grad():
        assert close(velocity(again), velocity(model), torch.float32)
        assert not torch.allclose(velocity(plain), velocity(model), atol=0.01)
    assert (tmp_path / "nf4" / "base.json").read_text() == f'{{"sha256": "{digest}", "quantize": "nf4"}}'
    assert (tmp_path / "plain" / "base.json").read_text() == f'{{"sha256": "{digest}"}}'


def test_adapters_of_4_bits_are_merged_into_the_base_s_own_weights(folder, tmp_path):
    model = with_adapters(load_bagel(folder, device=CPU, quantize="nf4", image_size=32))
    save_adapters(model, tmp_path / "nf4", base_sha256=base_digest(folder), quantize="nf4")
    load = LoadConfig(quantize="nf4", image_size=32)
    save_merged(folder, tmp_path / "nf4", tmp_path / "merged", load=load)

    merged, exact = load_bagel(tmp_path / "merged", device=CPU), load_bagel(folder, device=CPU)
    assert merged.image_size == 32
    for name in quantised_layers(model):
        plain = name.replace(".base_model.model.", ".").removesuffix(".base_layer")
        delta = model.get_submodule(name.removesuffix(".base_layer")).get_delta_weight("default")
        expected = (exact.get_submodule(plain).weight + delta).bfloat16().float()
        assert torch.equal(merged.get_submodule(plain).weight, expected), plain


def test_weights_in_4_bits_are_not_sharded(folder):
    model = with_adapters(load_bagel(folder, device=CPU, quantize="nf4"))
    with pytest.raises(UserError, match=r"can not be sharded over GPUs, .* set `shard` of SftConfig"):
        blocks(model)


def test_rows_that_are_no_whole_blocks_are_refused(tmp_path):
    """The library would dequantise them wrongly on some CPUs: by 28 % instead of 9 %."""
    narrow = make_bagel(tmp_path / "narrow", intermediate_size=96)
    with pytest.raises(UserError, match=r"mlp\.down_proj has 96 inputs; .* need a multiple of 64"):
        load_bagel(narrow, device=CPU, quantize="nf4")


def test_a_missing_library_is_named_with_how_to_install_it(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    assert load_bagel(folder, device=CPU).image_size == 64
    with pytest.raises(UserError, match=r"bitsandbytes, which is not installed: run `pip install 'bitsand"):
        load_bagel(folder, device=CPU, quantize="nf4")


def test_installed_for_bagel_it_says_nothing_to_others():
    code = "import unichar.model.lora, sys; print('bitsandbytes' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=TESTS.parent, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True\n", "")


LOAD = """
import sys
from pathlib import Path
import torch
from unichar.model.bagel.weights import load_bagel

def kilobytes(name):  # of this program alone, unlike ru_maxrss, which begins with the parent's
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

def load(folder):
    return load_bagel(folder, device=torch.device("cpu"), dtype=torch.bfloat16, quantize="nf4")

small, large = map(Path, sys.argv[1:])
load(small)  # everything that is imported late
before = kilobytes("VmRSS")
model = load(large)
tensors = list(model.parameters())
tensors += [layer.weight.quant_state.absmax for layer in model.modules() if hasattr(layer, "compute_dtype")]
print(kilobytes("VmHWM") - before, sum(t.numel() * t.element_size() for t in tensors) // 1024)
"""


def test_loading_never_holds_the_model_in_16_bits(folder, tmp_path):
    """540 MB on disk, 240 MB in the end."""
    sizes = {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 24}
    large = make_bagel(tmp_path / "large", values=lambda name, shape: torch.zeros(shape), **sizes)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder), str(large)],
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    took, weights = map(int, done.stdout.split())
    assert weights > 100e3
    assert took < 1.15 * weights, f"{took / 1e3:.0f} MB for {weights / 1e3:.0f} MB"


def test_a_training_state_holds_adapters_and_no_scales_of_frozen_weights(folder, tmp_path):
    model = with_adapters(load_bagel(folder, device=CPU, quantize="nf4-double"))
    assert any("absmax" in name for name in model.state_dict())

    state = TrainState(tmp_path / "state.safetensors", {"und": model.und, "gen": model.gen}, {}, key="x")
    state.save(1)
    tensors, _ = load_tensors(state.path)
    assert tensors.keys() == trainable(model).keys()
    assert state.load() == 1
