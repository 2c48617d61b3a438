"""The tensors in the files of a published BAGEL folder: found by their headers, read in little memory.

`weights.py` loads a model from them; `saving.py` merges adapters into them.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from unichar.errors import UserError
from unichar.model.bagel.config import read_json
from unichar.model.bagel.names import AUTOENCODER, INDEX, SINGLE

AT_ONCE = 64 << 20
"""Bytes of a file that are mapped into memory at once while it is read."""

StoredTensor = tuple[Path, tuple[int, ...], int]
"""(file, shape, bytes) of a stored tensor."""


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


def read_tensors(stored: Mapping[str, StoredTensor]) -> Iterator[tuple[str, Tensor]]:
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
