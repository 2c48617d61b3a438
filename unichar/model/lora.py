"""LoRA adapters through peft on the text backbone and on the generation expert, saved in peft's own format.

A checkpoint's `adapters/` folder holds `und/` and `gen/`, each readable by `peft.PeftModel.from_pretrained`,
and `base.json` with the hash of the base they belong to, and with `quantize` where its frozen weights were
in 4 bits.
"""

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn

from unichar.errors import UserError
from unichar.model.adapter_layer import AdapterLinear
from unichar.model.components import share_switch
from unichar.model.protocol import UnifiedModel
from unichar.store.files import write_atomic
from unichar.training.ranks import is_main, whole
from unichar.types import Quantization

COMPONENTS = ("und", "gen")
"""Attributes of a `UnifiedModel` that adapters attach to: text backbone and generation expert."""


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """Low-rank adapters of one component of the model."""

    rank: int = 16
    alpha: int = 32
    """Adapters are scaled by alpha / rank."""
    targets: tuple[str, ...] = ()
    """Suffixes of the names of the linear layers that get an adapter, as `q_proj`; empty for all the model
    offers."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise UserError(f"LoraSettings.rank is {self.rank}; expected 1 or more")


def add_adapters(model: UnifiedModel, *, und: LoraSettings, gen: LoraSettings, seed: int) -> None:
    """Attach new trainable adapters to both components; they change nothing until they are trained."""
    for name, settings in (("und", und), ("gen", gen)):
        targets = list(settings.targets or model.lora_targets[name])
        config = LoraConfig(
            r=settings.rank, lora_alpha=settings.alpha, target_modules=targets, lora_dropout=0.0
        )

        # peft initializes from the global generator.
        torch.manual_seed(seed)
        _use_own_layer(config)
        with _ignore_peft_warning():
            component = get_peft_model(getattr(model, name), config)
        share_switch(component)
        setattr(model, name, component)


def save_adapters(
    model: UnifiedModel, folder: Path, *, base_sha256: str, quantize: Quantization = ""
) -> None:
    """Write the adapters of both components into `folder`. Collective: every rank calls it, rank 0 writes.

    `quantize` is noted in `base.json`: the base's type while the adapters were trained. They load on the same
    base in any type.
    """
    for name in COMPONENTS:
        module: PeftModel = getattr(model, name)
        state = module.state_dict().items()
        tensors = {key: whole(tensor).cpu() for key, tensor in state if "lora_" in key}
        if not is_main():
            continue

        # peft would store the path of the base on this machine.
        for config in module.peft_config.values():
            config.base_model_name_or_path = model.adapter_bases[name]
        module.save_pretrained(str(folder / name), state_dict=tensors, save_embedding_layers=False)
        (folder / name / "README.md").unlink()  # peft's blank model card

    if is_main():
        about = {"sha256": base_sha256} | ({"quantize": quantize} if quantize else {})
        write_atomic(folder / "base.json", json.dumps(about).encode())
        model.export_adapters(folder)


def load_adapters(
    model: UnifiedModel,
    folder: Path,
    *,
    base_sha256: str,
    components: Sequence[str] = COMPONENTS,
    trainable: bool = False,
) -> None:
    """Attach saved adapters to a base model, to both components or to those named.

    Raises:
        UserError: The adapters were trained on another base.
    """
    check_base(folder, base_sha256=base_sha256)
    for name in components:
        config = LoraConfig.from_pretrained(str(folder / name))
        _use_own_layer(config)
        with _ignore_peft_warning():
            component = PeftModel.from_pretrained(
                getattr(model, name), folder / name, is_trainable=trainable, config=config
            )
        share_switch(component)
        setattr(model, name, component)


def check_base(folder: Path, *, base_sha256: str) -> None:
    """Check that saved adapters belong to a base.

    Raises:
        UserError: They were trained on another base.
    """
    expected = json.loads((folder / "base.json").read_text())["sha256"]
    if expected != base_sha256:
        raise UserError(
            f"{folder} was trained on the base {expected[:12]}…, but the base here is {base_sha256[:12]}…: "
            "fetch the base it belongs to (`make data`), or train the character again"
        )


def saved_rank(folder: Path) -> int:
    """The LoRA rank of one component's saved adapters, `adapters/gen` or `adapters/und`."""
    return int(json.loads((folder / "adapter_config.json").read_text())["r"])


def _use_own_layer(config: LoraConfig) -> None:
    """Make peft attach `AdapterLinear`; it is not written into the saved settings."""
    # A bitsandbytes layer is an `nn.Linear`, too.
    config._register_custom_module({nn.Linear: AdapterLinear})


@contextmanager
def _ignore_peft_warning() -> Iterator[None]:
    """Silence transformers' deprecation warning about peft reading `is_gradient_checkpointing`."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield


def blocks(model: UnifiedModel) -> list[nn.Module]:
    """Modules to shard over ranks, inner ones first.

    They are every layer with adapters, and a component that also has adapters outside its layers.

    Raises:
        UserError: The frozen weights are in 4 bits, or the text backbone has adapters outside its layers,
            whose weights would never be gathered.
    """
    found: list[nn.Module] = []
    for name in COMPONENTS:
        component = getattr(model, name)
        if not all(weight.is_floating_point() for weight in component.parameters()):
            raise UserError(
                "weights in 4 bits can not be sharded over GPUs, and a model of them fits one: set `shard` "
                "of SftConfig and GrpoConfig to False, or LoadConfig.quantize to ''"
            )

        layers = []
        for module in component.modules():
            if isinstance(module, nn.ModuleList):
                layers += [layer for layer in module if trainable(layer)]
        found += layers

        inside = {id(parameter) for layer in layers for parameter in layer.parameters()}
        if all(id(parameter) in inside for parameter in trainable(component).values()):
            continue
        if name == "und":
            raise UserError(
                "adapters outside the layers of the text backbone can not be split: name other und_targets"
            )
        found.append(component)
    return found


def trainable(module: nn.Module) -> dict[str, Tensor]:
    """Name -> parameter of the parameters that require gradients."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
