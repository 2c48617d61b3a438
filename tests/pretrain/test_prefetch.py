"""Batches made ahead: the same as without workers, from any step, and no worker outlives its run."""

import multiprocessing
import os
import signal

import numpy as np
import pytest
import torch

from unichar.pretrain.prefetch import MOST_WORKERS, Prefetched, workers_for
from unichar.training.seeds import python_rng, torch_rng


def make(step: int) -> tuple[str, np.ndarray, int]:
    """A batch that depends on its step alone, and who made it."""
    noise = torch.randn(2, 3, generator=torch_rng(0, "batch", step)).numpy()
    return f"{python_rng(0, step).random()}", noise, os.getpid()


def numbers(workers: int, steps: range) -> list[tuple[str, list[list[float]]]]:
    with Prefetched(make, total=9, workers=workers) as batches:
        made = [batches(step) for step in steps]
    assert (os.getpid() in {batch[2] for batch in made}) == (workers == 0)
    return [(text, noise.tolist()) for text, noise, _ in made]


def test_batches_do_not_depend_on_the_number_of_workers():
    expected = numbers(0, range(9))
    assert len({text for text, _ in expected}) == 9
    assert numbers(1, range(9)) == expected and numbers(3, range(9)) == expected


def test_a_run_may_begin_anywhere():
    assert numbers(2, range(4, 9)) == numbers(0, range(4, 9))


def test_another_order_is_made_too():
    with Prefetched(make, total=9, workers=1) as batches:
        assert [batches(step)[0] for step in (3, 4, 0, 8)] == [make(step)[0] for step in (3, 4, 0, 8)]


def test_the_global_generator_stays_as_it_is():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    numbers(1, range(2))
    assert torch.rand(1) == expected


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_workers_ignore_the_signal_that_asks_a_run_to_stop_and_leave_with_it():
    with Prefetched(make, total=9, workers=1) as batches:
        worker = batches(0)[2]
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(worker, number)
        assert [batches(step)[2] for step in range(1, 9)] == [worker] * 8
        assert is_there(worker)

    assert not is_there(worker)


def test_an_error_in_a_worker_says_what_it_was():
    def fail(step: int) -> int:
        raise ValueError(f"no picture for step {step}")

    # The error holds what it came from; a program that waited for workers at its end would never end.
    with (
        pytest.raises(ValueError, match="no picture for step 0") as held,
        Prefetched(fail, total=2, workers=2) as batches,
    ):
        batches(0)
    assert held.traceback and not multiprocessing.active_children()


def test_the_cpu_renders_itself_and_a_gpu_is_fed_by_the_other_cores():
    assert workers_for(torch.device("cpu")) == 0
    cores = len(os.sched_getaffinity(0))
    assert workers_for(torch.device("cuda", 0)) == max(1, min(MOST_WORKERS, cores - 1))
