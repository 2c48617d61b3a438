"""The preset for one 24 GB card: both experts in 4 bits, at the picture size of that preset."""

from dataclasses import replace

import torch

from gpu.drawing import attach, prompts_of
from gpu.expected import number_of, short
from gpu.job import write_job
from gpu.lab import Lab, Unavailable
from gpu.models import num_bytes, random_bagel
from gpu.training import measure_steps
from unichar.errors import UserError
from unichar.model.bagel.model import BagelModel
from unichar.sft import train as sft


def four_bit(lab: Lab) -> None:
    """Weights, velocities and an SFT step of the quantised model; the other model is given up for it."""
    lab.model = None
    lab.free()
    if lab.device.type == "cuda":
        # Peaks below are of all tensors: what an earlier section left would be in them.
        lab.add("left in memory before", torch.cuda.memory_allocated() / 1e9, "GB")

    whole, lab.scale = lab.scale, lab.scale.for_small_card()
    try:
        lab.model = _quantised(lab)
        _measure(lab)
    finally:
        lab.model, lab.scale = None, whole


def _quantised(lab: Lab) -> BagelModel:
    scale = lab.scale
    models: list[BagelModel] = []

    def make() -> None:
        models.append(
            random_bagel(
                scale.config,
                image_size=scale.image_size,
                device=lab.device,
                quantize=scale.preset.load.quantize,
            )
        )

    try:
        with lab.peak() as peak:
            seconds = lab.once(make)
    except UserError as error:
        raise Unavailable(str(error)) from error
    lab.add("random weights", seconds, "s", peak_gb=peak.gb)
    lab.add("weights", num_bytes(models[0]) / 1e9, "GB")
    return models[0]


def _measure(lab: Lab) -> None:
    model = lab.bagel
    context = model.prompt_context(prompts_of(lab, 1))
    for pictures in (1, lab.scale.batch):
        x = model.start_noise(range(pictures)).to(lab.device)
        t = torch.full((pictures,), 0.5, device=lab.device)
        with torch.no_grad():
            timing = lab.time(lambda x=x, t=t: model.velocity(x, t, context))
        lab.add_time(f"{number_of(pictures)}, no adapters", timing)

    attach(model, lab.scale.preset.sft)
    config = short(lab.scale.preset.sft)
    job = write_job(lab.scale, lab.folder / "small", config=config)
    measure_steps(lab, sft.Trainer(model, replace(job, load=lab.scale.preset.load)))
