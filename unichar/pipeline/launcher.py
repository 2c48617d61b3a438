"""A stage run by several processes of a launcher: process 0 is the line as ever, the others only train with it.

    torchrun --nproc-per-node 8 -m unichar sft --character mochi --preset bagel
    accelerate launch --num_processes 8 -m unichar grpo --character mochi --preset bagel

They must see one file system: process 0 writes, and all read what it wrote. No torch without a launcher. Not in the paper, whose
scripts all write.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TOGETHER = ("sft", "grpo")
"""Verbs whose stage knows how to share its work."""


@contextmanager
def crew(verb: str, work: Callable[[Path], Any]) -> Iterator[Callable[[Path], None]]:
    """Give process 0 a function to call with the output folder when work begins; the others do `work(folder)` then, and end.

    When process 0 leaves without having called it (it is all there already, or something is wrong), the others end at once.

    Raises:
        ValueError: The stage can not be run by several processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield lambda out: None
        return
    if verb not in _TOGETHER:
        raise ValueError(
            f"{verb} runs in one process: start it without a launcher (several can run {', '.join(_TOGETHER)})"
        )
    from unichar.training.ranks import broadcast_text, is_main, join, part

    join()
    if not is_main():
        out = broadcast_text("")
        if out:
            work(Path(out))
        part()
        raise SystemExit(0)
    begun: list[str] = []
    try:
        yield lambda out: begun.append(broadcast_text(str(out)))
    finally:
        if not begun:
            broadcast_text("")
            part()
    part()  # not after an error in the work: the others may be waiting in the middle of a step, and the launcher ends them
