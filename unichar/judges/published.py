"""Published networks as judges: loaded from a local folder (or the local Hugging Face cache) together with what fits pictures.

Nothing is downloaded; weights are read from safetensors only. Pictures are fitted by transformers itself, with Pillow.

Letters: B pictures, H/W pixels.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoImageProcessor
from transformers.utils import cached_file

from unichar.model.pixels import to_images
from unichar.training.ranks import local_device

CHUNK = 16
"""Pictures that a network sees at once."""


class NoJudge(ValueError):
    """A judge that was asked for can not be loaded."""


def load_published(kind: Any, name: str, *, model_type: str) -> tuple[Any, Any]:
    """(a frozen fp32 network of transformers' class `kind`, on this process's GPU or on the CPU; what fits pictures for it).

    Raises:
        NoJudge: It is not there, is another network, has no safetensors, or lacks some of its weights.
    """
    found = _model_type(name)
    if found != model_type:
        raise NoJudge(f"{name} is a {found!r} network; expected {model_type!r}")
    fitting = load_part(AutoImageProcessor, name, backend="pil")
    network, about = load_part(
        kind, name, use_safetensors=True, output_loading_info=True, dtype=torch.float32
    )
    if about["missing_keys"]:
        lacking = sorted(about["missing_keys"])
        raise NoJudge(
            f"the weights of {name} lack {len(lacking)} tensors, as {lacking[0]}: get the whole network again"
        )
    return network.eval().requires_grad_(False).to(local_device()), fitting


def load_part(kind: Any, name: str, **options: Any) -> Any:
    """`kind.from_pretrained` without the network.

    Raises:
        NoJudge: What it needs is not there.
    """
    try:
        return kind.from_pretrained(name, local_files_only=True, **options)
    except (OSError, RuntimeError, ValueError) as error:
        raise NoJudge(_missing(name, error)) from error


def fit(fitting: Any, pixels: Tensor) -> Tensor:
    """What the network reads of pixels [B, 3, H, W] in [-1, 1], where the network is: they become 8-bit pictures first."""
    return fitting(to_images(pixels), return_tensors="pt").pixel_values.to(local_device())


def _model_type(name: str) -> str:
    try:
        path = cached_file(name, "config.json", local_files_only=True)
        assert path is not None
        return json.loads(Path(path).read_text(encoding="utf-8")).get("model_type", "")
    except (OSError, ValueError) as error:
        raise NoJudge(_missing(name, error)) from error


def _missing(name: str, error: Exception) -> str:
    reason = str(error).partition("\n")[0]
    return (
        f"the judge {name} can not be loaded ({reason}): expected a local folder with config.json, model.safetensors, "
        "preprocessor_config.json and, for CLIP, its tokenizer, or a name that is in the local Hugging Face cache"
    )
