"""Find runs whose process was killed, mark them failed and free their pool slots; say what a step waits for.

Dagster's local launcher never notices that a run process is gone: the run stays STARTED and keeps its slot of
pool `gpu`, and every later run waits for it without end. Here every run records its process in a tag. The
next run, and the sensor `dead_runs` under the daemon, close the runs whose process has certainly ended; see
docs/decisions/0025-dead-runs.md.
"""

import dataclasses
import json
import time
from collections.abc import Callable

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from orchestration.process_identity import ProcessIdentity, kill_trainers, trainers_of

PROCESS_TAG = "unichar/process"
_OPEN = [DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
_SAVING_SECONDS = 60.0
"""How long the training of a dead run may take to save its state and leave before it is killed."""
_FINISHED_SECONDS = 60.0
"""After this a finished run keeps no slot, as with `free_slots_after_run_end_seconds` of the daemon."""

_seen_saving: dict[str, float] = {}
"""Dead run -> when this process first saw that its training is still alive (monotonic seconds)."""


def process_tags(run_id: str) -> dict[str, str]:
    """Tags by which a run records its process: the calling one.

    They hold the run's id, because a run that Dagster starts again after a failure gets the tags of the dead
    one.
    """
    process = dataclasses.asdict(ProcessIdentity.current())
    return {PROCESS_TAG: json.dumps({"run": run_id, **process})}


def process_of(run: DagsterRun) -> ProcessIdentity | None:
    """The process that a run recorded; None for a run that has not begun, or of an older version."""
    recorded = json.loads(run.tags.get(PROCESS_TAG, "{}"))
    if recorded.pop("run", None) != run.run_id:
        return None
    try:
        return ProcessIdentity(**recorded)
    except TypeError:  # a version that recorded something else
        return None


def close_dead_runs(instance: DagsterInstance, say: Callable[[str], None]) -> None:
    """Mark runs failed whose process has certainly ended; free the pool slots of dead and of finished runs.

    A run of another machine or container is never touched, nor one whose training still saves its state: that
    one is killed after a minute. `say` gets one line for each change.
    """
    for run in instance.get_runs(filters=RunsFilter(statuses=_OPEN)):
        process = process_of(run)
        if process is not None and process.is_gone() and not _is_saving(run.run_id, say):
            _close(run.run_id, process, instance, say)

    for run_id in instance.event_log_storage.get_concurrency_run_ids():
        if _keeps_slots_for_nothing(run_id, instance) and not _is_saving(run_id, say):
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)
            say(f"run {run_id[:8]} has ended: its pool slots are free again")


def describe_waiting(run_id: str, instance: DagsterInstance) -> list[str]:
    """One line for each step of a run that waits for a pool: since when, and what holds it for how long."""
    lines = []
    for pool in sorted(instance.event_log_storage.get_concurrency_keys()):
        info = instance.event_log_storage.get_concurrency_info(pool)
        holders = [_describe_holder(slot.run_id, slot.step_key, instance) for slot in info.claimed_slots]
        held_by = "held by " + "; ".join(holders) if holders else f"which has {info.slot_count} slots"

        for step in info.pending_steps:
            if step.run_id == run_id and step.assigned_timestamp is None:
                waited = _seconds(time.time() - step.enqueued_timestamp.timestamp())
                lines.append(f"{step.step_key} waits for pool {pool} ({waited} so far), {held_by}")
    return lines


def describe_run(run: DagsterRun) -> str:
    """A run as people know it: `run 1a2b3c4d (customize_character of mochi)`."""
    character = run.tags.get("dagster/partition")
    return f"run {run.run_id[:8]} ({run.job_name}{f' of {character}' if character else ''})"


def _close(
    run_id: str, process: ProcessIdentity, instance: DagsterInstance, say: Callable[[str], None]
) -> None:
    # Read again: a run that finished after it was listed has a process that is gone, too, and is no dead run.
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return

    reason = f"its process {process.pid} on {process.host} is gone"
    if run.status == DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, f"This run was being canceled and {reason}.")
    else:
        instance.report_run_failed(run, f"This run is dead: {reason} (killed, or the power failed).")

    instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    _seen_saving.pop(run_id, None)
    say(f"{describe_run(run)} is dead: {reason}; marked as failed, its pool slots are free again")


def _is_saving(run_id: str, say: Callable[[str], None]) -> bool:
    """Whether training processes of a run that is over still live. They were told to stop when it died."""
    trainers = trainers_of(run_id)
    if not trainers:
        return False

    since = _seen_saving.setdefault(run_id, time.monotonic())
    if time.monotonic() - since > _SAVING_SECONDS:
        say(f"run {run_id[:8]} is over, but its training did not stop: killing {_pids(trainers)}")
        kill_trainers(run_id)
    return True


def _keeps_slots_for_nothing(run_id: str, instance: DagsterInstance) -> bool:
    record = instance.get_run_record_by_id(run_id)
    if record is None:  # deleted by hand
        return True
    if not record.dagster_run.is_finished:
        return False

    process = process_of(record.dagster_run)
    ended_for = time.time() - (record.end_time or time.time())
    return ended_for > _FINISHED_SECONDS or (process is not None and process.is_gone())


def _describe_holder(run_id: str, step_key: str, instance: DagsterInstance) -> str:
    run = instance.get_run_by_id(run_id)
    if run is None:
        return f"a deleted run {run_id[:8]}"

    stats = instance.get_run_step_stats(run_id, [step_key])
    began = stats[0].start_time if stats else None
    held = f" for {_seconds(time.time() - began)}" if began else ""
    return f"{step_key} of {describe_run(run)}{held}, {_describe_process(run)}"


def _describe_process(run: DagsterRun) -> str:
    process = process_of(run)
    trainers = trainers_of(run.run_id)
    if process is None:
        return (
            "which did not record its process: if it is dead, terminate it in the Dagster UI "
            "with 'force termination' and free its slots under Deployment > Concurrency"
        )
    if process.is_gone():
        return (
            f"which is dead; {_pids(trainers)} of it still saves its state" if trainers else "which is dead"
        )

    return f"process {process.pid} on {process.host}"


def _pids(pids: list[int]) -> str:
    return f"process{'es' if len(pids) > 1 else ''} {', '.join(map(str, pids))}"


def _seconds(seconds: float) -> str:
    """A duration as `40 s`, `3 min` or `2.5 h`."""
    if seconds < 100:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
