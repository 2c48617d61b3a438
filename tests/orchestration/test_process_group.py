"""A command run by Dagster leaves no process behind, however its run ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from factories_orchestration import TRAINER, all_gone, wait_until

from orchestration.process_group import Ended, explain, run_in_group


def test_what_a_command_prints_passes_through_and_its_end_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    script = (
        "import sys\nfor i in range(30): print('step', i)\nprint('the reason', file=sys.stderr)\nsys.exit(3)"
    )
    ended = run_in_group([sys.executable, "-u", "-c", script])
    assert ended.code == 3
    assert ended.tail.splitlines()[-2:] == ["step 29", "the reason"]
    assert len(ended.tail.splitlines()) == 15
    assert "step 0\n" in capsys.readouterr().out


def test_success_has_code_zero() -> None:
    assert run_in_group([sys.executable, "-c", "print('fine')"]) == Ended(code=0, tail="fine")


@pytest.mark.parametrize("manner", [[], ["--stubborn"]])
def test_an_interrupt_ends_the_command_and_its_workers(tmp_path: Path, manner: list[str]) -> None:
    class Cancelled(Exception):
        pass

    def cancel(*_: object) -> None:
        raise Cancelled

    pids = tmp_path / "pids"
    before = signal.signal(signal.SIGALRM, cancel)
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    try:
        with pytest.raises(Cancelled):
            run_in_group([sys.executable, "-c", TRAINER, str(pids), *manner], grace_seconds=1)
    finally:
        signal.signal(signal.SIGALRM, before)
    wait_until(lambda: all_gone(pids))


def test_workers_that_outlive_a_failed_command_are_ended(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    assert run_in_group([sys.executable, "-c", TRAINER, str(pids), "--fail"], grace_seconds=1).code == 1
    wait_until(lambda: all_gone(pids))


@pytest.mark.parametrize(
    "manner",
    ["", "s.signal(s.SIGTERM, s.SIG_IGN)", "s.pthread_sigmask(s.SIG_BLOCK, [s.SIGTERM])"],
    ids=["default", "ignored", "blocked"],
)
def test_a_run_that_is_killed_outright_takes_its_command_with_it(tmp_path: Path, manner: str) -> None:
    pids = tmp_path / "pids"
    sleeper = f"import os, time; open({str(pids)!r}, 'w').write(str(os.getpid())); time.sleep(100)"
    runner = f"import signal as s, sys; from orchestration.process_group import run_in_group as r\n{manner}\n"
    run = subprocess.Popen([sys.executable, "-c", f"{runner}r([sys.executable, '-c', {sleeper!r}])"])
    wait_until(lambda: pids.exists() and bool(pids.read_text()))
    run.kill()
    run.wait()
    wait_until(lambda: all_gone(pids))


def test_exit_codes_are_explained() -> None:
    assert explain(2) == "exit code 2"
    assert explain(-signal.SIGKILL) == "killed by SIGKILL, most likely because memory ran out"
    assert explain(-signal.SIGSEGV) == "killed by SIGSEGV"
    assert explain(143) == "stopped by SIGTERM"
