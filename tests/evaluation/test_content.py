"""Content off the contract of report.json is refused before anything is written."""

import pytest
from factories_evaluation import make_report_input

from unichar.evaluation.statistics import Estimate


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"cost": {"seconds": {}}}, "ReportInput.cost must have the keys seconds, tokens"),
        ({"data": {}}, "ReportInput.data must have the keys"),
        ({"arms": {"sft": {"charm": Estimate(value=1.0, low=1.0, high=1.0, n=1)}}}, "arm sft has charm"),
    ],
)
def test_content_off_the_contract_is_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        make_report_input(**wrong)
