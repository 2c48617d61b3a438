"""Writes a BAGEL as a folder that `load_bagel`, BAGEL's own code and other servers read.

Requirements, from their sources (docs/bagel.md): vLLM-Omni loads the files the index names, so the index
includes `ae.safetensors`; it also reads `config.json`, the two other configurations, the tokenizer and
`preprocessor_config.json`. BAGEL's own code loads `ema.safetensors` and `ae.safetensors` by name.
"""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from unichar.errors import UserError
from unichar.model.adapter_layer import with_adapter
from unichar.model.bagel.adapters import read_adapters
from unichar.model.bagel.config import read_json
from unichar.model.bagel.names import AUTOENCODER, INDEX, SINGLE
from unichar.model.bagel.stored import find_tensors, read_tensors
from unichar.model.bagel.weights import read_shape
from unichar.store.files import json_bytes, write_atomic
from unichar.training.state import save_tensors

SHARD = 5_000_000_000
"""Approximate size of a shard in bytes."""


def merge_bagel(
    base: Path, adapters: Path, folder: Path, *, image_size: int = 0, shard_bytes: int = SHARD
) -> None:
    """Write the BAGEL of the folder `base` with adapters merged into an empty folder, without loading it.

    Each tensor is read, summed with its adapter in fp32 and rounded to the type it is stored in. One shard at
    a time is in memory.

    Args:
        base: As published.
        adapters: The `adapters/` folder of a checkpoint.
        folder: Empty, or made here.
        image_size: Side of the pictures that the adapters were trained on; 0 is what the base says.
        shard_bytes: See `save_bagel`.

    Raises:
        UserError: The folder is not empty, an adapter belongs to a layer the base has not, or a file is
            missing or damaged.
    """
    save_bagel(_merged(base, adapters), folder, base=base, image_size=image_size, shard_bytes=shard_bytes)


def _merged(base: Path, folder: Path) -> Iterator[tuple[str, Tensor]]:
    """(published name, tensor) of all tensors of a base, adapters merged, the autoencoder last."""
    stored, adapters = find_tensors(base), read_adapters(folder)
    unknown = sorted(name for name in adapters if f"{name}.weight" not in stored)
    if unknown:
        raise UserError(
            f"{folder} has adapters of layers that {base} has not ({', '.join(unknown[:3])}): they were "
            "trained on another base"
        )

    for is_last in (False, True):
        part = {name: each for name, each in stored.items() if (each[0].name == AUTOENCODER) == is_last}
        for name, tensor in read_tensors(part):
            adapter = adapters.get(name.removesuffix(".weight")) if name.endswith(".weight") else None
            if adapter is not None:
                tensor = with_adapter(tensor, adapter.a, adapter.b, scaling=adapter.scaling)
            yield name, tensor


def save_bagel(
    tensors: Iterable[tuple[str, Tensor]],
    folder: Path,
    *,
    base: Path,
    image_size: int = 0,
    shard_bytes: int = SHARD,
) -> None:
    """Write tensors, given as (published name, tensor) with the autoencoder's last, into an empty folder.

    Each file appears whole, the index last: a folder without an index is incomplete. Configurations and
    tokenizer are copied from `base`. With `shard_bytes` above the model's size the weights are one
    `ema.safetensors`, as BAGEL's own code expects.

    Raises:
        UserError: The folder is not empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UserError(f"{folder} holds something already: name an empty folder, nothing is overwritten")

    for path in sorted(base.iterdir()):
        if path.suffix in (".json", ".txt", ".jinja", ".model") and path.name not in (INDEX, "config.json"):
            shutil.copyfile(path, folder / path.name)

    about = read_json(base / "config.json") if (base / "config.json").exists() else _model_config(base)
    if image_size:
        about["image_size"] = image_size
    write_atomic(folder / "config.json", json_bytes(about))
    _write_shards(tensors, folder, shard_bytes)


def _model_config(base: Path) -> dict[str, Any]:
    """A `config.json` for other programs, where the base folder has none."""
    config, _ = read_shape(base, find_tensors(base))
    return {
        "architectures": ["BagelForConditionalGeneration"],
        "model_type": "bagel",
        "llm_config": read_json(base / "llm_config.json"),
        "vit_config": read_json(base / "vit_config.json"),
        "vae_config": {"z_channels": 16, "downsample": 8},
        "latent_patch_size": 2,
        "max_latent_size": config.latent_side,
        "vit_max_num_patch_per_side": config.vision.side,
        "connector_act": "gelu_pytorch_tanh",
        "interpolate_pos": False,
    }


def _write_shards(tensors: Iterable[tuple[str, Tensor]], folder: Path, shard_bytes: int) -> None:
    """Write shards of about `shard_bytes` and the index; tensors are kept until their shard is written."""
    shards: list[list[str]] = []
    pending: dict[str, Tensor] = {}
    total = pending_bytes = 0

    def flush() -> None:
        save_tensors(folder / f"part-{len(shards)}", pending, {"format": "pt"})
        shards.append(list(pending))
        pending.clear()

    in_autoencoder = False
    for name, tensor in tensors:
        size = tensor.numel() * tensor.element_size()
        total += size

        # The autoencoder has a file of its own.
        is_full = not in_autoencoder and pending_bytes + size > shard_bytes
        begins_autoencoder = name.startswith(("encoder.", "decoder.")) and not in_autoencoder
        if pending and (is_full or begins_autoencoder):
            flush()
            pending_bytes = 0

        in_autoencoder = in_autoencoder or begins_autoencoder
        pending[name] = tensor
        pending_bytes += size
    flush()

    # The number of shards is part of their names, so they are named at the end.
    count = len(shards) - 1
    names = [f"model-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)] if count > 1 else [SINGLE]
    names.append(AUTOENCODER)
    weight_map: dict[str, str] = {}
    for number, (name, saved) in enumerate(zip(names, shards, strict=True)):
        (folder / f"part-{number}").rename(folder / name)
        weight_map |= dict.fromkeys(saved, name)
    write_atomic(folder / INDEX, json_bytes({"metadata": {"total_size": total}, "weight_map": weight_map}))
