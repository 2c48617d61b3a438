"""Frozen linear layers in 4 bits (NF4, QLoRA), by bitsandbytes, on a GPU or on the CPU.

    load_bagel(folder, quantize="nf4")

Only the projections of both experts' transformer layers are quantised: 13.05 of BAGEL-7B-MoT's 14.7 billion
weights. Blocks of 64 weights share a scale in fp32, 4.5 bits a weight; `nf4-double` quantises the scales too,
4.13 bits. A layer dequantises its weight in each pass and multiplies in its own type, and its gradient flows
to its input; adapters attach as to any linear layer.

Source: https://arxiv.org/abs/2305.14314.
"""

import ctypes
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from unichar.errors import UserError
from unichar.types import Quantization

BLOCK = 64
"""Weights that share a scale."""


def use_4bit(model: nn.Module, quantize: Quantization, dtype: torch.dtype) -> Mapping[str, nn.Module]:
    """Replace the projections of a `BagelModel`'s transformer layers by 4-bit ones that are still empty.

    Args:
        model: On the meta device.
        quantize: `nf4` or `nf4-double`.
        dtype: What the layers compute in.

    Returns:
        Name of each replaced layer's weight in the model -> the new layer, for `set_weight`.

    Raises:
        UserError: bitsandbytes is missing, or a layer has no whole number of blocks in a row.
    """
    library = _bitsandbytes()

    replaced: dict[str, nn.Module] = {}
    for name, layer in list(model.named_modules()):
        if not name.startswith(("und.layers.", "gen.layers.")) or not isinstance(layer, nn.Linear):
            continue

        # bitsandbytes 0.50 takes such a row's scales from the wrong blocks on CPUs with AVX-512.
        if layer.in_features % BLOCK:
            raise UserError(
                f"{name} has {layer.in_features} inputs; weights in 4 bits need a multiple of {BLOCK}, as "
                "in all layers of BAGEL-7B-MoT: load this model without `quantize`"
            )

        four_bit = library.nn.Linear4bit(
            layer.in_features,
            layer.out_features,
            bias=layer.bias is not None,
            compute_dtype=dtype,
            compress_statistics=quantize == "nf4-double",
            quant_type="nf4",
            device="meta",
        )
        # On some CPUs the library would otherwise repack weights for a kernel that computes in bf16 only.
        four_bit.support_avx512bf16_for_cpu = False

        path, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(path), leaf, four_bit)
        replaced[f"{name}.weight"] = four_bit
    return replaced


def set_weight(layer: nn.Module, weight: Tensor) -> None:
    """Give a layer of `use_4bit` its weight [O, I], quantised where it lies."""
    library = _bitsandbytes()
    old: Any = layer.weight
    options = {"compress_statistics": old.compress_statistics, "quant_type": old.quant_type}

    packed, state = library.functional.quantize_4bit(weight.contiguous(), blocksize=BLOCK, **options)
    layer.weight = library.nn.Params4bit(
        packed, quant_state=state, blocksize=BLOCK, bnb_quantized=True, **options
    )

    # What quantising allocated and freed lies between blocks that stay, and glibc would keep it: twice the
    # whole model in the end, where layers are small.
    if weight.device.type == "cpu":
        getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)(0)


def _bitsandbytes() -> ModuleType:
    """The library, which only quantised models need.

    Raises:
        UserError: It is not installed.
    """
    try:
        import bitsandbytes
    except ImportError as error:
        raise UserError(
            "weights in 4 bits need the package bitsandbytes, which is not installed: run "
            "`pip install 'bitsandbytes>=0.50,<1'`, or choose a preset without `quantize`"
        ) from error
    return bitsandbytes
