"""Splits the samples of a step into microbatches and over ranks; each sample is read exactly once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from torch import Tensor

from unichar.training.ranks import rank, sum_tensor, world_size

T = TypeVar("T")


@dataclass(frozen=True)
class SampleIndex:
    """One sample of a step.

    Padding has weight 0: it repeats sample 0 so that all ranks run equally many samples.
    """

    index: int
    weight: float


def rank_microbatches(count: int, microbatches: int, *, pad: bool) -> list[list[SampleIndex]]:
    """The samples of `count` that this rank reads, one list per microbatch.

    Samples that lie side by side stay together, as the pictures of a prompt do: the first microbatch of rank
    0 gets the first ones, that of rank 1 the next, and so on over all microbatches. Lists differ by one
    sample at most. With `pad` all ranks have equally many in each microbatch, padding included.
    """
    assert microbatches > 0, "the pipeline chooses microbatches that settings leave open"
    parts = microbatches * world_size()
    least, more = divmod(count, parts)
    padding = SampleIndex(0, 0.0)

    lists: list[list[SampleIndex]] = []
    for microbatch in range(microbatches):
        # A function of the index alone: any number of ranks and microbatches reads each sample once.
        part = microbatch * world_size() + rank()
        start = part * least + min(part, more)
        samples = [SampleIndex(index, 1.0) for index in range(start, start + least + (part < more))]

        # The first parts have one sample more, so no rank has more than rank 0.
        most = least + (part - rank() < more)
        missing = most - len(samples) if pad else 0
        lists.append(samples + [padding] * missing)
    return lists


def rank_passes(count: int, microbatches: int, *, singly: bool, pad: bool = False) -> list[list[SampleIndex]]:
    """The samples that this rank reads, one list per pass through the model; none is empty.

    A pass is a microbatch, or with `singly` one sample: sharded weights are gathered once per pass, so all
    ranks must run equally many, padding included. `pad` adds padding in any case.
    """
    passes = []
    for samples in rank_microbatches(count, microbatches, pad=pad or singly):
        passes += [[sample] for sample in samples] if singly else [samples]
    return [samples for samples in passes if samples]


def pictures_per_pass(prompts: int, group: int, microbatches: int) -> int:
    """How many of the `group` pictures of a prompt are read together where a pass reads one prompt.

    All of them; fewer if whole prompts would leave microbatches of some ranks without any.
    """
    # The largest divisor of the group that gives every microbatch of every rank a pass.
    divisors = [size for size in range(group, 0, -1) if group % size == 0]
    parts = microbatches * world_size()
    return next((size for size in divisors if prompts * group // size >= parts), 1)


def context_rows(prompts: Sequence[T]) -> list[T]:
    """The rows of a prompt context for pictures with these prompts, equal ones side by side.

    A context may have fewer rows than there are pictures if each row serves equally many of them in turn, so
    a prompt of n pictures gets n / gcd rows.
    """
    # Example: 4 pictures of A and 6 of B have the divisor 2, so the rows are A A B B B with 2 pictures each.
    runs = [(prompt, len(list(same))) for prompt, same in groupby(prompts)]
    divisor = math.gcd(*(count for _, count in runs))

    rows = []
    for prompt, count in runs:
        rows += [prompt] * (count // divisor)
    return rows


def all_gather_samples(samples: Sequence[SampleIndex], values: Tensor, count: int) -> Tensor:
    """[count, ...] values of all samples in order, on every rank and bit-identical to what each rank has.

    Args:
        samples: Those of this rank, at least one; padding is dropped.
        values: [len(samples), ...] their values.
        count: Number of samples over all ranks. All ranks must call this together.
    """
    # A sum of one value and zeros keeps its bits, so every rank sees what the owner of a sample has.
    gathered = values.new_zeros((count, *values.shape[1:]))  # [count, ...]

    for sample, value in zip(samples, values, strict=True):
        if sample.weight:
            gathered[sample.index] = value
    return sum_tensor(gathered)
