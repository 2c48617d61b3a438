"""Validation during SFT: loss of held-out conversations, and a sheet of pictures sampled from fixed noise.

Held-out conversations are taken from training, never from the test items: those are for the report alone. The
paper's code does not validate.
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

from unichar.errors import UserError
from unichar.model.lora import trainable
from unichar.model.pixels import to_images
from unichar.model.protocol import UnifiedModel
from unichar.sft.config import SftConfig
from unichar.store.files import write_atomic
from unichar.training.ranks import assign, from_main, is_main
from unichar.training.seeds import derive
from unichar.training.state import load_tensors, save_tensors
from unichar.types import Interaction, StageJob

_CONVERSATIONS = {"role_play", "thinking"}
"""Kinds that may be held out. A kit has few pictures, and a fact that is not trained on cannot be known."""
_MOST_TOPICS = 5
"""At most one topic in this many is held out."""
_SHEETS = "validation"
"""Folder of the sheets, in the scratch folder and in the output."""


def hold_out(
    items: Sequence[Interaction], count: int, seed: int
) -> tuple[list[Interaction], list[Interaction]]:
    """(training items, held-out items): one conversation from each of up to `count` topics.

    All other items of those topics are dropped, so that none is trained on. A small kit may hold out fewer,
    or nothing.
    """
    # Topics of conversations alone. A topic with a picture or a fact in it stays in training as a whole.
    kinds: dict[str, set[str]] = {}
    for item in items:
        kinds.setdefault(item.group, set()).add(item.kind)
    # Sorted before they are shuffled: the choice must not depend on the order of the items.
    topics = sorted(topic for topic, found in kinds.items() if found <= _CONVERSATIONS)
    random.Random(derive(seed, "set-aside")).shuffle(topics)

    # Few topics are held out of a small kit, which needs them for training.
    by_topic: dict[str, list[Interaction]] = {}
    for topic in topics[: min(count, len(topics) // _MOST_TOPICS)]:
        by_topic[topic] = [item for item in items if item.group == topic]

    # Another position in each topic, so that the forms of the items vary.
    held_out = [members[number % len(members)] for number, members in enumerate(by_topic.values())]

    # Whole topics leave training: another form of a held-out reply would give it away.
    return [item for item in items if item.group not in by_topic], held_out


class ValidationHistory(nn.Module):
    """Results of earlier validations, kept as buffers so that they are saved with the training state."""

    best: Tensor
    """Lowest held-out loss, nats per token."""
    since_best: Tensor
    """Validations since then, int64."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("best", torch.tensor(inf, dtype=torch.float64))
        self.register_buffer("since_best", torch.zeros((), dtype=torch.int64))


class Validation:
    """Validates every `validation.every` steps and after the last."""

    def __init__(
        self, model: UnifiedModel, job: StageJob, held_out: Sequence[Interaction], prompts: Sequence[str]
    ) -> None:
        self.model, self.held_out, self.prompts = model, list(held_out), list(prompts)
        config: SftConfig = job.config
        self.config, self.steps = config.validation, config.steps
        self.seed, self.scratch, self.folder = job.seed, job.scratch, job.inputs["curated_kit"]
        self.history = ValidationHistory()

        # Said before training starts, rather than never stopping or keeping anything.
        if (self.config.patience or self.config.keep_best) and not self.held_out:
            raise UserError(
                "SftConfig.validation.patience and keep_best go by held-out conversations, and this kit has "
                "too few topics to hold any out; set patience to 0 and keep_best to False, "
                "or add more dialogues"
            )

    def validate(self, index: int) -> dict[str, float]:
        """`held_out_nll` in nats per token after step `index`, or nothing if not due; all ranks call it."""
        every, done = self.config.every, index + 1
        if not every or (done % every and done != self.steps):
            return {}

        # All ranks draw the sheet, since sharded weights need all of them; one writes it.
        if self.prompts:
            self._draw_sheet(done)
        if not self.held_out:
            return {}

        # Ranks may round differently, and all must take the same decision.
        nll = from_main(self._nll())
        is_better = nll < self.history.best.item()
        self.history.since_best.fill_(0 if is_better else self.history.since_best.item() + 1)

        # Written at once, to a file of its own; a run killed before its next save repeats this validation.
        if is_better:
            self.history.best.fill_(nll)
            if self.config.keep_best:
                save_tensors(self._best_path, trainable(self.model.und), {"step": str(done)})
        return {"held_out_nll": nll}

    def should_stop(self) -> bool:
        """Early stopping: whether `patience` validations in a row brought no improvement."""
        return 0 < self.config.patience <= int(self.history.since_best)

    def restore_best(self) -> None:
        """With `keep_best`, load the text adapters of the best validation."""
        if self.config.keep_best and self._best_path.exists():
            # `assign` also fills parameters that are sharded over ranks.
            tensors, _ = load_tensors(self._best_path)
            for name, parameter in trainable(self.model.und).items():
                assign(parameter, tensors[name])

    def keep(self, out: Path) -> None:
        """Copy the sheets into `out/validation`."""
        if self._sheets.is_dir():
            shutil.copytree(self._sheets, out / _SHEETS, dirs_exist_ok=True)

    @property
    def _best_path(self) -> Path:
        return self.scratch / "best.safetensors"

    @property
    def _sheets(self) -> Path:
        return self.scratch / _SHEETS

    @torch.no_grad()
    def _nll(self) -> float:
        """Mean loss of the held-out conversations in nats per token."""
        # One conversation per pass: the numbers do not depend on how conversations are packed.
        losses = [self.model.text_losses([item.segments], self.folder)[0] for item in self.held_out]

        # Over tokens, not over conversations, as the training loss is.
        return torch.cat(losses).double().mean().item()

    @torch.no_grad()
    def _draw_sheet(self, step: int) -> None:
        """Write one picture per prompt, side by side, as `step-00050.png`."""
        # A fixed seed per prompt: sheets of different steps differ by the training alone.
        context = self.model.prompt_context(self.prompts)
        seeds = [derive(self.seed, "watch", prompt) for prompt in self.prompts]

        # As the report draws, so that the sheet shows what will be measured.
        config = self.config
        latents = self.model.sample_latents(
            context, seeds, steps=config.sample_steps, guidance=config.guidance, shift=config.shift
        )  # [prompts, C, h, w]

        if is_main():
            png = BytesIO()
            side_by_side(to_images(self.model.decode_latents(latents))).save(png, "PNG")
            write_atomic(self._sheets / f"step-{step:05d}.png", png.getvalue())


def side_by_side(images: Sequence[Image.Image]) -> Image.Image:
    """One RGB picture with pictures of one size in a row."""
    width, height = images[0].size
    sheet = Image.new("RGB", (width * len(images), height))
    for number, image in enumerate(images):
        sheet.paste(image, (number * width, 0))
    return sheet
