"""GRPO of nano on another device: rounds with all of their rewards, the same up to rounding."""

import pytest
from factories_device import on_second_device
from factories_grpo import grpo_job, train_rounds


@pytest.mark.parametrize("algorithm", ["nft", "flow_grpo"])
def test_rounds_are_trained_on_the_device(larger_base, inputs, tmp_path, algorithm):
    expected = train_rounds(grpo_job(tmp_path / "cpu", larger_base, inputs, algorithm=algorithm), exact=False)

    @on_second_device
    def check():
        job = grpo_job(tmp_path / "there", larger_base, inputs, algorithm=algorithm)
        for one, other in zip(train_rounds(job, exact=False), expected, strict=True):
            assert one.keys() == other.keys()
            for name in ("reward", "identity"):
                assert one[name] == pytest.approx(other[name], rel=0.05, abs=0.02), name

    check()
