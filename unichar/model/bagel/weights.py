"""BAGEL on disk: a folder as published, read tensor by tensor into an empty model. `saving.py` writes the same form.

    ema.safetensors, or shards with model.safetensors.index.json    the model
    ae.safetensors                                                  the autoencoder
    llm_config.json, vit_config.json, config.json                   sizes
    tokenizer.json and its companions, preprocessor_config.json

`config.json` is not needed here, but other programs read it; of it `max_latent_size` counts where the weights lack the table that
says it, and `"image_size": 512` makes 512 x 512 the size this line draws (else the largest there are positions for, up to 1024).
"""

import math
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from unichar.model.bagel.config import BagelConfig, read_config, read_json
from unichar.model.bagel.generation import sincos_table
from unichar.model.bagel.model import BagelModel
from unichar.model.bagel.names import AUTOENCODER, INDEX, SINGLE, TABLES, published
from unichar.model.bagel.tokenizer import BagelTokenizer
from unichar.training.ranks import local_device

AT_ONCE = 64 << 20
"""Bytes of a file that are mapped into memory together while it is read."""

Place = tuple[Path, tuple[int, ...], int]
"""File, shape and bytes of a stored tensor."""


def load_bagel(
    folder: Path,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
    image_size: int | None = None,
) -> BagelModel:
    """The BAGEL of a folder, everything frozen. The host holds little more than the part of it that stays there.

    Args:
        dtype: bf16 on a GPU and fp32 on the CPU, unless said.
        device: This process's GPU, else the CPU, unless said.
        image_size: Pixels on a side of drawn pictures; from the folder's `config.json`, else up to 1024, unless said.

    Raises:
        ValueError: A file is missing, damaged or another model's, or tensors are missing, unknown or of another shape; the first
            eight are named.
    """
    device = device or local_device()
    dtype = dtype or (torch.float32 if device.type == "cpu" else torch.bfloat16)
    stored = find_tensors(folder)
    config, own_size = read_shape(folder, stored)
    words = BagelTokenizer(_tokenizer(folder), vocabulary=config.text.vocab_size)
    size = image_size or own_size

    with torch.device("meta"):
        model = BagelModel(config, words, image_size=size)
    own = {published(name): name for name in model.state_dict()}
    _compare({name: tuple(model.get_parameter(own[name]).shape) for name in own}, stored, folder)
    for name, tensor in _read(stored):
        _put(model, own[name], tensor.to(device, dtype, copy=True))
    for name in set(TABLES) - stored.keys():
        places, width = model.get_parameter(own[name]).shape
        _put(model, own[name], sincos_table(math.isqrt(places), width).to(device, dtype))
    return model.eval().requires_grad_(False)


def read_shape(folder: Path, stored: dict[str, Place]) -> tuple[BagelConfig, int]:
    """(configuration, pixels on a side of drawn pictures) of a folder, from the heads of its files.

    Raises:
        ValueError: A configuration file is missing or damaged.
    """
    about = read_json(folder / "config.json") if (folder / "config.json").exists() else {}
    if TABLES[0] in stored:
        side = math.isqrt(stored[TABLES[0]][1][0])
    else:
        side = int(about.get("max_latent_size", 64))

    width = stored["encoder.conv_in.weight"][1][0]
    config = read_config(folder, autoencoder_width=width, latent_side=side)
    return config, int(about.get("image_size", min(1024, 16 * side)))


def _tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    path = folder / "tokenizer.json"
    if not path.exists():
        raise ValueError(
            f"{path} is missing: expected a folder as published for BAGEL-7B-MoT, download it again"
        )
    try:
        return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizer library has no errors of its own
        raise ValueError(f"{path} is damaged ({error}): download it again") from error


def find_tensors(folder: Path) -> dict[str, Place]:
    """Where each stored tensor is; nothing but the heads of the files is read.

    Raises:
        ValueError: A file is missing or damaged.
    """
    if (folder / INDEX).exists():
        index = read_json(folder / INDEX).get("weight_map")
        if not isinstance(index, dict) or not index:
            raise ValueError(f"{folder / INDEX} has no weight_map: download it again")
        files = sorted({*index.values(), AUTOENCODER})
    else:
        files = [SINGLE, AUTOENCODER]
    found: dict[str, Place] = {}
    for file in files:
        found |= _heads(folder / file)
    if "encoder.conv_in.weight" not in found:
        raise ValueError(
            f"{folder / AUTOENCODER} has no encoder.conv_in.weight, so it is no FLUX autoencoder: download it again"
        )
    return found


def _heads(path: Path) -> dict[str, Place]:
    if not path.exists():
        raise ValueError(
            f"{path} is missing: expected a folder as published for BAGEL-7B-MoT, download it again"
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            heads = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            shapes = {name: tuple(head.get_shape()) for name, head in heads.items()}
            widths = {name: 8 if head.get_dtype() in ("F64", "I64") else 4 for name, head in heads.items()}
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or no safetensors file ({error}): download it again") from error
    return {name: (path, shape, math.prod(shape) * widths[name]) for name, shape in shapes.items()}


def _compare(wanted: Mapping[str, tuple[int, ...]], stored: Mapping[str, Place], folder: Path) -> None:
    wrong = [f"{name} (missing)" for name in sorted(wanted.keys() - stored.keys() - set(TABLES))]
    wrong += [f"{name} (unknown)" for name in sorted(stored.keys() - wanted.keys())]
    for name in sorted(wanted.keys() & stored.keys()):
        if stored[name][1] != wanted[name]:
            wrong.append(f"{name} {stored[name][1]}, expected {wanted[name]}")
    if wrong:
        raise ValueError(
            f"{folder} is no whole BAGEL of the sizes its llm_config.json and vit_config.json say, {len(wrong)} tensors differ: "
            f"{', '.join(wrong[:8])}"
        )


def _read(stored: Mapping[str, Place]) -> Iterator[tuple[str, Tensor]]:
    """Every tensor. A file is closed and opened again now and then: what was read stays mapped as long as it is open."""
    for path, names in groupby(
        sorted(stored, key=lambda name: str(stored[name][0])), key=lambda name: stored[name][0]
    ):
        room, chunks = 0, list[list[str]]()
        for name in names:
            if stored[name][2] > room:
                chunks.append([])
                room = AT_ONCE
            chunks[-1].append(name)
            room -= stored[name][2]
        for chunk in chunks:
            with safe_open(str(path), framework="pt") as file:
                for name in chunk:
                    yield name, file.get_tensor(name)


def _put(model: nn.Module, name: str, tensor: Tensor) -> None:
    path, leaf = name.rsplit(".", 1)
    setattr(model.get_submodule(path), leaf, nn.Parameter(tensor, requires_grad=False))
