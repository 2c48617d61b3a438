"""Two real processes, started by a launcher, train as one process does."""

import json
from pathlib import Path

import pytest
from factories_grpo import assert_same_adapters, assert_same_rounds, grpo_job, train_rounds
from factories_small import saved_adapters
from factories_training import TESTS, launch

from unichar.training.curves import read_curve
from unichar.training.state import load_tensors

RUNS = {
    "nft": ({}, 0),
    "nft, in microbatches": ({"rollout": {"microbatches": 4}}, 0),
    "nft, resumed": ({}, 2),
    "flow_grpo": ({"algorithm": "flow_grpo"}, 0),
    "flow_grpo, in microbatches": ({"algorithm": "flow_grpo", "rollout": {"microbatches": 2}}, 0),
    "nft, sharded": ({"shard": True}, 0),
    "nft, sharded, in microbatches": ({"shard": True, "rollout": {"microbatches": 2}}, 0),
    "nft, sharded, resumed": ({"shard": True}, 2),
    "flow_grpo, sharded": ({"algorithm": "flow_grpo", "shard": True}, 0),
    "one prompt": ({"rollout": {"prompts": 1}, "validation": {"prompts": 1}}, 0),
}
"""Folder -> settings, and the round another trainer resumes from. Nine pictures for two ranks; in the last
run one of the ranks has no prompt to score."""


@pytest.fixture(scope="module")
def together(larger_base: Path, inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a subfolder per run of two processes."""
    folder = tmp_path_factory.mktemp("together")
    about = {
        "folder": str(folder),
        "base": str(larger_base),
        "inputs": {n: str(p) for n, p in inputs.items()},
        "runs": RUNS,
    }
    done = launch(TESTS / "factories_grpo.py", json.dumps(about))
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def alone(larger_base, inputs, tmp_path_factory):
    """Settings -> (numbers, adapters) of one process in one microbatch."""
    done = {}

    def run(settings):
        rollout = {
            name: value for name, value in settings.get("rollout", {}).items() if name != "microbatches"
        }
        settings = settings | {"rollout": rollout, "shard": False}
        key = json.dumps(settings)
        if key not in done:
            job = grpo_job(tmp_path_factory.mktemp("alone"), larger_base, inputs, **settings)
            done[key] = train_rounds(job, exact=True), saved_adapters(job.out / "adapters")
        return done[key]

    return run


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_train_as_one_does(name, together, alone):
    numbers, weights = alone(RUNS[name][0])
    assert_same_rounds(numbers, json.loads((together / name / "numbers.json").read_text()))
    assert_same_adapters(together / name / "out" / "adapters", weights)


@pytest.mark.parametrize("name", ["nft", "nft, sharded"])
def test_a_resumed_run_is_bit_identical(name, together):
    resumed = f"{name}, resumed"
    ours, theirs = (saved_adapters(together / run / "out" / "adapters") for run in (resumed, name))
    assert all((ours[key] == theirs[key]).all() for key in theirs)


def test_sharded_weights_and_policies_are_saved_whole(together):
    """So a run may go on with another number of processes."""
    states = [
        load_tensors(together / name / "scratch" / "state.safetensors")[0]
        for name in ("nft, resumed", "nft, sharded, resumed")
    ]
    shapes, sharded = ({key: tensor.shape for key, tensor in state.items()} for state in states)
    assert sharded == shapes and any(key.startswith("old.") for key in shapes)


def test_rank_0_writes_the_stage(together):
    """Curves of pictures and replies, the tracker's files, and the summary."""
    first, second = (json.loads((together / "stage" / f"summary-{rank}.json").read_text()) for rank in (0, 1))
    assert (first["pictures"], first["optimizer_steps"], first["rounds"], second) == (2 * 3 * 3, 4, 2, {})
    out = together / "stage" / "out"
    assert {path.name for path in out.iterdir()} == {
        "adapters",
        "curve.jsonl",
        "curve_text.jsonl",
        "tensorboard",
    }
    assert [row["step"] for row in read_curve(out / "curve.jsonl")] == [0, 1]
    assert len(list((out / "tensorboard").iterdir())) == 1
