"""Reads a nano base (one safetensors file) or a merged nano character (a folder, see `merge.py`)."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from unichar.errors import MissingFile, UserError
from unichar.model.nano.backbone import load_backbone
from unichar.model.nano.config import NanoConfig
from unichar.model.nano.merge import BACKBONE, BASE
from unichar.model.nano.model import NanoModel
from unichar.training.ranks import local_device

PARTS = ("vae", "vision", "connector", "expert")
"""Prefixes of the base file's tensors that belong to the model; other prefixes are the judges' networks."""


def load_nano(path: Path, *, device: torch.device | None = None) -> NanoModel:
    """Load a nano base from a safetensors file, or a merged character from a folder; all frozen.

    Args:
        path: The file or the folder.
        device: By default that of `local_device`.

    Raises:
        MissingFile: No such file.
        UserError: Not a nano base, or tensors are missing, unknown or of another shape; the first eight are
            named. Or see `local_device`.
    """
    device = device or local_device()
    if not path.exists():
        raise MissingFile(f"the base model {path} is missing: run `make data`, or `python -m unichar base`")

    config, stored = _read_base(path / BASE if path.is_dir() else path)
    plain, tokenizer = load_backbone()
    if path.is_dir():
        model = NanoModel(config, load_backbone(path / BACKBONE)[0], tokenizer, prompt_encoder=plain)
    else:
        model = NanoModel(config, plain, tokenizer)

    own = _own_tensors(model)
    _check_same_tensors(path, own, stored)
    for name, tensor in own.items():
        tensor.copy_(stored[name])
    return model.eval().requires_grad_(False).to(device)


def _own_tensors(model: NanoModel) -> dict[str, Tensor]:
    """The model's tensors under their names in the base file."""
    modules = {"vae": model.vae, "vision": model.vision, "connector": model.connector, "expert": model.gen}
    tensors: dict[str, Tensor] = {}
    for part in PARTS:
        for name, tensor in modules[part].state_dict().items():
            tensors[f"{part}.{name}"] = tensor
    return tensors


def _check_same_tensors(path: Path, own: dict[str, Tensor], stored: dict[str, Tensor]) -> None:
    """Raise ValueError unless both hold tensors of the same names and shapes."""
    wrong = [name if name in own else f"{name} (unknown)" for name in sorted(own.keys() ^ stored.keys())]
    for name in own.keys() & stored.keys():
        if own[name].shape != stored[name].shape:
            wrong.append(f"{name} {tuple(stored[name].shape)}, expected {tuple(own[name].shape)}")

    if wrong:
        raise UserError(
            f"{path} does not fit this version of nano, {len(wrong)} tensors differ: {', '.join(wrong[:8])}"
        )


def read_shape(path: Path) -> NanoConfig:
    """The configuration a base was trained with, from the header of its file.

    Raises:
        UserError: The file is damaged or no nano base.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise UserError(
            f"{path} is damaged or no safetensors file ({error}): fetch the base again (`make data`)"
        ) from error

    if "config" not in metadata:
        raise UserError(
            f"{path} is no nano base, it does not say its shape: fetch the base again (`make data`)"
        )
    return NanoConfig.from_json(metadata["config"])


def _read_base(path: Path) -> tuple[NanoConfig, dict[str, Tensor]]:
    """(configuration, the model's tensors as fp32) of a base file."""
    config = read_shape(path)
    with safe_open(str(path), framework="pt") as file:
        names = [name for name in list(file.keys()) if name.split(".")[0] in PARTS]
        return config, {name: file.get_tensor(name).float() for name in names}
