"""What `dagster job execute` shows on the terminal: one line a stage, and a progress bar while a stage
trains.

The run process writes all of it. Steps run in processes of their own and print into Dagster's compute logs
only; the run process reads these files as they grow and turns progress lines into a bar. Dagster's own
console logger shows warnings and errors; its event log keeps everything.
"""

import logging
import multiprocessing
import os
import re
import sys
import threading
import time
from functools import cache
from pathlib import Path
from typing import IO

import dagster as dg
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager

STEP_VARIABLE = "UNICHAR_STEPS_OF"
"""Environment variable that a run process sets for its steps: its process id."""

_PROGRESS = re.compile(r"^(?P<title>[\w -]+):? (?P<done>\d+)(?:/| of )(?P<total>\d+)\b[, ]*(?P<rest>.*)$")
"""A progress line, as `sft: 80/150, 63 s left: loss 2.31` or `the base samples images: 8 of 12`."""
_PART = re.compile(r"^(evaluate \w+: [\w ]+|\w+: starts, \d+ steps)$")
"""What a stage works at, as `evaluate base: pictures`: shown until the next such line."""
_VERB = re.compile(r"^(sft|grpo|evaluate): ")
"""The stage at the beginning of its own lines; here every line begins with its step."""
_RESULT = ("made: ", "already there: ")
"""Beginnings of the line by which a stage names its output; here it is a part of the stage's own line."""
_BAR_CELLS = 24
_PLAIN_SECONDS = 10.0
"""Without a terminal (a file, a pipe) stages show their progress at most this often."""
_QUICK_SECONDS = 7.0
"""Without a terminal a stage that takes less shows no progress."""


class Terminal:
    """The terminal of a run process. All methods may be called from several threads.

    With a terminal, the last line is a status line that is overwritten; else every line stays.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
        # A descriptor of its own: while a step runs in this process, Dagster points standard error to a
        # compute log.
        self.stream = stream or os.fdopen(os.dup(2), "w", buffering=1, errors="replace")
        self.is_tty = self.stream.isatty()
        self._lock = threading.Lock()
        self._status = ""
        self._printed_at = time.monotonic()
        self.has_shown_failure = False

    def line(self, text: str) -> None:
        """Print a line that stays."""
        with self._lock:
            self._write(f"{self._erase()}{text}\n{self._status}")
            self._printed_at = time.monotonic()

    def status(self, text: str) -> None:
        """Show what is under way: overwritten on a terminal, else a line now and then."""
        if not self.is_tty:
            if text and time.monotonic() - self._printed_at >= _PLAIN_SECONDS:
                self.line(text)
            return

        with self._lock:
            shown = text[: (os.get_terminal_size(self.stream.fileno()).columns or 80) - 1]
            if shown != self._status:
                self._write(f"{self._erase()}{shown}")
                self._status = shown

    def _erase(self) -> str:
        return "\r\x1b[K" if self._status else ""

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError:  # the terminal was closed; the run goes on
            pass


@cache
def run_terminal() -> Terminal:
    """The terminal of this process."""
    return Terminal()


class ComputeLog:
    """What a step prints, read from its compute log while it grows."""

    def __init__(self, step: str, path: Path) -> None:
        self.step = step
        self.path = path
        self._offset = 0
        self._rest = b""

    def new_lines(self) -> list[str]:
        """The complete lines that were added since the last call."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []

        self._offset += len(data)
        # Decoded line by line: the end of the file may lie within a letter.
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.decode(errors="replace") for line in lines if line.strip()]


