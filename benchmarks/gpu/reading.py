"""Text: a long conversation read, replies written one at a time and together, and the vision tower."""

import random

import torch

from gpu.drawing import tuned
from gpu.job import text_of
from gpu.lab import Lab
from unichar.model.components import merged_adapters
from unichar.model.protocol import Turn


def texts(lab: Lab) -> None:
    """Read, write, look; with merged adapters, as reports talk."""
    with merged_adapters(tuned(lab).und):
        _read_and_write(lab)

    side = lab.scale.config.vision.image_size
    pixels = torch.rand(1, 3, side, side) * 2 - 1
    lab.add_time("vision tower, a picture", lab.time(lambda: lab.bagel.maps(pixels)))


def _read_and_write(lab: Lab) -> None:
    scale, model = lab.scale, lab.bagel
    rng = random.Random(0)
    long = model.tokenizer.text(text_of(rng, scale.read_tokens, spread=0.0))
    with torch.no_grad():
        timing = lab.time(lambda: model.read_context([long]))
    lab.add_time(f"read {scale.read_tokens} tokens", timing)

    for count in (1, scale.replies):
        conversations = [[Turn(role="user", text=text_of(rng, 100))] for _ in range(count)]

        def write(conversations: list[list[Turn]] = conversations) -> None:
            model.reply(conversations, max_tokens=scale.words)

        timing = lab.time(write, runs=2)
        note = f"{count * scale.words / timing.seconds:.1f} tokens/s"
        lab.add_time(f"write {scale.words} words of {count} replies", timing, note=note)
