"""Two real processes, started by a launcher, learn what one process learns: adapters copied, or weights split (FSDP2)."""

import json
from pathlib import Path

import pytest
import torch
from factories_small import saved_adapters, small_job, train_steps
from factories_training import TESTS, launch

from unichar.training.state import load_tensors

SETTINGS = {
    "conversations": 5,
    "prompts": 3,
    "pictures": 6,
    "prior_pictures": 3,
}  # no multiples of two: shares differ in size
SPLIT = SETTINGS | {"shard": True}
RUNS = {
    "copied": (SETTINGS, True, 0),
    "split": (SPLIT, True, 0),
    "split, resumed": (SPLIT, True, 2),
    "split in parts": (SPLIT | {"microbatches": 2, "checkpointing": True}, True, 0),
    "copied, mixed types": (SETTINGS, False, 0),
    "split, mixed types": (SPLIT, False, 0),
}
"""Folder -> settings, whether in fp32 throughout, and the step another trainer goes on from."""


@pytest.fixture(scope="module")
def together(small_base: Path, inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left, a folder a run."""
    folder = tmp_path_factory.mktemp("together")
    about = {
        "folder": str(folder),
        "base": str(small_base),
        "inputs": {n: str(p) for n, p in inputs.items()},
        "runs": RUNS,
    }
    done = launch(TESTS / "factories_small.py", json.dumps(about))
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def alone(small_base, inputs, tmp_path_factory):
    """(numbers, adapters) of one process on the same batches."""
    folder = tmp_path_factory.mktemp("alone")
    numbers = train_steps(
        small_job(folder, small_base, inputs, **SETTINGS), exact=True, folder=folder / "adapters"
    )
    return numbers, saved_adapters(folder / "adapters")


@pytest.mark.parametrize("name", ["copied", "split", "split in parts"])
def test_two_processes_learn_what_one_learns(together, alone, name):
    numbers, weights = alone
    for row, other in zip(numbers, json.loads((together / name / "numbers.json").read_text()), strict=True):
        assert other == pytest.approx(row, rel=2e-5)
    for key, tensor in saved_adapters(together / name / "adapters").items():
        assert tensor.shape == weights[key].shape and (tensor - weights[key]).abs().max() <= 2e-5, key


def test_frozen_bf16_and_trained_fp32_weights_are_split_to_the_same_end(together):
    """The layers of the text backbone are bf16 with adapters in fp32 between them."""
    copied, split = ((together / f"{name}, mixed types") for name in ("copied", "split"))
    for row, other in zip(
        *(json.loads((run / "numbers.json").read_text()) for run in (copied, split)), strict=True
    ):
        assert other == pytest.approx(row, rel=1e-3)
    weights = saved_adapters(copied / "adapters")
    for key, tensor in saved_adapters(split / "adapters").items():
        # In bf16 a gradient near zero may change its sign with the company of a conversation, and AdamW steps by signs at first.
        assert tensor.dtype == torch.float32 and (tensor - weights[key]).abs().mean() <= 2e-4, key


def test_split_weights_are_saved_whole_and_go_on_to_the_last_bit(together, alone):
    ours, theirs = (saved_adapters(together / name / "adapters") for name in ("split, resumed", "split"))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    state, _ = load_tensors(together / "split, resumed" / "scratch" / "state.safetensors")
    shapes = {key.replace(".default", ""): tensor.shape for key, tensor in state.items()}
    assert all(shapes[key] == tensor.shape for key, tensor in theirs.items())
