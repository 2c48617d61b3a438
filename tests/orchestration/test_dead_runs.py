"""Runs that were killed are found, closed and gone on with; a run that is alive keeps its slot.

The processes are real: `dagster job execute`, its step, its training, and SIGKILL.
"""

import dataclasses
import json
import os
import signal
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from factories_orchestration import Pipeline, Training, is_running, wait_until

from orchestration.dead_runs import close_dead_runs, describe_waiting, process_tags
from orchestration.process_identity import ProcessIdentity

STEP = "checkpoint"


def claimed(pipeline: Pipeline) -> list[str]:
    """Runs that hold a slot of pool `gpu`."""
    info = pipeline.instance.event_log_storage.get_concurrency_info("gpu")
    return [slot.run_id for slot in info.claimed_slots]


def open_run(pipeline: Pipeline, process: ProcessIdentity | None) -> str:
    """A run that is STARTED, belongs to `process` and holds the only slot of pool `gpu`; its id."""
    run = pipeline.instance.create_run_for_job(empty_job)
    if process:
        record(pipeline, run.run_id, process, of_run=run.run_id)

    pipeline.instance.report_dagster_event(
        dg.DagsterEvent("PIPELINE_START", job_name=run.job_name, message="started"), run.run_id
    )
    pipeline.instance.event_log_storage.initialize_concurrency_limit_to_default("gpu")
    status = pipeline.instance.event_log_storage.claim_concurrency_slot("gpu", run.run_id, STEP)
    assert status.is_claimed
    return run.run_id


def record(pipeline: Pipeline, run_id: str, process: ProcessIdentity, *, of_run: str) -> None:
    """Give a run the tag by which `of_run` recorded its process."""
    tag = json.dumps({"run": of_run, **dataclasses.asdict(process)})
    pipeline.instance.add_run_tags(run_id, {"unichar/process": tag})


def status_of(pipeline: Pipeline, run_id: str) -> DagsterRunStatus:
    run = pipeline.instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


@dg.op
def nothing() -> None:
    """Does nothing."""


@dg.job
def empty_job() -> None:
    nothing()


ENDED = dataclasses.replace(ProcessIdentity.current(), started=1)
"""The process id of this process, given to an earlier one."""


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("killed", "saves"),
    [(["run"], True), (["step"], True), (["trainer"], False), (["run", "step", "trainer"], False)],
    ids=["run", "step", "trainer", "power cut"],
)
def test_all_of_a_killed_run_ends_and_the_next_run_goes_on(
    pipeline: Pipeline, tmp_path: Path, killed: list[str], saves: bool
) -> None:
    training = Training(tmp_path / "toy")
    training.wait_until_it_trains()
    pids = {which: training.pid(which) for which in ("run", "step", "trainer")}
    for which in killed:
        os.kill(pids[which], signal.SIGKILL)

    training.process.wait(timeout=60)
    wait_until(lambda: not any(is_running(pid) for pid in pids.values()))
    state = training.folder / "state"
    assert state.exists() == saves
    if "run" in killed:
        [run_id] = claimed(pipeline)
        assert status_of(pipeline, run_id) == DagsterRunStatus.STARTED
    else:
        assert claimed(pipeline) == []

    total = int(state.read_text()) + 5 if saves else 5
    following = Training(training.folder, steps=total)
    assert following.process.wait(timeout=120) == 0
    assert (training.folder / "done").read_text() == str(total)
    assert claimed(pipeline) == []
    statuses = sorted(run.status.value for run in pipeline.instance.get_runs())
    assert statuses == ["FAILURE", "SUCCESS"]

    said = [
        text for text in following.output().splitlines() if text.startswith("INFO ") and "is dead" in text
    ]
    assert len(said) == ("run" in killed)
    assert (f"goes on from step {total - 5} of {total}" in following.output()) == saves


