"""Eyes: what judges look at pictures with.

Two kinds, so that a reward is never marked by the network that a report uses: the reward's eye is the model's own vision
tower, the report's eye is the `AttributeClassifier` for toons and an ImageNet network for photographs. The tower of a nano base has
seen nothing but toons, so photographs are rewarded by another ImageNet network there.

Letters: B pictures, H/W pixels, D features, S stages.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor

from unichar.domains.base import Domain, EncoderName, ModelFamily
from unichar.domains.lookup import check_model
from unichar.judges.attribute_classifier import AttributeClassifier
from unichar.judges.efficientnet import EfficientNetLite, EfficientNetLite0, EfficientNetLite2


class Encoder(Protocol):
    """Sees pixels [B, 3, H, W] in [-1, 1]."""

    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        """Logits [B, values] of every attribute of the toon world."""
        ...

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Feature maps [B, channels, h, w], fine to coarse."""
        ...


def judges_file(base: Path) -> Path:
    """Where the independent judges lie: in a nano base itself; beside a folder (BAGEL) in the nano base that `make data` brings,
    or in the one UNICHAR_JUDGES names.

    Raises:
        FileNotFoundError: It is not there.
    """
    if base.is_file():
        return base
    data = Path(os.environ.get("UNICHAR_DATA") or "data")
    found = Path(os.environ.get("UNICHAR_JUDGES") or data / "models" / "nano" / "base.safetensors")
    if not found.is_file():
        raise FileNotFoundError(
            f"reports on {base} are judged by networks of the nano base, and {found} is missing: run `make data`, "
            "or set UNICHAR_JUDGES to a base.safetensors"
        )
    return found


def tensors_of(base: Path, part: str) -> dict[str, Tensor]:
    """The tensors of one part of a base file (or of the file that judges it), as fp32, without the part's prefix.

    Raises:
        ValueError: The base has no such part.
    """
    base = judges_file(base)
    with safe_open(str(base), framework="pt") as file:
        names = [name for name in file.keys() if name.startswith(f"{part}.")]  # noqa: SIM118
        if not names:
            raise ValueError(
                f"{base} has no {part}: fetch the whole base (`make data`), or train one (`python -m unichar base`)"
            )
        return {name.removeprefix(f"{part}."): _plain(file.get_tensor(name)) for name in names}


def _plain(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


class ClassifierEncoder:
    """An examiner at hand, as when a base is measured before it is packed."""

    def __init__(self, net: AttributeClassifier) -> None:
        self._net = net

    @torch.no_grad()
    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        return self._net.read(pixels)

    @torch.no_grad()
    def maps(self, pixels: Tensor) -> list[Tensor]:
        return self._net.features(pixels)[1:4]


class ToonEncoder(ClassifierEncoder):
    """The examiner of a base."""

    def __init__(self, base: Path) -> None:
        net = AttributeClassifier()
        net.load_state_dict(tensors_of(base, "examiner"))
        super().__init__(net.eval().requires_grad_(False))


class _ImageNetEncoder:
    """Trained by its authors on photographs; it reads no toon attributes."""

    def __init__(self, net: EfficientNetLite, base: Path, part: str) -> None:
        net.load_state_dict(tensors_of(base, part))
        self._net = net.eval().requires_grad_(False)

    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        return {}

    @torch.no_grad()
    def maps(self, pixels: Tensor) -> list[Tensor]:
        bigger = F.interpolate(pixels, size=224, mode="bicubic", antialias=True).clamp(-1, 1)
        return self._net.features(bigger)


class PhotoEncoder(_ImageNetEncoder):
    """EfficientNet-lite0: what reports look at photographs with."""

    def __init__(self, base: Path) -> None:
        super().__init__(EfficientNetLite0(), base, "photo")


class PhotoRewardEncoder(_ImageNetEncoder):
    """EfficientNet-lite2: what nano's rewards look at photographs with."""

    def __init__(self, base: Path) -> None:
        super().__init__(EfficientNetLite2(), base, "photo_reward")


_PACKED: dict[EncoderName, Callable[[Path], Encoder]] = {
    "attribute_classifier": ToonEncoder,
    "photo": PhotoEncoder,
    "photo_reward": PhotoRewardEncoder,
}
"""The encoders that are packed with a nano base; the remaining name is the vision tower of the model that trains."""


def load_encoder(name: EncoderName, base: Path) -> Encoder:
    """A packed encoder of a base, or of the file that judges it (see `judges_file`).

    Raises:
        FileNotFoundError: The file is not there.
        ValueError: It has no such network.
    """
    return _PACKED[name](base)


def reward_encoder(domain: Domain, base: Path, *, tower: Encoder) -> Encoder:
    """The encoder of the reward unless judges are configured; `tower` is the vision tower of the model that trains.

    Raises:
        ValueError: The base has no encoder that can judge this domain.
    """
    model: ModelFamily = "bagel" if base.is_dir() else "nano"
    check_model(domain, model, character="this character")
    name = domain.reward_encoder[model]
    return tower if name == "vision_tower" else load_encoder(name, base)


def perceptual_vectors(eye: Encoder, pixels: Tensor) -> Tensor:
    """[B, D] such that half the squared distance of two rows is a perceptual distance in about 0..1.

    Every spot of every feature map is scaled to unit length, spots and stages weigh the same (as in LPIPS without its learned
    weights).
    """
    parts = []
    for chunk in pixels.split(16):
        maps = eye.maps(chunk)
        flat = [F.normalize(m, dim=1).flatten(1) / (m.shape[2] * m.shape[3] * len(maps)) ** 0.5 for m in maps]
        parts.append(torch.cat(flat, dim=1))
    return torch.cat(parts)


def perceptual_distances(a_md: Tensor, b_nd: Tensor) -> Tensor:
    """[M, N] distances in 0..1 between rows of `perceptual_vectors`: 1 - mean cosine over spots."""
    return (1 - a_md @ b_nd.T).clamp(min=0)
