"""Batches of pictures made ahead by worker processes, so that a GPU does not wait for the renderer.

A batch is a function of its step alone. So the numbers of a run depend neither on the number of workers nor
on the step from which it was resumed.
"""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

T = TypeVar("T")

MOST_WORKERS = 8
"""Of the renderer: a toon takes it half a millisecond of a core, a batch of 60 some 30, which eight share."""
_AHEAD = 2
"""Batches that each worker makes ahead."""


def workers_for(device: torch.device) -> int:
    """How many workers a phase on this device gets: none on the CPU, whose cores have enough to do."""
    if device.type == "cpu":
        return 0
    return max(1, min(MOST_WORKERS, len(os.sched_getaffinity(0)) - 1))


class Prefetched(Generic[T]):
    """`make(step)` for one step after the other; with workers, in other processes and ahead of time.

    Args:
        make: Step -> batch. What it returns is sent between processes, so it holds no tensors: these would go
            through shared memory, of which a container has 64 MB.
        total: Number of steps of the whole run; none from there on is made.
        workers: Number of processes; 0 makes each batch when it is asked for.

    Example: `with Prefetched(make, total=1000, workers=4) as batches: batches(0)`
    """

    def __init__(self, make: Callable[[int], T], *, total: int, workers: int) -> None:
        self._make, self._total, self._workers = make, total, workers
        self._batches: Any = None
        self._next = -1

    def __enter__(self) -> "Prefetched[T]":
        return self

    def __exit__(self, *error: object) -> None:
        self._end_workers()

    def __call__(self, step: int) -> T:
        """The batch of a step; the first call says where the run begins.

        Raises:
            RuntimeError: A worker failed; the message has its traceback.
        """
        if not self._workers:
            return self._make(step)

        if self._batches is None or step != self._next:
            self._end_workers()
            self._batches = self._iterate(step)
        self._next = step + 1
        return next(self._batches)

    def _end_workers(self) -> None:
        # Not left to the garbage collector: the traceback of an error holds the iterator until the program
        # ends, and would wait there for workers that ignore signals.
        if self._batches is not None:
            self._batches._shutdown_workers()
            self._batches = None

    def _iterate(self, start: int) -> Iterator[T]:
        loader: DataLoader[T] = DataLoader(
            _Steps(self._make),
            sampler=range(start, self._total),
            batch_size=None,
            num_workers=self._workers,
            prefetch_factor=_AHEAD,
            collate_fn=_unchanged,
            worker_init_fn=_ignore_signals,
            # Pictures in memory maps are shared, not copied. Workers never touch the GPU.
            multiprocessing_context="fork",
            # Of its own: by default the loader draws from the global generator, which initializes networks.
            generator=torch.Generator(),
        )
        return iter(loader)


class _Steps(Dataset[T]):
    """Steps as a dataset: item i is the batch of step i."""

    def __init__(self, make: Callable[[int], T]) -> None:
        self._make = make

    def __getitem__(self, step: int) -> T:
        return self._make(step)


def _unchanged(batch: Any) -> Any:
    """Instead of the loader's default, which makes tensors of arrays."""
    return batch


def _ignore_signals(worker: int) -> None:
    """Let the process that trains decide when to stop.

    Who stops a run signals the whole process group. The current step is finished and saved then; a worker
    that died first would end it with an error. Workers leave when that process tells them to, or is gone.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
