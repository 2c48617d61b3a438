"""Training passes, steps of Unified-SFT and a quarter of a round of Character-GRPO, by the trainers' own
code."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from gpu.drawing import prompts_of, tuned
from gpu.expected import number_of, quarter, short
from gpu.job import write_job
from gpu.lab import Lab
from unichar.grpo import rubric
from unichar.grpo import train as grpo
from unichar.judges.scorers import Scorers
from unichar.model.bagel.model import BagelModel
from unichar.model.flow import add_noise, flow_loss
from unichar.sft import train as sft
from unichar.types import StageJob


def passes(lab: Lab) -> None:
    """Prompts read, velocities and backward of pictures in one pass; the largest number may not fit."""
    model = tuned(lab)
    for count in lab.scale.passes:
        prompts = prompts_of(lab, max(1, count // 4))
        x0, noise = (model.start_noise(range(first, first + count)).to(lab.device) for first in (0, 1000))
        t = torch.linspace(0.1, 0.9, count, device=lab.device)

        def work(x0: Tensor = x0, noise: Tensor = noise, t: Tensor = t, prompts: list[str] = prompts) -> None:
            velocity = model.velocity(add_noise(x0, noise, t), t, model.prompt_context(prompts))
            flow_loss(velocity, x0, noise).mean().backward()

        lab.add_time_or_oom(number_of(count), work, runs=2, warm=count == lab.scale.passes[0])
        model.zero_grad()
        lab.free()


class Parts:
    """Seconds of parts of a step, by the functions that do them."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.seconds = lab, dict[str, float]()

    @contextmanager
    def timing(self, *targets: tuple[Any, str, str | Callable[..., str]]) -> Iterator[None]:
        """Within the context each (owner, function, name of the part) is timed; sums are in `seconds`.

        The name may depend on the function's arguments.
        """
        with ExitStack() as stack:
            for owner, function, name in targets:
                timed = self._timed(getattr(owner, function), name)
                stack.enter_context(mock.patch.object(owner, function, timed))
            yield

    def _timed(self, function: Callable[..., Any], name: str | Callable[..., str]) -> Callable[..., Any]:
        def timed(*args: Any, **options: Any) -> Any:
            made: list[Any] = []
            seconds = self.lab.once(lambda: made.append(function(*args, **options)))
            part = name if isinstance(name, str) else name(*args)
            self.seconds[part] = self.seconds.get(part, 0.0) + seconds
            return made[0]

        return timed


def sft_step(lab: Lab) -> None:
    """Whole steps of the trainer, and their parts."""
    config = short(lab.scale.preset.sft)
    job = write_job(lab.scale, lab.folder / "sft", config=config)

    def measure(microbatches: int) -> None:
        some = replace(job, config=replace(config, microbatches=microbatches))
        measure_steps(lab, sft.Trainer(tuned(lab), some))

    in_more_parts(lab, measure, config.microbatches)


def in_more_parts(lab: Lab, measure: Callable[[int], None], microbatches: int) -> None:
    """Measure with the planned number of microbatches, and with more where the card's memory does not do.

    Raises:
        OutOfMemoryError: Three more do not do either.
    """
    for more in range(microbatches, microbatches + 4):
        try:
            measure(more)
        except torch.OutOfMemoryError as error:
            lab.add(f"{more} microbatches", None, "s", note=f"out of memory: {error}"[:120])
            if more == microbatches + 3:
                raise
        else:
            return
        lab.bagel.zero_grad()
        lab.free()


def measure_steps(lab: Lab, trainer: sft.Trainer) -> None:
    """Rows of a mean step and of its parts; a mean, since steps differ in their conversations."""
    parts, taken = Parts(lab), list[float]()
    targets = (
        (trainer, "_backward_text", "text passes"),
        (trainer, "_backward_pool", lambda name, *_: f"picture passes, {name}"),
        (trainer.optimizer, "step", "optimizer"),
        (nn.utils, "clip_grad_norm_", "clipping"),
    )
    with parts.timing(*targets), lab.peak() as peak:
        while len(taken) < 4 and (not taken or lab.left_in_section() > taken[-1]):
            index = len(taken)
            taken.append(lab.once(lambda index=index: trainer.step(index)))

    steps = len(taken)
    mean = sum(taken) / steps
    lab.add("step", mean, "s", n=steps, peak_gb=peak.gb, note="mean")
    for name, seconds in parts.seconds.items():
        lab.add(f"step, {name}", seconds / steps, "s", n=steps)
    lab.add("step, the rest", mean - sum(parts.seconds.values()) / steps, "s", n=steps)


def grpo_round(lab: Lab) -> None:
    """A quarter of a round: rollout, rewards and the optimizer steps, without validation."""
    config = quarter(lab.scale.preset.grpo)
    job = write_job(lab.scale, lab.folder / "grpo", config=config)

    def measure(microbatches: int) -> None:
        rollout = replace(config.rollout, microbatches=microbatches)
        _measure_round(lab, replace(job, config=replace(config, rollout=rollout)))

    in_more_parts(lab, measure, config.rollout.microbatches)


def _measure_round(lab: Lab, job: StageJob) -> None:
    trainer, parts = _grpo_trainer(tuned(lab), job), Parts(lab)
    targets = (
        (grpo, "sample_rollout", "rollout"),
        (trainer, "score", "rewards"),
        (trainer.algorithm, "accumulate_gradients", "NFT passes"),
        (trainer.optimizer, "step", "optimizer"),
    )
    with parts.timing(*targets), lab.peak() as peak:
        seconds = lab.once(lambda: trainer.rl_step(0))

    lab.add("a quarter of a round", seconds, "s", peak_gb=peak.gb)
    for name, taken in parts.seconds.items():
        lab.add(f"a quarter of a round, {name}", taken, "s")


def _grpo_trainer(model: BagelModel, job: StageJob) -> grpo.Trainer:
    """The trainer with its real rubric, in which the model's own tower sees for reward and evaluator alike:
    the evaluator's network is a file of its own, and nothing is validated here."""
    made: list[Scorers] = []

    def scorers(*args: Any, **options: Any) -> Scorers:
        # Both rubrics would be the same, and one takes seconds to calibrate.
        if not made:
            made.append(Scorers(*args, **options))
        return made[0]

    with (
        mock.patch.object(rubric, "load_encoder", lambda *_: model),
        mock.patch.object(rubric, "Scorers", scorers),
    ):
        return grpo.Trainer(model, job)