class StageDisplay:
    """The stages of one run on the terminal."""

    def __init__(
        self, terminal: Terminal, run: dg.DagsterRun, instance: dg.DagsterInstance, *, follow_logs: bool
    ) -> None:
        self.terminal = terminal
        self.succeeded: set[str] = set()
        self._run, self._instance, self._follow_logs = run, instance, follow_logs
        self._began: dict[str, float] = {}
        self._logs: dict[str, ComputeLog] = {}
        self._progress: dict[str, str] = {}
        self._made: dict[str, str] = {}
        self._checks: dict[str, list[tuple[str, bool]]] = {}
        self._reading = threading.Lock()

    def show(self, event: dg.DagsterEvent) -> None:
        """Take in one event of the run, and print a line when a stage ended. Never raises."""
        try:
            self._show(event)
        except Exception as error:
            self.terminal.line(f"cannot show {event.event_type_value}: {error!r}")

    def _show(self, event: dg.DagsterEvent) -> None:
        step, kind = event.step_key or "", event.event_type
        if kind == dg.DagsterEventType.LOGS_CAPTURED and self._follow_logs:
            self._follow(event)
        elif kind == dg.DagsterEventType.STEP_START:
            self._began[step] = time.monotonic()
        elif kind == dg.DagsterEventType.ASSET_MATERIALIZATION:
            made = event.step_materialization_data.materialization.metadata.get("made")
            self._made[step] = str(made.value) if made is not None else "made"
        elif kind == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            self._checks.setdefault(step, []).append((check.check_name, check.passed))
        elif kind == dg.DagsterEventType.STEP_SUCCESS:
            self.succeeded.add(step)
            if self._made.get(step) or self._checks.get(step):
                self._end(step, self._result(step))
        elif kind == dg.DagsterEventType.STEP_FAILURE:
            self.terminal.has_shown_failure = True
            self._end(step, failure_message(event))

    def refresh(self) -> None:
        """Print what the running stages have printed since the last call, and how far they are."""
        if not self._follow_logs:
            return

        # The thread beside the run calls this as well as the end of a stage; each line is read once.
        with self._reading:
            for log in list(self._logs.values()):
                for line in log.new_lines():
                    if _PROGRESS.match(line) or _PART.match(line):
                        self._progress[log.step] = line
                    elif not line.startswith(_RESULT):
                        self.terminal.line(f"{log.step:<16} {_VERB.sub('', line)}")

        statuses = [self._status(step) for step, began in list(self._began.items()) if self._is_long(began)]
        self.terminal.status("   ".join(statuses))

    def _is_long(self, began: float) -> bool:
        """Whether a stage runs long enough for a line of its own, besides the one at its end."""
        return self.terminal.is_tty or time.monotonic() - began >= _QUICK_SECONDS

    def _follow(self, event: dg.DagsterEvent) -> None:
        manager, data = self._instance.compute_log_manager, event.logs_captured_data
        if isinstance(manager, LocalComputeLogManager) and data.step_keys:
            key = manager.build_log_key_for_run(self._run.run_id, data.file_key)
            path = Path(manager.get_captured_local_path(key, "out"))
            self._logs[data.step_keys[0]] = ComputeLog(data.step_keys[0], path)

    def _status(self, step: str) -> str:
        seconds = time.monotonic() - self._began[step]
        line = self._progress.get(step)
        if line is None:
            return f"{step:<16} {seconds:.0f} s"
        shown = progress_bar(line) if self.terminal.is_tty else _VERB.sub("", line)
        return f"{step:<16} {shown}"

    def _result(self, step: str) -> str:
        checks = self._checks.get(step)
        if not checks:
            return self._made[step]

        failed = [name for name, passed in checks if not passed]
        passed = f"{len(checks) - len(failed)} of {len(checks)} passed"
        return f"{passed}, not {', '.join(failed)}" if failed else passed

    def _end(self, step: str, text: str) -> None:
        self.refresh()
        seconds = time.monotonic() - self._began.pop(step, time.monotonic())
        self._logs.pop(step, None)
        self.terminal.status("")
        self.terminal.line(f"{step:<16} {text} ({seconds:.0f} s)")


def progress_bar(line: str) -> str:
    """A training's progress line with a bar: `[######......] 80/150  63 s left: loss 2.31`; another line as
    it is.
    """
    found = _PROGRESS.match(line)
    if found is None:
        return _VERB.sub("", line)

    done, total = int(found["done"]), int(found["total"])
    filled = _BAR_CELLS * done // max(total, 1)
    bar = f"[{'#' * filled}{'.' * (_BAR_CELLS - filled)}] {done}/{total}"
    return f"{bar}  {found['rest'] or found['title']}"


def failure_message(event: dg.DagsterEvent) -> str:
    """Why a step ended without success: in words if the reason is known, else the traceback."""
    data = event.step_failure_data
    said = data.user_failure_data
    if said and "run" in said.metadata:  # its own run has said why
        return "failed"
    if said and said.description:
        return f"failed: {said.description}"

    error = data.error
    if error is not None and error.cls_name == "DagsterExecutionInterruptedError":
        return "stopped; the same command goes on from what was saved"
    if error is not None and error.cls_name == "ChildProcessCrashException":
        return "failed: its process was killed, most likely because memory ran out; run it again to go on"
    return f"failed: {data.error_display_string.strip()}"


@dg.logger(config_schema={})
def terminal_logger(context: dg.InitLoggerContext) -> logging.Logger:
    """Warnings and errors of a run on the terminal, without what `StageDisplay` has shown in its own way.

    Chosen by run config, `loggers: {terminal: {}}`; without it Dagster's console logger prints errors with
    tracebacks.
    """
    logger = logging.Logger("terminal", level=logging.WARNING)
    handler = logging.StreamHandler(run_terminal().stream)
    handler.addFilter(_is_news)
    handler.setFormatter(_Plain())
    logger.addHandler(handler)
    return logger


class _Plain(logging.Formatter):
    """Level, message and error, without the job, the run and the step that Dagster puts before a message."""

    def format(self, record: logging.LogRecord) -> str:
        meta = getattr(record, "dagster_meta", {})
        text = f"{record.levelname} {meta.get('orig_message') or record.getMessage()}"

        event = meta.get("dagster_event")
        error = getattr(event.event_specific_data, "error", None) if event is not None else None
        return f"{text}\n{error.to_string().strip()}" if error is not None else text


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a record says what no stage line has said, and does not just follow from a failed stage."""
    meta = getattr(record, "dagster_meta", {})
    event = meta.get("dagster_event")
    if event is not None and event.step_key:
        return False

    follows = meta.get("step_key") or (event is not None and event.is_job_event)
    return not (follows and record.levelno >= logging.ERROR and run_terminal().has_shown_failure)


def silence_step() -> None:
    """In a step's process, drop what is printed outside of Dagster's compute logs, where the run process
    reads it.

    Dagster copies compute logs to the output of the step's process as well; there they would break the
    progress bar.
    """
    parent = multiprocessing.parent_process()
    if parent is None or os.environ.get(STEP_VARIABLE) != str(parent.pid):
        return

    sys.stdout.flush()
    sys.stderr.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(null, descriptor)
    os.close(null)
