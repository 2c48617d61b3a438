"""Settings of `synthesize`: a wrong one is refused by name."""

import pytest

from unichar.interactions.config import InteractionsConfig


@pytest.mark.parametrize(
    "settings",
    [
        {"num_role_play": 0},
        {"test_share": 1.0},
        {"multi_turn_share": -0.1},
        {"num_plain_captions": 0},
        {"num_unseen_scenes": -1},
    ],
)
def test_a_wrong_setting_is_named(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        InteractionsConfig(**settings)


def test_kinds_that_may_be_absent_can_be_switched_off():
    config = InteractionsConfig(
        num_grounded=0, num_instructions=0, num_test_instructions=0, num_open_prompts=0
    )
    assert config.num_instructions == 0
