"""A tiny BAGEL: `make_bagel(folder)` writes one as published, with weights made from their names.

`tiny_tensor` is also what the reference implementations got that `tests/model/bagel/make_fixtures.py` ran.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unichar.training.seeds import torch_rng

LLM = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_act": "silu",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 128,
    "max_position_embeddings": 4096,
    "rope_theta": 1000000.0,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}
VIT = {
    "model_type": "siglip_vision_model",
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_attention_heads": 3,
    "num_hidden_layers": 3,
    "num_channels": 3,
    "patch_size": 14,
    "image_size": 980,
}
PUBLISHED_LLM = {
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
    "max_position_embeddings": 32768,
    "rope_theta": 1000000.0,
    "rms_norm_eps": 1e-6,
}
PUBLISHED_VIT = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_attention_heads": 16,
    "num_hidden_layers": 27,
    "patch_size": 14,
    "image_size": 980,
}
WIDTH = 32
"""Channels of the tiny autoencoder; its norms want a multiple of 32."""

IDS = [[1, 20, 21, 22, 23, 24, 2], [1, 30, 31, 32, 2], [1, 40, 41, 2], [1, 50, 51, 52, 53, 2]]
"""Texts; 1 to 4 are the special tokens begin, end, vision start and vision end."""
GRIDS = {"seen": (4, 3), "clean": (2, 3), "noisy": (3, 2), "noisy2": (2, 2)}
"""Rows and columns of the pictures, in tokens."""
TIMES = (0.7, 0.2)
SAMPLES = [["text0", "seen", "text1", "clean", "text2", "noisy"], ["text3", "noisy2"]]
SIZES = [(1024, 1024), (378, 378), (640, 480), (3000, 200), (97, 211), (5000, 5000), (1333, 777), (56, 42)]


def tiny_tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor that depends on its published name alone: of the size of trained weights and exact in bf16."""
    x = torch.randn(tuple(shape), generator=torch_rng(0, name))
    if len(shape) > 1:
        x = x if "embed_tokens" in name else x / torch.tensor(shape[1:]).prod().sqrt()
    else:
        x = 0.1 * x if name.endswith("bias") else 1 + 0.2 * x
    return x.bfloat16().float()


def picture(name: str, *shape: int) -> torch.Tensor:
    """Numbers that other implementations got as well."""
    return torch.randn(shape, generator=torch_rng(0, "input", name))


def make_config(
    llm: dict[str, Any] = LLM, vit: dict[str, Any] = VIT, *, width: int = WIDTH, latent_side: int = 64
) -> Any:
    """The `BagelConfig` of two files' contents."""
    from unichar.model.bagel.config import BagelConfig, TextConfig, VisionConfig

    text = TextConfig(**{name: llm[name] for name in PUBLISHED_LLM})
    vision = VisionConfig(**{name: vit[name] for name in PUBLISHED_VIT})
    return BagelConfig(text=text, vision=vision, autoencoder_width=width, latent_side=latent_side)


def published_shapes(config: Any) -> dict[str, tuple[int, ...]]:
    """Published name -> shape of all tensors, `ae.safetensors` included."""
    from unichar.model.bagel.names import published

    return {published(name): tuple(tensor.shape) for name, tensor in empty_model(config).state_dict().items()}


class NoTokenizer:
    """Stands where a model has its tokenizer, for models that get ids."""

    def __init__(self) -> None:
        from unichar.model.bagel.packing import SpecialTokens

        self.special = SpecialTokens(begin=1, end=2, vision_start=3, vision_end=4)


def empty_model(config: Any) -> Any:
    """A model without memory behind its tensors."""
    from unichar.model.bagel.model import BagelModel

    with torch.device("meta"):
        return BagelModel(config, NoTokenizer(), image_size=16)  # type: ignore[arg-type]


def tiny_model(config: Any = None) -> Any:
    """The tiny BAGEL in fp32 without a tokenizer; its control ids are those of `NoTokenizer`."""
    from unichar.model.bagel.generation import sincos_table
    from unichar.model.bagel.names import TABLES, published

    model = empty_model(config or make_config()).to_empty(device="cpu")
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            public = published(name)
            is_table = public in TABLES
            side = round(len(tensor) ** 0.5)
            tensor.copy_(
                sincos_table(side, tensor.shape[1]) if is_table else tiny_tensor(public, tensor.shape)
            )
    return model.eval().requires_grad_(False)


def make_bagel(
    folder: Path,
    *,
    latent_side: int = 4,
    tables: bool = True,
    shards: int = 0,
    values: Callable[[str, tuple[int, ...]], Tensor] = tiny_tensor,
    **llm: Any,
) -> Path:
    """A folder as published, with SmolLM2's tokenizer, that generates pictures of `16 * latent_side` pixels.

    `llm` replaces sizes of the decoder.
    """
    from safetensors.torch import save_file

    from unichar.model.bagel.generation import sincos_table
    from unichar.model.bagel.names import TABLES
    from unichar.model.nano.backbone import backbone_folder

    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(backbone_folder() / name, folder / name)
    text, vision = {**LLM, "vocab_size": 49160, **llm}, {**VIT, "image_size": 98}
    for name, value in (
        ("llm_config", text),
        ("vit_config", vision),
        ("config", {"model_type": "bagel", "max_latent_size": latent_side}),
        ("preprocessor_config", {"image_processor_type": "SiglipImageProcessor"}),
    ):
        (folder / f"{name}.json").write_text(json.dumps(value))
    shapes = published_shapes(make_config(text, vision, latent_side=latent_side))

    tensors = {
        name: sincos_table(round(shape[0] ** 0.5), shape[1]) if name in TABLES else values(name, shape)
        for name, shape in shapes.items()
        if tables or name not in TABLES
    }
    tensors = {name: tensor.bfloat16() for name, tensor in tensors.items()}
    autoencoder = {name for name in tensors if name.startswith(("encoder.", "decoder."))}
    save_file({name: tensors[name] for name in autoencoder}, folder / "ae.safetensors")
    rest = sorted(tensors.keys() - autoencoder)
    if not shards:
        save_file({name: tensors[name] for name in rest}, folder / "ema.safetensors")
        return folder
    weight_map = {
        name: f"model-{i % shards + 1:05}-of-{shards:05}.safetensors" for i, name in enumerate(rest)
    }
    for file in set(weight_map.values()):
        save_file({name: tensors[name] for name in rest if weight_map[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder
