"""Chooses the microbatches of a training for the card at hand, and explains a card that ran out of memory.

The pipeline calls both around a stage, since trainers lie below the cost package: they get a number. The
number is no part of fingerprints, which hold `microbatches=0` on every machine, nor of what a resumed run is
compared with: microbatches change nothing but rounding.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar

import torch

from unichar.cost.flops import adapter_parameters
from unichar.cost.measured import base_parameters, base_sizes
from unichar.cost.memory import (
    Loaded,
    Memory,
    drawing_memory,
    fewest_microbatches,
    grpo_memory,
    most_microbatches,
    sft_memory,
)
from unichar.cost.workload import measured_texts
from unichar.errors import UserError
from unichar.grpo.config import GrpoConfig
from unichar.model.lora import saved_rank
from unichar.sft.config import SftConfig
from unichar.training.ranks import local_device, world_size
from unichar.types import LoadConfig, StageJob, read_interactions

_LOG = logging.getLogger(__name__)
_GB = 1e9


class CardTooSmall(UserError):
    """The GPU has not enough memory for a stage."""

    exit_code: ClassVar[int] = 1


def choose_microbatches(job: StageJob) -> StageJob:
    """The job with its microbatches chosen where its settings leave them open (0).

    On a GPU the fewest that leave a tenth of the memory free, by its whole size: what other processes hold is
    not known to last. On the CPU 1.

    Raises:
        CardTooSmall: Not even microbatches of one item fit.
    """
    if _microbatches(job) != 0:
        return job

    card = card_memory()
    if card is None:
        return _with_microbatches(job, 1)

    plan = TrainingMemory(job)
    chosen, memory = plan.fewest(card)
    if memory.total > card:
        raise CardTooSmall(
            f"{plan.stage} with the preset {job.preset} takes {memory.total / _GB:.0f} GB even with one "
            f"picture at a time, this GPU has {card / _GB:.0f} GB: choose a preset with smaller weights or "
            "pictures (bagel-24gb), or split the weights over several GPUs (`shard`); `unichar plan` shows "
            "what fits"
        )

    _LOG.info(
        "%s: %d microbatches, planned %.1f of %.1f GB", plan.stage, chosen, memory.total / _GB, card / _GB
    )
    return _with_microbatches(job, chosen)


def chosen_microbatches(job: StageJob, fitted: StageJob) -> dict[str, int]:
    """`{"microbatches": ...}` that were chosen for a job, for its summary; empty where its settings say."""
    chosen = _microbatches(fitted)
    return {"microbatches": chosen} if chosen and fitted is not job else {}


def card_memory() -> float | None:
    """Bytes of this process's GPU, of several ranks the smallest one of the machine, so that they agree; None
    on the CPU.
    """
    device = local_device()
    if device.type != "cuda":
        return None
    cards = range(torch.cuda.device_count()) if world_size() > 1 else [device.index]
    return float(min(torch.cuda.get_device_properties(card).total_memory for card in cards))


class TrainingMemory:
    """The planned memory of a job of `sft` or `grpo`, by its number of microbatches."""

    def __init__(self, job: StageJob) -> None:
        self.config: SftConfig | GrpoConfig = job.config
        self.stage = "SFT" if isinstance(self.config, SftConfig) else "GRPO"
        self.texts = measured_texts(read_interactions(job.inputs["interactions"] / "train.jsonl"))
        self.ranks = world_size()

        # SFT makes its adapters, GRPO goes on with them.
        if isinstance(self.config, SftConfig):
            ranks = {"und_rank": self.config.und_rank, "gen_rank": self.config.gen_rank}
        else:
            saved = job.inputs["sft_checkpoint"] / "adapters"
            ranks = {f"{name}_rank": saved_rank(saved / name) for name in ("und", "gen")}
        self.loaded = loaded_model(job, **ranks)

    def of(self, microbatches: int) -> Memory:
        """With a number of microbatches."""
        shards = self.ranks if self.config.shard else 1
        if isinstance(self.config, SftConfig):
            return sft_memory(
                self.loaded,
                self.texts,
                self.config,
                ranks=self.ranks,
                shards=shards,
                microbatches=microbatches,
            )
        return grpo_memory(
            self.loaded,
            self.texts,
            self.config,
            ranks=self.ranks,
            shards=shards,
            microbatches=microbatches,
        )

    def fewest(self, card: float) -> tuple[int, Memory]:
        """(fewest microbatches that fit a card of so many bytes, memory then)."""
        return fewest_microbatches(self.of, most=most_microbatches(self.config, self.ranks), card=card)

    def next(self, microbatches: int, card: float) -> tuple[int, Memory] | None:
        """The fewest microbatches above a number that has failed which take less and should fit; None where
        each holds one item already.
        """
        fewest, _ = self.fewest(card)
        for more in range(max(fewest, microbatches + 1), most_microbatches(self.config, self.ranks) + 1):
            if self.of(more).total < self.of(microbatches).total:
                return more, self.of(more)
        return None


def loaded_model(job: StageJob, *, und_rank: int, gen_rank: int) -> Loaded:
    """The base of a job with adapters of these ranks, from the headers of its files."""
    sizes = base_sizes(job.base, job.load.image_size)
    parameters = base_parameters(job.base)
    return Loaded(
        sizes=sizes,
        parameters=sum(parameters.values()),
        autoencoder=parameters["autoencoder"],
        adapters=adapter_parameters(sizes, und_rank=und_rank, gen_rank=gen_rank),
        quantize=job.load.quantize,
    )


@contextmanager
def out_of_memory_explained(verb: str, job: StageJob) -> Iterator[None]:
    """Turns a GPU that runs out of memory within the context into one message.

    Raises:
        CardTooSmall: It names the setting to change, its value, and one that should fit.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        # PyTorch's first sentence says how much was asked for; the rest is advice for programmers.
        asked = str(error).partition("\n")[0].partition(". GPU")[0].removeprefix("CUDA out of memory. ")
        advice = _advice(job)
        raise CardTooSmall(f"{verb} ran out of GPU memory ({asked}): {advice}") from error


