"""Encoders: the networks that see pictures for the judges.

Reward and report never use the same one, so that a report cannot be improved by fooling the reward. Which
encoder serves which purpose is said by the domain of the kit (`unichar.domains.base.Domain`); here the names
become networks.

Letters: B pictures, C channels, H/W pixels, D features, M/N rows.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor

from unichar.domains.base import Domain, EncoderName, ModelFamily
from unichar.domains.lookup import check_model
from unichar.errors import UserError
from unichar.judges.attribute_classifier import AttributeClassifier
from unichar.judges.config import judges_file
from unichar.judges.efficientnet import EfficientNetLite, EfficientNetLite0, EfficientNetLite2
from unichar.training.ranks import local_device

_CHUNK = 16
"""Pictures per forward pass."""
_IMAGENET_SIDE = 224
"""Side in pixels that ImageNet networks were trained with."""


class Encoder(Protocol):
    """Sees pixels [B, 3, H, W] in [-1, 1]; both they and the answers are fp32 on the CPU."""

    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        """Logits [B, values] of every attribute; empty if the network reads none."""
        ...

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Feature maps [B, C, h, w], fine to coarse."""
        ...


class ClassifierEncoder:
    """A held-out attribute classifier in memory, as when a base is measured before it is packed."""

    def __init__(self, net: AttributeClassifier) -> None:
        self._net, self._device = net, next(net.parameters()).device

    @torch.no_grad()
    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        """Logits [B, values] of every attribute."""
        logits = self._net.read(pixels.to(self._device))
        return {name: each.cpu() for name, each in logits.items()}

    @torch.no_grad()
    def maps(self, pixels: Tensor) -> list[Tensor]:
        """The second to fourth stage."""
        # Not the first stage, which sees few pixels, and not the last, from which attributes are read.
        return [each.cpu() for each in self._net.features(pixels.to(self._device))[1:4]]


class ToonEncoder(ClassifierEncoder):
    """The held-out attribute classifier of a base, on this process's device."""

    def __init__(self, base: Path) -> None:
        net = AttributeClassifier()

        # The prefix is the file format's: bases made earlier have it.
        net.load_state_dict(tensors_of(base, "examiner"))
        super().__init__(net.eval().requires_grad_(False).to(local_device()))


class _ImageNetEncoder:
    """A network trained by its authors on photographs, on this process's device; it reads no attributes."""

    def __init__(self, net: EfficientNetLite, base: Path, part: str) -> None:
        # eval: batch norms use the published statistics, not those of the batch.
        net.load_state_dict(tensors_of(base, part))
        self._device = local_device()
        self._net = net.eval().requires_grad_(False).to(self._device)

    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        """No attributes."""
        return {}

    @torch.no_grad()
    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Three maps of the pictures, enlarged to 224 pixels."""
        # Bicubic interpolation overshoots at edges.
        larger = F.interpolate(
            pixels.to(self._device), size=_IMAGENET_SIDE, mode="bicubic", antialias=True
        )  # [B, 3, 224, 224]
        return [each.cpu() for each in self._net.features(larger.clamp(-1, 1))]


class PhotoEncoder(_ImageNetEncoder):
    """EfficientNet-lite0, for reports on photographs."""

    def __init__(self, base: Path) -> None:
        super().__init__(EfficientNetLite0(), base, "photo")


class PhotoRewardEncoder(_ImageNetEncoder):
    """EfficientNet-lite2, for nano's rewards on photographs."""

    def __init__(self, base: Path) -> None:
        super().__init__(EfficientNetLite2(), base, "photo_reward")


_PACKED: dict[EncoderName, Callable[[Path], Encoder]] = {
    "attribute_classifier": ToonEncoder,
    "photo": PhotoEncoder,
    "photo_reward": PhotoRewardEncoder,
}
"""The encoders that are packed with a nano base. The remaining name is the vision tower of the model that
trains."""


def load_encoder(name: EncoderName, base: Path) -> Encoder:
    """A packed encoder of a base, or of the file that judges it (see `judges_file`).

    Raises:
        MissingFile: The file does not exist.
        UserError: It has no such network.
    """
    return _PACKED[name](base)


def reward_encoder(domain: Domain, base: Path, *, tower: Encoder) -> Encoder:
    """The encoder of the reward if none is configured; `tower` is the vision tower of the model that trains.

    Raises:
        UserError: The base has no encoder that can judge this domain.
    """
    # Nano bases are files, BAGEL is a folder.
    model: ModelFamily = "bagel" if base.is_dir() else "nano"
    check_model(domain, model, character="this character")

    # The domain names the encoder per model family; a vision tower is in memory already.
    name = domain.reward_encoder[model]
    return tower if name == "vision_tower" else load_encoder(name, base)


def tensors_of(base: Path, part: str) -> dict[str, Tensor]:
    """The tensors of one part of a base file (or of the file that judges it), as fp32, without the prefix of
    the part.

    Raises:
        MissingFile: The file does not exist.
        UserError: It has no such part.
    """
    path, prefix = judges_file(base), f"{part}."

    # Only the tensors of this part are read from the file.
    tensors = {}
    with safe_open(str(path), framework="pt") as file:
        for name in file.keys():  # noqa: SIM118
            if name.startswith(prefix):
                tensor = file.get_tensor(name)

                # Counters of batch norms stay whole numbers.
                tensors[name.removeprefix(prefix)] = tensor.float() if tensor.is_floating_point() else tensor

    # A base that was packed without this network.
    if not tensors:
        raise UserError(
            f"{path} has no {part}: fetch the whole base (`make data`), "
            "or train one (`python -m unichar base`)"
        )
    return tensors


def perceptual_vectors(encoder: Encoder, pixels: Tensor) -> Tensor:
    """[B, D] such that half the squared distance of two rows is a perceptual distance in about 0..1.

    Every position of every feature map is scaled to unit length; positions and maps have equal weight. This
    is LPIPS (Zhang et al., arXiv:1801.03924) without its learned weights.
    """
    # Chunks bound the memory of the feature maps.
    parts = []
    for chunk in pixels.split(_CHUNK):
        maps = encoder.maps(chunk)

        # Divided so that the product of two rows is the mean of the cosines of all positions.
        flat = []
        for m in maps:
            positions = m.shape[2] * m.shape[3]
            flat.append(F.normalize(m, dim=1).flatten(1) / (positions * len(maps)) ** 0.5)  # [B, C * h * w]
        parts.append(torch.cat(flat, dim=1))  # [chunk, D]
    return torch.cat(parts)


def perceptual_distances(a_md: Tensor, b_nd: Tensor) -> Tensor:
    """[M, N] distances in 0..1 between rows of `perceptual_vectors`: 1 - the mean cosine over positions."""
    # Rounding may make the cosine of two equal pictures larger than 1.
    return (1 - a_md @ b_nd.T).clamp(min=0)
