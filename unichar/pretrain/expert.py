"""Phase 5 of the base: the generation expert learns to draw toons from captions, the backbone stays frozen.

Every step draws fresh captions and fresh pictures. Captions come in the forms the line will use later: an exact description;
a made-up name whose looks are unknown (the scene must be followed all the same); the scene form of a portrait, where the
looks stand in the character description; and nothing at all, for guidance.
"""

import copy
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from unichar.domains.toon.captions import caption, describe, random_name, scene_phrases
from unichar.domains.toon.draw import draw
from unichar.domains.toon.vocabulary import Identity, Scene, random_identity, random_scene
from unichar.interactions.prompts import scene_prompt
from unichar.model.flow import add_noise, flow_loss, sample_times
from unichar.model.nano.backbone import encode_prompts, load_backbone
from unichar.model.nano.config import NanoConfig
from unichar.model.nano.expert import GenerationExpert, TextContext, join_contexts
from unichar.model.nano.vae import Vae
from unichar.model.pixels import to_pixels
from unichar.pretrain.vae import ema_update
from unichar.training.loop import run_loop
from unichar.training.schedule import set_factor, trapezoid
from unichar.training.seeds import python_rng, torch_rng
from unichar.training.state import TrainState

_SAID = (
    "How are you today?",
    "What are you up to?",
    "Where did you go?",
    "Tell me something.",
    "Did you miss me?",
    "Nice to see you!",
)


@dataclass(frozen=True, kw_only=True)
class ExpertPhase:
    """Settings of the expert's pre-training."""

    steps: int = 1000
    captions: int = 12
    """Captions a step."""
    pictures: int = 5
    """Pictures a caption, each with its own noise and time."""
    lr: float = 1.5e-3
    """Peak rate, of Muon for the layers' matrices (matched to AdamW's update size) and of AdamW for the rest."""
    shift: float = 2.0
    """Timestep shift of training."""
    ema: float = 0.999
    seed: int = 0


def write_prompt(identity: Identity, scene: Scene, rng: random.Random) -> str:
    """A prompt for one picture: 60 % described, 15 % named only, 20 % as a moment of conversation, 5 % empty."""
    form = rng.random()
    if form < 0.60:
        return caption(describe(identity), scene, rng)
    if form < 0.75:
        return caption(random_name(rng), scene, rng)
    if form < 0.80:
        return ""
    name, said = random_name(rng), rng.choice(_SAID)
    phrases = ", ".join(scene_phrases(scene, rng))
    looks = f"{name} is {describe(identity)}."
    if rng.random() < 0.5:
        return scene_prompt(name=name, description=looks, user=said, reply=f"I am {phrases}.")
    return scene_prompt(
        name=name, description=looks, user=said, reply="Look at me!", instruction=f"{name}, {phrases}."
    )


def sample_step(config: ExpertPhase, step: int, size: int) -> tuple[list[str], Tensor]:
    """(P prompts, pixels [P * G, 3, H, W]) of one step; the pictures of a prompt differ by the figure's place only."""
    rng = python_rng(config.seed, "expert", step)
    toons = [(random_identity(rng), random_scene(rng)) for _ in range(config.captions)]
    written = [(write_prompt(identity, scene, rng), identity, scene) for identity, scene in toons]
    written.sort(key=lambda row: len(row[0]))  # short beside short: less padding to read
    images = [
        draw(identity, scene, size=size, seed=rng.randrange(2**31))
        for _, identity, scene in written
        for _ in range(config.pictures)
    ]
    return [prompt for prompt, _, _ in written], to_pixels(images)


def optimizers(expert: GenerationExpert, lr: float) -> dict[str, torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for everything else."""
    matrices = [
        p
        for name, p in expert.named_parameters()
        if name.startswith("layers.") and name.endswith("proj.weight")
    ]
    chosen = {id(p) for p in matrices}
    rest = [p for p in expert.parameters() if id(p) not in chosen]
    return {
        "muon": torch.optim.Muon(matrices, lr=lr, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        "adamw": torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=0.0),
    }


def run(config: ExpertPhase, shape: NanoConfig, vae: Vae, folder: Path, *, key: str) -> GenerationExpert:
    """Train (or go on training) and return the averaged expert."""
    torch.manual_seed(config.seed)
    backbone, tokenizer = load_backbone()
    expert = GenerationExpert(shape)
    average = copy.deepcopy(expert)
    optimizer = optimizers(expert, config.lr)

    def context_of(prompts: list[str]) -> TextContext:
        half = len(prompts) // 2
        return join_contexts(
            [encode_prompts(backbone, tokenizer, part, shape) for part in (prompts[:half], prompts[half:])]
        )

    def step(index: int) -> dict[str, float]:
        for one in optimizer.values():
            set_factor(one, trapezoid(index, config.steps, warmup=0.01, decay=0.35))
        prompts, pixels = sample_step(config, index, shape.image_size)
        generator = torch_rng(config.seed, "expert-noise", index)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            x0 = vae.encode(pixels)
        noise = torch.randn(x0.shape, generator=generator)
        t = sample_times(len(x0), config.shift, generator)
        with torch.autocast("cpu", torch.bfloat16):
            velocity = expert(add_noise(x0, noise, t), t, context_of(prompts))
        loss = flow_loss(velocity, x0, noise).mean()
        for one in optimizer.values():
            one.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(expert.parameters(), 1.0)
        for one in optimizer.values():
            one.step()
        ema_update(average, expert, min(config.ema, (1 + index) / (10 + index)))
        return {"loss": loss.item()}

    state = TrainState(
        folder / "state.safetensors", {"expert": expert, "average": average}, dict(optimizer), key=key
    )
    run_loop("expert", step, total=config.steps, state=state, save_seconds=180)
    return average
