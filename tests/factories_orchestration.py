"""Shared by tests of the orchestration: a pipeline in a temporary folder, real commands, a toy training."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from orchestration.definitions import defs
from unichar.pipeline.lineage import stage_spec
from unichar.presets import get_preset
from unichar.stages import STAGES
from unichar.store.files import json_bytes
from unichar.store.store import Output, Store

ROOT = Path(__file__).parents[1]

TRAINER = """
import os, signal, subprocess, sys, time
stubborn = "signal.signal(signal.SIGTERM, signal.SIG_IGN); " if "--stubborn" in sys.argv else ""
worker = subprocess.Popen([sys.executable, "-c", f"import signal, time; {stubborn}time.sleep(100)"])
open(sys.argv[1], "w").write(f"{os.getpid()} {worker.pid}")
sys.exit(1) if "--fail" in sys.argv else time.sleep(100)
"""
"""A trainer that has a worker; writes both process ids into the file named first. `--stubborn`: its worker
ignores SIGTERM.
"""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """What a test needs of a pipeline: where its files are, its Dagster instance, and ways to run it."""

    data: Path
    store: Store
    instance: dg.DagsterInstance

    @property
    def characters(self) -> Path:
        """Where kits lie."""
        return self.data / "characters"

    def registered(self) -> list[str]:
        """The characters Dagster knows."""
        return list(self.instance.get_dynamic_partitions("characters"))

    def made(self, noun: str) -> set[str]:
        """The characters that have this asset."""
        return self.instance.get_materialized_partitions(dg.AssetKey(noun))

    def run(self, job: str, character: str, config: dict | None = None) -> dg.ExecuteInProcessResult:
        """A run as the command line starts it: the key as a tag, registered or not."""
        tags = {"dagster/partition": character}
        resolved = defs().resolve_job_def(job)
        return resolved.execute_in_process(
            instance=self.instance, tags=tags, run_config=config, raise_on_error=False
        )


def publish_report(
    pipeline: Pipeline, character: str, *, preset: str, seed: int, report: dict | None = None
) -> Output:
    """Every output of a character, published by the store with the true recipes; what is not there yet gets a
    trivial product.

    For tests of who must run again, and of what is shown; nothing is trained.
    """
    base = pipeline.data / "models" / "nano" / "base.safetensors"
    base.parent.mkdir(parents=True, exist_ok=True)
    base.write_bytes(b"a base")
    products = {"eval_report": {"report.json": report or {"arms": {}}}}
    for stage in STAGES[1:]:
        spec = stage_spec(stage, character, preset=get_preset(preset), seed=seed, store=pipeline.store)
        if pipeline.store.find(character, stage.noun, spec.key):
            continue
        with pipeline.store.staging(character, stage.noun, spec.key) as staged:
            files = {"config.json": spec.recipe["config"], "summary.json": {"passed": False}} | products.get(
                stage.noun, {}
            )
            for name, value in files.items():
                (staged / name).write_bytes(json_bytes(value))
            about = {"character": character, "noun": stage.noun, "preset": preset, "recipe": spec.recipe}
            inputs = {noun: output.fingerprint for noun, output in spec.inputs.items()}
            pipeline.store.publish(staged, about | {"inputs": inputs, "kit_hash": spec.kit_hash})
    return pipeline.store.current(character, "eval_report")


def dagster(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The real command, from the root of the repository."""
    command = [str(Path(sys.executable).with_name("dagster")), *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=300, check=False
    )


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Failed step -> what it said to the user."""
    failed = [event for event in result.all_events if event.is_step_failure]
    return {e.step_key or "": e.step_failure_data.user_failure_data.description or "" for e in failed}


def wait_until(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    """Come back as soon as the condition holds; an AssertionError when that takes longer."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def all_gone(pids: Path) -> bool:
    """Whether none of the processes named in the file runs any more. Zombies have ended; who reaps them is
    not our matter.
    """
    return not any(is_running(pid) for pid in pids.read_text().split())


