"""Names of the published files for the tensors of a model. Experts are modules of their own here; in the files the tensors of the
generation expert stand beside those of the text expert, with `_moe_gen` in their names.
"""

from collections.abc import Iterator

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from unichar.model.bagel.model import BagelModel
from unichar.model.sides import inner

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


def merged(model: BagelModel) -> Iterator[tuple[str, Tensor]]:
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
    added = sum(layer.get_delta_weight(adapter) for adapter in layer.active_adapters)
    return (tensor.float() + added.float()).to(tensor.dtype)
