"""A child of `multiprocessing` ends with its parent, and with the owner of a code server that started it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from factories_orchestration import ROOT, all_gone, is_running, wait_until

PARENT = """
import multiprocessing, os, signal, sys, time

def child(folder, stubborn):
    from orchestration.lifeline import end_with_parent

    def stop(*_):
        open(os.path.join(folder, "asked"), "w").close()
        if not stubborn:
            sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    end_with_parent(most_seconds=1.0)
    open(os.path.join(folder, "pids"), "w").write(f"{os.getpid()} {os.getppid()}")
    while True:
        time.sleep(0.1)

if __name__ == "__main__":
    folder, manner = sys.argv[1:3]
    process = multiprocessing.get_context("spawn").Process(target=child, args=(folder, manner == "stubborn"))
    process.start()
    process.join()
"""


def start_parent(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A process whose child watches it; returns when the child does."""
    script = folder / "parent.py"
    script.write_text(PARENT)
    command = [sys.executable, str(script), str(folder), *arguments]
    parent = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)})
    pids = folder / "pids"
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    return parent


@pytest.mark.parametrize("manner", ["polite", "stubborn"])
def test_a_child_is_asked_to_end_with_its_parent_and_killed_if_it_does_not(
    tmp_path: Path, manner: str
) -> None:
    parent = start_parent(tmp_path, manner)
    parent.kill()
    parent.wait()
    wait_until(lambda: all_gone(tmp_path / "pids"))
    assert (tmp_path / "asked").exists()


def test_a_child_of_a_code_server_ends_with_the_servers_owner(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    server = [sys.executable, str(script), str(tmp_path), "polite", "--heartbeat"]
    owner = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; subprocess.run({server!r})"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    pids = tmp_path / "pids"
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    child, server_id = pids.read_text().split()

    owner.kill()
    owner.wait()
    wait_until(lambda: not is_running(child))
    wait_until(lambda: not is_running(server_id))
    assert (tmp_path / "asked").exists()


def test_a_child_outlives_the_shell_that_started_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    command = [sys.executable, str(script), str(tmp_path), "polite"]
    shell = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; subprocess.run({command!r})"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    pids = tmp_path / "pids"
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    child, parent = pids.read_text().split()

    shell.kill()
    shell.wait()
    assert is_running(child) and not (tmp_path / "asked").exists()
    os.kill(int(parent), signal.SIGKILL)
    wait_until(lambda: all_gone(pids))
