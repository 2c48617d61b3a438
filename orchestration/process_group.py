"""Run a command in a process group of its own: its output streams through, and nothing of it outlives us.

Dagster's own subprocess client signals its direct child only. A trainer that starts workers (a launcher, data loaders)
then leaves them behind on the GPU when a run is cancelled. Here the whole group gets SIGTERM, time to save, then SIGKILL;
see docs/decisions/0004-process-group.md. Linux.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

_TAIL_LINES = 15
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)  # loaded before any fork


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    """0 is success, a negative number the signal that killed it."""
    tail: str
    """The last lines of what it printed."""


def run_in_group(command: Sequence[str], *, grace_seconds: float = 20.0) -> Ended:
    """Run `command` to its end, printing what it prints; on any exception here, end it and all it started.

    Args:
        command: Program and arguments; no shell.
        grace_seconds: How long the group may take to save its work between SIGTERM and SIGKILL.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=_mortal,
    )
    assert process.stdout is not None
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    reader = threading.Thread(target=_stream, args=(process.stdout, tail), daemon=True)
    reader.start()
    try:
        code = process.wait()
    finally:
        end_group(process, grace_seconds=grace_seconds)
    # A process that left the group may hold the pipe open for ever; what it prints is not worth waiting for.
    reader.join(timeout=5)
    return Ended(code=code, tail="".join(tail).strip())


def end_group(process: subprocess.Popen[str], *, grace_seconds: float) -> None:
    """SIGTERM the group that `process` leads, wait until it is empty, SIGKILL what is left."""
    try:
        _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + grace_seconds
        while _is_alive(process) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:  # also when a second interrupt cuts the waiting short
        _signal(process, signal.SIGKILL)
        process.wait()


def explain(code: int) -> str:
    """An exit code in words, as `exit code 1` or `killed by SIGKILL, most likely because memory ran out`."""
    if code == 128 + signal.SIGTERM:  # a trainer that saved its work and left
        return "stopped by SIGTERM"
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"killed by {name}" + (", most likely because memory ran out" if -code == signal.SIGKILL else "")


def _stream(pipe: IO[str], tail: deque[str]) -> None:
    for line in pipe:
        tail.append(line)
        sys.stdout.write(line)
        sys.stdout.flush()


def _is_alive(process: subprocess.Popen[str]) -> bool:
    process.poll()  # a dead leader counts as alive until it is reaped
    return _signal(process, 0)


def _signal(process: subprocess.Popen[str], number: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
        return True
    return False


def _mortal() -> None:
    """Let SIGTERM end the command, and let the kernel send it when a run is killed outright and cannot clean up.

    A parent that ignores or blocks SIGTERM hands that on. Dagster's does when it is started in the background of a script: the
    shell makes SIGINT ignored there, and Dagster copies that to SIGTERM after a run.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
