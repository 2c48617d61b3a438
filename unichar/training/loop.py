"""The training loop of every trainer: progress with ETA, curve, timed saves, resumption, stop on SIGTERM."""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from tqdm import tqdm

from unichar.training.curves import Curve
from unichar.training.ranks import any_of, is_main
from unichar.training.state import TrainState

STOPPED = 143
"""Exit code after SIGTERM: 128 + 15, as a shell reports it."""

_LOG = logging.getLogger(__name__)

# Between progress lines in a log, where steps may take milliseconds.
_LINE_SECONDS = 5.0
_PATIENCE_SECONDS = 10.0
"""How long a step may go on after SIGTERM.

Dagster kills after 20 seconds, and the save has to fit in as well.
"""
SAVE_FRACTION = 0.05
"""A save may take at most this part of the training time since the one before it."""
_MISSING = "/missing"
"""Suffix in the running sums: how many steps since the last line of the curve lacked this number."""


def run_loop(
    title: str,
    step: Callable[[int], dict[str, float]],
    *,
    total: int,
    state: TrainState,
    save_seconds: float = 60.0,
    log_every: int = 10,
    finished: Callable[[], bool] = lambda: False,
    report: Callable[[int, dict[str, float]], dict[str, float]] = lambda index, means: means,
) -> None:
    """Call `step(i)` for every step after the saved state, until `total` steps are done or `finished()` is
    true.

    Every `log_every` steps the mean of each number that `step` returned, over those steps that had it, goes
    through `report` into `curve.jsonl` beside the state. With several processes all of them call this;
    process 0 writes, and all save and stop at the same step.

    Args:
        title: Name of the training in progress lines, as "sft".
        step: Takes the index of the step from 0; returns plain numbers.
        total: Number of steps of the whole run.
        state: What is saved and restored; its folder also holds the curve.
        save_seconds: Least time between two saves; they are further apart where a save takes long, see
            `SAVE_FRACTION`. 0 saves after every step, whatever that costs.
        log_every: Steps per line of the curve.
        finished: Asked after each step, for early stopping.
        report: May add numbers that depend on the clock, such as speed.

    Raises:
        SystemExit: With code 143 after SIGTERM. The current step is finished and saved, unless it takes
            longer than ten seconds; a resumed run then repeats what came after the last save. A second
            SIGTERM ends the process at once.
        SaveFailed, OtherRun: See `TrainState`.
    """
    # Resume: weights, optimizers and step from the state, the curve up to that step.
    start = state.load()
    curve = Curve(state.path.parent / "curve.jsonl", resume_from=start) if is_main() else None
    pace = _SavePace(save_seconds)
    progress = _Progress(title, start, total)

    with progress, _StopFlag() as stop_flag:
        for index in range(start, total):
            # Asked before the step too: a resumed run may have stopped early before it was killed.
            if finished():
                break

            # Sums are part of the state: a run killed between two lines of the curve logs the same means.
            _add(state.unlogged, step(index))
            progress.update(index + 1, state.unlogged)

            # One line of the curve per `log_every` steps, and one for what is left at the end.
            last = index + 1 == total or finished()
            if (index + 1) % log_every == 0 or last:
                means = _means(state.unlogged)
                state.unlogged.clear()
                if curve is not None:
                    curve.log(index, report(index, means))

            # Decided together, since all take part in a save; process 0 writes, so its clock counts.
            stop, due = any_of(stop_flag.raised, is_main() and pace.is_due())
            stop_flag.lift_deadline()
            if stop or due or last:
                with pace.measured():
                    state.save(index + 1)

            # Right after the save: the process that asked may kill this one soon.
            if stop:
                progress.say(f"saved step {index + 1} of {total}, leaving")
                raise SystemExit(STOPPED)

    # A signal during the last save: everything is saved, and whoever sent it waits for the process to end.
    if any(any_of(stop_flag.raised)):
        raise SystemExit(STOPPED)


class _SavePace:
    """When the next save is due: after `save_seconds`, and not before the last save has paid off.

    BAGEL's state is 2.4 GB and takes a disk longer than a step takes a GPU.
    """

    def __init__(self, save_seconds: float) -> None:
        self._least = save_seconds

        # Unknown before the first save, and after a resumption.
        self._cost = 0.0
        self._saved_at = time.monotonic()

    def is_due(self) -> bool:
        """Whether enough time has passed since the last save, or since the start."""
        if self._least == 0:
            return True
        return time.monotonic() - self._saved_at > max(self._least, self._cost / SAVE_FRACTION)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Context of a save, whose duration decides when the next one is due."""
        began = time.monotonic()
        yield
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - began


def _add(sums: dict[str, float], numbers: dict[str, float]) -> None:
    """Add one step's numbers to `sums`, and count the steps that lack a number which others have."""
    before = sums.get("steps", 0)

    # A number that appears for the first time was missing in all steps before.
    for name in numbers:
        if name not in sums and before:
            sums[f"{name}{_MISSING}"] = before

    # A number that this step did not return is missing once more.
    for name in _names(sums):
        if name not in numbers:
            sums[f"{name}{_MISSING}"] = sums.get(f"{name}{_MISSING}", 0) + 1

    for name, value in {"steps": 1, **numbers}.items():
        sums[name] = sums.get(name, 0) + value


