"""Which process is it? An identity that survives a reused process id, a reboot and a second machine. Linux
(`/proc`).

A process id alone does not identify a process: the kernel gives it out again, another machine has the same
number, and in a container it counts from one. The start time in clock ticks since boot, the boot id, the
pid namespace and the machine's own id make it unique.
"""

import dataclasses
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

RUN_VARIABLE = "UNICHAR_RUN"
"""Environment variable of a training process and of everything it starts: the id of the Dagster run it works
for.
"""

_PROC = Path("/proc")
_STATE, _START_TIME = 0, 19
"""Positions in /proc/<pid>/stat after the command name; see proc_pid_stat(5), fields 3 and 22."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProcessIdentity:
    """One process of one boot of one machine."""

    host: str
    machine: str
    """What /etc/machine-id holds, empty without it: several cloud machines may have one host name."""
    boot: str
    """Random id that the kernel draws at each boot."""
    namespace: str
    """The pid namespace: two containers of one machine have the same boot id and different process ids."""
    pid: int
    started: int
    """Start time in clock ticks since boot."""

    @classmethod
    def current(cls) -> "ProcessIdentity":
        """The identity of the calling process."""
        pid = os.getpid()
        started = start_time(pid)
        assert started is not None, "this process is alive"

        return cls(
            host=socket.gethostname(),
            machine=_machine_id(),
            boot=(_PROC / "sys/kernel/random/boot_id").read_text().strip(),
            namespace=str(Path("/proc/self/ns/pid").readlink()),
            pid=pid,
            started=started,
        )

    def is_gone(self) -> bool:
        """Whether this process has certainly ended. False for what cannot be seen from here (another host, a
        container).
        """
        here = ProcessIdentity.current()
        if (self.host, self.machine) != (here.host, here.machine):
            return False
        if self.boot != here.boot:
            return True
        if self.namespace != here.namespace:
            return False

        started = start_time(self.pid)
        return started != self.started and not (started is None and _is_hidden(self.pid))


def start_time(pid: int) -> int | None:
    """Start time of a running process in clock ticks since boot; None when it has ended, is a zombie or is
    hidden.
    """
    try:
        # The command name stands in parentheses and may hold spaces and parentheses itself.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None

    return None if fields[_STATE] in "ZX" else int(fields[_START_TIME])


def trainers_of(run_id: str) -> list[int]:
    """Ids of the running processes on this machine that work for a Dagster run: training processes and their
    workers.
    """
    return [pid for pid in _process_ids() if _works_for(pid, run_id)]


def kill_trainers(run_id: str) -> None:
    """SIGKILL every process that works for a run. For those that outlived their run and its grace period."""
    for pid in trainers_of(run_id):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue

        # The handle stays bound to this very process: asking again here rules out an id that was reused
        # meanwhile.
        try:
            if _works_for(pid, run_id):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)


def _is_hidden(pid: int) -> bool:
    """Whether a process of another user has this id: with `hidepid` /proc shows one's own processes only."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return False


def _machine_id() -> str:
    try:
        return Path("/etc/machine-id").read_text().strip()
    except OSError:  # as in many containers
        return ""


def _works_for(pid: int, run_id: str) -> bool:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:  # it ended, or belongs to another user
        return False

    return f"{RUN_VARIABLE}={run_id}".encode() in environment.split(b"\0")


def _process_ids() -> Iterator[int]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            yield int(entry.name)
