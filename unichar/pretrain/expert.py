"""The generation expert learns to draw toons and drawn worlds from captions; the backbone stays frozen.

Every step samples new captions, renders new toons and takes drawn pictures out of the cache. Captions have
the forms that later stages use: an exact description; an invented name without a description (the scene must
be followed all the same); the prompt of a multimodal turn, whose character card holds the description; and
the empty prompt, for classifier-free guidance.
"""

import copy
import random
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from unichar.domains.toon.captions import caption, describe, random_name, scene_phrases
from unichar.domains.toon.draw import draw
from unichar.domains.toon.vocabulary import Identity, Scene, random_identity, random_scene
from unichar.interactions.prompts import scene_prompt
from unichar.model.flow import add_noise, flow_loss, sample_times
from unichar.model.nano.backbone import encode_prompts, load_backbone
from unichar.model.nano.config import NanoConfig
from unichar.model.nano.expert import GenerationExpert, TextContext, join_contexts
from unichar.model.nano.vae import Vae
from unichar.pretrain.prefetch import Prefetched, workers_for
from unichar.pretrain.vae import ema_update
from unichar.pretrain.worlds import captions
from unichar.pretrain.worlds.batches import pixels_of
from unichar.pretrain.worlds.cache import PictureCache
from unichar.training.loop import run_loop
from unichar.training.schedule import set_factor, trapezoid
from unichar.training.seeds import python_rng, torch_rng
from unichar.training.state import TrainState

