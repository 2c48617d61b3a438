"""A command run by Dagster leaves no process behind, however its run ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestration.process_group import Ended, explain, run_in_group

TRAINER = """
import os, subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", "import signal, time; {ignore}time.sleep(60)"])
open(sys.argv[1], "w").write(f"{{os.getpid()}} {{worker.pid}}")
print("training", flush=True)
time.sleep(60)
"""


def test_what_a_command_prints_passes_through_and_its_end_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    script = "import sys\nfor i in range(30): print('step', i)\nprint('the reason', file=sys.stderr)\nsys.exit(3)"
    ended = run_in_group([sys.executable, "-u", "-c", script])
    assert ended.code == 3
    assert ended.tail.splitlines()[-2:] == ["step 29", "the reason"]
    assert len(ended.tail.splitlines()) == 15
    assert "step 0\n" in capsys.readouterr().out


def test_success_has_code_zero() -> None:
    assert run_in_group([sys.executable, "-c", "print('fine')"]) == Ended(code=0, tail="fine")


@pytest.mark.parametrize("ignore", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN); "])
def test_an_interrupt_ends_the_command_and_its_workers(tmp_path: Path, ignore: str) -> None:
    class Cancelled(Exception):
        pass

    def cancel(*_: object) -> None:
        raise Cancelled

    before = signal.signal(signal.SIGALRM, cancel)
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    try:
        with pytest.raises(Cancelled):
            run_in_group([sys.executable, "-c", TRAINER.format(ignore=ignore), str(tmp_path / "pids")], grace_seconds=1)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert_gone((tmp_path / "pids").read_text())


def test_workers_that_outlive_a_failed_command_are_ended(tmp_path: Path) -> None:
    script = TRAINER.format(ignore="").replace("time.sleep(60)\n", "sys.exit(1)\n")
    assert run_in_group([sys.executable, "-c", script, str(tmp_path / "pids")], grace_seconds=1).code == 1
    assert_gone((tmp_path / "pids").read_text())


def test_a_run_that_is_killed_outright_takes_its_command_with_it(tmp_path: Path) -> None:
    sleeper = f"import os, time; open({str(tmp_path / 'pids')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    runner = f"from orchestration.process_group import run_in_group as r; import sys; r([sys.executable, '-c', {sleeper!r}])"
    run = subprocess.Popen([sys.executable, "-c", runner])
    wait_for(tmp_path / "pids")
    run.kill()
    run.wait()
    assert_gone((tmp_path / "pids").read_text())


def test_exit_codes_are_explained() -> None:
    assert explain(2) == "exit code 2"
    assert explain(-signal.SIGKILL) == "killed by SIGKILL, most likely because memory ran out"
    assert explain(-signal.SIGSEGV) == "killed by SIGSEGV"
    assert explain(143) == "stopped by SIGTERM"


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.05)


def assert_gone(pids: str) -> None:
    for pid in pids.split():
        deadline = time.monotonic() + 5
        while is_running(int(pid)):
            assert time.monotonic() < deadline, f"process {pid} is still there"
            time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Zombies have ended; who reaps them is not our matter."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