def is_running(pid: str | int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


SAVING_TRAINER = """
import os, signal, sys, time
folder, total = sys.argv[1], int(sys.argv[2])
state, stop = os.path.join(folder, "state"), []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
step = int(open(state).read()) if os.path.exists(state) else 0
if step:
    print(f"toy: goes on from step {step} of {total}", flush=True)
open(os.path.join(folder, "trainer"), "w").write(f"{os.getpid()} {os.getppid()}")
while step < total and not stop:
    time.sleep(0.05)
    step += 1
    print(f"toy: {step}/{total}, {(total - step) / 20:.0f} s left: loss {1 / step:.3f}", flush=True)
if stop:
    open(state, "w").write(str(step))
    print("toy: saved, leaving", flush=True)
    sys.exit(143)
open(os.path.join(folder, "done"), "w").write(str(step))
"""
"""A training of 20 steps a second: `<folder> <steps>`. On SIGTERM it saves its step; the next one goes on
from there.

Writes `trainer` (its process id and its step's), `state` on SIGTERM and `done` at the end into the folder.
"""

TRAINING_JOB = f"""
import os, sys
import dagster as dg
from orchestration.defs.sensors import dead_runs
from orchestration.executor import multiprocess_executor
from orchestration.lifeline import end_with_parent
from orchestration.process_group import run_in_group
from orchestration.process_identity import RUN_VARIABLE
from orchestration.terminal import silence_step, terminal_logger

class Training(dg.Config):
    folder: str
    steps: int = 2000

@dg.asset(pool="gpu")
def checkpoint(context: dg.AssetExecutionContext, config: Training) -> None:
    command = [sys.executable, "-c", {SAVING_TRAINER!r}, config.folder, str(config.steps)]
    ended = run_in_group(command, environment={{RUN_VARIABLE: context.run.run_id}}, grace_seconds=10)
    if ended.code:
        raise dg.Failure(f"training ended with {{ended.code}}", allow_retries=False)

@dg.definitions
def defs():
    end_with_parent()
    silence_step()
    jobs = [dg.define_asset_job("train")]
    loggers = {{"terminal": terminal_logger}}
    return dg.Definitions(
        [checkpoint], jobs=jobs, sensors=[dead_runs], executor=multiprocess_executor, loggers=loggers
    )
"""
"""A module with the job `train`, one step that trains under the executor of the pipeline, and the sensor
`dead_runs`.
"""


class Training:
    """A real `dagster job execute` of the toy training, its processes, and what it has written."""

    def __init__(self, folder: Path, *, steps: int = 2000) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "trainer").unlink(missing_ok=True)
        (folder / "job.py").write_text(TRAINING_JOB)
        config = {"ops": {"checkpoint": {"config": {"folder": str(folder), "steps": steps}}}}
        config |= {"loggers": {"terminal": {}}}
        (folder / "config.yaml").write_text(json.dumps(config))

        dagster = str(Path(sys.executable).with_name("dagster"))
        command = [dagster, "job", "execute", "-f", "job.py", "-j", "train", "-c", "config.yaml"]
        with (folder / "output").open("a") as output:
            self.process = subprocess.Popen(
                command, cwd=folder, stdout=output, stderr=output, start_new_session=True
            )

    def output(self) -> str:
        """What all trainings of this folder have printed."""
        return (self.folder / "output").read_text()

    def wait_until_it_trains(self) -> None:
        """Return when the trainer runs."""
        path = self.folder / "trainer"
        wait_until(lambda: path.exists() and len(path.read_text().split()) == 2, seconds=120)

    def pid(self, which: str) -> int:
        """The process id of the `run`, the `step` or the `trainer`."""
        trainer, step = (self.folder / "trainer").read_text().split()
        return {"run": self.process.pid, "step": int(step), "trainer": int(trainer)}[which]

    def end(self) -> None:
        """End what is left of it; for the end of a test."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=60)
