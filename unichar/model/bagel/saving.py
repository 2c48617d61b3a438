"""A BAGEL written as a folder that `load_bagel`, BAGEL's own code and other servers read.

What they want of a folder was read in their sources (docs/bagel.md): vLLM-Omni loads the files the index names, so it names
`ae.safetensors` as well, and reads `config.json`, the two other configurations, the tokenizer and `preprocessor_config.json`;
BAGEL's own code loads `ema.safetensors` and `ae.safetensors` by name.
"""

import shutil
from pathlib import Path

from torch import Tensor, nn

from unichar.model.bagel.config import BagelConfig, read_json
from unichar.model.bagel.names import AUTOENCODER, INDEX, SINGLE, merged, published
from unichar.store.files import json_bytes, write_atomic
from unichar.training.state import save_tensors

SHARD = 5_000_000_000
"""Bytes of a written file, about."""
_AUTOENCODER_FIRST = "vae.encoder.conv_in.weight"


def save_bagel(model: nn.Module, folder: Path, *, base: Path, shard_bytes: int = SHARD) -> None:
    """Write a `BagelModel`, its adapters merged into it, into an empty folder; the model stays as it is.

    Each file appears whole, the index last: a folder without it is not done. Configurations and tokenizer are those of `base`,
    where the model came from. With `shard_bytes` above the model's size it is one `ema.safetensors`, as BAGEL's own code asks.

    Raises:
        ValueError: The folder holds something.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ValueError(f"{folder} holds something already: name an empty folder, nothing is overwritten")
    for path in sorted(base.iterdir()):
        if path.suffix in (".json", ".txt", ".jinja", ".model") and path.name != INDEX:
            shutil.copyfile(path, folder / path.name)
    if not (folder / "config.json").exists():
        write_atomic(folder / "config.json", json_bytes(_about(model.config, folder)))  # type: ignore[arg-type]
    _write_shards(model, folder, shard_bytes)


def _about(config: BagelConfig, folder: Path) -> dict[str, object]:
    """The `config.json` that other programs read, where the model came without."""
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
    """Files of about `shard_bytes` and the index. Merged tensors live until their file is written."""
    files: list[list[str]] = []
    kept: dict[str, Tensor] = {}

    def write() -> None:
        save_tensors(folder / f"part-{len(files)}", kept, {"format": "pt"})
        files.append(list(kept))
        kept.clear()

    total = 0
    for own, tensor in merged(model):
        size = tensor.numel() * tensor.element_size()
        total += size
        room = shard_bytes - sum(each.numel() * each.element_size() for each in kept.values())
        is_autoencoder = own.startswith("vae.")  # it comes last and has a file of its own
        if kept and (own == _AUTOENCODER_FIRST if is_autoencoder else size > room):
            write()
        kept[published(own)] = tensor
    write()
    count = len(files) - 1
    names = [SINGLE] if count == 1 else [f"model-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]
    for number, name in enumerate([*names, AUTOENCODER]):
        (folder / f"part-{number}").rename(folder / name)
    weight_map = {
        tensor: name for name, tensors in zip([*names, AUTOENCODER], files, strict=True) for tensor in tensors
    }
    write_atomic(folder / INDEX, json_bytes({"metadata": {"total_size": total}, "weight_map": weight_map}))
