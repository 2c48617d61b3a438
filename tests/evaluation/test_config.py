"""Settings of the evaluation out of range are refused, with the range in the message."""

from typing import Any

import pytest

from unichar.errors import UserError
from unichar.evaluation.config import ARMS, EvaluationConfig


@pytest.mark.parametrize(
    "name", ["prompts", "sample_steps", "text_items", "chats", "role_plays", "sheet_rows"]
)
def test_counts_are_at_least_one(name: str) -> None:
    setting: dict[str, Any] = {name: 0}
    with pytest.raises(UserError, match=f"EvaluationConfig.{name} is 0; expected 1 or more"):
        EvaluationConfig(**setting)
    EvaluationConfig(**{name: 1})


def test_a_prompt_needs_two_pictures_to_have_a_diversity() -> None:
    with pytest.raises(UserError, match="pictures is 1; expected 2 or more"):
        EvaluationConfig(pictures=1)


def test_arms_of_one_side_can_be_left_out() -> None:
    assert list(EvaluationConfig().arms) == list(ARMS)
    assert list(EvaluationConfig(ablations=False).arms) == ["base", "sft", "grpo"]
