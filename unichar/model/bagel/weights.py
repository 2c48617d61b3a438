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
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from unichar.errors import UserError
from unichar.model.bagel.config import BagelConfig, read_config, read_json
from unichar.model.bagel.generation import sincos_table
from unichar.model.bagel.model import BagelModel
from unichar.model.bagel.names import TABLES, published
from unichar.model.bagel.quantization import set_weight, use_4bit
from unichar.model.bagel.stored import StoredTensor, find_tensors, read_tensors
from unichar.model.bagel.tokenizer import BagelTokenizer
from unichar.training.ranks import local_device
from unichar.types import Quantization


def load_bagel(
    folder: Path,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
    image_size: int | None = None,
    quantize: Quantization = "",
) -> BagelModel:
    """Load the BAGEL of a folder, all frozen. Host memory holds little more than what stays on the host.

    With `quantize` each tensor is quantised as soon as it is read, so that the whole model is never held
    in another type than it stays in.

    Args:
        folder: As published.
        dtype: By default bf16 on a GPU and fp32 on the CPU.
        device: By default this process's GPU, else the CPU.
        image_size: Side of generated pictures in pixels; by default from `config.json`, else up to 1024.
        quantize: Stores the projections of both experts' layers in 4 bits, see `quantization.py`; they
            compute in `dtype`, and everything else is of `dtype`.

    Raises:
        UserError: A file is missing, damaged or another model's, or tensors are missing, unknown or of
            another shape; the first eight are named. Or bitsandbytes is missing.
    """
    device = device or local_device()
    dtype = dtype or (torch.float32 if device.type == "cpu" else torch.bfloat16)
    stored = find_tensors(folder)
    config, default_size = read_shape(folder, stored)
    tokenizer = BagelTokenizer(_tokenizer(folder), vocabulary=config.text.vocab_size)

    with torch.device("meta"):
        model = BagelModel(config, tokenizer, image_size=image_size or default_size)
    in_4_bits = use_4bit(model, quantize, dtype) if quantize else {}
    own = {published(name): name for name in model.state_dict()}
    expected = {name: tuple(model.get_parameter(own[name]).shape) for name in own}
    _check_same_tensors(expected, stored, folder)

    for name, tensor in read_tensors(stored):
        if own[name] in in_4_bits:
            set_weight(in_4_bits[own[name]], tensor.to(device, dtype))
        else:
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


def _set(model: nn.Module, name: str, tensor: Tensor) -> None:
    """Replace a parameter of the model, which is on the meta device."""
    path, leaf = name.rsplit(".", 1)
    setattr(model.get_submodule(path), leaf, nn.Parameter(tensor, requires_grad=False))
