"""Which items of a step are read in which part of it, by which process: every item once, whatever the number of either."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from unichar.training.ranks import rank, sum_tensor, world_size


class Row(NamedTuple):
    """One item of a step by its place in it. A filler (weight 0) repeats an item only to keep processes in step."""

    place: int
    weight: float


def shares(count: int, parts: int, *, even: bool) -> list[list[Row]]:
    """For each of `parts`, the rows of `count` that this process reads, by place: 0 to the first part of process 0, and so on.

    With `even`, every process gets as many rows in a part as any other, fillers included.
    """
    stride = parts * world_size()
    read: list[list[Row]] = []
    for part in range(parts):
        first = part * world_size()
        rows = [Row(place, 1.0) for place in range(first + rank(), count, stride)]
        most = len(range(first, count, stride))
        read.append(rows + [Row(0, 0.0)] * (most - len(rows) if even else 0))
    return read


def all_gather_rows(rows: Sequence[Row], values: Tensor, count: int) -> Tensor:
    """[count, ...] of all items by place, for every process, to the last bit what each of them has in `values` [rows, ...].

    Values of fillers are dropped. All processes must call it together, each with one row at least.
    """
    together = values.new_zeros((count, *values.shape[1:]))
    for row, value in zip(rows, values, strict=True):
        if row.weight:
            together[row.place] = value
    return sum_tensor(together)
