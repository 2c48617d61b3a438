"""One line a stage; a bar on a terminal, a line now and then elsewhere; what a step prints is read from its
log.
"""

import io
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from factories_orchestration import ROOT

from orchestration.terminal import (
    STEP_VARIABLE,
    ComputeLog,
    StageDisplay,
    Terminal,
    failure_message,
    progress_bar,
    terminal_logger,
)


class Tty(io.StringIO):
    """A terminal in memory; a real one gives the number of columns."""

    def __init__(self) -> None:
        super().__init__()
        self.master, self.slave = pty.openpty()

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.slave


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "step.out"


def display(stream: io.StringIO, log: Path) -> StageDisplay:
    """A display whose step `sft_checkpoint` has begun and prints into `log`."""
    shown = StageDisplay(Terminal(stream), SimpleNamespace(), SimpleNamespace(), follow_logs=True)  # type: ignore[arg-type]
    shown._logs["sft_checkpoint"] = ComputeLog("sft_checkpoint", log)
    shown.show(event("STEP_START"))
    return shown


def event(kind: str, **data: Any) -> Any:
    import dagster as dg

    return SimpleNamespace(
        step_key="sft_checkpoint", event_type=dg.DagsterEventType(kind), event_type_value=kind, **data
    )


def failure(
    *, description: str | None = None, metadata: dict | None = None, error: str = "ValueError"
) -> Any:
    said = SimpleNamespace(description=description, metadata=metadata or {}) if description else None
    data = SimpleNamespace(
        user_failure_data=said,
        error=SimpleNamespace(cls_name=error),
        error_display_string="ValueError: no\nStack Trace:\n ...\n",
    )
    return event("STEP_FAILURE", step_failure_data=data)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("sft: 75/150, 63 s left: loss 2.31", "[############............] 75/150  63 s left: loss 2.31"),
        ("sft 150/150, 0 s left: loss 1", "[########################] 150/150  0 s left: loss 1"),
        ("the base samples images: 0 of 8", "[........................] 0/8  the base samples images"),
        ("sft: starts, 150 steps", "starts, 150 steps"),
        ("evaluate base: pictures", "evaluate base: pictures"),
    ],
)
def test_progress_lines_become_bars(line: str, shown: str) -> None:
    assert progress_bar(line) == shown


def test_a_terminal_shows_a_bar_that_the_stages_line_replaces(log: Path) -> None:
    stream = Tty()
    shown = display(stream, log)
    log.write_text("sft: goes on from step 80 of 150\nsft: 81/150, 60 s left: loss 2\nsft: 82/1")
    shown.refresh()
    assert stream.getvalue().endswith("sft_checkpoint   [############............] 81/150  60 s left: loss 2")
    assert "sft_checkpoint   goes on from step 80 of 150\n" in stream.getvalue()

    shown._made["sft_checkpoint"] = "made"
    shown.show(event("STEP_SUCCESS"))
    assert stream.getvalue().endswith("\r\x1b[K" + "sft_checkpoint   made (0 s)\n")


