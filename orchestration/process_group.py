"""Run a command in a process group of its own: its output streams through, and none of its processes stay.

Dagster's own subprocess client signals its direct child only. A trainer that starts workers (a launcher, data
loaders) then leaves them behind on the GPU when a run is cancelled. Here the whole group gets SIGTERM, time
to save, then SIGKILL; see docs/decisions/0004-process-group.md. Linux.
"""

import codecs
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

_TAIL_LINES = 15
_TAIL_BYTES = 16_384
_POLL_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)  # loaded before any fork


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    """0 is success, a negative number the signal that killed it."""
    tail: str
    """The last lines of what it printed."""


def run_in_group(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, grace_seconds: float = 20.0
) -> Ended:
    """Run `command` to its end, printing what it prints; on any exception here, end it and all it started.

    Args:
        command: Program and arguments; no shell.
        environment: Variables for the command in addition to those of this process.
        grace_seconds: How long the group may take to save its work between SIGTERM and SIGKILL.
    """
    # A file, not a pipe: when this process is killed, a pipe breaks, and the next line that the command
    # prints would end it before it has saved its state.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        copier = _Copier(output)
        copier.start()
        try:
            code = process.wait()
        except BaseException:
            if process.poll() is None:
                print(f"stopping: it may save its state for {grace_seconds:.0f} s", flush=True)
            raise
        finally:
            end_group(process, grace_seconds=grace_seconds)
            copier.finish()

        return Ended(code=code, tail=_last_lines(output))


def end_group(process: subprocess.Popen[bytes], *, grace_seconds: float) -> None:
    """SIGTERM the group that `process` leads, wait until it is empty, SIGKILL what is left.

    Interrupts do not shorten the wait: Ctrl-C reaches a step twice, from the terminal and from its run, and
    the second one must not cost the state that is being saved.
    """
    with _interrupts_ignored():
        _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + grace_seconds
        while _is_alive(process) and time.monotonic() < deadline:
            time.sleep(0.05)

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


class _Copier(threading.Thread):
    """Prints a file while it grows. Reads with `pread`, which leaves the position of the writer alone."""

    def __init__(self, output: IO[bytes]) -> None:
        super().__init__(name="copier", daemon=True)
        self._descriptor = output.fileno()
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._offset = 0
        self._finished = threading.Event()

    def run(self) -> None:
        while not self._finished.wait(_POLL_SECONDS):
            self._copy()

    def finish(self) -> None:
        """Print the rest and end the thread."""
        self._finished.set()
        self.join()
        self._copy()

    def _copy(self) -> None:
        while data := os.pread(self._descriptor, 1 << 16, self._offset):
            self._offset += len(data)
            sys.stdout.write(self._decoder.decode(data))
            sys.stdout.flush()


def _last_lines(output: IO[bytes]) -> str:
    size = os.fstat(output.fileno()).st_size
    data = os.pread(output.fileno(), _TAIL_BYTES, max(size - _TAIL_BYTES, 0))
    return "\n".join(data.decode(errors="replace").splitlines()[-_TAIL_LINES:]).strip()


def _is_alive(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # a dead leader counts as alive until it is reaped
    return _signal(process, 0)


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # signals interrupt the main thread only
        yield
        return

    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _signal(process: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal to the group that `process` leads; whether there is one."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
        return True
    return False


def _end_with_parent() -> None:
    """Let SIGTERM end the command, and let the kernel send it when this process is killed.

    A parent that ignores or blocks SIGTERM hands that on. Dagster's does when it is started in the background
    of a script: the shell makes SIGINT ignored there, and Dagster copies that to SIGTERM after a run.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
