"""Training on text: packed sequences with shared prefixes, against padded batches; and cost of a whole run.

    python benchmarks/sft_packing.py

- Forward and backward of a step's conversations (the mix of the preset `cpu`, Mochi's own interactions),
  packed, against one right-padded batch of the same conversations, against padded pairs of like length, and
  against one after the other. The others use transformers' own attention and the same adapters. Useful tokens
  are the same, so ratios of seconds are those of tokens/s.
- Four-option questions without gradients: the options of a question packed, against a padded batch of them.
- A short training run of the preset `cpu` in a process of its own: seconds outside forward, backward and
  optimizer, and peak memory.

All ways must have the same losses: in bf16 the means differ by up to 0.03 nats and gradients by a tenth of
their length, as sums in another order do (in fp32 they agree to five digits, see the tests).
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from report import agree, measured, say, speedup

from unichar.evaluation.texts import _with_answer
from unichar.kit.images import load_picture
from unichar.model.load import load_model
from unichar.model.lora import LoraSettings, add_adapters, trainable
from unichar.model.nano import model as nano
from unichar.model.nano.model import NUM_TOKENS, NanoModel
from unichar.model.pixels import to_pixels
from unichar.model.tokens import collate, render
from unichar.pipeline.run import run_stage
from unichar.presets import get_preset
from unichar.sft import train as sft
from unichar.sft.batches import mixed
from unichar.store.store import Store
from unichar.training.meter import peak_memory_mb
from unichar.types import Interaction, Segment, StageJob, read_interactions

Chat = Sequence[Segment]
CONVERSATIONS, STEPS, QUESTIONS, RUN_STEPS = 8, 2, 4, 12
DATA = Store.from_env().data
BASE = DATA / "models" / "nano" / "base.safetensors"


def main() -> None:
    """Make the interactions, then measure."""
    with tempfile.TemporaryDirectory(prefix="unichar-packing-") as home:
        measure(interactions(Path(home)), Path(home))


def measure(inputs: dict[str, Path], home: Path) -> None:
    """Measure all three on these interactions; a run leaves its files in `home`."""
    # First, since a new process counts the memory of the one that starts it as its own.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        fraction, memory = pool.submit(whole_run, inputs, home).result()
    measured(
        "SFT seconds outside forward, backward, optimizer / all", fraction, goal=0.05, better="lower", n=1
    )
    measured("SFT peak memory", memory, unit="MB", goal=4000, better="lower", n=1)

    model = load_model(BASE)
    assert isinstance(model, NanoModel)
    add_adapters(
        model, und=LoraSettings(rank=get_preset("cpu").sft.und_rank), gen=LoraSettings(rank=4), seed=0
    )

    train = read_interactions(inputs["interactions"] / "train.jsonl")
    test = read_interactions(inputs["interactions"] / "test.jsonl")
    measure_training(model, train, inputs["curated_kit"])
    measure_questions(model, [item for item in test if item.options], inputs["curated_kit"])


def interactions(home: Path) -> dict[str, Path]:
    """Mochi's interactions and what they are made from: noun -> folder."""
    store = Store(home, DATA)
    outputs = [
        run_stage(verb, "mochi", preset="cpu", store=store) for verb in ("validate", "curate", "synthesize")
    ]
    return {output.noun: output.folder for output in outputs} | {"raw_kit": store.kit("mochi")}


