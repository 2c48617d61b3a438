"""Two real processes train as one does: with replicated adapters, or with sharded weights (FSDP2)."""

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
}
"""No multiples of two, so that ranks have different numbers of samples."""
SHARDED = SETTINGS | {"shard": True}
RUNS = {
    "replicated": (SETTINGS, True, 0),
    "sharded": (SHARDED, True, 0),
    "sharded, resumed": (SHARDED, True, 2),
    "sharded, microbatches": (SHARDED | {"microbatches": 2, "checkpointing": True}, True, 0),
    "replicated, mixed types": (SETTINGS, False, 0),
    "sharded, mixed types": (SHARDED, False, 0),
}
"""Folder -> settings, whether in fp32 throughout, and the step another trainer resumes from."""


@pytest.fixture(scope="module")
def together(small_base: Path, inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a subfolder per run of two processes."""
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


@pytest.mark.parametrize("name", ["replicated", "sharded", "sharded, microbatches"])
def test_two_processes_train_as_one_does(together, alone, name):
    numbers, weights = alone
    for row, other in zip(numbers, json.loads((together / name / "numbers.json").read_text()), strict=True):
        assert other == pytest.approx(row, rel=2e-5)
    for key, tensor in saved_adapters(together / name / "adapters").items():
        assert tensor.shape == weights[key].shape and (tensor - weights[key]).abs().max() <= 2e-5, key


def test_frozen_bf16_and_trained_fp32_weights_can_be_sharded(together):
    """The layers of the text backbone are bf16 with adapters in fp32 between them."""
    replicated, sharded = together / "replicated, mixed types", together / "sharded, mixed types"
    numbers, others = (json.loads((run / "numbers.json").read_text()) for run in (replicated, sharded))
    for row, other in zip(numbers, others, strict=True):
        assert other == pytest.approx(row, rel=1e-3)

    weights = saved_adapters(replicated / "adapters")
    for key, tensor in saved_adapters(sharded / "adapters").items():
        # In bf16 the sign of a gradient near 0 depends on the batch, and AdamW's first steps go by signs.
        assert tensor.dtype == torch.float32 and (tensor - weights[key]).abs().mean() <= 2e-4, key


def test_sharded_weights_are_saved_whole_and_resume_bit_identical(together, alone):
    ours, theirs = (saved_adapters(together / name / "adapters") for name in ("sharded, resumed", "sharded"))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    state, _ = load_tensors(together / "sharded, resumed" / "scratch" / "state.safetensors")
    shapes = {key.replace(".default", ""): tensor.shape for key, tensor in state.items()}
    assert all(shapes[key] == tensor.shape for key, tensor in theirs.items())
