"""Published networks as judges: a network and its image processor, from a local folder or the local Hugging
Face cache.

Nothing is downloaded; weights are read from safetensors only. Pictures are preprocessed by transformers
itself, with Pillow.

Letters: B pictures, H/W pixels.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import AutoImageProcessor

from unichar.judges.config import MissingJudge, check_published, missing_judge
from unichar.model.pixels import to_images
from unichar.training.ranks import local_device

CHUNK = 16
"""Pictures per forward pass."""


def load_published(kind: Any, name: str, *, model_type: str) -> tuple[Any, Any]:
    """A frozen fp32 network on this process's GPU or the CPU, and its image processor.

    Args:
        kind: The network's class in transformers.
        name: Folder or hub name.
        model_type: What its `config.json` must say.

    Raises:
        MissingJudge: It is not there, is another network, has no safetensors, or lacks some of its weights.
    """
    # transformers would load another architecture with a warning only.
    check_published(name, model_type)
    processor = load_part(AutoImageProcessor, name, backend="pil")

    # safetensors only, since pickled weights can run code; fp32 on every device, so that scores agree.
    options = {"use_safetensors": True, "output_loading_info": True, "dtype": torch.float32}
    network, about = load_part(kind, name, **options)

    # transformers fills weights that are missing with random numbers.
    if about["missing_keys"]:
        missing = sorted(about["missing_keys"])
        raise MissingJudge(
            f"the weights of {name} lack {len(missing)} tensors, as {missing[0]}: "
            "fetch the whole network again"
        )
    return network.eval().requires_grad_(False).to(local_device()), processor


def load_part(kind: Any, name: str, **options: Any) -> Any:
    """`kind.from_pretrained` without access to the internet.

    Raises:
        MissingJudge: A file that it needs is not there.
    """
    try:
        # RuntimeError and ValueError: damaged weights and unknown settings.
        return kind.from_pretrained(name, local_files_only=True, **options)
    except (OSError, RuntimeError, ValueError) as error:
        raise MissingJudge(missing_judge(name, error)) from error


def preprocess(processor: Any, pixels: Tensor) -> Tensor:
    """The network's input for pixels [B, 3, H, W] in [-1, 1], on its device; they become 8-bit pictures
    first."""
    # As the network saw pictures in its training, and as a report's PNG files are.
    return processor(to_images(pixels), return_tensors="pt").pixel_values.to(local_device())
