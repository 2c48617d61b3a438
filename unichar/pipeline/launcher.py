"""A stage that a launcher runs in several processes: rank 0 runs the pipeline as usual, the others only train
with it.

    torchrun --nproc-per-node 8 -m unichar sft --character mochi --preset bagel
    accelerate launch --num_processes 8 -m unichar grpo --character mochi --preset bagel

All ranks must see one file system: rank 0 writes, and all read what it wrote. Without a launcher torch is not
loaded. Not in the paper, whose scripts write from every process.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from unichar.errors import UserError

_SEVERAL_RANKS = ("sft", "grpo")
"""Verbs of the stages whose training can run on several ranks."""


@contextmanager
def launched_ranks(verb: str, run_on_other_ranks: Callable[[Path], None]) -> Iterator[Callable[[Path], None]]:
    """Let rank 0 run a stage while the other ranks wait to train with it.

    Rank 0 gets a function to call with the output folder when the training starts; the other ranks then call
    `run_on_other_ranks` with the same folder and exit. If rank 0 leaves the context without having called it
    (the output exists already, or something is wrong), the other ranks exit at once. Without a launcher the
    function does nothing.

    Raises:
        UserError: The stage cannot be run by several processes.
        SystemExit: With code 0, on the other ranks.
    """
    # The launchers of torch and accelerate set it; without one there is nothing to coordinate.
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield lambda out: None
        return
    if verb not in _SEVERAL_RANKS:
        several = ", ".join(_SEVERAL_RANKS)
        raise UserError(
            f"{verb} runs in one process: start it without a launcher (several can run {several})"
        )

    # Imported here, because it loads torch.
    from unichar.training.ranks import (
        broadcast_text,
        destroy_process_group,
        init_process_group,
        is_main,
    )

    init_process_group()
    if not is_main():
        # Blocks until rank 0 starts the training or gives up.
        out = broadcast_text("")
        if out:
            run_on_other_ranks(Path(out))
        destroy_process_group()
        raise SystemExit(0)

    # Rank 0 holds the lock and touches the store; the folder is all that the others need from it.
    started: list[str] = []
    try:
        yield lambda out: started.append(broadcast_text(str(out)))
    finally:
        if not started:
            # An empty path tells the waiting ranks that there is nothing to do.
            broadcast_text("")
            destroy_process_group()

    # Not in `finally`: after an error the other ranks may be inside a step, and the launcher ends them.
    destroy_process_group()
