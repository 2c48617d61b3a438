"""Names of the published files and of the tensors in them.

Each expert is a module of its own here; in the published files the generation expert's tensors are siblings
of the text expert's, with `_moe_gen` in their names.
"""

from collections.abc import Callable, Iterator

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from unichar.model.components import unwrapped

INDEX = "model.safetensors.index.json"
SINGLE, AUTOENCODER = "ema.safetensors", "ae.safetensors"
TABLES = ("latent_pos_embed.pos_embed", "vit_pos_embed.pos_embed")
"""Position tables; they can be computed, so a file may lack them."""
_DECODER = "language_model.model."


def published(own: str) -> str:
    """Published name of a tensor of a `BagelModel` without adapters.

    Example: `gen.layers.0.mlp.up_proj.weight` is `language_model.model.layers.0.mlp_moe_gen.up_proj.weight`.
    """
    component, name = own.split(".", 1)
    if component == "vae":
        return name
    if component == "vision":
        return f"vit_model.{name}" if name.startswith("vision_model.") else name
    if component == "und":
        return f"language_model.{name}" if name.startswith("lm_head.") else _DECODER + name

    # The generation expert: input and output layers keep their names.
    if not name.startswith(("layers.", "norm.")):
        return name
    *path, leaf = name.split(".")
    renamed = path.index("mlp") if "mlp" in path else len(path) - 1
    path[renamed] += "_moe_gen"
    return _DECODER + ".".join([*path, leaf])


def merged(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """(own name without adapters, tensor) of all weights, adapters merged, one tensor at a time."""
    for component in ("und", "gen", "vision", "vae"):
        module = unwrapped(getattr(model, component))
        for name, tensor in module.state_dict().items():
            if ".lora_" in name:
                continue
            yield f"{component}.{name.replace('.base_layer', '')}", _with_adapter(module, name, tensor)


@torch.no_grad()
def _with_adapter(module: nn.Module, name: str, tensor: Tensor) -> Tensor:
    if not name.endswith(".base_layer.weight"):
        return tensor

    layer = module.get_submodule(name.removesuffix(".base_layer.weight"))
    assert isinstance(layer, LoraLayer)
    get_delta: Callable[[str], Tensor] = layer.get_delta_weight  # type: ignore[assignment]
    delta = sum(get_delta(adapter).float() for adapter in layer.active_adapters)
    return (tensor.float() + delta).to(tensor.dtype)
