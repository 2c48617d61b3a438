"""Files: a folder of weights saved, hashed, loaded and merged with adapters, and a training state.

The folder has BAGEL's shapes with two layers, about 5 GB, since all 29 GB would take the time of the other
sections; rates are in GB/s of weights, and the seconds of the whole model follow from them.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from gpu.drawing import attach
from gpu.lab import Lab
from gpu.models import num_bytes, random_bagel, write_base
from unichar.model.bagel.config import BagelConfig
from unichar.model.bagel.model import BagelModel
from unichar.model.bagel.names import published
from unichar.model.bagel.saving import merge_bagel, save_bagel
from unichar.model.bagel.weights import load_bagel
from unichar.model.load import base_digest
from unichar.model.lora import save_adapters, trainable
from unichar.training.state import TrainState

LAYERS = 2


def few_layers(config: BagelConfig, layers: int = LAYERS) -> BagelConfig:
    """The same shapes with fewer layers."""
    return replace(config, text=replace(config.text, num_hidden_layers=layers))


def files(lab: Lab) -> None:
    """Save, hash, load, merge."""
    lab.model = None
    lab.free()
    folder = lab.folder / "saved"
    gigabytes = _save(lab, folder)
    lab.add("hash", gigabytes / lab.once(lambda: base_digest(folder)), "GB/s")

    models: list[BagelModel] = []
    seconds = lab.once(lambda: models.append(load_bagel(folder, device=lab.device, dtype=torch.bfloat16)))
    lab.add("load", gigabytes / seconds, "GB/s")
    attach(models[0], lab.scale.preset.sft)
    _training_state(lab, models[0])

    adapters = lab.folder / "adapters"
    lab.add("save adapters", lab.once(lambda: save_adapters(models[0], adapters, base_sha256="0" * 64)), "s")
    models.clear()
    lab.free()
    seconds = lab.once(lambda: merge_bagel(folder, adapters, lab.folder / "merged"))
    lab.add("merge adapters into a folder", gigabytes / seconds, "GB/s")


def _save(lab: Lab, folder: Path) -> float:
    """Write the weights; returns their decimal gigabytes."""
    config, size = few_layers(lab.scale.config), lab.scale.image_size
    base = write_base(lab.folder / "saved_base", config, image_size=size)
    model = random_bagel(config, image_size=size, device=lab.device)

    gigabytes = num_bytes(model) / 1e9
    seconds = lab.once(lambda: save_bagel(_tensors(model), folder, base=base))
    lab.add("save", gigabytes / seconds, "GB/s", note=f"{gigabytes:.2f} GB")
    return gigabytes


def _tensors(model: BagelModel) -> Iterator[tuple[str, Tensor]]:
    """(published name, tensor), the autoencoder's last."""
    for name, tensor in sorted(model.state_dict().items(), key=lambda item: item[0].startswith("vae.")):
        yield published(name), tensor


def _training_state(lab: Lab, model: BagelModel) -> None:
    """A training state of these layers' adapters with their optimizer, written and read."""
    parameters = [*trainable(model.und).values(), *trainable(model.gen).values()]
    optimizer = torch.optim.AdamW(parameters)
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()

    path = lab.folder / "state.safetensors"
    modules = {"und": model.und, "gen": model.gen}
    state = TrainState(path, modules, {"adamw": optimizer}, key="{}")
    seconds = lab.once(lambda: state.save(1))
    gigabytes = path.stat().st_size / 1e9
    lab.add("save a training state", gigabytes / seconds, "GB/s", note=f"{gigabytes:.3f} GB")
    lab.add("load a training state", gigabytes / lab.once(state.load), "GB/s")
