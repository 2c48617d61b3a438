"""What tests of the orchestration share: a line in a temporary folder, the real `dagster` command, why a run failed."""

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
"""A trainer that has a worker; writes both process ids into the file named first. `--stubborn`: its worker ignores SIGTERM."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """What a test needs of a line: where its files are, its Dagster instance, and ways to run it."""

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
    line: Line, character: str, *, preset: str, seed: int, report: dict | None = None
) -> Output:
    """Every output of a character, published by the store with the true recipes; what is not there yet gets a trivial product.

    For tests of who must run again, and of what is shown; nothing is trained.
    """
    base = line.data / "models" / "nano" / "base.safetensors"
    base.parent.mkdir(parents=True, exist_ok=True)
    base.write_bytes(b"a base")
    products = {"eval_report": {"report.json": report or {"arms": {}}}}
    for stage in STAGES[1:]:
        plan = stage_spec(stage, character, preset=get_preset(preset), seed=seed, store=line.store)
        if line.store.find(character, stage.noun, plan.key):
            continue
        with line.store.staging(character, stage.noun, plan.key) as staged:
            files = {"config.json": plan.recipe["config"], "summary.json": {"passed": False}} | products.get(
                stage.noun, {}
            )
            for name, value in files.items():
                (staged / name).write_bytes(json_bytes(value))
            about = {"character": character, "noun": stage.noun, "preset": preset, "recipe": plan.recipe}
            inputs = {noun: output.fingerprint for noun, output in plan.inputs.items()}
            line.store.publish(staged, about | {"inputs": inputs, "kit_hash": plan.kit_hash})
    return line.store.current(character, "eval_report")


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
    """Whether none of the processes named in the file runs any more. Zombies have ended; who reaps them is not our matter."""
    return not any(_is_running(pid) for pid in pids.read_text().split())


def _is_running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