def test_a_file_gets_few_lines(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    shown = display(stream, log)
    log.write_text("sft: starts, 150 steps\nsft: 1/150, 60 s left: loss 2\n")
    shown.refresh()
    assert stream.getvalue() == ""

    monkeypatch.setattr("orchestration.terminal._QUICK_SECONDS", 0.0)
    monkeypatch.setattr("orchestration.terminal._PLAIN_SECONDS", 0.0)
    shown.refresh()
    assert stream.getvalue() == "sft_checkpoint   1/150, 60 s left: loss 2\n"

    with log.open("a") as file:
        file.write("sft: saved step 2 of 150, leaving\nmade: /somewhere\n")
    monkeypatch.setattr("orchestration.terminal._PLAIN_SECONDS", 60.0)
    shown.refresh()
    assert stream.getvalue().splitlines()[1:] == ["sft_checkpoint   saved step 2 of 150, leaving"]


def test_a_stage_says_what_became_of_it(log: Path) -> None:
    stream = io.StringIO()
    shown = display(stream, log)
    metadata = {"made": SimpleNamespace(value="already there")}
    materialization = SimpleNamespace(materialization=SimpleNamespace(metadata=metadata))
    shown.show(event("ASSET_MATERIALIZATION", step_materialization_data=materialization))
    shown.show(event("STEP_SUCCESS"))
    assert stream.getvalue() == "sft_checkpoint   already there (0 s)\n"
    assert shown.succeeded == {"sft_checkpoint"}


def test_checks_are_counted_and_the_failed_ones_named(log: Path) -> None:
    stream = io.StringIO()
    shown = display(stream, log)
    for name, passed in [("kit_readable", True), ("rights_stated", False)]:
        check = SimpleNamespace(check_name=name, passed=passed)
        shown.show(event("ASSET_CHECK_EVALUATION", asset_check_evaluation_data=check))
    shown.show(event("STEP_SUCCESS"))
    assert stream.getvalue() == "sft_checkpoint   1 of 2 passed, not rights_stated (0 s)\n"


def test_an_event_that_cannot_be_shown_does_not_end_the_run(log: Path) -> None:
    stream = io.StringIO()
    display(stream, log).show(event("ASSET_MATERIALIZATION"))
    assert "cannot show ASSET_MATERIALIZATION" in stream.getvalue()


@pytest.mark.parametrize(
    ("failed", "words"),
    [
        (failure(description="the kit has no rights"), "failed: the kit has no rights"),
        (failure(description="run 1 failed: ...", metadata={"run": "1"}), "failed"),
        (
            failure(error="DagsterExecutionInterruptedError"),
            "stopped; the same command goes on from what was saved",
        ),
        (failure(), "failed: ValueError: no\nStack Trace:\n ..."),
    ],
)
def test_why_a_step_failed(failed: Any, words: str) -> None:
    assert failure_message(failed) == words


def test_a_killed_step_is_said_in_words() -> None:
    message = failure_message(failure(error="ChildProcessCrashException"))
    assert "killed" in message and "Trace" not in message


def test_a_closed_terminal_does_not_end_the_run() -> None:
    read, write = os.pipe()
    os.close(read)
    terminal = Terminal(os.fdopen(write, "w"))
    terminal.line("nobody reads this")
    terminal.stream = io.StringIO()


def test_new_lines_are_read_once_and_only_whole(log: Path) -> None:
    read = ComputeLog("step", log)
    assert read.new_lines() == []
    log.write_text("one\ntw")
    assert read.new_lines() == ["one"]
    log.write_text("one\ntwo\n\n")
    assert read.new_lines() == ["two"]


def test_a_letter_that_is_half_written_is_read_whole(log: Path) -> None:
    read, line = ComputeLog("step", log), "Müller\n".encode()
    log.write_bytes(line[:2])
    assert read.new_lines() == []
    log.write_bytes(line)
    assert read.new_lines() == ["Müller"]


def test_the_logger_shows_what_no_stage_line_has_said(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(io.StringIO())
    monkeypatch.setattr("orchestration.terminal.run_terminal", lambda: terminal)
    logger = terminal_logger.logger_fn(SimpleNamespace())  # type: ignore[arg-type]
    error = SimpleNamespace(to_string=lambda: "ImportError: no module\n")
    step = SimpleNamespace(step_key="sft_checkpoint", is_job_event=False)
    run = SimpleNamespace(step_key=None, is_job_event=True, event_specific_data=SimpleNamespace(error=error))

    logger.info("a detail")
    logger.warning("the disk is nearly full")
    logger.error("a step failed", extra={"dagster_meta": {"dagster_event": step}})
    logger.error("the run failed", extra={"dagster_meta": {"dagster_event": run}})
    terminal.has_shown_failure = True
    logger.error("grpo_checkpoint is not executed", extra={"dagster_meta": {"step_key": "grpo_checkpoint"}})
    logger.error("the run failed, as was said", extra={"dagster_meta": {"dagster_event": run}})
    assert terminal.stream.getvalue() == (
        "WARNING the disk is nearly full\nERROR the run failed\nImportError: no module\n"
    )
    assert logger.level == logging.WARNING


def test_only_a_step_is_silenced(tmp_path: Path) -> None:
    """A process is a step when the run that started it with `multiprocessing` says so."""
    script = tmp_path / "run.py"
    script.write_text(
        "import multiprocessing, os, sys\n"
        "def step():\n"
        "    from orchestration.terminal import silence_step\n"
        "    silence_step()\n"
        "    print('from the step', flush=True)\n"
        "if __name__ == '__main__':\n"
        f"    os.environ[{STEP_VARIABLE!r}] = str(os.getpid()) if 'run' in sys.argv else '1'\n"
        "    process = multiprocessing.get_context('spawn').Process(target=step)\n"
        "    process.start(); process.join()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for arguments, said in [(["run"], ""), ([], "from the step\n")]:
        command = [sys.executable, str(script), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout == said
