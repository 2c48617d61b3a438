"""A process is told from every other one; the training of a run is found by its environment."""

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories_orchestration import is_running, wait_until

from orchestration.process_identity import (
    RUN_VARIABLE,
    ProcessIdentity,
    kill_trainers,
    start_time,
    trainers_of,
)

HERE = ProcessIdentity.current()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that works for run `one`."""
    command = [sys.executable, "-c", "import time; time.sleep(100)"]
    process = subprocess.Popen(command, env={**os.environ, RUN_VARIABLE: "one"})
    yield process
    process.kill()
    process.wait()


def test_this_process_is_there() -> None:
    assert HERE.pid == os.getpid()
    assert not HERE.is_gone()


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        ({"started": 1}, True),
        ({"boot": "another"}, True),
        ({"host": "another"}, False),
        ({"host": "another", "boot": "another"}, False),
        ({"machine": "another", "boot": "another"}, False),
        ({"namespace": "pid:[1]", "started": 1}, False),
    ],
    ids=[
        "a reused id",
        "before a reboot",
        "another machine",
        "another machine's boot",
        "another machine of the same name",
        "another container",
    ],
)
def test_gone_means_certainly_gone(change: dict[str, str | int], gone: bool) -> None:
    assert dataclasses.replace(HERE, **change).is_gone() is gone


def test_a_zombie_has_ended(sleeper: subprocess.Popen[bytes]) -> None:
    started = start_time(sleeper.pid)
    assert started is not None
    process = dataclasses.replace(HERE, pid=sleeper.pid, started=started)
    assert not process.is_gone()

    os.kill(sleeper.pid, signal.SIGKILL)
    wait_until(process.is_gone)  # nobody has waited for it yet
    sleeper.wait()
    assert process.is_gone()


@pytest.mark.parametrize("error", [FileNotFoundError, PermissionError])
def test_a_process_of_another_user_that_proc_hides_is_not_gone(
    monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    def belongs_to_another(pid: int, number: int) -> None:
        raise PermissionError

    read = Path.read_text

    def hidden(path: Path) -> str:
        if path.name == "stat" and path.parent.name == "7":
            raise error
        return read(path)

    monkeypatch.setattr(Path, "read_text", hidden)
    monkeypatch.setattr(os, "kill", belongs_to_another)
    assert start_time(7) is None
    assert not dataclasses.replace(HERE, pid=7, started=1).is_gone()


def test_the_training_of_a_run_is_found_by_the_runs_id(sleeper: subprocess.Popen[bytes]) -> None:
    wait_until(lambda: trainers_of("one") == [sleeper.pid])
    assert trainers_of("on") == trainers_of("one more") == []

    kill_trainers("another")
    assert is_running(sleeper.pid)
    kill_trainers("one")
    assert sleeper.wait(timeout=10) == -signal.SIGKILL
    assert trainers_of("one") == []
