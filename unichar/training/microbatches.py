"""Splits the samples of a step into microbatches and over ranks; each sample is read exactly once."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unichar.training.ranks import rank, sum_tensor, world_size


@dataclass(frozen=True)
class SampleIndex:
    """One sample of a step.

    Padding has weight 0: it repeats sample 0 so that all ranks run equally many samples.
    """

    index: int
    weight: float


def rank_microbatches(count: int, microbatches: int, *, pad: bool) -> list[list[SampleIndex]]:
    """The samples of `count` that this rank reads, one list per microbatch.

    Samples are dealt out in turn: 0 to rank 0 of the first microbatch, 1 to rank 1, and so on over all
    microbatches. With `pad` all ranks have equally many samples in each microbatch, padding included.
    """
    # From one sample of a rank and microbatch to its next one.
    stride = microbatches * world_size()
    padding = SampleIndex(0, 0.0)

    lists: list[list[SampleIndex]] = []
    for microbatch in range(microbatches):
        # A function of the index alone: any number of ranks and microbatches reads each sample once.
        first = microbatch * world_size()
        samples = [SampleIndex(index, 1.0) for index in range(first + rank(), count, stride)]

        # Rank 0 comes first, so no rank has more samples than it.
        most = len(range(first, count, stride))
        missing = most - len(samples) if pad else 0
        lists.append(samples + [padding] * missing)
    return lists


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
