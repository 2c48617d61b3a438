"""Settings that cannot work are refused with the path of the setting."""

import pytest
from factories_config import replaced

from unichar.sft.config import SftConfig


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps is 0; expected 1 or more"),
        ({"gen_rank": 0}, "gen_rank is 0"),
        ({"pictures": 0, "conversations": 0}, "conversations is 0 and pictures is 0; expected one above 0"),
        ({"pictures": 25}, r"pictures is 25; expected a multiple of prompts \(6\)"),
        ({"microbatches": -1}, "SftConfig.microbatches is -1; expected 0 or more"),
        ({"validation": {"every": -1}}, "SftConfig.validation.every is -1; expected 0 or more"),
        (
            {"validation": {"patience": 2}},
            "SftConfig.validation.every is 0, conversations is 6; "
            "validation.patience and validation.keep_best need both",
        ),
        (
            {"validation": {"keep_best": True, "every": 5}, "conversations": 0},
            "conversations is 0; validation.patience and validation.keep_best need both above 0",
        ),
        ({"prior": "web"}, "prior is .web.; expected rendered or base"),
        ({"prior_pictures": 250}, r"prior_pictures is 250; expected at most prior_pool \(240\)"),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        replaced(SftConfig(), **wrong)


def test_prior_preservation_can_be_turned_off():
    assert SftConfig(prior_pictures=0, prior_pool=0).prior_pictures == 0