def _means(sums: dict[str, float]) -> dict[str, float]:
    """The mean of every number over the steps that had it."""
    # Numbers that occur in some steps only are averaged over those.
    means = {}
    for name in _names(sums):
        steps = sums["steps"] - sums.get(f"{name}{_MISSING}", 0)
        means[name] = sums[name] / steps
    return means


def _names(sums: dict[str, float]) -> list[str]:
    """The numbers in `sums`, without the counts that are kept with them."""
    return [name for name in sums if name != "steps" and not name.endswith(_MISSING)]


class _StopFlag:
    """Inside the context the first SIGTERM raises a flag; afterwards SIGTERM is handled as it was before.

    A second SIGTERM ends the process at once. So does a step that goes on for longer than
    `_PATIENCE_SECONDS`.
    """

    def __init__(self) -> None:
        self.raised = False

    def __enter__(self) -> "_StopFlag":
        # Only the main thread may set handlers, which is where trainers run.
        self._before = signal.signal(signal.SIGTERM, self._stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # No timer may fire into code after the loop.
        self.lift_deadline()
        signal.signal(signal.SIGTERM, self._before)

    def lift_deadline(self) -> None:
        """The step is over, so what follows may take its time."""
        if self.raised:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        # Only a flag: the loop reads it between two steps, where the state is consistent.
        self.raised = True

        # The default action ends the process, so a second SIGTERM does.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, self._leave)
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_SECONDS)
        _write_at_once("asked to stop: finishing this step, then saving")

    def _leave(self, number: int, frame: FrameType | None) -> None:
        _write_at_once("the step takes too long: leaving with the state that was saved before it")
        raise SystemExit(STOPPED)


def _write_at_once(words: str) -> None:
    """Write a line from a signal handler, where buffered streams and logging must not be entered again."""
    if is_main():
        os.write(2, f"{words}\n".encode())


class _Progress:
    """How far training is: a bar with ETA on a terminal; elsewhere a line after the first step and every five
    seconds.

    Numbers whose names have an underscore are details of others, and stay in the curve.
    """

    def __init__(self, title: str, start: int, total: int) -> None:
        self.title, self.start, self.total = title, start, total
        self.began = time.monotonic()
        self.printed: float | None = None
        self.bar: tqdm | None = None

    def __enter__(self) -> "_Progress":
        # Says first whether this run starts, resumes or has nothing to do.
        if self.start >= self.total:
            self.say("all steps are done")
        elif self.start:
            self.say(f"goes on from step {self.start} of {self.total}")
        else:
            self.say(f"starts, {self.total} steps")

        # One bar, from rank 0; ASCII, since not every terminal has block characters.
        if is_main() and sys.stderr.isatty():
            self.bar = tqdm(
                total=self.total, initial=self.start, desc=self.title, ascii=True, file=sys.stderr
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.close()

    def update(self, done: int, sums: dict[str, float]) -> None:
        """Show that `done` steps are done, with the means of the numbers since the last line of the curve."""
        # Running means instead of single steps, which jump.
        numbers = {name: f"{value:.4g}" for name, value in _means(sums).items() if "_" not in name}
        if self.bar is not None:
            self.bar.set_postfix(numbers, refresh=False)
            self.bar.update()
            return

        # Carriage returns would freeze log viewers, so without a terminal every report is a line of its own.
        now = time.monotonic()
        if self.printed is None or now - self.printed >= _LINE_SECONDS or done == self.total:
            self.printed = now

            # From the speed of this run, not of the one before the resumption.
            left = (now - self.began) / (done - self.start) * (self.total - done)
            shown = " ".join(f"{name} {value}" for name, value in numbers.items())
            self.say(f"{done}/{self.total}, {_duration(left)} left: {shown}")

    def say(self, words: str) -> None:
        """Log one line from process 0; a bar on the terminal stays below it."""
        if is_main():
            _LOG.info("%s: %s", self.title, words)


def _duration(seconds: float) -> str:
    """As "40 s", "12 min" or "3.5 h"."""
    # Two digits are enough for an estimate, so the unit changes at 90 of the smaller one.
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
