"""SFT of nano on another device: the same numbers up to rounding, and adapters that any device reads."""

import pytest
from factories_device import on_second_device
from factories_small import saved_adapters, small_job, train_steps


def test_sft_trains_on_the_device(small_base, inputs, tmp_path):
    job = small_job(tmp_path / "cpu", small_base, inputs)
    expected = train_steps(job, exact=False, folder=tmp_path / "adapters", resume_at=2)

    @on_second_device
    def check():
        there = small_job(tmp_path / "there", small_base, inputs)
        found = train_steps(there, exact=False, folder=tmp_path / "there" / "adapters", resume_at=2)
        for one, other in zip(found, expected, strict=True):
            assert one == pytest.approx(other, rel=0.05, abs=1e-3)

    check()
    cpu, there = saved_adapters(tmp_path / "adapters"), saved_adapters(tmp_path / "there" / "adapters")
    for name, tensor in cpu.items():
        # As a whole: AdamW's first steps are as long for gradients near 0 as for others.
        assert (there[name] - tensor).norm() < 0.25 * tensor.norm(), name
