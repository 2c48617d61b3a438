"""Exported adapters bind to the published names, by a few lines of torch and by plain peft; in bf16 adapters
learn what they learn in fp32."""

import json
import re
from collections import Counter

import pytest
import torch
from factories_bagel import make_bagel
from factories_model import disturb
from peft import PeftModel
from safetensors.torch import load_file
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from unichar.model.bagel.adapters import export_adapters, read_adapters
from unichar.model.bagel.saving import merge_bagel
from unichar.model.bagel.weights import load_bagel
from unichar.model.lora import LoraSettings, add_adapters, load_adapters, save_adapters
from unichar.training.seeds import torch_rng
from unichar.types import Segment

QUERIES = "language_model.model.layers.0.self_attn.q_proj"
MLP = "language_model.model.layers.1.mlp_moe_gen.up_proj"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_bagel(tmp_path_factory.mktemp("bagel") / "tiny")


@pytest.fixture(scope="module", params=["usual", "around the layers"])
def saved(request, base, tmp_path_factory):
    """Adapters of different rank and alpha; layers around the transformer are named without `_moe_gen`."""
    around = ("llm2vae", "time_embedder.mlp.0") if request.param != "usual" else ()
    model = load_bagel(base)
    gen = LoraSettings(rank=3, alpha=9, targets=(*model.lora_targets["gen"], *around) if around else ())
    add_adapters(model, und=LoraSettings(rank=2, alpha=4), gen=gen, seed=0)
    disturb(model, by=0.1)
    folder = tmp_path_factory.mktemp("checkpoint") / "adapters"
    save_adapters(model, folder, base_sha256="base")
    return folder


def by_hand(folder, base):
    """The published weights with the exported adapter added, as docs/bagel.md says."""
    config = json.loads((folder / "published" / "adapter_config.json").read_text())
    lora = load_file(folder / "published" / "adapter_model.safetensors")
    weights = load_file(base / "ema.safetensors")
    for key in [key for key in lora if key.endswith("lora_A.weight")]:
        name = key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        a, b = lora[key], lora[key.replace("lora_A", "lora_B")]
        scaling = config["alpha_pattern"].get(name, config["lora_alpha"]) / len(a)
        weight = weights[f"{name}.weight"]
        weights[f"{name}.weight"] = (weight.float() + scaling * (b @ a)).to(weight.dtype)
    return weights


def test_added_by_hand_they_give_the_merged_folder(saved, base, tmp_path):
    merge_bagel(base, saved, tmp_path / "merged")
    merged, expected = load_file(tmp_path / "merged" / "ema.safetensors"), by_hand(saved, base)
    assert merged.keys() == expected.keys()
    assert all(torch.equal(merged[name], expected[name]) for name in merged)
    plain = load_file(base / "ema.safetensors")
    changed = {name for name in merged if not torch.equal(merged[name], plain[name])}
    assert changed == {f"{name}.weight" for name in read_adapters(saved)} and len(changed) >= 42


def named_like(base) -> nn.Module:
    """Linear layers under the published names, as another program has them."""
    root = nn.Module()
    for name, tensor in load_file(base / "ema.safetensors").items():
        if tensor.dim() != 2 or not name.endswith(".weight"):
            continue
        *path, leaf = name.removesuffix(".weight").split(".")
        module = root
        for part in path:
            if part not in dict(module.named_children()):
                module.add_module(part, nn.Module())
            module = module.get_submodule(part)
        layer = nn.Linear(tensor.shape[1], tensor.shape[0], bias=False)
        layer.weight.data = tensor.float()
        module.add_module(leaf, layer)
    return root


@pytest.mark.filterwarnings("error:Found missing adapter keys")
def test_plain_peft_binds_every_one_of_them(saved, base):
    adapted = PeftModel.from_pretrained(named_like(base), saved / "published")
    layers = {name for name, module in adapted.get_base_model().named_modules() if hasattr(module, "lora_A")}
    assert layers == set(read_adapters(saved))
    assert not any("vit_model" in name for name in layers)  # its projections have the same last names

    merged = adapted.merge_and_unload()
    expected = by_hand(saved, base)
    for name in layers:
        # The base's weights were bf16, peft's sum is fp32.
        assert torch.equal(merged.get_submodule(name).weight.bfloat16(), expected[f"{name}.weight"])


