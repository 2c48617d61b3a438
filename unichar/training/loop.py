"""The training loop every learner shares: progress with ETA, a curve, timed saves, a clean stop on SIGTERM."""

import signal
import sys
import time
from collections.abc import Callable
from types import FrameType, TracebackType

from tqdm import tqdm

from unichar.training.curves import Curve
from unichar.training.ranks import any_of, is_main
from unichar.training.state import TrainState

STOPPED = 143  # 128 + SIGTERM, what a shell reports for a process ended by it
_MISSING = "/missing"


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
    """Call `step(i)` for the steps that are left, from the saved state on, until `total` or until `finished()` says so.

    `step` returns plain numbers. The mean of each over those of `log_every` steps that have it goes through `report`, which
    may add what depends on the clock, to `curve.jsonl` beside the state; means whose names have no underscore also go to the
    log, at most every five seconds (a line each when the output is no terminal, since carriage returns freeze log viewers).
    With several processes all of them call this; process 0 writes, and all save and stop at the same step.

    Raises:
        SystemExit: With code 143 after SIGTERM; the state of the last finished step is on disk then.
        SaveFailed, OtherRun: See `TrainState`.
    """
    start = state.load()
    curve = Curve(state.path.parent / "curve.jsonl", resume_from=start) if is_main() else None
    saved_at = time.monotonic()
    silent = not is_main() or not sys.stderr.isatty()
    bar = tqdm(
        total=total, initial=start, desc=title, mininterval=5.0, file=sys.stderr, ascii=True, disable=silent
    )
    log = _LineLog(title, start, total)
    with bar, _StopFlag() as asked_to_stop:
        for index in range(start, total):
            if finished():
                break
            _add(state.unlogged, step(index))
            bar.update()
            last = index + 1 == total or finished()
            if (index + 1) % log_every == 0 or last:
                means = _means(state.unlogged)
                state.unlogged.clear()
                if curve is not None:
                    curve.log(index, report(index, means))
                    log.line(index + 1, means)
            stop, due = any_of(asked_to_stop.raised, time.monotonic() - saved_at > save_seconds)
            if stop or due or last:
                state.save(index + 1)
                saved_at = time.monotonic()
            if stop:
                raise SystemExit(STOPPED)


def _add(sums: dict[str, float], numbers: dict[str, float]) -> None:
    """Add one step's numbers, and the step to the count of steps; steps without a number are counted for it."""
    before = sums.get("steps", 0)
    for name in numbers:
        if name not in sums and before:
            sums[f"{name}{_MISSING}"] = before
    for name in [
        name for name in sums if name != "steps" and not name.endswith(_MISSING) and name not in numbers
    ]:
        sums[f"{name}{_MISSING}"] = sums.get(f"{name}{_MISSING}", 0) + 1
    for name, value in {"steps": 1, **numbers}.items():
        sums[name] = sums.get(name, 0) + value


def _means(sums: dict[str, float]) -> dict[str, float]:
    """The mean of every number over the steps that had it."""
    names = [name for name in sums if name != "steps" and not name.endswith(_MISSING)]
    return {name: sums[name] / (sums["steps"] - sums.get(f"{name}{_MISSING}", 0)) for name in names}


class _StopFlag:
    """Within it the first SIGTERM becomes a flag and a second one ends the process at once; afterwards all is as before."""

    def __init__(self) -> None:
        self.raised = False

    def __enter__(self) -> "_StopFlag":
        self._before = signal.signal(signal.SIGTERM, self._stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGTERM, self._before)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.raised = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class _LineLog:
    """Progress lines for logs that are files or Dagster's, at most one in five seconds."""

    def __init__(self, title: str, start: int, total: int) -> None:
        self.title, self.start, self.total = title, start, total
        self.began = self.printed = time.monotonic()
        self.silent = sys.stderr.isatty()

    def line(self, done: int, means: dict[str, float]) -> None:
        now = time.monotonic()
        if self.silent or (now - self.printed < 5 and done < self.total):
            return
        self.printed = now
        left = (now - self.began) / (done - self.start) * (self.total - done)
        numbers = " ".join(f"{name} {value:.4g}" for name, value in means.items() if "_" not in name)
        print(f"{self.title} {done}/{self.total}, {left:.0f} s left: {numbers}", file=sys.stderr, flush=True)
