"""Dagster's executors for runs on one's own machine, which can be found dead and say what they do.

before the first step   record the run's process in a tag; close dead runs, so that their slots are free
while steps run         show stages and progress; every 30 s say what holds the pool that a step waits for
whatever happens        end with the code server that started the run
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence

import dagster as dg
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode

from orchestration import bridge
from orchestration.dead_runs import close_dead_runs, describe_waiting, process_tags
from orchestration.terminal import STEP_VARIABLE, StageDisplay, run_terminal

_REFRESH_SECONDS = 1.0
_CHECK_SECONDS = 5.0
"""How often a waiting run looks for dead runs. Dagster claims a freed slot up to 15 s later."""
_SAY_SECONDS = 30.0
_CLAIM_PAUSE_SECONDS = 0.1


class WatchedExecutor(dg.Executor):
    """Another executor, monitored by a thread that closes dead runs and shows progress."""

    def __init__(self, inner: dg.Executor, *, steps_have_logs: bool) -> None:
        """`steps_have_logs` is False where the steps share one compute log, that of the run's process."""
        self._inner = inner
        self._steps_have_logs = steps_have_logs
        # Now, because a run that is started inside a step finds standard error pointed to a compute log.
        self._terminal = run_terminal()

    @property
    def retries(self) -> RetryMode:
        return self._inner.retries

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        """Run the plan. Closing the generator, or an error in it, ends the monitoring thread as well."""
        os.environ[STEP_VARIABLE] = str(os.getpid())
        instance, run = plan_context.instance, plan_context.dagster_run
        instance.add_run_tags(run.run_id, process_tags(run.run_id))

        display = StageDisplay(self._terminal, run, instance, follow_logs=self._steps_have_logs)
        monitor = _RunMonitor(instance, run, display)
        monitor.close_dead_runs()
        with monitor.running():
            for event in self._inner.execute(plan_context, execution_plan):
                display.show(event)
                yield event

        if "eval_report" in display.succeeded:
            for line in bridge.main_results(run.tags["dagster/partition"]):
                self._terminal.line(line)


class _RunMonitor:
    """The thread beside a run."""

    def __init__(self, instance: dg.DagsterInstance, run: dg.DagsterRun, display: StageDisplay) -> None:
        self._instance, self._run, self._display = instance, run, display
        self._stop = threading.Event()
        self._said_at: float | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Watch while the body runs."""
        thread = threading.Thread(target=self._loop, name="run-monitor", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def close_dead_runs(self) -> None:
        """Never raises: what is wrong with another run, or a busy database, must not end this one."""
        try:
            close_dead_runs(self._instance, self._say)
        except Exception as error:
            self._display.terminal.line(f"could not look for dead runs: {error}")

    def _loop(self) -> None:
        checked_at = 0.0
        while not self._stop.wait(_REFRESH_SECONDS):
            try:
                self._display.refresh()
                if time.monotonic() - checked_at >= _CHECK_SECONDS:
                    checked_at = time.monotonic()
                    self._check_waiting()
            except Exception as error:  # a busy database must not end the monitoring
                self._display.terminal.line(f"could not watch the run: {error}")

    def _check_waiting(self) -> None:
        waiting = describe_waiting(self._run.run_id, self._instance)
        if not waiting:
            self._said_at = None
            return

        self.close_dead_runs()
        if self._said_at is None or time.monotonic() - self._said_at >= _SAY_SECONDS:
            self._said_at = time.monotonic()
            for line in waiting:
                self._say(line)

    def _say(self, line: str) -> None:
        """One line at level INFO: on the terminal, and in the run's events."""
        self._display.terminal.line(f"INFO {line}")
        self._instance.report_engine_event(line, self._run)


def _claim_with_pauses() -> None:
    """Let a step that waits for a pool sleep between two attempts to claim a slot.

    Dagster's multiprocess executor asks in a loop without a pause (1.13.27) and takes a whole core from the
    training that it waits for.
    """
    claim = InstanceConcurrencyContext.claim

    def patient_claim(
        self: InstanceConcurrencyContext, concurrency_key: str, step_key: str, step_priority: int = 0
    ) -> bool:
        claimed = claim(self, concurrency_key, step_key, step_priority)
        if not claimed:
            time.sleep(_CLAIM_PAUSE_SECONDS)
        return claimed

    InstanceConcurrencyContext.claim = patient_claim  # type: ignore[method-assign]


_claim_with_pauses()


def _monitored(
    executor: dg.ExecutorDefinition,
    requirements: Sequence[dg.ExecutorRequirement] = (),
    *,
    steps_have_logs: bool,
) -> dg.ExecutorDefinition:
    create = executor.executor_creation_fn
    assert create is not None

    return dg.ExecutorDefinition(
        name=executor.name,
        description=executor.description,
        config_schema=executor.config_schema,  # type: ignore[arg-type]
        requirements=list(requirements),
        executor_creation_fn=lambda context: WatchedExecutor(
            create(context), steps_have_logs=steps_have_logs
        ),
    )


multiprocess_executor = _monitored(
    dg.multiprocess_executor, dg.multiple_process_executor_requirements(), steps_have_logs=True
)
"""Each step in a process of its own."""

in_process_executor = _monitored(dg.in_process_executor, steps_have_logs=False)
"""All steps in the process of the run."""
