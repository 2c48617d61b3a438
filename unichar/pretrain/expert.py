"""Phase 7 of the base: the generation expert learns to draw toons from captions; the backbone stays frozen.

Every step samples new captions and renders new pictures. Captions have the forms that later stages use: an
exact description; an invented name without a description (the scene must be followed all the same); the
prompt of a multimodal turn, whose character card holds the description; and the empty prompt, for
classifier-free guidance.
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

    steps: int = 1000
    """Optimizer steps."""
    captions: int = 12
    """Captions per step."""
    pictures: int = 5
    """Pictures per caption, each with its own noise and time."""
    lr: float = 1.5e-3
    """Peak rate of Muon for the layers' matrices (matched to AdamW's update size), and of AdamW for the rest.
    """
    shift: float = 2.0
    """Timestep shift of training."""
    ema: float = 0.999
    """Decay of the EMA of the weights, which is the result."""
    seed: int = 0


def write_prompt(identity: Identity, scene: Scene, rng: random.Random) -> str:
    """A prompt for one picture: 60 % described, 15 % named only, 20 % of a multimodal turn, 5 % empty."""
    form = rng.random()
    if form < 0.60:
        return caption(describe(identity), scene, rng)
    if form < 0.75:
        return caption(random_name(rng), scene, rng)
    if form < 0.80:
        return ""

    # Half of the turns tell the scene in the reply, half in the instruction.
    name, user = random_name(rng), rng.choice(_USER_INPUTS)
    phrases = ", ".join(scene_phrases(scene, rng))
    description = f"{name} is {describe(identity)}."
    if rng.random() < 0.5:
        return scene_prompt(name=name, description=description, user=user, reply=f"I am {phrases}.")
    return scene_prompt(
        name=name, description=description, user=user, reply="Look at me!", instruction=f"{name}, {phrases}."
    )


def sample_step(config: ExpertPhase, step: int, size: int) -> tuple[list[str], Tensor]:
    """(P prompts, pixels [P * G, 3, H, W]) of one step; the pictures of a prompt differ in the figure's
    position only.
    """
    rng = python_rng(config.seed, "expert", step)
    toons = [(random_identity(rng), random_scene(rng)) for _ in range(config.captions)]
    samples = [(write_prompt(identity, scene, rng), identity, scene) for identity, scene in toons]

    # Prompts of similar length are encoded together, which saves padding.
    samples.sort(key=lambda sample: len(sample[0]))
    images = []
    for _, identity, scene in samples:
        for _ in range(config.pictures):
            images.append(draw(identity, scene, size=size, seed=rng.randrange(2**31)))
    return [prompt for prompt, _, _ in samples], to_pixels(images)


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


def run(config: ExpertPhase, shape: NanoConfig, vae: Vae, folder: Path, *, key: str) -> GenerationExpert:
    """Train, or resume, and return the EMA of the expert."""
    torch.manual_seed(config.seed)
    backbone, tokenizer = load_backbone()
    expert = GenerationExpert(shape)
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

        prompts, pixels = sample_step(config, index, shape.image_size)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            x0 = vae.encode(pixels)

        generator = torch_rng(config.seed, "expert-noise", index)
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

        # The decay grows with the steps, so that early weights do not dominate a short run.
        ema_update(average, expert, min(config.ema, (1 + index) / (10 + index)))
        return {"loss": loss.item()}

    state = TrainState(
        folder / "state.safetensors", {"expert": expert, "average": average}, dict(optimizer), key=key
    )
    run_loop("expert", step, total=config.steps, state=state, save_seconds=180)
    return average
