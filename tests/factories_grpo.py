"""Character-GRPO on a nano of toy size that draws the 128 pixels the attribute classifier takes.

Run as a script, it trains in each of several processes.
"""

import contextlib
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from factories_config import replaced
from factories_model import disturb
from factories_small import SIZES, exact_arithmetic, job_in, saved_adapters, small_home, small_model

from unichar.grpo.config import (
    FlowGrpoConfig,
    GrpoConfig,
    NftConfig,
    RewardConfig,
    RolloutConfig,
    ValidationConfig,
)
from unichar.grpo.train import Trainer, run
from unichar.model.lora import save_adapters
from unichar.store.files import sha256_file
from unichar.training.ranks import init_process_group, is_main, rank, wait_for_all, world_size
from unichar.types import StageJob

LARGER = dataclasses.replace(SIZES, image_size=128)
ODD = GrpoConfig(
    rounds=3,
    epochs=2,
    lr=2e-5,
    lr_decay=0.0,
    tracker="",
    rollout=RolloutConfig(prompts=3, group=3, sample_steps=3),
    nft=NftConfig(beta=1.0, ema_decay_per_step=0.001, kl=0.01),
    flow_grpo=FlowGrpoConfig(window=1, clip_range=0.1, kl=0.01),
    reward=RewardConfig(naturalness_weight=5.0, advantage_clip=5.0),
    validation=ValidationConfig(every=2, prompts=3, sample_steps=3),
)
"""No multiples of two, so that ranks have different numbers of samples.

Advantages amplify the rounding of rewards where these are nearly equal, hence the weight of naturalness.
AdamW's first steps are as long for a gradient near 0 as for any other, hence the low learning rate.
"""


def grpo_job(folder: Path, base: Path, inputs: dict[str, Path], **settings: Any) -> StageJob:
    """A job of `grpo` on the larger small base; `settings` replace those of `ODD`."""
    return job_in(folder, base, inputs, replaced(ODD, **settings))


def train_rounds(job: StageJob, *, exact: bool, resume_at: int = 0) -> list[dict[str, float]]:
    """Numbers of all rounds on adapters that look trained; final adapters are saved in `job.out/adapters`.

    With `resume_at`, the state is saved before that round and another trainer resumes from it.
    """

    def begin() -> Trainer:
        model = small_model(job.base, exact=exact)
        disturb(model.gen)
        return Trainer(model, job)

    with exact_arithmetic() if exact else contextlib.nullcontext():
        trainer, numbers = begin(), []
        for index in range(job.config.rounds):
            if resume_at and index == resume_at:
                trainer.state("base").save(index)
                trainer = begin()
                assert trainer.state("base").load() == index
            numbers.append(trainer.round(index))
        save_adapters(trainer.model, job.out / "adapters", base_sha256=sha256_file(job.base))
    return numbers


def assert_same_rounds(numbers: list[dict[str, float]], others: list[dict[str, float]]) -> None:
    """All numbers agree to 2e-5."""
    for row, other in zip(numbers, others, strict=True):
        assert other == pytest.approx(row, rel=2e-5, abs=2e-5)


def assert_same_adapters(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    """Saved adapters are these to 2e-5."""
    for name, tensor in saved_adapters(folder).items():
        assert (tensor - weights[name]).abs().max() <= 2e-5, name


def train_together(about: str) -> None:
    """In each of several processes: train with all settings in `about` (JSON), write numbers and adapters."""
    told = json.loads(about)
    folder, inputs = Path(told["folder"]), {noun: Path(path) for noun, path in told["inputs"].items()}
    init_process_group()
    assert world_size() == 2
    for name, (settings, resume_at) in told["runs"].items():
        job = grpo_job(folder / name, Path(told["base"]), inputs, **settings)
        numbers = train_rounds(job, exact=True, resume_at=resume_at)
        if is_main():
            (folder / name / "numbers.json").write_text(json.dumps(numbers))
    _run_stage(folder / "stage", Path(told["base"]), inputs)
    wait_for_all()


def _run_stage(folder: Path, base: Path, inputs: dict[str, Path]) -> None:
    """The whole stage, on fresh adapters for those of SFT; every process writes the summary it got."""
    checkpoint = {"sft_checkpoint": folder / "sft"}
    save_adapters(small_model(base), checkpoint["sft_checkpoint"] / "adapters", base_sha256=sha256_file(base))
    wait_for_all()
    settings = {"rounds": 2, "text": {"rounds": 1, "group": 2, "max_tokens": 4}, "tracker": "tensorboard"}
    with small_home(base):
        summary = run(grpo_job(folder, base, inputs | checkpoint, **settings))
    (folder / f"summary-{rank()}.json").write_text(json.dumps(summary))


if __name__ == "__main__":
    train_together(sys.argv[1])
