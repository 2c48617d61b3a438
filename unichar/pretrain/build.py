"""`python -m unichar base`: trains the nano base from nothing but rendered toons and the two pinned wheels.

Eight phases, each resumable, each with its own folder under `runs/base/`: the VAE; its decoder, three times; two readers (the
vision tower with its attribute heads, and the examiner of the reports); the generation expert; the connector. The result is one
safetensors file with a training record and a page of pictures beside it. Budgets scale every phase's steps together.
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
from unichar.pretrain import connector, expert, measure, readers, vae
from unichar.pretrain.connector import ConnectorPhase
from unichar.pretrain.expert import ExpertPhase
from unichar.pretrain.pack import pack
from unichar.pretrain.photo import published_weights
from unichar.pretrain.readers import ReaderPhase
from unichar.pretrain.vae import DecoderPhase, VaePhase
from unichar.store.fingerprint import fingerprint
from unichar.training.curves import read_curve

PHASES: dict[str, Any] = {
    "vae": VaePhase(),
    "decoder": DecoderPhase(),
    "decoder-fine": DecoderPhase(title="decoder-fine", steps=1500, lr=5e-4, seed=8),
    "decoder-last": DecoderPhase(title="decoder-last", steps=1000, lr=2.5e-4, wobble=0.01, seed=9),
    "vision": ReaderPhase(title="vision", steps=2000),
    "examiner": ReaderPhase(title="examiner", steps=900, seed=1),
    "expert": ExpertPhase(),
    "connector": ConnectorPhase(),
}


def main(out: Path, work: Path, *, scale: float = 1.0, seed: int = 0) -> Path:
    """Train every phase that is not finished and pack the base.

    Args:
        out: Folder for `base.safetensors` and `base.json`.
        work: Folder the phases resume from.
        scale: Multiplies every phase's steps; 1 takes about two and a half hours on two cores.
        seed: Added to every phase's own seed.
    """
    if scale <= 0:
        raise UserError(
            f"the scale of the base training is {scale}; expected a positive number, 1 is the shipped base"
        )
    shape = NanoConfig()
    phases = {
        name: dataclasses.replace(phase, steps=max(1, round(phase.steps * scale)), seed=phase.seed + seed)
        for name, phase in PHASES.items()
    }
    keys = {name: fingerprint(dataclasses.asdict(phase)) for name, phase in phases.items()}
    began = time.monotonic()
    parts = _train(phases, keys, shape, work)
    record = {
        "phases": {name: dataclasses.asdict(phase) for name, phase in phases.items()},
        "curves": {name: _thin(read_curve(work / name / "curve.jsonl")) for name in phases},
        "seconds_of_this_run": round(time.monotonic() - began),
        "measured": measure.measure_base(parts, shape),
        "versions": {"torch": torch.__version__},
    }
    path = pack(parts, shape, json.loads(json.dumps(record)), out)
    measure.sample_page(parts, shape).save(out / "base.png")
    return path


def _train(
    phases: dict[str, Any], keys: dict[str, str], shape: NanoConfig, work: Path
) -> dict[str, nn.Module]:
    first = vae.run(phases["vae"], work / "vae", key=keys["vae"]).eval().requires_grad_(False)
    auto = first
    for name in ("decoder", "decoder-fine", "decoder-last"):
        auto = vae.sharpen(auto, phases[name], work / name, key=keys[name]).eval().requires_grad_(False)
    tower = _reader(VisionTower(shape), phases["vision"], first, work, keys["vision"])
    examiner = _reader(AttributeClassifier(), phases["examiner"], first, work, keys["examiner"])
    drawing = expert.run(phases["expert"], shape, auto, work / "expert", key=keys["expert"])
    und, tokenizer = load_backbone()
    model = NanoModel(shape, und, tokenizer)
    model.vision = tower
    connector.run(model, phases["connector"], work / "connector", key=keys["connector"])
    return {
        "vae": auto,
        "vision": tower,
        "connector": model.connector,
        "expert": drawing,
        "examiner": examiner,
        "photo": published_weights(EfficientNetLite0(), "lite0"),
        "photo_reward": published_weights(EfficientNetLite2(), "lite2"),
    }


def _reader(
    net: VisionTower | AttributeClassifier, phase: ReaderPhase, auto: Vae, work: Path, key: str
) -> Any:
    readers.run(net, auto, phase, work / phase.title, key=key)
    return net.eval().requires_grad_(False)


def _thin(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    """At most a hundred rows of a curve."""
    return rows[:: max(1, len(rows) // 100)]
