"""A step is the same for any number of microbatches, in fp32."""

from pathlib import Path

import pytest
from factories_small import saved_adapters, small_job, train_steps
from torch import Tensor


@pytest.fixture(scope="module")
def whole(
    small_base: Path, inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[list, dict[str, Tensor]]:
    """(numbers of each step, adapters after them) of a run in one microbatch."""
    folder = tmp_path_factory.mktemp("whole")
    numbers = train_steps(small_job(folder, small_base, inputs), exact=True, folder=folder / "adapters")
    return numbers, saved_adapters(folder / "adapters")


@pytest.mark.parametrize("number", [8, 3])
def test_any_number_of_microbatches_gives_the_same_step(whole, number, small_base, inputs, tmp_path):
    numbers, weights = whole
    job = small_job(tmp_path, small_base, inputs, microbatches=number)
    for row, other in zip(numbers, train_steps(job, exact=True, folder=tmp_path / "adapters"), strict=True):
        assert other == pytest.approx(row, rel=2e-5)
    for name, tensor in saved_adapters(tmp_path / "adapters").items():
        assert (tensor - weights[name]).abs().max() <= 2e-5, name