def _advice(job: StageJob) -> str:
    """Which setting to change, from what to what."""
    card = card_memory()
    size = f"{card / _GB:.0f} GB" if card else "unknown size"

    if isinstance(job.config, SftConfig | GrpoConfig):
        is_sft = isinstance(job.config, SftConfig)
        field = "SftConfig.microbatches" if is_sft else "GrpoConfig.rollout.microbatches"
        now = _microbatches(job) or 1
        found = TrainingMemory(job).next(now, card or float("inf"))
        if found is not None:
            more, memory = found
            return (
                f"set {field} of the preset {job.preset} (unichar/presets.py) to {more}; it was {now}. By "
                f"the plan it takes {memory.total / _GB:.1f} GB then; the card has {size}"
            )

    # One item at a time, or a report, which only draws and writes: what is left are weights and pictures.
    if not job.base.is_dir():
        return f"nano takes little of a card of {size}: end other processes that use it (`nvidia-smi`)"
    if not job.load.quantize:
        smaller = replace(job, load=LoadConfig(quantize="nf4", image_size=job.load.image_size))
        memory = drawing_memory(loaded_model(smaller, und_rank=16, gen_rank=64))
        return (
            f"set load.quantize of the preset {job.preset} (unichar/presets.py) to 'nf4'; it was ''. By the "
            f"plan a model in 4 bits draws in {memory.total / _GB:.1f} GB; the card has {size}"
        )
    return (
        f"set kit.size and load.image_size of the preset {job.preset} (unichar/presets.py) below "
        f"{job.load.image_size or 1024}, or end other processes that use the card of {size} (`nvidia-smi`)"
    )


def _microbatches(job: StageJob) -> int | None:
    """Microbatches in the settings of a job; None for a stage that trains nothing."""
    if isinstance(job.config, SftConfig):
        return job.config.microbatches
    return job.config.rollout.microbatches if isinstance(job.config, GrpoConfig) else None


def _with_microbatches(job: StageJob, microbatches: int) -> StageJob:
    config = job.config
    if isinstance(config, SftConfig):
        return replace(job, config=replace(config, microbatches=microbatches))
    rollout = replace(config.rollout, microbatches=microbatches)
    return replace(job, config=replace(config, rollout=rollout))
