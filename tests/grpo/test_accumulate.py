"""A round is the same however many parts it is drawn, judged and learned in: the invariant, in fp32."""

import pytest
from factories_grpo import assert_same_adapters, assert_same_rounds, grpo_job, rl_step
from factories_small import saved_adapters

SPREAD = 0.1
"""A standard deviation of rewards that some of the groups here have and others do not."""


@pytest.fixture(scope="module")
def whole(larger_base, inputs, tmp_path_factory):
    """(algorithm, settings) -> (numbers of each round, adapters after them) of a run that takes a round at once."""

    def run(algorithm, **settings):
        job = grpo_job(tmp_path_factory.mktemp("whole"), larger_base, inputs, algorithm=algorithm, **settings)
        return rl_step(job, exact=True), saved_adapters(job.out / "adapters")

    return run


@pytest.mark.parametrize("algorithm", ["nft", "flow_grpo"])
def test_picture_by_picture_and_all_at_once_are_the_same_rounds(
    algorithm, whole, larger_base, inputs, tmp_path
):
    numbers, weights = whole(algorithm)
    for parts in (9, 2):
        job = grpo_job(
            tmp_path / str(parts), larger_base, inputs, algorithm=algorithm, rollout={"microbatches": parts}
        )
        assert_same_rounds(numbers, rl_step(job, exact=True))
        assert_same_adapters(job.out / "adapters", weights)


def test_skipped_prompts_do_not_change_that(whole, larger_base, inputs, tmp_path):
    numbers, weights = whole("nft", reward={"min_spread": SPREAD})
    assert sum(row["skipped_groups"] for row in numbers) not in (0, 9)
    job = grpo_job(tmp_path, larger_base, inputs, reward={"min_spread": SPREAD}, rollout={"microbatches": 4})
    assert_same_rounds(numbers, rl_step(job, exact=True))
    assert_same_adapters(job.out / "adapters", weights)
