"""A step is the same however many parts it is read in: the invariant, in fp32."""

from pathlib import Path

import pytest
from factories_small import saved_adapters, small_job, train_steps
from torch import Tensor


@pytest.fixture(scope="module")
def in_one(
    small_base: Path, inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[list, dict[str, Tensor]]:
    """(numbers of each step, adapters after them) of a run that reads eight conversations at once."""
    folder = tmp_path_factory.mktemp("one")
    numbers = train_steps(small_job(folder, small_base, inputs), exact=True, folder=folder / "adapters")
    return numbers, saved_adapters(folder / "adapters")


@pytest.mark.parametrize("parts", [8, 3])
def test_one_by_one_and_all_at_once_are_the_same_step(in_one, parts, small_base, inputs, tmp_path):
    numbers, weights = in_one
    job = small_job(tmp_path, small_base, inputs, microbatches=parts)
    for row, other in zip(numbers, train_steps(job, exact=True, folder=tmp_path / "adapters"), strict=True):
        assert other == pytest.approx(row, rel=2e-5)
    for name, tensor in saved_adapters(tmp_path / "adapters").items():
        assert (tensor - weights[name]).abs().max() <= 2e-5, name
