"""The questions to a report: intervals decide, what overlaps is unclear, what is missing has not passed."""

import dagster as dg
import pytest

from orchestration.defs.checks import QUESTIONS, answer

QUESTION = {question.name: question for question in QUESTIONS}


def number(value: float, half: float = 0.05) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half, "n": 20}


@pytest.mark.parametrize(
    ("name", "before", "after", "passed"),
    [
        ("looks_like_itself", 0.4, 0.8, True),
        ("looks_like_itself", 0.4, 0.45, False),
        ("speaks_like_itself", 4.6, 2.9, True),
        ("speaks_like_itself", 2.9, 4.6, False),
        ("reinforcement_kept_identity", 0.8, 0.78, True),
        ("reinforcement_kept_identity", 0.8, 0.5, False),
        ("reinforcement_helped", 0.7, 0.83, True),
        ("reinforcement_helped", 0.7, 0.72, False),
        ("does_not_copy", 0.0, 0.02, True),
        ("does_not_copy", 0.0, 0.4, False),
    ],
)
def test_intervals_decide(name: str, before: float, after: float, passed: bool) -> None:
    question = QUESTION[name]
    arms = {question.before: {question.metric: number(before)}, "grpo": {question.metric: number(after)}}
    result = answer(question, arms)
    assert result.passed is passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert result.metadata[f"{question.metric}_grpo"].value == after


def test_what_was_not_measured_has_not_passed() -> None:
    result = answer(QUESTION["follows_prompts"], {"grpo": {"alignment": number(0.5)}})
    assert not result.passed
    assert result.description == "alignment was not measured for base"
