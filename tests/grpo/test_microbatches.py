"""A round is the same for any number of microbatches, in fp32."""

import pytest
from factories_grpo import assert_same_adapters, assert_same_rounds, grpo_job, train_rounds
from factories_small import saved_adapters

SPREAD = 0.1
"""A standard deviation of rewards that some of the groups here have and others do not."""


@pytest.fixture(scope="module")
def whole(larger_base, inputs, tmp_path_factory):
    """(algorithm, settings) -> (numbers of each round, adapters after them) of a run in one microbatch."""

    def run(algorithm, **settings):
        job = grpo_job(tmp_path_factory.mktemp("whole"), larger_base, inputs, algorithm=algorithm, **settings)
        return train_rounds(job, exact=True), saved_adapters(job.out / "adapters")

    return run


@pytest.mark.parametrize("algorithm", ["nft", "flow_grpo"])
def test_any_number_of_microbatches_gives_the_same_rounds(algorithm, whole, larger_base, inputs, tmp_path):
    numbers, weights = whole(algorithm)
    for number in (9, 2):
        job = grpo_job(
            tmp_path / str(number), larger_base, inputs, algorithm=algorithm, rollout={"microbatches": number}
        )
        assert_same_rounds(numbers, train_rounds(job, exact=True))
        assert_same_adapters(job.out / "adapters", weights)


def test_skipped_groups_do_not_change_that(whole, larger_base, inputs, tmp_path):
    numbers, weights = whole("nft", reward={"min_spread": SPREAD})
    assert sum(row["skipped_groups"] for row in numbers) not in (0, 9)
    job = grpo_job(tmp_path, larger_base, inputs, reward={"min_spread": SPREAD}, rollout={"microbatches": 4})
    assert_same_rounds(numbers, train_rounds(job, exact=True))
    assert_same_adapters(job.out / "adapters", weights)
