"""Writes the base: all parts in one safetensors file in bf16, with the training record beside it."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from unichar.model.nano.config import NanoConfig
from unichar.store.files import write_atomic
from unichar.training.state import save_tensors


def pack(parts: dict[str, nn.Module], config: NanoConfig, record: dict[str, object], out: Path) -> Path:
    """Write `out/base.safetensors` and `out/base.json`; returns the path of the first.

    `parts` maps the prefix of the tensors' names to the module.
    """
    tensors: dict[str, Tensor] = {}
    for part, module in parts.items():
        for name, tensor in module.state_dict().items():
            tensors[f"{part}.{name}"] = tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor

    target = out / "base.safetensors"
    save_tensors(target, tensors, {"config": config.to_json(), "format": "unichar-nano-1"})
    write_atomic(out / "base.json", (json.dumps(record, indent=2) + "\n").encode())
    return target
