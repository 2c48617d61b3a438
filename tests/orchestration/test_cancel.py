"""A cancelled run leaves no trainer and no worker of it behind, and its pool slot is free again."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from factories_orchestration import ROOT, TRAINER, Pipeline, all_gone, wait_until

JOB = """
import sys
import dagster as dg
from orchestration.process_group import run_in_group

@dg.asset(pool="gpu")
def checkpoint() -> None:
    run_in_group([sys.executable, "-c", {trainer!r}, {pids!r}], grace_seconds=5)

defs = dg.Definitions(assets=[checkpoint], jobs=[dg.define_asset_job("train")])
"""


@pytest.mark.parametrize("asked_by", [signal.SIGINT, signal.SIGTERM])
def test_cancel_leaves_nothing_behind(pipeline: Pipeline, tmp_path: Path, asked_by: signal.Signals) -> None:
    pids = tmp_path / "pids"
    (tmp_path / "job.py").write_text(JOB.format(trainer=TRAINER, pids=str(pids)))
    dagster = Path(sys.executable).with_name("dagster")
    command = [str(dagster), "job", "execute", "-f", str(tmp_path / "job.py"), "-j", "train"]
    run = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2, seconds=60)
    assert num_claimed(pipeline) == 1
    run.send_signal(asked_by)
    assert run.wait(timeout=60) != 0
    wait_until(lambda: all_gone(pids))
    assert num_claimed(pipeline) == 0


def num_claimed(pipeline: Pipeline) -> int:
    """Slots of the pool in use."""
    return len(pipeline.instance.event_log_storage.get_concurrency_info("gpu").claimed_slots)
