"""Real models and tiny training jobs: `make_job(stage, folder)` makes a stage's job on Bramble's kit.

Tests need the base model (`make data`) and the text backbone, which is unpacked once into `runs/cache`.
"""

import json
import os
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from factories_interactions import BRAMBLE_LOOK, make_curated_kit
from factories_training import start_python
from PIL import Image

from unichar.domains.toon.draw import draw
from unichar.domains.toon.vocabulary import Identity, Scene, random_identity, random_scene
from unichar.evaluation.config import EvaluationConfig
from unichar.grpo.config import (
    FlowGrpoConfig,
    GrpoConfig,
    NftConfig,
    RewardConfig,
    RolloutConfig,
    ValidationConfig,
)
from unichar.interactions import synthesize
from unichar.interactions.config import InteractionsConfig
from unichar.model.protocol import UnifiedModel
from unichar.sft.config import SftConfig
from unichar.stages import stage_of
from unichar.training.seeds import torch_rng
from unichar.types import StageJob

DATA = Path(os.environ.get("UNICHAR_DATA") or Path(__file__).parents[1] / "data")
BASE = DATA / "models" / "nano" / "base.safetensors"
PROMPTS = (
    "A picture of Bramble, smiling, waving hello, holding a cup, at the beach.",
    "Bramble, looking sad, standing still, holding a flower, on a snowy hill.",
    "Draw a red cat with blue eyes in a dotted pink shirt, wearing a red scarf: "
    "laughing, in mid-jump, in the city.",
)
TINY = {
    "sft": SftConfig(
        steps=3,
        conversations=2,
        pictures=4,
        prompts=2,
        prior_pictures=2,
        prior_pool=4,
        und_rank=4,
        gen_rank=4,
    ),
    "grpo": GrpoConfig(
        rounds=3,
        epochs=2,
        rollout=RolloutConfig(prompts=2, group=2, sample_steps=2),
        nft=NftConfig(beta=1.0, ema_decay_per_step=0.001, kl=0.01),
        flow_grpo=FlowGrpoConfig(kl=0.01),
        reward=RewardConfig(advantage_clip=5.0),
        validation=ValidationConfig(every=2, prompts=2, sample_steps=2, keep="last", max_identity_drop=1),
    ),
    "evaluate": EvaluationConfig(
        prompts=3,
        pictures=2,
        sample_steps=2,
        text_items=2,
        chats=1,
        role_plays=1,
        max_reply_tokens=6,
        max_reasoning_tokens=8,
    ),
}
"""Verb -> settings that run in seconds."""


def make_inputs(folder: Path, **overrides: Any) -> dict[str, Path]:
    """A curated kit (`overrides` as of `make_curated_kit`) and its interactions: noun -> folder."""
    inputs = {"curated_kit": folder / "curated_kit", "interactions": folder / "interactions"}
    kit = make_curated_kit(inputs["curated_kit"], **overrides)
    inputs["interactions"].mkdir(exist_ok=True)
    config = InteractionsConfig(
        num_role_play=40, num_plain_captions=2, num_visual_wordings=1, num_unseen_scenes=3
    )
    out = inputs["interactions"]
    synthesize.run(
        StageJob(character=kit.id, config=config, seed=0, inputs=inputs, base=BASE, scratch=out, out=out)
    )
    for stage in inputs.values():
        (stage / "summary.json").write_text(json.dumps({"seconds": 1.0}))
    return inputs


def make_job(verb: str, folder: Path, inputs: dict[str, Path], **overrides: Any) -> StageJob:
    """A tiny job of a stage; its `scratch` and `out` lie in `folder`, so the same folder resumes.

    `overrides` replace fields.
    """
    for name in ("scratch", "out"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    values = {
        "config": TINY[verb],
        "seed": 0,
        "base": BASE,
        "scratch": folder / "scratch",
        "out": folder / "out",
    }
    return StageJob(**({"character": "bramble", "inputs": inputs} | values | overrides))


def start_stage(verb: str, job: StageJob, *, config: str) -> subprocess.Popen[str]:
    """`job` in a process of its own, made there from its folders; `config` is an expression, as
    `TINY['sft']`.
    """
    inputs = {noun: str(folder) for noun, folder in job.inputs.items()}
    return start_python(
        "from factories_config import replaced\n"
        "from importlib import import_module\n"
        "from pathlib import Path\n"
        "from factories_model import TINY, make_job\n"
        f"inputs = {{noun: Path(folder) for noun, folder in {inputs!r}.items()}}\n"
        f"job = make_job({verb!r}, Path({str(job.scratch.parent)!r}), inputs, config={config})\n"
        f"import_module({stage_of(verb).module!r}).run(job)\n"
    )


def disturb(module: torch.nn.Module, *, seed: int = 0, by: float = 0.02) -> None:
    """Move every trainable parameter a little, as training would."""
    generator = torch_rng(seed, "disturb")
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(by * noise.to(parameter.device))


def sketch(model: UnifiedModel, prompts: tuple[str, ...] = PROMPTS, *, seed: int = 0) -> torch.Tensor:
    """Latents of one quick picture a prompt: a fingerprint of the generation expert."""
    seeds = [seed + i for i in range(len(prompts))]
    return model.sample_latents(model.prompt_context(prompts), seeds, steps=2, guidance=1.0, shift=2.0)


@dataclass(frozen=True, kw_only=True)
class Album:
    """Renders of one identity in different scenes."""

    scenes: list[Scene]
    images: list[Image.Image]


def make_album(count: int, *, look: Identity = BRAMBLE_LOOK, seed: int = 0) -> Album:
    """`count` pictures of `look`, each in a scene of its own."""
    rng = random.Random(seed)
    scenes = [random_scene(rng) for _ in range(count)]
    return Album(scenes=scenes, images=[draw(look, scene, seed=rng.randrange(1000)) for scene in scenes])


def make_prior_images(count: int, *, seed: int = 7) -> list[Image.Image]:
    """`count` pictures of as many identities."""
    rng = random.Random(seed)
    return [draw(random_identity(rng), random_scene(rng), seed=rng.randrange(1000)) for _ in range(count)]
