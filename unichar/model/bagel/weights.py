"""Reads a published BAGEL folder, tensor by tensor into an empty model. `saving.py` writes the same format.

    ema.safetensors, or shards with model.safetensors.index.json    the model
    ae.safetensors                                                  the autoencoder
    llm_config.json, vit_config.json, config.json                   sizes
    tokenizer.json and its companions, preprocessor_config.json

`config.json` is optional here, but other programs read it. Of it, `max_latent_size` is used where the weights
lack the position table that implies it, and `"image_size": 512` makes 512 x 512 the size of generated
pictures (else the largest size that has positions, up to 1024).
"""

import math
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from unichar.errors import UserError
from unichar.model.bagel.config import BagelConfig, read_config, read_json
from unichar.model.bagel.generation import sincos_table
from unichar.model.bagel.model import BagelModel
from unichar.model.bagel.names import AUTOENCODER, INDEX, SINGLE, TABLES, published
from unichar.model.bagel.tokenizer import BagelTokenizer
from unichar.training.ranks import local_device

AT_ONCE = 64 << 20
"""Bytes of a file that are mapped into memory at once while it is read."""

StoredTensor = tuple[Path, tuple[int, ...], int]
"""(file, shape, bytes) of a stored tensor."""


def load_bagel(
    folder: Path,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
    image_size: int | None = None,
) -> BagelModel:
    """Load the BAGEL of a folder, all frozen. Host memory holds little more than what stays on the host.

    Args:
        folder: As published.
        dtype: By default bf16 on a GPU and fp32 on the CPU.
        device: By default this process's GPU, else the CPU.
        image_size: Side of generated pictures in pixels; by default from `config.json`, else up to 1024.

    Raises:
        UserError: A file is missing, damaged or another model's, or tensors are missing, unknown or of
            another shape; the first eight are named.
    """
    device = device or local_device()
    dtype = dtype or (torch.float32 if device.type == "cpu" else torch.bfloat16)
    stored = find_tensors(folder)
    config, default_size = read_shape(folder, stored)
    tokenizer = BagelTokenizer(_tokenizer(folder), vocabulary=config.text.vocab_size)

    with torch.device("meta"):
        model = BagelModel(config, tokenizer, image_size=image_size or default_size)
    own = {published(name): name for name in model.state_dict()}
    expected = {name: tuple(model.get_parameter(own[name]).shape) for name in own}
    _check_same_tensors(expected, stored, folder)

    for name, tensor in _read(stored):
        _set(model, own[name], tensor.to(device, dtype, copy=True))
    for name in set(TABLES) - stored.keys():
        positions, width = expected[name]
        _set(model, own[name], sincos_table(math.isqrt(positions), width).to(device, dtype))
    return model.eval().requires_grad_(False)


def read_shape(folder: Path, stored: dict[str, StoredTensor]) -> tuple[BagelConfig, int]:
    """(configuration, default side of generated pictures in pixels) of a folder, from the headers of its
    files.

    Raises:
        UserError: A configuration file is missing or damaged.
    """
    path = folder / "config.json"
    options = read_json(path) if path.exists() else {}
    if TABLES[0] in stored:
        side = math.isqrt(stored[TABLES[0]][1][0])
    else:
        side = int(options.get("max_latent_size", 64))

    width = stored["encoder.conv_in.weight"][1][0]
    config = read_config(folder, autoencoder_width=width, latent_side=side)
    return config, int(options.get("image_size", min(1024, 16 * side)))


def _tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a folder; ValueError where it is missing or damaged."""
    path = folder / "tokenizer.json"
    if not path.exists():
        raise UserError(
            f"{path} is missing: expected a folder as published for BAGEL-7B-MoT, download it again"
        )
    try:
        return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizers library raises plain Exception
        raise UserError(f"{path} is damaged ({error}): download it again") from error


def find_tensors(folder: Path) -> dict[str, StoredTensor]:
    """File, shape and size of each stored tensor; only the headers of the files are read.

    Raises:
        UserError: A file is missing or damaged.
    """
    if (folder / INDEX).exists():
        index = read_json(folder / INDEX).get("weight_map")
        if not isinstance(index, dict) or not index:
            raise UserError(f"{folder / INDEX} has no weight_map: download it again")
        files = sorted({*index.values(), AUTOENCODER})
    else:
        files = [SINGLE, AUTOENCODER]

    found: dict[str, StoredTensor] = {}
    for file in files:
        found |= _header(folder / file)

    if "encoder.conv_in.weight" not in found:
        raise UserError(
            f"{folder / AUTOENCODER} has no encoder.conv_in.weight, so it is no FLUX autoencoder: "
            "download it again"
        )
    return found


def _header(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one file."""
    if not path.exists():
        raise UserError(
            f"{path} is missing: expected a folder as published for BAGEL-7B-MoT, download it again"
        )

    found: dict[str, StoredTensor] = {}
    try:
        with safe_open(str(path), framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                tensor = file.get_slice(name)
                shape = tuple(tensor.get_shape())
                width = 8 if tensor.get_dtype() in ("F64", "I64") else 4  # an upper bound is enough
                found[name] = (path, shape, math.prod(shape) * width)
    except SafetensorError as error:
        raise UserError(f"{path} is damaged or no safetensors file ({error}): download it again") from error
    return found


def _check_same_tensors(
    expected: Mapping[str, tuple[int, ...]], stored: Mapping[str, StoredTensor], folder: Path
) -> None:
    """Raise ValueError unless names and shapes agree; position tables may be missing."""
    wrong = [f"{name} (missing)" for name in sorted(expected.keys() - stored.keys() - set(TABLES))]
    wrong += [f"{name} (unknown)" for name in sorted(stored.keys() - expected.keys())]
    for name in sorted(expected.keys() & stored.keys()):
        if stored[name][1] != expected[name]:
            wrong.append(f"{name} {stored[name][1]}, expected {expected[name]}")

    if wrong:
        raise UserError(
            f"{folder} is no whole BAGEL of the sizes its llm_config.json and vit_config.json say, "
            f"{len(wrong)} tensors differ: {', '.join(wrong[:8])}"
        )


def _read(stored: Mapping[str, StoredTensor]) -> Iterator[tuple[str, Tensor]]:
    """All tensors.

    A file is reopened every `AT_ONCE` bytes, because what was read stays mapped while it is open.
    """
    by_file = sorted(stored, key=lambda name: str(stored[name][0]))
    for path, names in groupby(by_file, key=lambda name: stored[name][0]):
        for chunk in _chunks(list(names), stored):
            with safe_open(str(path), framework="pt") as file:
                for name in chunk:
                    yield name, file.get_tensor(name)


def _chunks(names: list[str], stored: Mapping[str, StoredTensor]) -> list[list[str]]:
    """Names in order, cut into chunks of at most `AT_ONCE` bytes; a larger tensor is a chunk of its own."""
    chunks: list[list[str]] = []
    remaining = 0
    for name in names:
        size = stored[name][2]
        if size > remaining:
            chunks.append([])
            remaining = AT_ONCE
        chunks[-1].append(name)
        remaining -= size
    return chunks


def _set(model: nn.Module, name: str, tensor: Tensor) -> None:
    """Replace a parameter of the model, which is on the meta device."""
    path, leaf = name.rsplit(".", 1)
    setattr(model.get_submodule(path), leaf, nn.Parameter(tensor, requires_grad=False))
