"""A checkpoint's adapters under the names of BAGEL's published tensors, for merging and for other programs.

    adapters/und, adapters/gen    one peft adapter per expert, by the names of `decoder.py`
    adapters/published            both as one peft adapter, by the names of the published model

peft attaches `published` to any module whose layers have those names, as `language_model.model.layers.0.
mlp_moe_gen.up_proj`: BAGEL's own code, for one. Programs without peft add `scaling * B @ A` to the tensor of
the same name, where scaling is alpha / rank of that layer in `adapter_config.json`.
"""

from dataclasses import dataclass
from pathlib import Path

from peft import LoraConfig
from torch import Tensor

from unichar.model.bagel.names import published
from unichar.training.state import load_tensors, save_tensors

PUBLISHED = "published"
"""The folder of the exported adapter."""
_COMPONENTS = ("und", "gen")
_PREFIX = "base_model.model."
"""Before a layer's name in peft's files."""


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """LoRA weights of one linear layer: A [r, I], B [O, r]."""

    a: Tensor
    b: Tensor
    alpha: int

    @property
    def scaling(self) -> float:
        """The factor of B A."""
        return self.alpha / len(self.a)


def read_adapters(folder: Path) -> dict[str, Adapter]:
    """Published name of a layer -> its adapter, of the `adapters/` folder of a checkpoint."""
    found: dict[str, Adapter] = {}
    for component in _COMPONENTS:
        tensors, _ = load_tensors(folder / component / "adapter_model.safetensors")
        alpha = LoraConfig.from_pretrained(str(folder / component)).lora_alpha

        layers = sorted({name.rsplit(".lora_", 1)[0] for name in tensors})
        for layer in layers:
            own = f"{component}.{layer.removeprefix(_PREFIX)}.weight"
            a, b = (tensors[f"{layer}.lora_{part}.weight"] for part in "AB")
            found[published(own).removesuffix(".weight")] = Adapter(a=a, b=b, alpha=alpha)
    return found


def export_adapters(folder: Path) -> None:
    """Write `published/` beside the `und/` and `gen/` of a checkpoint's `adapters/` folder."""
    adapters = read_adapters(folder)
    config = LoraConfig.from_pretrained(str(folder / "und"))
    config.target_modules = sorted(adapters)

    # Layers that differ from the settings of the text expert, named in full.
    config.rank_pattern = {name: len(a.a) for name, a in adapters.items() if len(a.a) != config.r}
    config.alpha_pattern = {name: a.alpha for name, a in adapters.items() if a.alpha != config.lora_alpha}

    tensors: dict[str, Tensor] = {}
    for name, adapter in adapters.items():
        tensors[f"{_PREFIX}{name}.lora_A.weight"] = adapter.a
        tensors[f"{_PREFIX}{name}.lora_B.weight"] = adapter.b

    (folder / PUBLISHED).mkdir(exist_ok=True)
    save_tensors(folder / PUBLISHED / "adapter_model.safetensors", tensors, {"format": "pt"})
    config.save_pretrained(str(folder / PUBLISHED))