_USER_INPUTS = (
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

    steps: int = 9000
    """Optimizer steps."""
    captions: int = 20
    """Captions per step."""
    pictures: int = 3
    """Pictures per caption, each with its own noise and time; a drawn picture is the same every time."""
    drawn: float = 0.6
    """Share of captions of drawn worlds, things included; the others are of toons."""
    drawn_shards: int = 160
    """Shards of the cache of drawn pictures that are used."""
    lr: float = 1.5e-3
    """Peak rate of Muon for the layers' matrices (matched to AdamW's update size), and of AdamW for the rest.
    """
    shift: float = 2.0
    """Timestep shift of training."""
    ema: float = 0.999
    """Decay of the EMA of the weights, which is the result."""
    seed: int = 0


def write_prompt(identity: Identity, scene: Scene, rng: random.Random) -> str:
    """A prompt for a toon: 60 % described, 15 % named only, 20 % of a multimodal turn, 5 % empty."""
    form = rng.random()
    if form < 0.60:
        return caption(describe(identity), scene, rng)
    if form < 0.75:
        return caption(random_name(rng), scene, rng)
    if form < 0.80:
        return ""
    return _turn_prompt(describe(identity), ", ".join(scene_phrases(scene, rng)), rng)


def write_drawn_prompt(facts: dict[str, Any], rng: random.Random) -> str:
    """A prompt for a drawn picture, in the same shares; things alone are always described, or the prompt is
    empty.
    """
    form = rng.random()
    if form < 0.60:
        return captions.caption(facts, rng)
    if form < 0.75:
        return captions.caption(facts, rng, named=True)
    if form < 0.80:
        return ""
    if facts["subject"] == "things":
        return captions.caption(facts, rng)
    return _turn_prompt(captions.describe(facts, rng), ", ".join(captions.scene_phrases(facts, rng)), rng)


def _turn_prompt(who: str, phrases: str, rng: random.Random) -> str:
    """The prompt of a multimodal turn; half of them tell the scene in the reply, half in the instruction."""
    name, user = random_name(rng), rng.choice(_USER_INPUTS)
    description = f"{name} is {who}."
    if rng.random() < 0.5:
        return scene_prompt(name=name, description=description, user=user, reply=f"I am {phrases}.")
    return scene_prompt(
        name=name, description=description, user=user, reply="Look at me!", instruction=f"{name}, {phrases}."
    )


def sample_step(
    config: ExpertPhase, drawn: PictureCache | None, step: int, size: int
) -> tuple[list[str], list[np.ndarray], list[int]]:
    """(P prompts, their different pictures, indices [P * G] into these) of one step.

    A toon's pictures differ in the figure's position only; a drawn picture is used G times. Without a cache
    all are toons.
    """
    rng = python_rng(config.seed, "expert", step)
    num_drawn = 0 if drawn is None else round(config.drawn * config.captions)
    samples: list[tuple[str, list[np.ndarray]]] = []
    for _ in range(num_drawn):
        assert drawn is not None
        index = rng.randrange(len(drawn))
        samples.append((write_drawn_prompt(drawn.facts(index), rng), [drawn.picture(index)]))
    for _ in range(config.captions - num_drawn):
        identity, scene = random_identity(rng), random_scene(rng)
        seeds = [rng.randrange(2**31) for _ in range(config.pictures)]
        rendered = [np.asarray(draw(identity, scene, size=size, seed=seed)) for seed in seeds]
        samples.append((write_prompt(identity, scene, rng), rendered))

    # Prompts of similar length are encoded together, which saves padding.
    samples.sort(key=lambda sample: len(sample[0]))
    pictures: list[np.ndarray] = []
    indices: list[int] = []
    for _, found in samples:
        indices += [len(pictures) + number % len(found) for number in range(config.pictures)]
        pictures += found
    return [prompt for prompt, _ in samples], pictures, indices


def optimizers(expert: GenerationExpert, lr: float) -> dict[str, torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for everything else."""
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in expert.named_parameters():
        is_matrix = name.startswith("layers.") and name.endswith("proj.weight")
        (matrices if is_matrix else rest).append(parameter)
    return {
        "muon": torch.optim.Muon(matrices, lr=lr, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        "adamw": torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=0.0),
    }


@torch.no_grad()
def widen(expert: GenerationExpert, first: GenerationExpert) -> None:
    """Copy `first` into `expert`, whose latents may have more channels; these are zero at first."""
    own, old = expert.state_dict(), first.state_dict()
    values = old["latent_in.weight"].shape[1]
    for name, tensor in old.items():
        if own[name].shape == tensor.shape:
            own[name].copy_(tensor)

    # The values of a patch are ordered by channel, so those of the new channels come last.
    own["latent_in.weight"][:, :values].copy_(old["latent_in.weight"])
    for kind in ("weight", "bias"):
        own[f"latent_out.{kind}"][:values].copy_(old[f"latent_out.{kind}"])


def run(
    expert: GenerationExpert,
    config: ExpertPhase,
    shape: NanoConfig,
    vae: Vae,
    folder: Path,
    *,
    key: str,
    drawn: PictureCache | None = None,
) -> GenerationExpert:
    """Train `expert`, or resume, on the VAE's device and return its EMA. Without `drawn` all are toons."""
    device = vae.shift.device
    backbone, tokenizer = load_backbone()
    backbone.to(device)  # type: ignore[arg-type]
    expert.to(device)
    average = copy.deepcopy(expert)
    optimizer = optimizers(expert, config.lr)

    def context_of(prompts: list[str]) -> TextContext:
        """Context of the sorted prompts, encoded in two halves to save padding."""
        half = len(prompts) // 2
        first = encode_prompts(backbone, tokenizer, prompts[:half], shape)
        second = encode_prompts(backbone, tokenizer, prompts[half:], shape)
        return join_contexts([first, second])

    def step(index: int) -> dict[str, float]:
        for one in optimizer.values():
            set_factor(one, trapezoid(index, config.steps, warmup=0.01, decay=0.35))

        prompts, pictures, indices = batches(index)
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            x0 = vae.encode(pixels_of(np.stack(pictures)).to(device))[indices]

        generator = torch_rng(config.seed, "expert-noise", index)
        noise = torch.randn(x0.shape, generator=generator).to(device)
        t = sample_times(len(x0), config.shift, generator).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            velocity = expert(add_noise(x0, noise, t), t, context_of(prompts))
        loss = flow_loss(velocity, x0, noise).mean()

        for one in optimizer.values():
            one.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(expert.parameters(), 1.0)
        for one in optimizer.values():
            one.step()

        # The decay grows with the steps, so that early weights do not dominate a short run.
        ema_update(average, expert, min(config.ema, (1 + index) / (10 + index)))
        return {"loss": loss.item()}

    state = TrainState(
        folder / "state.safetensors", {"expert": expert, "average": average}, dict(optimizer), key=key
    )
    render = partial(sample_step, config, drawn, size=shape.image_size)
    with Prefetched(render, total=config.steps, workers=workers_for(device)) as batches:
        run_loop("expert", step, total=config.steps, state=state, save_seconds=180)
    return average