@pytest.mark.e2e
def test_a_run_that_is_alive_keeps_its_slot_and_the_next_one_says_what_it_waits_for(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    first = Training(tmp_path / "first")
    first.wait_until_it_trains()
    [holder] = claimed(pipeline)
    second = Training(tmp_path / "second", steps=1)
    try:
        wait_until(lambda: "waits for pool gpu" in second.output(), seconds=120)
        assert f"held by checkpoint of run {holder[:8]} (train) for " in second.output()
        assert f"process {first.process.pid} on " in second.output()
        assert claimed(pipeline) == [holder]
    finally:
        first.end()
    assert second.process.wait(timeout=120) == 0
    assert "is dead" not in second.output()


def test_a_run_whose_process_ended_is_closed_in_one_line(pipeline: Pipeline) -> None:
    run_id = open_run(pipeline, ENDED)
    said: list[str] = []
    close_dead_runs(pipeline.instance, said.append)
    assert status_of(pipeline, run_id) == DagsterRunStatus.FAILURE
    assert claimed(pipeline) == []
    [text] = said
    assert text.startswith(
        f"run {run_id[:8]} (empty_job) is dead: its process {ENDED.pid} on {ENDED.host} is gone"
    )


def test_a_run_that_another_version_recorded_is_left_alone(pipeline: Pipeline) -> None:
    run_id = open_run(pipeline, None)
    pipeline.instance.add_run_tags(run_id, {"unichar/process": json.dumps({"run": run_id, "pid": 1})})
    close_dead_runs(pipeline.instance, print)
    assert status_of(pipeline, run_id) == DagsterRunStatus.STARTED


def test_a_run_of_a_boot_before_this_one_is_closed(pipeline: Pipeline) -> None:
    run_id = open_run(pipeline, dataclasses.replace(ProcessIdentity.current(), boot="before the power cut"))
    close_dead_runs(pipeline.instance, print)
    assert status_of(pipeline, run_id) == DagsterRunStatus.FAILURE


@pytest.mark.parametrize(
    "process",
    [
        ProcessIdentity.current(),
        dataclasses.replace(ENDED, host="another machine"),
        dataclasses.replace(ENDED, host="another machine", boot="another boot"),
        dataclasses.replace(ENDED, namespace="pid:[1]"),
        None,
    ],
    ids=["alive", "another host", "another host's boot", "another container", "unknown"],
)
def test_what_is_not_certainly_dead_is_left_alone(
    pipeline: Pipeline, process: ProcessIdentity | None
) -> None:
    run_id = open_run(pipeline, process)
    said: list[str] = []
    close_dead_runs(pipeline.instance, said.append)
    assert status_of(pipeline, run_id) == DagsterRunStatus.STARTED
    assert claimed(pipeline) == [run_id]
    assert said == []


def test_a_run_started_again_with_the_tags_of_a_dead_one_is_left_alone(pipeline: Pipeline) -> None:
    run_id = open_run(pipeline, None)
    record(pipeline, run_id, ENDED, of_run="the dead one")
    close_dead_runs(pipeline.instance, print)
    assert status_of(pipeline, run_id) == DagsterRunStatus.STARTED
    assert claimed(pipeline) == [run_id]


def test_a_dead_run_that_was_being_canceled_is_canceled(pipeline: Pipeline) -> None:
    run_id = open_run(pipeline, ENDED)
    run = pipeline.instance.get_run_by_id(run_id)
    assert run is not None
    pipeline.instance.report_run_canceling(run)
    close_dead_runs(pipeline.instance, print)
    assert status_of(pipeline, run_id) == DagsterRunStatus.CANCELED
    assert claimed(pipeline) == []


def test_slots_of_finished_and_deleted_runs_are_freed(pipeline: Pipeline) -> None:
    finished = open_run(pipeline, ENDED)
    run = pipeline.instance.get_run_by_id(finished)
    assert run is not None
    pipeline.instance.report_run_canceled(run)
    close_dead_runs(pipeline.instance, print)
    assert claimed(pipeline) == []

    deleted = open_run(pipeline, ProcessIdentity.current())
    pipeline.instance.run_storage.delete_run(deleted)
    close_dead_runs(pipeline.instance, print)
    assert claimed(pipeline) == []


def test_a_slot_is_not_given_away_while_the_training_of_a_dead_run_saves(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    saving, killed = [4321], []
    monkeypatch.setattr("orchestration.dead_runs.trainers_of", lambda run_id: saving)
    monkeypatch.setattr("orchestration.dead_runs.kill_trainers", killed.append)
    run_id = open_run(pipeline, ENDED)

    close_dead_runs(pipeline.instance, print)
    assert claimed(pipeline) == [run_id] and killed == []

    monkeypatch.setattr("orchestration.dead_runs._SAVING_SECONDS", -1.0)
    close_dead_runs(pipeline.instance, print)
    assert claimed(pipeline) == [run_id] and run_id in killed

    saving.clear()
    close_dead_runs(pipeline.instance, print)
    assert claimed(pipeline) == []


@pytest.mark.parametrize(
    ("process", "words"),
    [
        (ProcessIdentity.current(), f"process {os.getpid()} on "),
        (ENDED, "which is dead"),
        (None, "terminate it in the Dagster UI"),
    ],
    ids=["alive", "dead", "unknown"],
)
def test_what_holds_a_slot_is_described(
    pipeline: Pipeline, process: ProcessIdentity | None, words: str
) -> None:
    holder = open_run(pipeline, process)
    waiting = pipeline.instance.create_run_for_job(empty_job, tags={})
    pipeline.instance.add_run_tags(waiting.run_id, process_tags(waiting.run_id))
    pipeline.instance.event_log_storage.claim_concurrency_slot("gpu", waiting.run_id, STEP)
    [text] = describe_waiting(waiting.run_id, pipeline.instance)
    assert text.startswith("checkpoint waits for pool gpu (")
    assert f" s so far), held by checkpoint of run {holder[:8]} (empty_job)" in text
    assert words in text
    assert describe_waiting(holder, pipeline.instance) == []