def test_names_ranks_and_files_are_those_other_programs_look_for(saved):
    assert {path.name for path in saved.iterdir()} == {"und", "gen", "published", "base.json"}
    names = {path.name for path in (saved / "published").iterdir()}
    assert names == {"adapter_config.json", "adapter_model.safetensors"}
    keys = load_file(saved / "published" / "adapter_model.safetensors")
    assert keys[f"base_model.model.{MLP}.lora_A.weight"].shape == (3, 64)
    assert keys[f"base_model.model.{QUERIES}.lora_B.weight"].shape == (64, 2)
    assert sum(bool(re.search(r"_moe_gen\b", key)) for key in keys) == 2 * 3 * 7
    about = json.loads((saved / "published" / "adapter_config.json").read_text())
    assert about["base_model_name_or_path"] == "ByteDance-Seed/BAGEL-7B-MoT" and about["r"] == 2
    assert (about["rank_pattern"][MLP], about["alpha_pattern"][MLP]) == (3, 9)


def test_exporting_again_gives_the_same_bytes(saved, tmp_path):
    before = {path.name: path.read_bytes() for path in (saved / "published").iterdir()}
    export_adapters(saved)
    assert {path.name: path.read_bytes() for path in (saved / "published").iterdir()} == before


def test_what_is_exported_beside_them_changes_nothing_for_us(saved, base):
    model = load_bagel(base)
    load_adapters(model, saved, base_sha256="base")
    layer = model.gen.get_submodule("base_model.model.layers.1.mlp.up_proj")
    adapter = read_adapters(saved)[MLP]
    assert torch.equal(layer.lora_A["default"].weight, adapter.a)
    assert layer.scaling["default"] == adapter.scaling == 3


class AdapterProducts(TorchDispatchMode):
    """Counts products of matrices one side of which is the adapters' rank, by the types of the factors."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.rank = rank
        self.found: Counter[torch.dtype] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        factors = [arg for arg in args if isinstance(arg, torch.Tensor)]
        is_product = func.name() in ("aten::mm", "aten::addmm_", "aten::addmm")
        if is_product and any(self.rank in tensor.shape for tensor in factors):
            self.found.update({tensor.dtype for tensor in factors})
        return func(*args, **(kwargs or {}))


def gradients(base, dtype: torch.dtype) -> tuple[torch.Tensor, Counter[torch.dtype]]:
    """Of all adapters, of a loss on words and pictures; and the types of their products in both passes."""
    model = load_bagel(base, dtype=dtype)
    add_adapters(model, und=LoraSettings(rank=5), gen=LoraSettings(rank=5), seed=0)
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for name, parameter in parameters.items():
        assert parameter.dtype == torch.float32
        parameter.data = 0.1 * torch.randn(parameter.shape, generator=torch_rng(0, name))

    talk = [
        Segment(type="text", value="Hello", role="user"),
        Segment(type="text", value="I am me.", role="assistant", loss=True),
    ]
    with AdapterProducts(5) as products:
        context = model.prompt_context(["A fox.", "You at the beach."])
        velocity = model.velocity(model.start_noise([1, 2]), torch.tensor([0.3, 0.8]), context)
        losses = model.text_losses([talk], base)[0]
        (velocity.square().mean() + losses.mean()).backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in parameters.values())
    return torch.cat([parameter.grad.flatten() for parameter in parameters.values()]), products.found


def test_in_bf16_they_compute_in_bf16_and_learn_in_fp32_what_fp32_learns(base):
    expected, exact = gradients(base, torch.float32)
    found, rounded = gradients(base, torch.bfloat16)
    assert set(exact) == {torch.float32} and set(rounded) == {torch.bfloat16}
    assert rounded[torch.bfloat16] >= 2 * 3 * 7 * 2 * 2
    error = (found - expected).norm() / expected.norm()
    assert 0 < error < 0.03
