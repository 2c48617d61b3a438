"""FLOPs of finished trainings."""

import json

import pytest

from unichar.cost.measured import base_sizes, training_flops
from unichar.cost.sizes import nano_sizes
from unichar.model.nano.config import NanoConfig


@pytest.mark.parametrize("verb", ["sft", "grpo"])
def test_finished_trainings_have_plausible_flops(verb, sft_job, grpo_job):
    job = sft_job if verb == "sft" else grpo_job
    summary = json.loads((job.out / "summary.json").read_text())
    assert 1e10 < training_flops(verb, job, summary)["flops"] < 1e14


def test_other_stages_have_no_flops(sft_job):
    assert training_flops("evaluate", sft_job, {}) == {}


def test_a_base_has_the_sizes_it_was_trained_with(sft_job):
    assert base_sizes(sft_job.base) == nano_sizes(NanoConfig())
