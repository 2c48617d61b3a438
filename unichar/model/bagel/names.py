"""Names of the published files and of the tensors in them.

Each expert is a module of its own here; in the published files the generation expert's tensors are siblings
of the text expert's, with `_moe_gen` in their names.
"""

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
