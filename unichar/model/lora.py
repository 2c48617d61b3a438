"""Adapters: LoRA through peft on the text backbone and on the generation expert, saved in peft's own format.

A checkpoint's `adapters/` folder holds `und/` and `gen/`, each readable by `peft.PeftModel.from_pretrained`, and `base.json`
with the hash of the base they belong to.
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

from unichar.model.protocol import UnifiedModel
from unichar.store.files import write_atomic
from unichar.training.ranks import is_main, whole

SIDES = ("und", "gen")


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """Low-rank adapters of one side of the model."""

    rank: int = 16
    alpha: int = 32
    """Adapters are scaled by alpha / rank."""
    targets: tuple[str, ...] = ()
    """Ends of the names of the linear layers that get one, as `q_proj`; empty for all that the model offers."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"LoraSettings.rank is {self.rank}; expected 1 or more")


def add_adapters(model: UnifiedModel, *, und: LoraSettings, gen: LoraSettings, seed: int) -> None:
    """Give both sides fresh trainable adapters; a fresh adapter changes nothing until it is trained."""
    for side, settings in (("und", und), ("gen", gen)):
        torch.manual_seed(seed)
        targets = list(settings.targets or model.lora_targets[side])
        config = LoraConfig(
            r=settings.rank, lora_alpha=settings.alpha, target_modules=targets, lora_dropout=0.0
        )
        with _peft_asks_by_the_old_name():
            setattr(model, side, get_peft_model(getattr(model, side), config))


def save_adapters(model: UnifiedModel, folder: Path, *, base_sha256: str) -> None:
    """Write both sides into `folder`. With several processes all of them call this; process 0 writes."""
    for side in SIDES:
        module: PeftModel = getattr(model, side)
        tensors = {name: whole(tensor) for name, tensor in module.state_dict().items() if "lora_" in name}
        if is_main():
            for config in module.peft_config.values():  # peft would name this machine's folder
                config.base_model_name_or_path = model.adapter_bases[side]
            module.save_pretrained(str(folder / side), state_dict=tensors, save_embedding_layers=False)
            (folder / side / "README.md").unlink()  # peft's blank model card
    if is_main():
        write_atomic(folder / "base.json", json.dumps({"sha256": base_sha256}).encode())


def load_adapters(
    model: UnifiedModel,
    folder: Path,
    *,
    base_sha256: str,
    sides: Sequence[str] = SIDES,
    trainable: bool = False,
) -> None:
    """Put saved adapters on a base model, on one side alone if `sides` says so.

    Raises:
        ValueError: The adapters were trained on another base.
    """
    wanted = json.loads((folder / "base.json").read_text())["sha256"]
    if wanted != base_sha256:
        raise ValueError(
            f"{folder} was trained on the base {wanted[:12]}…, but the base here is {base_sha256[:12]}…: "
            "fetch the base it belongs to (`make data`), or train the character again"
        )
    for side in sides:
        with _peft_asks_by_the_old_name():
            loaded = PeftModel.from_pretrained(getattr(model, side), folder / side, is_trainable=trainable)
        setattr(model, side, loaded)


def saved_rank(folder: Path) -> int:
    """The LoRA rank of one saved side, `adapters/gen` or `adapters/und`."""
    return int(json.loads((folder / "adapter_config.json").read_text())["r"])


@contextmanager
def _peft_asks_by_the_old_name() -> Iterator[None]:
    """Keep transformers from telling users that peft reads `is_gradient_checkpointing`."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield


def blocks(model: UnifiedModel) -> list[nn.Module]:
    """What to split over processes, inner modules first: every layer with adapters, and a side that has them around its layers.

    Raises:
        ValueError: The text backbone has adapters outside its layers, where its weights are never gathered.
    """
    found: list[nn.Module] = []
    for side in SIDES:
        module = getattr(model, side)
        layers = [
            m for group in module.modules() if isinstance(group, nn.ModuleList) for m in group if trainable(m)
        ]
        inside = {id(parameter) for layer in layers for parameter in layer.parameters()}
        found += layers
        if any(id(parameter) not in inside for parameter in trainable(module).values()):
            if side == "und":
                raise ValueError(
                    "adapters outside the layers of the text backbone can not be split: name other und_targets"
                )
            found.append(module)
    return found


def trainable(module: nn.Module) -> dict[str, Tensor]:
    """Name -> parameter of what trains in `module`."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