def measure_training(model: NanoModel, items: Sequence[Interaction], folder: Path) -> None:
    """Some steps packed and in the other ways."""
    items = [item for item in items if item.kind != "portrait"]
    order = mixed([item.kind for item in items], get_preset("cpu").sft.mix, STEPS * CONVERSATIONS, 0)
    chats = [items[i].segments for i in order]
    steps = [chats[start : start + CONVERSATIONS] for start in range(0, len(chats), CONVERSATIONS)]

    def train(losses: Callable[[Sequence[Chat]], list[torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
        """(mean loss of every step, gradient of the last)."""
        means = []
        for step in steps:
            model.und.zero_grad()
            found = torch.cat(losses(step))
            found.sum().backward()
            means.append(found.detach().mean())
        grads = [
            parameter.grad.flatten()
            for parameter in trainable(model.und).values()
            if parameter.grad is not None
        ]
        return torch.stack(means), torch.cat(grads)

    def packed() -> tuple[torch.Tensor, torch.Tensor]:
        return train(lambda step: model.text_losses(step, folder))

    def in_batches(size: int) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:
        return lambda: train(lambda step: padded(model, step, folder, size))

    (loss, gradient), saved = packed(), model.packing
    say(
        f"{CONVERSATIONS} conversations a step: {saved.given} tokens, {saved.computed} in packed sequences, "
        f"{saved.targets} targets"
    )
    measured("tokens of conversations / tokens in packed sequences", saved.given / saved.computed, n=STEPS)
    ways = {
        f"a padded batch of {CONVERSATIONS}": (CONVERSATIONS, 2.5),
        "padded pairs": (2, None),
        "one by one": (1, None),
    }
    for name, (size, goal) in ways.items():
        say(f"packed or {name}")
        other_loss, other_gradient = in_batches(size)()
        agree("mean losses", float((loss - other_loss).abs().max()), 0.03)
        agree("gradients", float((gradient - other_gradient).norm() / other_gradient.norm()), 0.1)
        measured(f"useful tokens/s: packed / {name}", speedup(in_batches(size), packed, n=3), goal=goal, n=3)


def padded(model: NanoModel, chats: Sequence[Chat], folder: Path, size: int) -> list[torch.Tensor]:
    """Losses of conversations in right-padded batches of similar length; one tensor per batch."""
    sequences = [render(chat, model.tokenizer, image_tokens=NUM_TOKENS) for chat in chats]
    sequences.sort(key=lambda sequence: len(sequence.ids))
    losses = []
    for start in range(0, len(sequences), size):
        batch = collate(sequences[start : start + size], pad=model.tokenizer.pad_token_id)
        images = [load_picture(folder / name, model.image_size) for name in batch.images]
        losses.append(model.token_losses(batch, to_pixels(images) if images else None))
    return losses


@torch.no_grad()
def measure_questions(model: NanoModel, items: Sequence[Interaction], folder: Path) -> None:
    """Options of questions without gradients, one question at a time as in evaluation."""
    some = [items[i * len(items) // QUESTIONS] for i in range(QUESTIONS)]
    questions = [[_with_answer(item.segments, option) for option in item.options] for item in some]

    def packed() -> torch.Tensor:
        return torch.stack([torch.cat(model.text_losses(options, folder)).mean() for options in questions])

    def batches() -> torch.Tensor:
        return torch.stack(
            [torch.cat(padded(model, options, folder, len(options))).mean() for options in questions]
        )

    say("four-option questions")
    agree("mean losses", float((packed() - batches()).abs().max()), 0.1)
    ratio = speedup(batches, packed, n=5)
    measured("four-option questions/s: packed / padded batch of the options", ratio, n=5)


def whole_run(inputs: dict[str, Path], home: Path) -> tuple[float, float]:
    """Run a few steps of SFT in this process.

    Returns:
        Fraction of the seconds outside forward, backward and optimizer, and peak memory in MB.
    """
    folders = {name: home / name for name in ("scratch", "out")}
    for folder in folders.values():
        folder.mkdir()
    config = replace(get_preset("cpu").sft, steps=RUN_STEPS)
    job = StageJob(character="mochi", config=config, seed=0, inputs=inputs, base=BASE, **folders)
    with learning_clock() as clock:
        summary = sft.run(job)
    return 1 - clock.seconds / summary["training_seconds"], peak_memory_mb()


class Clock:
    """Seconds within the functions it wraps, without those within wrapped functions that are no
    `learning`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0

    def on(self, work: Callable[..., Any], *, learning: bool = True) -> Callable[..., Any]:
        """`work` with this clock around it."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            # Nested calls count once; what is no learning is subtracted only within learning.
            counts = learning == (self._depth == 0)
            self._depth += learning
            began = time.perf_counter()
            try:
                return work(*args, **kwargs)
            finally:
                self._depth -= learning
                if counts:
                    self.seconds += (time.perf_counter() - began) * (1 if learning else -1)

        return timed


@contextmanager
def learning_clock() -> Iterator[Clock]:
    """Context in which forward and backward passes and optimizer steps are timed, but not loading of
    pictures."""
    clock = Clock()
    functions: list[tuple[Any, str, bool]] = [
        (NanoModel, "_packed_losses", True),
        (nano, "load_picture", False),
        (NanoModel, "velocity", True),
        (NanoModel, "prompt_context", True),
        (torch.Tensor, "backward", True),
        (torch.nn.utils, "clip_grad_norm_", True),
        (torch.optim.AdamW, "step", True),
    ]
    before = [getattr(owner, name) for owner, name, _ in functions]
    for (owner, name, learns), work in zip(functions, before, strict=True):
        setattr(owner, name, clock.on(work, learning=learns))
    try:
        yield clock
    finally:
        for (owner, name, _), work in zip(functions, before, strict=True):
            setattr(owner, name, work)


if __name__ == "__main__":
    sys.exit(main())
