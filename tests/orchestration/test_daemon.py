"""Under the daemon: it closes runs that were killed, and when it is killed itself, its runs save and end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dagster import DagsterRunStatus
from factories_orchestration import Pipeline, Training, is_running, wait_until

BIN = Path(sys.executable).parent


@contextmanager
def daemon(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real daemon that serves `job.py` in `folder`, with its code server in a process group of its own."""
    command = [str(BIN / "dagster-daemon"), "run", "-f", "job.py"]
    with (folder / "daemon.log").open("w") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output, start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.e2e
def test_a_daemon_closes_a_dead_run_and_its_own_runs_end_with_it(pipeline: Pipeline, tmp_path: Path) -> None:
    training = Training(tmp_path / "toy")
    training.wait_until_it_trains()
    for which in ("run", "step", "trainer"):
        os.kill(training.pid(which), signal.SIGKILL)
    training.process.wait()
    storage = pipeline.instance.event_log_storage
    assert len(storage.get_concurrency_info("gpu").claimed_slots) == 1

    with daemon(training.folder) as process:
        wait_until(lambda: not storage.get_concurrency_info("gpu").claimed_slots, seconds=120)
        [dead] = pipeline.instance.get_runs()
        assert dead.status == DagsterRunStatus.FAILURE

        (training.folder / "trainer").unlink()
        launch = [str(BIN / "dagster"), "job", "launch", "-f", "job.py", "-j", "train", "-c", "config.yaml"]
        subprocess.run(launch, cwd=training.folder, check=True, capture_output=True)
        training.wait_until_it_trains()
        trainer, step = training.pid("trainer"), training.pid("step")

        process.kill()
        process.wait()
        wait_until(lambda: not is_running(trainer) and not is_running(step))
        saved = int((training.folder / "state").read_text())

    following = Training(training.folder, steps=saved + 5)
    assert following.process.wait(timeout=120) == 0
    assert f"goes on from step {saved} of {saved + 5}" in following.output()
    assert not storage.get_concurrency_info("gpu").claimed_slots
