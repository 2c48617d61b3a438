"""A look at the model while it trains: the likelihood of conversations kept aside, and a sheet of pictures from fixed noise.

What is kept aside are training conversations, never the test's: a report must not have been trained for. The paper's code
never looks.
"""

import random
import shutil
from collections.abc import Sequence
from io import BytesIO
from math import inf
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from unichar.model.lora import trainable
from unichar.model.pixels import to_images
from unichar.model.protocol import UnifiedModel
from unichar.sft.config import SftConfig
from unichar.store.files import write_atomic
from unichar.training.ranks import assign, from_main, is_main
from unichar.training.seeds import derive
from unichar.training.state import load_tensors, save_tensors
from unichar.types import Interaction, StageJob

_SPOKEN = {"role_play", "thinking"}
GUIDANCE, SHIFT = 2.0, 2.0
"""How the sheet is sampled, as characters are drawn otherwise (`unichar.model.character.GenerationConfig`)."""


def set_aside(
    items: Sequence[Interaction], count: int, seed: int
) -> tuple[list[Interaction], list[Interaction]]:
    """(what is trained, what is held out): one conversation each of up to `count` topics; the rest of those topics is dropped.

    Topics are drawn from those of replies and plans alone: a kit has few pictures and facts, and a fact that is not
    trained can not be known. At most a fifth of these topics is taken, so a small kit may hold out fewer, or nothing.
    """
    kinds: dict[str, set[str]] = {}
    for item in items:
        kinds.setdefault(item.group, set()).add(item.kind)
    topics = sorted(topic for topic, found in kinds.items() if found <= _SPOKEN)
    random.Random(derive(seed, "set-aside")).shuffle(topics)
    taken = topics[: min(count, len(topics) // 5)]
    by_topic = {topic: [item for item in items if item.group == topic] for topic in taken}
    held_out = [by_topic[topic][number % len(by_topic[topic])] for number, topic in enumerate(taken)]
    return [item for item in items if item.group not in by_topic], held_out


class ValidationHistory(nn.Module):
    """What earlier looks found; saved with the training state."""

    best: Tensor
    """Lowest held-out negative log-likelihood, nats a token."""
    looks: Tensor
    """Looks since then, a whole number."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("best", torch.tensor(inf, dtype=torch.float64))
        self.register_buffer("looks", torch.zeros((), dtype=torch.int64))


class Validation:
    """Looks every `validation_every` steps and at the end."""

    def __init__(
        self, model: UnifiedModel, job: StageJob, held_out: Sequence[Interaction], prompts: Sequence[str]
    ) -> None:
        self.model, self.held_out, self.prompts = model, list(held_out), list(prompts)
        self.config: SftConfig = job.config
        self.seed, self.scratch, self.folder = job.seed, job.scratch, job.inputs["curated_kit"]
        self.history = ValidationHistory()
        if (self.config.validation.patience or self.config.validation.keep_best) and not self.held_out:
            raise ValueError(
                "SftConfig.patience and keep_best go by held-out conversations, and this kit has too few topics to hold any out: "
                "set both to nothing, or bring more dialogues"
            )

    def look(self, index: int) -> dict[str, float]:
        """Numbers of the look after step `index`, or nothing when none is due; all processes take part."""
        every = self.config.validation.every
        if not every or ((index + 1) % every and index + 1 != self.config.steps):
            return {}
        if self.prompts:
            self._draw(index + 1)
        if not self.held_out:
            return {}
        nll = from_main(self._nll())
        better = nll < self.history.best.item()
        self.history.looks.fill_(0 if better else self.history.looks.item() + 1)
        if better:
            self.history.best.fill_(nll)
            if self.config.validation.keep_best:
                save_tensors(self._kept, trainable(self.model.und), {"step": str(index + 1)})
        return {"held_out_nll": nll}

    def enough(self) -> bool:
        """Whether `patience` is used up."""
        return 0 < self.config.validation.patience <= int(self.history.looks)

    def restore_best(self) -> None:
        """With `keep_best`, put the text adapters of the best look back."""
        if self.config.validation.keep_best and self._kept.exists():
            tensors, _ = load_tensors(self._kept)
            for name, parameter in trainable(self.model.und).items():
                assign(parameter, tensors[name])

    def keep(self, out: Path) -> None:
        """Put the sheets into `out/watch`."""
        if self._sheets.is_dir():
            shutil.copytree(self._sheets, out / "watch", dirs_exist_ok=True)

    @property
    def _kept(self) -> Path:
        return self.scratch / "best.safetensors"

    @property
    def _sheets(self) -> Path:
        return self.scratch / "watch"

    @torch.no_grad()
    def _nll(self) -> float:
        """Nats a token of what is held out."""
        losses = [self.model.text_losses([item.segments], self.folder)[0] for item in self.held_out]
        return torch.cat(losses).double().mean().item()

    @torch.no_grad()
    def _draw(self, step: int) -> None:
        seeds = [derive(self.seed, "watch", prompt) for prompt in self.prompts]
        context = self.model.prompt_context(self.prompts)
        steps = self.config.validation.sample_steps
        latents = self.model.sample_latents(context, seeds, steps=steps, guidance=GUIDANCE, shift=SHIFT)
        if is_main():
            png = BytesIO()
            side_by_side(to_images(self.model.decode_latents(latents))).save(png, "PNG")
            write_atomic(self._sheets / f"step-{step:05d}.png", png.getvalue())


def side_by_side(images: Sequence[Image.Image]) -> Image.Image:
    """One RGB row of pictures of one size."""
    width, height = images[0].size
    row = Image.new("RGB", (width * len(images), height))
    for number, image in enumerate(images):
        row.paste(image, (number * width, 0))
    return row
