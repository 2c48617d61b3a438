"""FLOPs of reports."""

from dataclasses import replace

import pytest

from unichar.cost.report import report_flops
from unichar.cost.sizes import nano_sizes
from unichar.cost.workload import TOON
from unichar.evaluation.config import EvaluationConfig
from unichar.model.nano.config import NanoConfig

SIZES, CONFIG = nano_sizes(NanoConfig()), EvaluationConfig()


def test_each_arm_draws_and_two_text_backbones_answer():
    none, one, three = (report_flops(SIZES, TOON, CONFIG, arms=arms) for arms in (0, 1, 3))
    assert 0 < none < one
    assert three - none == pytest.approx(3 * (one - none))


@pytest.mark.parametrize("field", ["pictures", "text_items", "max_reply_tokens", "max_reasoning_tokens"])
def test_more_of_anything_costs_more(field):
    more = replace(CONFIG, **{field: 2 * getattr(CONFIG, field)})
    assert report_flops(SIZES, TOON, more, arms=2) > report_flops(SIZES, TOON, CONFIG, arms=2)
