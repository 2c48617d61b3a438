"""A child process ends when its parent does, however the parent ended. Linux (`pidfd_open`).

Dagster starts a run from the code server and a step from the run with `multiprocessing`, and neither child
notices that its parent was killed: the step trains on, and its pool slot stays taken. `multiprocessing` gives
every child the reading end of a pipe whose writing end only the parent holds, so end-of-file on it means that
the parent is gone. Unlike the kernel's parent-death signal it does not depend on which thread of the parent
started the child.

A code server that `dagster dev` or the daemon started for itself stays until its runs are finished, although
nobody can see or cancel them any more. Its runs therefore end with the process that owns the code server,
too.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from functools import cache
from multiprocessing.connection import wait
from pathlib import Path

_MOST_SECONDS = 60.0
"""From SIGTERM to SIGKILL: a training may take 20 s to save its state; then the step records how it ended."""
_PARENT = 1
"""Position of the parent's id in /proc/<pid>/stat after the command name; see proc_pid_stat(5), field 4."""


@cache  # definitions are loaded more than once in a process
def end_with_parent(*, most_seconds: float = _MOST_SECONDS) -> None:
    """Send this process SIGTERM when its `multiprocessing` parent ends, and SIGKILL `most_seconds` later.

    Dagster turns SIGTERM into an exception in the running step, which ends its training with time to save.
    Without such a parent (a command in a shell, a code server) this does nothing.
    """
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        return

    # A terminal that is closed sends SIGHUP to all its processes: it would end a step before its training has
    # saved its state. The run ends by it, and the pipe tells the step.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    sentinels = [parent.sentinel, *_handles_of_owners(parent.pid)]
    arguments = (sentinels, most_seconds)
    threading.Thread(target=_end_after, args=arguments, name="lifeline", daemon=True).start()


def _handles_of_owners(pid: int) -> list[int]:
    """Handles of the processes that own the code server `pid`; none when it is no owned code server.

    `dagster dev` starts a code server that starts another one, both with `--heartbeat`, which means that they
    have an owner.
    """
    handles = []
    try:
        while b"--heartbeat" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[_PARENT])
            handles.append(os.pidfd_open(pid))
    except (FileNotFoundError, ProcessLookupError):  # gone already; its child's pipe is at its end, too
        pass

    return handles


def _end_after(sentinels: Sequence[int], most_seconds: float) -> None:
    wait(sentinels)
    os.kill(os.getpid(), signal.SIGTERM)

    # SIGTERM may have no effect: a step whose event queue nobody reads any more waits for ever when it exits.
    time.sleep(most_seconds)
    os.kill(os.getpid(), signal.SIGKILL)
