"""After kills, stops and full disks the result is that of an uninterrupted run, or one clear message."""

import json
import random
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from factories_small import saved_adapters, small_home, small_job
from factories_training import saved_step, start_python

from unichar.sft.train import Trainer, run
from unichar.training.curves import read_curve
from unichar.training.loop import STOPPED
from unichar.training.state import OtherRun
from unichar.types import StageJob

SETTINGS = {
    "steps": 12,
    "conversations": 2,
    "validation": {"every": 4, "conversations": 2, "pictures": 1, "keep_best": True},
}
CLOCK = {"tokens_per_second", "pictures_per_second", "peak_memory_mb"}


@pytest.fixture(scope="module")
def straight(small_base: Path, inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> StageJob:
    """A finished run without interruptions."""
    job = small_job(tmp_path_factory.mktemp("straight"), small_base, inputs, **SETTINGS)
    with small_home(small_base):
        run(job)
    return job


@pytest.fixture(autouse=True)
def home(small_base, monkeypatch):
    monkeypatch.setenv("UNICHAR_BACKBONE", str(small_base.parent / "backbone"))


def start(job: StageJob, **more: Any) -> subprocess.Popen[str]:
    """`train_through_kills` in a process of its own."""
    told = {
        "folder": str(job.scratch.parent),
        "base": str(job.base),
        "settings": SETTINGS,
        "kills": [],
        **more,
    }
    about = json.dumps(told | {"inputs": {noun: str(path) for noun, path in job.inputs.items()}})
    return start_python(f"from factories_small import train_through_kills\ntrain_through_kills({about!r})")


def stopping_after(index: int):
    """`Trainer.step` with a SIGTERM to this process in the middle of a step."""
    step = Trainer.step

    def stopping(self: Trainer, at: int) -> dict[str, float]:
        if at == index:
            signal.raise_signal(signal.SIGTERM)
        return step(self, at)

    return stopping


def assert_same_product(job: StageJob, straight: StageJob) -> None:
    ours, theirs = saved_adapters(job.out / "adapters"), saved_adapters(straight.out / "adapters")
    assert all((ours[name] == theirs[name]).all() for name in theirs)
    rows, others = (
        [
            {name: value for name, value in row.items() if name not in CLOCK}
            for row in read_curve(of.out / "curve.jsonl")
        ]
        for of in (job, straight)
    )
    assert rows == others
    sheets = sorted(path.name for path in (straight.out / "validation").iterdir())
    assert sheets == ["step-00004.png", "step-00008.png", "step-00012.png"]
    for name in sheets:
        assert (job.out / "validation" / name).read_bytes() == (
            straight.out / "validation" / name
        ).read_bytes()


def test_killed_at_three_random_steps_it_ends_with_bit_identical_adapters(straight, tmp_path):
    job = small_job(tmp_path, straight.base, straight.inputs, **SETTINGS)
    kills = sorted(random.sample(range(1, SETTINGS["steps"]), 3))
    said, _ = start(job, kills=kills).communicate(timeout=240)
    ends = [int(line) for line in said.splitlines() if line.lstrip("-").isdigit()]
    assert ends == [signal.SIGKILL] * 3 + [0], said
    assert_same_product(job, straight)


def test_sigterm_saves_the_step_and_the_same_command_resumes(straight, tmp_path, monkeypatch):
    job = small_job(tmp_path, straight.base, straight.inputs, **SETTINGS | {"save_seconds": 3600.0})
    monkeypatch.setattr(Trainer, "step", stopping_after(3))
    with pytest.raises(SystemExit) as stopped:
        run(job)
    assert stopped.value.code == STOPPED and saved_step(job.scratch / "state.safetensors") == 4
    run(job)
    assert_same_product(job, straight)


def test_changed_settings_or_another_base_are_named(straight, tmp_path):
    changed = small_job(
        straight.scratch.parent, straight.base, straight.inputs, **SETTINGS | {"und_lr": 1e-5, "steps": 13}
    )
    with pytest.raises(OtherRun) as caught:
        run(changed)
    assert "another run: config.steps 12, now 13; config.und_lr 0.0007, now 1e-05. Delete the file" in str(
        caught.value
    )
    base = tmp_path / "base.safetensors"
    base.write_bytes(
        straight.base.read_bytes().replace(b'"format":"unichar-nano-1"', b'"format":"unichar-nano-2"')
    )
    with pytest.raises(OtherRun, match=r'another run: base_sha256 "[0-9a-f]{64}", now "[0-9a-f]{64}"'):
        run(small_job(straight.scratch.parent, base, straight.inputs, **SETTINGS))


def test_a_full_disk_is_one_message_and_the_old_state_stays(straight, tmp_path, monkeypatch):
    """A limit on the size of files stands for the disk."""
    job = small_job(tmp_path, straight.base, straight.inputs, **SETTINGS)

    # A state to keep. It is not made by a kill, which may leave half a file.
    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(Trainer, "step", stopping_after(3))
        run(job)
    kept = saved_step(job.scratch / "state.safetensors")

    limit = (straight.scratch / "state.safetensors").stat().st_size // 2
    said, _ = start(job, limit=limit).communicate(timeout=120)
    assert saved_step(job.scratch / "state.safetensors") == kept
    (words,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert said.splitlines()[-1] == "-1" and "Traceback" not in said
    assert (
        words.startswith(f"error: could not save step {kept + 1} to {job.scratch}")
        and "File too large" in words
    )
    assert kept >= 3 and f"the state of step {kept} is intact. Free 1 MB" in words
    assert not [path for path in job.scratch.iterdir() if path.name.startswith(".tmp")]
    run(job)
    assert_same_product(job, straight)
