"""Adapters: LoRA through peft on the text backbone and on the generation expert, saved in peft's own format.

A checkpoint's `adapters/` folder holds `und/` and `gen/`, each readable by `peft.PeftModel.from_pretrained`, and `base.json`
with the hash of the base they belong to.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn

from unichar.files import write_atomic
from unichar.model.protocol import UnifiedModel

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
        config = LoraConfig(r=settings.rank, lora_alpha=settings.alpha, target_modules=targets, lora_dropout=0.0)
        setattr(model, side, get_peft_model(getattr(model, side), config))


def save_adapters(model: UnifiedModel, folder: Path, *, base_sha256: str) -> None:
    """Write both sides into `folder`."""
    for side in SIDES:
        getattr(model, side).save_pretrained(folder / side, save_embedding_layers=False)
        (folder / side / "README.md").unlink()  # peft's blank model card
    write_atomic(folder / "base.json", json.dumps({"sha256": base_sha256}).encode())


def load_adapters(model: UnifiedModel, folder: Path, *, base_sha256: str, trainable: bool = False) -> None:
    """Put saved adapters on a base model.

    Raises:
        ValueError: The adapters were trained on another base.
    """
    wanted = json.loads((folder / "base.json").read_text())["sha256"]
    if wanted != base_sha256:
        raise ValueError(
            f"{folder} was trained on the base {wanted[:12]}…, but the base here is {base_sha256[:12]}…: "
            "fetch the base it belongs to (`make data`), or train the character again"
        )
    for side in SIDES:
        loaded = PeftModel.from_pretrained(getattr(model, side), folder / side, is_trainable=trainable)
        setattr(model, side, loaded)


def trainable(module: nn.Module) -> dict[str, Tensor]:
    """Name -> parameter of what trains in `module`."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
