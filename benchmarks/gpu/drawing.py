"""Velocities, pictures and the autoencoder, through the methods that the product calls."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np
import torch
from peft import PeftModel
from peft.tuners.lora import Linear
from PIL import Image

from gpu.expected import drawing, number_of
from gpu.job import text_of
from gpu.lab import Lab
from gpu.models import num_bytes, random_bagel
from unichar.model.adapter_layer import AdapterLinear
from unichar.model.bagel.model import BagelModel
from unichar.model.components import merged_adapters
from unichar.model.lora import LoraSettings, add_adapters, trainable
from unichar.sft.config import SftConfig


def build(lab: Lab) -> None:
    """Random weights, made where they stay."""
    scale = lab.scale
    models: list[BagelModel] = []

    def make() -> None:
        models.append(random_bagel(scale.config, image_size=scale.image_size, device=lab.device))

    with lab.peak() as peak:
        lab.add("random weights", lab.once(make), "s", peak_gb=peak.gb)
    lab.model = models[0]
    lab.add("weights", num_bytes(lab.model) / 1e9, "GB", peak_gb=peak.gb)


def prompts_of(lab: Lab, count: int, *, seed: int = 0) -> list[str]:
    """Prompts of unequal lengths, as a step has them."""
    rng = random.Random(seed)
    return [text_of(rng, lab.scale.texts.prompt) for _ in range(count)]


def attach(model: BagelModel, sft: SftConfig) -> None:
    """Adapters as a character has them after some training: new ones would add nothing but zeros."""
    und = LoraSettings(rank=sft.und_rank, alpha=2 * sft.und_rank, targets=sft.und_targets)
    gen = LoraSettings(rank=sft.gen_rank, alpha=2 * sft.gen_rank, targets=sft.gen_targets)
    add_adapters(model, und=und, gen=gen, seed=0)

    generator = torch.Generator(model.device).manual_seed(0)
    with torch.no_grad():
        for component in (model.und, model.gen):
            for parameter in trainable(component).values():
                parameter.normal_(0.0, 0.002, generator=generator)


def tuned(lab: Lab) -> BagelModel:
    """The model with adapters, whichever section asks first."""
    if not isinstance(lab.bagel.gen, PeftModel):
        attach(lab.bagel, lab.scale.preset.sft)
    return lab.bagel


@contextmanager
def as_peft_computes() -> Iterator[None]:
    """Adapters in fp32, by peft's own layer: activations are cast to fp32 and sums back."""

    def cast(layer: AdapterLinear, x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        return x.to(dtype)

    with (
        mock.patch.object(AdapterLinear, "forward", Linear.forward),
        mock.patch.object(AdapterLinear, "_cast_input_dtype", cast),
    ):
        yield


def velocities(lab: Lab) -> None:
    """One velocity of one picture and of a batch: without adapters, with them, and with merged weights."""
    _velocity(lab, "no adapters")
    model = tuned(lab)

    with as_peft_computes():
        _velocity(lab, "adapters in fp32")
    _velocity(lab, "adapters")
    with merged_adapters(model.und), merged_adapters(model.gen):
        _velocity(lab, "merged")


@torch.no_grad()
def _velocity(lab: Lab, name: str) -> None:
    model = lab.bagel
    for pictures in (1, lab.scale.batch):
        context = model.prompt_context(prompts_of(lab, max(1, pictures // 2)))
        x = model.start_noise(range(pictures)).to(lab.device)
        t = torch.full((pictures,), 0.5, device=lab.device)
        timing = lab.time(lambda x=x, t=t, context=context: model.velocity(x, t, context), runs=3)
        lab.add_time(f"{number_of(pictures)}, {name}", timing)


def pictures(lab: Lab) -> None:
    """Encode, decode, draw one picture with guidance and one without, and a batch, with the adapters merged
    as rollouts merge them."""
    scale, model = lab.scale, tuned(lab)
    noise = np.random.default_rng(0).integers(0, 256, (scale.image_size, scale.image_size, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    lab.add_time("encode a picture", lab.time(lambda: model.encode_images([image])))
    latents = model.start_noise([0])
    lab.add_time("decode a picture", lab.time(lambda: model.decode_latents(latents)))

    evaluation, rollout = scale.preset.evaluation, scale.preset.grpo.rollout
    with model.merged_pictures():
        _draw(lab, 1, scale.guided_steps, evaluation.guidance, evaluation.shift)
        for count in (1, scale.batch):
            _draw(lab, count, scale.plain_steps, 1.0, rollout.shift)


@torch.no_grad()
def _draw(lab: Lab, count: int, steps: int, guidance: float, shift: float) -> None:
    model = lab.bagel
    context = model.prompt_context(prompts_of(lab, max(1, count // 2)))

    def draw() -> None:
        model.sample_latents(context, range(count), steps=steps, guidance=guidance, shift=shift)

    # Once and without a warm-up: it takes up to half a minute, and the velocities before have warmed up.
    lab.add_time(drawing(count, steps, guidance), lab.time(draw, runs=1, warm=False))
