"""Writes a BAGEL as a folder that `load_bagel`, BAGEL's own code and other servers read.

Requirements, from their sources (docs/bagel.md): vLLM-Omni loads the files the index names, so the index
includes `ae.safetensors`; it also reads `config.json`, the two other configurations, the tokenizer and
`preprocessor_config.json`. BAGEL's own code loads `ema.safetensors` and `ae.safetensors` by name.
"""

import shutil
from pathlib import Path

from torch import Tensor, nn

from unichar.errors import UserError
from unichar.model.bagel.config import BagelConfig, read_json
from unichar.model.bagel.names import AUTOENCODER, INDEX, SINGLE, merged, published
from unichar.store.files import json_bytes, write_atomic
from unichar.training.state import save_tensors

SHARD = 5_000_000_000
"""Approximate size of a shard in bytes."""
_AUTOENCODER_FIRST = "vae.encoder.conv_in.weight"


def save_bagel(model: nn.Module, folder: Path, *, base: Path, shard_bytes: int = SHARD) -> None:
    """Write a `BagelModel`, adapters merged, into an empty folder; the model is not changed.

    Each file appears whole, the index last: a folder without an index is incomplete. Configurations and
    tokenizer are copied from `base`, which the model was loaded from. With `shard_bytes` above the model's
    size the weights are one `ema.safetensors`, as BAGEL's own code expects.

    Raises:
        UserError: The folder is not empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UserError(f"{folder} holds something already: name an empty folder, nothing is overwritten")

    for path in sorted(base.iterdir()):
        if path.suffix in (".json", ".txt", ".jinja", ".model") and path.name != INDEX:
            shutil.copyfile(path, folder / path.name)

    if not (folder / "config.json").exists():
        write_atomic(folder / "config.json", json_bytes(_model_config(model.config, folder)))  # type: ignore[arg-type]
    _write_shards(model, folder, shard_bytes)


def _model_config(config: BagelConfig, folder: Path) -> dict[str, object]:
    """A `config.json` for other programs, where the base folder has none."""
    return {
        "architectures": ["BagelForConditionalGeneration"],
        "model_type": "bagel",
        "llm_config": read_json(folder / "llm_config.json"),
        "vit_config": read_json(folder / "vit_config.json"),
        "vae_config": {"z_channels": 16, "downsample": 8},
        "latent_patch_size": 2,
        "max_latent_size": config.latent_side,
        "vit_max_num_patch_per_side": config.vision.side,
        "connector_act": "gelu_pytorch_tanh",
        "interpolate_pos": False,
    }


def _write_shards(model: nn.Module, folder: Path, shard_bytes: int) -> None:
    """Write shards of about `shard_bytes` and the index; merged tensors are kept until their shard is
    written.
    """
    shards: list[list[str]] = []
    pending: dict[str, Tensor] = {}
    total = pending_bytes = 0

    def flush() -> None:
        save_tensors(folder / f"part-{len(shards)}", pending, {"format": "pt"})
        shards.append(list(pending))
        pending.clear()

    for own, tensor in merged(model):
        size = tensor.numel() * tensor.element_size()
        total += size

        # The autoencoder comes last and has a file of its own.
        is_full = own == _AUTOENCODER_FIRST if own.startswith("vae.") else pending_bytes + size > shard_bytes
        if pending and is_full:
            flush()
            pending_bytes = 0
        pending[published(own)] = tensor
        pending_bytes += size
    flush()

    # The number of shards is part of their names, so they are named at the end.
    count = len(shards) - 1
    names = [f"model-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)] if count > 1 else [SINGLE]
    names.append(AUTOENCODER)
    weight_map: dict[str, str] = {}
    for number, (name, tensors) in enumerate(zip(names, shards, strict=True)):
        (folder / f"part-{number}").rename(folder / name)
        weight_map |= dict.fromkeys(tensors, name)
    write_atomic(folder / INDEX, json_bytes({"metadata": {"total_size": total}, "weight_map": weight_map}))
