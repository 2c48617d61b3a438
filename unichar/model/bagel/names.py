"""Names of the published files and of the tensors in them.

Experts are modules of their own here; in the files the tensors of the generation expert stand beside those of the text expert,
with `_moe_gen` in their names.
"""

from collections.abc import Callable, Iterator

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from unichar.model.sides import inner

INDEX = "model.safetensors.index.json"
SINGLE, AUTOENCODER = "ema.safetensors", "ae.safetensors"
TABLES = ("latent_pos_embed.pos_embed", "vit_pos_embed.pos_embed")
"""Computed; a file may lack them."""
_WORDS = "language_model.model."


def published(own: str) -> str:
    """Published name of a tensor of `BagelModel` without adapters.

    Example: `gen.layers.0.mlp.up_proj.weight` is `language_model.model.layers.0.mlp_moe_gen.up_proj.weight`.
    """
    side, name = own.split(".", 1)
    if side == "vae":
        return name
    if side == "eyes":
        return f"vit_model.{name}" if name.startswith("vision_model.") else name
    if side == "und":
        return f"language_model.{name}" if name.startswith("lm_head.") else _WORDS + name
    if not name.startswith(("layers.", "norm.")):
        return name
    *path, leaf = name.split(".")
    twin = path.index("mlp") if "mlp" in path else len(path) - 1
    path[twin] += "_moe_gen"
    return _WORDS + ".".join([*path, leaf])


def merged(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """(own name without adapters, tensor) of everything, adapters added to the weights they adapt, one at a time."""
    for side in ("und", "gen", "eyes", "vae"):
        module = inner(getattr(model, side))
        for name, tensor in module.state_dict().items():
            if ".lora_" in name:
                continue
            yield f"{side}.{name.replace('.base_layer', '')}", _with_adapter(module, name, tensor)


@torch.no_grad()
def _with_adapter(module: nn.Module, name: str, tensor: Tensor) -> Tensor:
    if not name.endswith(".base_layer.weight"):
        return tensor
    layer = module.get_submodule(name.removesuffix(".base_layer.weight"))
    assert isinstance(layer, LoraLayer)
    get_delta: Callable[[str], Tensor] = layer.get_delta_weight  # type: ignore[assignment]
    return (tensor.float() + sum(get_delta(name).float() for name in layer.active_adapters)).to(tensor.dtype)
